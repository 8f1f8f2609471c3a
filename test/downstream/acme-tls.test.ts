// The handshakes of issuers: answered while a challenge is pending, however their first bytes come, and nobody else's.

import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectNet, createServer, type Socket } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { makeAlpnCertificate } from '../../src/control/acme/x509.ts';
import { freeze } from '../../src/model/snapshot.ts';
import { HOST, local, openDoor } from '../support/door.ts';

/** The extension acmeIdentifier in DER: critical, an octet string in an octet string, the SHA-256 of the answer (RFC 8737 §3). */
const IDENTIFIER = `06082b0601050507011f0101ff04220420${createHash('sha256').update('token.thumbprint').digest('hex')}`;

async function doorWithChallenge(t: Test) {
  const door = await openDoor({ frontend: [local(9)], backend: [local(9)] });
  t.teardown(() => door.close());
  const challenge = await makeAlpnCertificate(HOST, 'token.thumbprint', Date.now());
  const { snapshot } = door.door.active;
  return {
    port: door.tlsPort,
    begin: () => door.door.activate(freeze({ ...snapshot, acme: { http: [], tls: [challenge] } })),
    end: () => door.door.activate(snapshot),
  };
}

async function shake(port: number, options: ConnectionOptions): Promise<TLSSocket | undefined> {
  const socket = connect({ host: '127.0.0.1', port, servername: HOST, rejectUnauthorized: false, ...options });
  return once(socket, 'secureConnect').then(
    () => socket,
    () => undefined,
  );
}

const ACME = { ALPNProtocols: ['acme-tls/1'] };

t.test('an issuer gets the certificate of its challenge, and the connection ends with the handshake', async (t) => {
  const { port, begin, end } = await doorWithChallenge(t);
  t.equal(await shake(port, ACME), undefined, 'nothing is pending yet');
  begin();
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const socket = (await shake(port, { ...ACME, maxVersion }))!;
    t.equal(socket.alpnProtocol, 'acme-tls/1');
    const { raw } = socket.getPeerCertificate();
    const certificate = new X509Certificate(raw);
    t.equal(certificate.subjectAltName, `DNS:${HOST}`);
    t.ok(certificate.raw.toString('hex').includes(IDENTIFIER), 'with the hash of the answer');
    socket.resume();
    await once(socket, 'close');
  }
  t.equal(await shake(port, { ...ACME, servername: 'other.test' }), undefined, 'a name without a challenge');
  t.equal(await shake(port, { ...ACME, servername: '' }), undefined, 'no name');
  end();
  t.equal(await shake(port, ACME), undefined, 'nothing is pending any more');
});

t.test('clients are served as ever meanwhile', async (t) => {
  const { port, begin } = await doorWithChallenge(t);
  begin();
  for (const ALPNProtocols of [['h2', 'http/1.1'], ['http/1.1'], undefined]) {
    const socket = (await shake(port, ALPNProtocols === undefined ? {} : { ALPNProtocols }))!;
    t.notMatch(socket.getPeerCertificate().issuer.CN, /ACME/);
    t.equal(socket.alpnProtocol, ALPNProtocols?.[0] ?? false);
    socket.destroy();
  }
});

t.test('a first message that comes in pieces is read to its end', async (t) => {
  const { port, begin } = await doorWithChallenge(t);
  begin();
  for (const [options, issuer] of [
    [ACME, /ACME/],
    [{ ALPNProtocols: ['http/1.1'] }, /^(?!.*ACME)/],
  ] as const) {
    const socket = (await shake(await inPieces(t, port), options))!;
    t.match(String(socket.getPeerCertificate().issuer.CN), issuer);
    socket.destroy();
  }
});

/** A way to the port by which the first bytes arrive one small piece after the other. */
async function inPieces(t: Test, port: number): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((from) => {
    const to = connectNet({ port, host: '127.0.0.1', noDelay: true });
    for (const each of [from, to]) sockets.add(each.on('error', () => {}));
    to.pipe(from);
    from.once('data', async (first: Buffer) => {
      from.pause();
      for (let at = 0; at < first.length; at += 100) {
        to.write(first.subarray(at, at + 100));
        // Long enough to be a segment of its own.
        await new Promise((passed) => setTimeout(passed, 2));
      }
      from.pipe(to);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const each of sockets) each.destroy();
    server.close();
  });
  return (server.address() as { port: number }).port;
}
