// The TLS side of a listener: what it agrees to, whose certificate it shows, and what it does with those who speak otherwise.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectNet } from 'node:net';
import { Duplex } from 'node:stream';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import t from 'tap';
import { makeAuthority, makeCertificate, makeRsaKeys } from '../support/certificates.ts';
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
  t.equal(await to({ ALPNProtocols: ['http/1.0'] }), 'TLSv1.3 http/1.0');
  t.equal(await to({ ALPNProtocols: ['http/1.0', 'http/1.1'] }), 'TLSv1.3 http/1.1', 'the newest that both speak');
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

const ECDSA_ONLY = { sigalgs: 'ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384' };
const RSA_ONLY = { sigalgs: 'rsa_pss_rsae_sha256:rsa_pkcs1_sha256' };
const OLD = { maxVersion: 'TLSv1.2' } as const;

/** The subject that a client with these abilities is shown. */
async function subjectFor(port: number, options: ConnectionOptions): Promise<string> {
  const socket = await shake(port, { rejectUnauthorized: false, ...options });
  if (typeof socket === 'string') return socket;
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return String(subject.CN);
}

async function namedCertificate(subject: string, names: readonly string[], rsa: boolean) {
  const made = await makeCertificate({
    subject: `CN=${subject}`,
    names,
    ...(rsa ? { keys: await makeRsaKeys(2048) } : {}),
  });
  return { names, chain: made.certificate, key: made.key };
}

