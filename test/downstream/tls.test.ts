// The TLS side of a listener: what it agrees to, whose certificate it shows, and what it does with those who speak otherwise.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect as connectNet } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import t from 'tap';
import { makeAuthority, makeCertificate } from '../support/certificates.ts';
import { HOST, local, openDoor } from '../support/door.ts';
import { needPart, partPath } from '../support/parts.ts';
import { waitFor } from '../support/ports.ts';
import { RawUpstream } from '../support/raw-upstream.ts';

const authority = await makeAuthority();

async function certificateFor(...names: string[]) {
  const { certificate, key } = await makeCertificate({ names, issuer: authority });
  return { names, chain: certificate, key };
}

/** The socket of a finished handshake, or the error's code. */
async function shake(port: number, options: ConnectionOptions): Promise<TLSSocket | string> {
  const socket = connectTls({ host: '127.0.0.1', port, ca: authority.certificate, ...options });
  try {
    await once(socket, 'secureConnect');
    return socket;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

async function agreed(port: number, options: ConnectionOptions): Promise<string | undefined> {
  const socket = await shake(port, options);
  if (typeof socket === 'string') return socket;
  const told = `${socket.getProtocol()} ${socket.alpnProtocol}`;
  socket.destroy();
  return told;
}

async function shownTo(port: number, servername: string): Promise<string> {
  const socket = await shake(port, { servername, rejectUnauthorized: false });
  if (typeof socket === 'string') return socket;
  const { subjectaltname } = socket.getPeerCertificate();
  socket.destroy();
  return subjectaltname ?? '';
}

t.test('versions, ciphers and protocols', async (t) => {
  const door = await openDoor({ frontend: [], backend: [], certificates: [await certificateFor(HOST)] });
  t.teardown(() => door.close());
  const to = (options: ConnectionOptions) => agreed(door.tlsPort, { servername: HOST, ...options });
  t.equal(await to({ ALPNProtocols: ['h2', 'http/1.1'] }), 'TLSv1.3 h2');
  t.equal(await to({ ALPNProtocols: ['http/1.1'], maxVersion: 'TLSv1.2' }), 'TLSv1.2 http/1.1');
  t.equal(await to({}), 'TLSv1.3 false', 'without ALPN it is HTTP/1.1');
  const weak = { minVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' } as const;
  t.match(await to({ ...weak, maxVersion: 'TLSv1.1' }), /^ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION$/);
  for (const ciphers of ['ECDHE-ECDSA-AES128-SHA', 'ECDHE-ECDSA-AES256-SHA384', 'AES128-GCM-SHA256']) {
    t.match(await to({ maxVersion: 'TLSv1.2', ciphers }), /HANDSHAKE_FAILURE/, `${ciphers} is refused`);
  }
  t.match(await to({ ALPNProtocols: ['spdy/1'] }), /NO_APPLICATION_PROTOCOL/);
});

t.test('a client cannot make us shake hands again on a connection', async (t) => {
  const door = await openDoor({ frontend: [], backend: [], certificates: [await certificateFor(HOST)] });
  t.teardown(() => door.close());
  const socket = await shake(door.tlsPort, { servername: HOST, maxVersion: 'TLSv1.2', ALPNProtocols: ['http/1.1'] });
  if (typeof socket === 'string') throw new Error(socket);
  const failed = await new Promise<Error | null>((answer) => {
    socket.on('error', answer);
    socket.on('close', () => answer(new Error('closed')));
    socket.renegotiate({}, (error) => answer(error));
  });
  t.ok(failed, 'the renegotiation fails');
  socket.destroy();
});

t.test('the certificate that fits the name: exact, then wildcard of one label, then the first', async (t) => {
  const certificates = [
    await certificateFor('first.test'),
    await certificateFor('*.wild.test'),
    await certificateFor('exact.wild.test'),
  ];
  const door = await openDoor({ frontend: [], backend: [], certificates });
  t.teardown(() => door.close());
  t.equal(await shownTo(door.tlsPort, 'exact.wild.test'), 'DNS:exact.wild.test');
  t.equal(await shownTo(door.tlsPort, 'EXACT.wild.test'), 'DNS:exact.wild.test');
  t.equal(await shownTo(door.tlsPort, 'other.wild.test'), 'DNS:*.wild.test');
  t.equal(await shownTo(door.tlsPort, 'a.b.wild.test'), 'DNS:first.test');
  t.equal(await shownTo(door.tlsPort, 'nobody.test'), 'DNS:first.test');
});

t.test('plain HTTP on the TLS port is told what is wrong', async (t) => {
  const door = await openDoor({ frontend: [], backend: [], certificates: [await certificateFor(HOST)] });
  t.teardown(() => door.close());
  const socket = connectNet({ host: '127.0.0.1', port: door.tlsPort });
  socket.setEncoding('latin1');
  socket.write(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
  const answer = (await socket.toArray()).join('');
  t.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/);
  t.match(answer, 'this port speaks HTTPS');
  t.match(door.lines, [{ msg: 'rejected', failure: 'plain_http_on_tls_port' }]);
});

t.test('whoever connects and says nothing, or half a handshake, is closed after the head deadline', async (t) => {
  const door = await openDoor({
    frontend: [],
    backend: [],
    certificates: [await certificateFor(HOST)],
    limits: { headTimeout: 300 },
  });
  t.teardown(() => door.close());
  for (const bytes of ['', '\x16\x03\x01', '\x16\x03\x01\x02\x00\x01\x00']) {
    const socket = connectNet({ host: '127.0.0.1', port: door.tlsPort });
    socket.on('error', () => {});
    if (bytes !== '') socket.write(bytes, 'latin1');
    socket.resume();
    await waitFor(() => socket.closed, 10_000, 'the connection to be closed');
    t.ok(socket.closed, `after ${bytes.length} bytes`);
  }
});

/** What openssl says of a request over TLS 1.3; it complains of an end without close_notify, which Node does not tell. */
function askByOpenssl(port: number, request: string): Promise<string> {
  const args = ['s_client', '-quiet', '-connect', `127.0.0.1:${port}`, '-servername', HOST, '-ign_eof'];
  const client = spawn(partPath('openssl'), args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: 10_000 });
  let said = '';
  for (const stream of [client.stdout, client.stderr]) {
    stream.setEncoding('latin1').on('data', (text: string) => {
      said += text;
    });
  }
  client.stdin.write(request);
  return new Promise((told) => client.once('close', () => told(said)));
}

t.test('an HTTP/1.0 answer ends with close_notify when it is whole, and without when it was cut', async (t) => {
  if (needPart(t, 'openssl') === undefined) return;
  const upstream = await RawUpstream.open();
  const frontend = [local(upstream.port)];
  const door = await openDoor({ frontend, backend: frontend, certificates: [await certificateFor(HOST)] });
  t.teardown(() => {
    door.close();
    upstream.close();
  });
  const request = `GET / HTTP/1.0\r\nHost: ${HOST}\r\n\r\n`;
  const chunk = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n';

  upstream.answer(`${chunk}0\r\n\r\n`);
  const whole = await askByOpenssl(door.tlsPort, request);
  t.match(whole, /\r\n\r\nhello/);
  t.notMatch(whole, 'unexpected eof');

  upstream.script = (seen) => {
    seen.write(chunk);
    seen.connection.socket.end();
  };
  const cut = await askByOpenssl(door.tlsPort, request);
  t.match(cut, /\r\n\r\nhello/);
  t.match(cut, 'unexpected eof');
});
