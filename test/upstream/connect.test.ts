// Connecting: an upstream that speaks before it was asked is no upstream, and breaks nothing.

import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import t from 'tap';
import { FAILURES, type Failure } from '../../src/model/failure.ts';
import { openConnection } from '../../src/upstream/connect.ts';
import type { UpstreamConnection } from '../../src/upstream/connection.ts';
import { Resolver } from '../../src/upstream/resolver.ts';
import { makeAuthority, makeCertificate } from '../support/certificates.ts';
import { waitFor } from '../support/ports.ts';

t.test('bytes that come with the end of the handshake end the connection, and nothing else', async (t) => {
  const authority = await makeAuthority();
  const leaf = await makeCertificate({ names: ['localhost'], issuer: authority });
  const server = createTlsServer({ cert: leaf.certificate, key: leaf.key }, (socket) => {
    socket.on('error', () => {});
    // 40 KiB: some of it is read in one turn with the handshake, some later.
    socket.write(Buffer.alloc(40 * 1024, 'HTTP/1.1 200 OK\r\n'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const resolver = new Resolver(
    () => performance.now(),
    (_host, answer) => process.nextTick(answer, null, [{ address: '127.0.0.1', family: 4 }]),
  );
  for (let i = 0; i < 10; i++) {
    const told = await new Promise<UpstreamConnection | Failure>((done) => {
      const endpoint = { host: 'localhost', port, tls: true, ca: authority.certificate };
      openConnection(endpoint, 5_000, resolver, false, (connection, failure) => done(connection ?? failure!));
    });
    if ('code' in told) t.equal(told, FAILURES.tls);
    else {
      await waitFor(() => told.isGone, 5_000, 'it to be ended');
      t.ok(told.isGone);
    }
  }
});