t.test('of two certificates for a name each client gets the one whose signature it can check', async (t) => {
  const certificates = [
    await namedCertificate('first rsa', ['first.test'], true),
    await namedCertificate('both ec', ['both.test'], false),
    await namedCertificate('both rsa', ['both.test'], true),
    await namedCertificate('wild rsa', ['*.wild.test'], true),
    await namedCertificate('exact ec', ['exact.wild.test'], false),
    await namedCertificate('only ec', ['only.test'], false),
  ];
  const door = await openDoor({ frontend: [], backend: [], certificates });
  t.teardown(() => door.close());
  const to = (servername: string, options: ConnectionOptions) => subjectFor(door.tlsPort, { servername, ...options });
  t.equal(await to('both.test', {}), 'both ec', 'the one that costs less');
  t.equal(await to('both.test', OLD), 'both ec');
  for (const options of [ECDSA_ONLY, { ...ECDSA_ONLY, ...OLD }, { ...OLD, ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' }]) {
    t.equal(await to('both.test', options), 'both ec');
    t.equal(await to('exact.wild.test', options), 'exact ec');
  }
  for (const options of [RSA_ONLY, { ...RSA_ONLY, ...OLD }, { ...OLD, ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' }]) {
    t.equal(await to('both.test', options), 'both rsa');
    t.equal(await to('exact.wild.test', options), 'wild rsa', 'its wildcard has what it lacks');
  }
  t.match(await to('only.test', RSA_ONLY), /^ERR_SSL/, 'there is none for it');
  t.equal(await to('nobody.test', {}), 'first rsa');
  t.equal(await subjectFor(door.tlsPort, {}), 'first rsa', 'without a name');
});

t.test('without a name the first certificate, of the kind that fits', async (t) => {
  const names = ['first.test'];
  const certificates = [await namedCertificate('rsa', names, true), await namedCertificate('ec', names, false)];
  const door = await openDoor({ frontend: [], backend: [], certificates });
  t.teardown(() => door.close());
  t.equal(await subjectFor(door.tlsPort, ECDSA_ONLY), 'ec');
  t.equal(await subjectFor(door.tlsPort, RSA_ONLY), 'rsa');
});

t.test('a ClientHello in small pieces is waited for', async (t) => {
  const names = ['first.test'];
  const certificates = [await namedCertificate('ec', names, false), await namedCertificate('rsa', names, true)];
  const door = await openDoor({ frontend: [], backend: [], certificates });
  t.teardown(() => door.close());
  const raw = connectNet({ host: '127.0.0.1', port: door.tlsPort, noDelay: true });
  t.teardown(() => raw.destroy());
  const slow = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _encoding, done) => {
      const half = Math.floor(chunk.length / 2);
      raw.write(chunk.subarray(0, half), () => setTimeout(() => raw.write(chunk.subarray(half), () => done()), 20));
    },
  });
  raw.on('data', (chunk) => slow.push(chunk));
  const socket = connectTls({ socket: slow, rejectUnauthorized: false, ...RSA_ONLY });
  t.teardown(() => socket.destroy());
  await once(socket, 'secureConnect');
  t.equal(socket.getPeerCertificate().subject.CN, 'rsa');
});

t.test('strict SNI refuses names that no certificate is for, and clients that name none', async (t) => {
  const certificates = [await certificateFor('first.test'), await certificateFor('*.wild.test')];
  const door = await openDoor({ frontend: [], backend: [], certificates, tls: { strictSni: true } });
  t.teardown(() => door.close());
  for (const version of [{}, OLD]) {
    const to = (servername?: string) =>
      agreed(door.tlsPort, {
        ...version,
        rejectUnauthorized: false,
        ...(servername === undefined ? {} : { servername }),
      });
    t.match(await to('first.test'), /^TLSv1/);
    t.match(await to('a.wild.test'), /^TLSv1/);
    for (const name of ['nobody.test', 'a.b.wild.test', undefined]) t.match(await to(name), /HANDSHAKE_FAILURE/);
  }
});

t.test('the policy modern is TLS 1.3 only', async (t) => {
  const certificates = [await certificateFor(HOST)];
  const door = await openDoor({ frontend: [], backend: [], certificates, tls: { tlsPolicy: 'modern' } });
  t.teardown(() => door.close());
  t.match(await agreed(door.tlsPort, { servername: HOST }), /^TLSv1\.3/);
  t.match(await agreed(door.tlsPort, { servername: HOST, ...OLD }), /PROTOCOL_VERSION/);
});

t.test('both policies agree on the post-quantum group first', async (t) => {
  for (const tlsPolicy of ['intermediate', 'modern'] as const) {
    const door = await openDoor({
      ...{ frontend: [], backend: [], certificates: [await certificateFor(HOST)] },
      tls: { tlsPolicy },
    });
    t.teardown(() => door.close());
    const socket = await shake(door.tlsPort, { servername: HOST });
    if (typeof socket === 'string') throw new Error(socket);
    t.match(socket.getEphemeralKeyInfo(), { name: 'X25519MLKEM768' });
    socket.destroy();
  }
});

t.test('a reload changes certificates, policy and strictness for handshakes that begin from then on', async (t) => {
  const old = await namedCertificate('old', [HOST], false);
  const door = await openDoor({ frontend: [], backend: [], certificates: [old] });
  t.teardown(() => door.close());
  const held = await shake(door.tlsPort, { servername: HOST, rejectUnauthorized: false });
  if (typeof held === 'string') throw new Error(held);
  t.teardown(() => held.destroy());
  const { listeners } = door.door.active.snapshot;
  door.reload({ certificates: [await namedCertificate('new', [HOST], false)] });
  t.equal(await subjectFor(door.tlsPort, { servername: HOST }), 'new');
  t.equal(await subjectFor(door.tlsPort, {}), 'new', 'also to those who ask for no name');
  t.match(await agreed(door.tlsPort, { ...OLD, rejectUnauthorized: false }), /^TLSv1\.2/);
  door.reload({ listeners: listeners.map((each) => ({ ...each, tlsPolicy: 'modern', strictSni: true })) });
  t.match(await agreed(door.tlsPort, { servername: HOST, ...OLD, rejectUnauthorized: false }), /PROTOCOL_VERSION/);
  t.match(await subjectFor(door.tlsPort, {}), /HANDSHAKE_FAILURE/);
  t.equal(await subjectFor(door.tlsPort, { servername: HOST }), 'new');
  held.write(`GET / HTTP/1.1\r\nHost: nobody.test\r\n\r\n`);
  t.match(String((await once(held, 'data'))[0]), /^HTTP\/1\.1 4/, 'what was open lives on');
});

/** A request's session, and whether it was resumed. */
async function resume(port: number, options: ConnectionOptions, session?: Buffer) {
  const socket = connectTls({
    ...{ host: '127.0.0.1', port, servername: HOST, rejectUnauthorized: false, ...options },
    ...(session === undefined ? {} : { session }),
  });
  const ticket = once(socket, 'session');
  await once(socket, 'secureConnect');
  // Who resumes need not get another one.
  const next = session ?? ((await ticket) as [Buffer])[0];
  const reused = socket.isSessionReused();
  socket.destroy();
  return { reused, session: next };
}

t.test('sessions are resumed by both kinds of key, and after new ticket keys begin in full', async (t) => {
  const certificates = [await namedCertificate('ec', [HOST], false), await namedCertificate('rsa', [HOST], true)];
  const door = await openDoor({ frontend: [], backend: [], certificates });
  t.teardown(() => door.close());
  for (const options of [{}, RSA_ONLY, { sigalgs: 'rsa_pkcs1_sha256', ...OLD }]) {
    const { session } = await resume(door.tlsPort, options);
    t.ok((await resume(door.tlsPort, options, session)).reused);
    door.reload({ certificates });
    t.ok((await resume(door.tlsPort, options, session)).reused, 'after a reload, too');
    door.reload({ ticketKeys: randomBytes(48) });
    t.notOk((await resume(door.tlsPort, options, session)).reused, 'the handshake succeeds all the same');
  }
});

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  t.test(`over ${version}: sessions of the ticket key before are resumed until that one goes`, async (t) => {
    const certificates = [await namedCertificate('ec', [HOST], false), await namedCertificate('rsa', [HOST], true)];
    const door = await openDoor({ frontend: [], backend: [], certificates: [certificates[0]!] });
    t.teardown(() => door.close());
    const only = { minVersion: version, maxVersion: version } as const;
    for (const options of [only, { ...only, servername: '' }, { ...only, ALPNProtocols: ['h2', 'http/1.1'] }]) {
      const reusedBy = async (session: Buffer) => (await resume(door.tlsPort, options, session)).reused;
      const old = door.door.active.snapshot.ticketKeys;
      const { session } = await resume(door.tlsPort, options);
      door.reload({ certificates, ticketKeys: randomBytes(48), previousTicketKeys: old });
      t.ok(await reusedBy(session), 'of the key before');
      t.ok(await reusedBy(session), 'and again');
      const { session: newer } = await resume(door.tlsPort, options);
      t.ok(await reusedBy(newer), 'of the key of now');
      door.reload({ previousTicketKeys: randomBytes(48) });
      t.notOk(await reusedBy(session), 'by its name the key is known, not by its place');
      t.ok(await reusedBy(newer));
      const { previousTicketKeys: _, ...rest } = door.door.active.snapshot;
      door.reload({ ...rest, previousTicketKeys: rest.ticketKeys, ticketKeys: randomBytes(48) });
      t.ok(await reusedBy(newer));
      const damaged = Buffer.from(newer);
      damaged[newer.indexOf(rest.ticketKeys.subarray(0, 16)) + 20]! ^= 1;
      t.notOk(await reusedBy(damaged), 'a ticket that only bears the name of the key');
    }
  });
}

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

