// Clients that ask and then take nothing: whatever was for them is let go of after a while, our own answers too.

import { connect, constants } from 'node:http2';
import t from 'tap';
import { HOST, local, openDoor } from '../support/door.ts';
import { FRAME, FrameClient, fieldBlock, frame } from '../support/h2-client.ts';
import { waitFor } from '../support/ports.ts';
import { OK, pour, RawUpstream } from '../support/raw-upstream.ts';

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
  t.equal(door.door.watched.size, 1, 'the connection lives on');
});

t.test('an HTTP/2 client that reads nothing of its connection holds nothing for ever, and is cut', async (t) => {
  const upstream = await RawUpstream.open();
  // More than the kernel takes for a client that does not read.
  const length = 50_000_000;
  upstream.script = async (request) => {
    await request.whole;
    request.write(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`);
    await pour(request, length, () => {});
  };
  const endpoints = [local(upstream.port)];
  const door = await openDoor({
    frontend: endpoints,
    backend: endpoints,
    limits: { upstreamIdleTimeout: 500 },
    sweepEvery: 50,
  });
  const client = await FrameClient.connect(door.tlsPort, door.ca, HOST);
  t.teardown(() => {
    client.socket.destroy();
    door.close();
    upstream.close();
  });
  const WIDE = 0x7fff0000;
  const setting = Buffer.alloc(6);
  setting.writeUInt16BE(constants.NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE);
  setting.writeUInt32BE(WIDE, 2);
  const more = Buffer.alloc(4);
  more.writeUInt32BE(WIDE);
  client.send(frame(FRAME.settings, 0, 0, setting), frame(FRAME.window, 0, 0, more));
  const fields = fieldBlock([':method', 'GET', ':scheme', 'https', ':authority', HOST, ':path', '/']);
  for (const stream of [1, 3, 5]) client.send(frame(FRAME.headers, 5, stream, fields));
  await upstream.request(2);
  client.socket.pause();

  await waitFor(() => door.lines.length === 3, 10_000, 'all to be let go');
  t.equal(door.door.exchanges.size, 0);
  t.strictSame(
    door.lines.map((line) => [line.status, line.failure]),
    [1, 2, 3].map(() => [200, 'client_stalled']),
  );
  await waitFor(() => upstream.openCount === 0, 5_000, 'the upstream to be let go');
  // What takes not even the reset of a stream is no connection any more.
  await waitFor(() => door.door.watched.size === 0, 10_000, 'the connection to be cut');
  client.socket.resume();
  await client.gone;
  t.notOk(client.frames.some(({ type }) => type === FRAME.reset));
});
