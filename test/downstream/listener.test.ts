// What a listener does with connections that never become an exchange: handshakes that end, or that never do.

import { once } from 'node:events';
import { connect } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import t, { type Test } from 'tap';
import { makeAlpnCertificate } from '../../src/control/acme/x509.ts';
import { makeAuthority } from '../support/certificates.ts';
import { helloOf } from '../support/client-hello.ts';
import { type DoorOptions, HOST, openDoor } from '../support/door.ts';
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
async function startForAll(t: Test) {
  const started = await start(t, {
    otherHosts: [{ name: GUARDED, clientAuth: { trust: 'a', required: true, forward: 'none' } }],
    clientTrusts: [{ id: 'a', authorities: authority.certificate, revocations: [], revocationEnds: [] }],
  });
  started.door.reload({ acme: { http: [], tls: [challenge] } });
  return started;
}

async function start(t: Test, options: Partial<DoorOptions>) {
  const door = await openDoor({ frontend: [], backend: [], ...options });
  t.teardown(() => door.close());
  /** A connection that may stay half open, once it is accepted. */
  const dial = async (port = door.tlsPort) => {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    socket.on('error', () => {});
    t.teardown(() => socket.destroy());
    await once(socket, 'connect');
    await waitFor(() => door.connections === 1, 5_000, 'it to be accepted');
    return socket;
  };
  return { door, dial };
}

t.test('a reload changes the head deadline of handshakes that begin from then on', async (t) => {
  const { door, dial } = await startForAll(t);
  for (const [, options] of KINDS) {
    // Its server is opened by the first client.
    const client = connectTls({ host: '127.0.0.1', port: door.tlsPort, rejectUnauthorized: false, ...options });
    await once(client, 'secureConnect');
    client.destroy();
  }
  door.reload({ limits: { ...door.door.active.limits, headTimeout: 300 } });
  await waitFor(() => door.connections === 0, 5_000, 'those before to be gone');
  for (const [name, options] of KINDS) {
    const socket = await dial();
    socket.write(await helloOf(options));
    await once(socket, 'data');
    t.equal(door.connections, 1);
    await waitFor(() => door.connections === 0, 5_000, `${name} to be let go`);
  }
});

for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
  t.test(`over ${maxVersion}: who leaves in the middle of a handshake holds nothing any more`, async (t) => {
    const { door, dial } = await startForAll(t);
    for (const [name, options] of KINDS) {
      const hello = await helloOf({ ...options, maxVersion });
      for (const [when, first] of [
        ['with the first bytes', hello],
        ['with a part of them', hello.subarray(0, 100)],
      ] as const) {
        (await dial()).end(first);
        await waitFor(() => door.connections === 0, 5_000, `${name} that leaves ${when}`);
      }
      const socket = await dial();
      socket.write(hello);
      await once(socket, 'data');
      t.equal(door.connections, 1, `${name} is answered`);
      socket.end();
      await waitFor(() => door.connections === 0, 5_000, `${name} that leaves when it was answered`);
    }
  });
}

t.test('so does who leaves with a part of the first bytes where these are not looked at', async (t) => {
  const { door, dial } = await start(t, {});
  for (const size of [100, 3]) {
    (await dial()).end((await helloOf({})).subarray(0, size));
    await waitFor(() => door.connections === 0, 5_000, 'it to be let go');
  }
});

t.test('so does a load balancer that says who calls, and no more', async (t) => {
  const { door, dial } = await start(t, { proxyProtocol: ['127.0.0.0/8'] });
  for (const port of [door.tlsPort, door.plainPort]) {
    (await dial(port)).end('PROXY TCP4 192.0.2.1 192.0.2.2 1000 443\r\n');
    await waitFor(() => door.connections === 0, 5_000, 'it to be let go');
  }
});

t.test('plain HTTP on the TLS port is told so, also when nothing comes behind it', async (t) => {
  const { door, dial } = await start(t, {});
  const socket = await dial();
  socket.end('GET / HTTP/1.1\r\n\r\n');
  t.match((await socket.setEncoding('latin1').toArray()).join(''), /^HTTP\/1\.1 400 .*this port speaks HTTPS/s);
  await waitFor(() => door.connections === 0, 5_000, 'it to be let go');
});

t.test('TLS on a port that does not speak it is told so, however its first bytes come', async (t) => {
  const { door, dial } = await start(t, {});
  for (const listener of ['plain', 'redirect'] as const) {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      for (const size of [Number.POSITIVE_INFINITY, 5, 100]) {
        const hello = await helloOf({ maxVersion, servername: HOST });
        const socket = await dial(door[`${listener}Port`]);
        socket.setNoDelay(true);
        const answer = socket.setEncoding('latin1').toArray();
        for (let at = 0; at < hello.length; at += size) {
          socket.write(hello.subarray(at, at + size));
          // Long enough to be read by itself.
          await new Promise((passed) => setTimeout(passed, 5));
        }
        t.match((await answer).join(''), /^HTTP\/1\.1 400 .*this port speaks plain HTTP, and what came was TLS/s);
        socket.end();
        await waitFor(() => door.connections === 0, 10_000, 'it to be let go');
        t.match(door.lines.at(-1), { listener, status: 400, failure: 'tls_on_plain_port', detail: /use http:\/\// });
      }
    }
  }
});
