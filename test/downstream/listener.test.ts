// What a listener does with connections that never become an exchange: handshakes that end, or that never do.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import t, { type Test } from 'tap';
import { makeAlpnCertificate } from '../../src/control/acme/x509.ts';
import type { Limits } from '../../src/model/snapshot.ts';
import { makeAuthority } from '../support/certificates.ts';
import { helloOf } from '../support/client-hello.ts';
import { HOST, openDoor } from '../support/door.ts';
import { waitFor } from '../support/ports.ts';

const GUARDED = 'guarded.test';
const authority = await makeAuthority();
const challenge = await makeAlpnCertificate(HOST, 'token.thumbprint', Date.now());

/** Those of each acceptor. */
const KINDS: readonly (readonly [string, ConnectionOptions])[] = [
  ['a client', { servername: HOST }],
  ['a client that is asked for a certificate', { servername: GUARDED }],
  ['an issuer', { servername: HOST, ALPNProtocols: ['acme-tls/1'] }],
];

/** A door at which all of them may knock. */
async function start(t: Test, limits: Partial<Limits> = {}) {
  const door = await openDoor({
    ...{ frontend: [], backend: [], limits },
    otherHosts: [{ name: GUARDED, clientAuth: { trust: 'a', required: true, forward: 'none' } }],
    clientTrusts: [{ id: 'a', authorities: authority.certificate, revocations: [], revocationEnds: [] }],
  });
  t.teardown(() => door.close());
  door.reload({ acme: { http: [], tls: [challenge] } });
  const dial = () => {
    const socket = connect({ host: '127.0.0.1', port: door.tlsPort, allowHalfOpen: true });
    socket.on('error', () => {});
    t.teardown(() => socket.destroy());
    return socket;
  };
  return { door, dial };
}

const isClosed = (socket: Socket) => waitFor(() => socket.closed, 5_000, 'the connection to be closed');

t.test('a reload changes the head deadline of handshakes that begin from then on', async (t) => {
  const { door, dial } = await start(t);
  for (const [, options] of KINDS) {
    // Its server is opened by the first client.
    const client = connectTls({ host: '127.0.0.1', port: door.tlsPort, rejectUnauthorized: false, ...options });
    await once(client, 'secureConnect');
    client.destroy();
  }
  door.reload({ limits: { ...door.door.active.limits, headTimeout: 300 } });
  for (const [name, options] of KINDS) {
    const socket = dial();
    socket.write(await helloOf(options));
    socket.resume().once('end', () => socket.end());
    t.ok(await isClosed(socket), name);
  }
});