/** What a client gets that asks for an OCSP answer, as text; '' without one. */
async function stapledTo(port: number, options: ConnectionOptions): Promise<string> {
  const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false, requestOCSP: true, ...options });
  const [answer] = (await once(socket, 'OCSPResponse')) as [Buffer | null];
  socket.destroy();
  return answer?.toString() ?? '';
}

t.test('OCSP answers are stapled to the certificate that is chosen, and to no other', async (t) => {
  const rsa = await makeCertificate({ names: [HOST], issuer: authority, keys: await makeRsaKeys(2048) });
  const staple = (text: string) => ({ staple: new Uint8Array(Buffer.from(text)) });
  const ecdsa = await certificateFor(HOST);
  const certificates = [
    { ...ecdsa, ...staple('ecdsa') },
    { names: [HOST], chain: rsa.certificate, key: rsa.key, ...staple('rsa') },
    { ...(await certificateFor('other.test')), ...staple('other') },
    await certificateFor('plain.test'),
  ];
  const door = await openDoor({ frontend: [], backend: [], certificates });
  t.teardown(() => door.close());
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const to = (options: ConnectionOptions) => stapledTo(door.tlsPort, { maxVersion, ...options });
    t.equal(await to({ servername: HOST }), 'ecdsa');
    t.equal(await to({ servername: HOST, sigalgs: 'rsa_pss_rsae_sha256' }), 'rsa');
    t.equal(await to({ servername: 'other.test' }), 'other');
    t.equal(await to({ servername: 'plain.test' }), '');
    t.equal(await to({}), 'ecdsa', 'to those who ask for no name, that of the first');
  }
  const [, , ...rest] = certificates;
  door.reload({ certificates: [{ ...ecdsa, ...staple('a newer one') }, ...rest] });
  t.equal(await stapledTo(door.tlsPort, { servername: HOST }), 'a newer one');
  door.reload({ certificates: [ecdsa] });
  t.equal(await stapledTo(door.tlsPort, { servername: HOST }), '', 'the last one has ended');
  door.reload({ certificates: [{ ...ecdsa, ...staple('again') }] });
  t.equal(await stapledTo(door.tlsPort, {}), 'again');
});

t.test('with strict SNI there is nothing to staple for no name', async (t) => {
  const certificates = [{ ...(await certificateFor(HOST)), staple: new Uint8Array([1]) }];
  const door = await openDoor({ frontend: [], backend: [], certificates, tls: { strictSni: true } });
  t.teardown(() => door.close());
  t.equal(await stapledTo(door.tlsPort, { servername: HOST }), '\u0001');
  t.match(await shake(door.tlsPort, { requestOCSP: true, rejectUnauthorized: false }), /^ERR_SSL_|ECONNRESET/);
  t.equal(await stapledTo(door.tlsPort, { servername: HOST }), '\u0001', 'the door stands');
});
