// Clients that ask and then take nothing: whatever was for them is let go of after a while, our own answers too.

import { connect } from 'node:http2';
import t from 'tap';
import { HOST, local, openDoor } from '../support/door.ts';
import { waitFor } from '../support/ports.ts';
import { OK, RawUpstream } from '../support/raw-upstream.ts';

t.test('an HTTP/2 client that opens no window for its answers holds nothing for ever', async (t) => {
  const upstream = await RawUpstream.open();
  upstream.answer(OK);
  const endpoints = [local(upstream.port)];
  const door = await openDoor({
    frontend: endpoints,
    backend: endpoints,
    limits: { upstreamIdleTimeout: 300 },
    sweepEvery: 50,
  });
  const session = connect(`https://127.0.0.1:${door.tlsPort}`, {
    ca: door.ca,
    servername: HOST,
    settings: { initialWindowSize: 0 },
  });
  t.teardown(() => {
    session.destroy();
    door.close();
    upstream.close();
  });
  // An answer of the upstream, and one of ours for a path that has two readings.
  for (const path of ['/', '/a/../b']) {
    const stream = session.request({ ':path': path, ':authority': HOST });
    stream.on('error', () => {});
    stream.resume();
  }
  await waitFor(() => door.door.exchanges.size === 2, 5_000, 'both to wait for their window');
  await waitFor(() => door.door.exchanges.size === 0, 10_000, 'both to be let go');
  t.same(door.lines.map((line) => [line.status, line.failure]).sort(), [
    [200, 'client_stalled'],
    [400, 'malformed_request'],
  ]);
  t.equal(door.door.watched.size, 0);
});
