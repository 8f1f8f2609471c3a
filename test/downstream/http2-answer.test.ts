// The answer to one request over HTTP/2: interim answers are not kept for a client that does not read.

import t from 'tap';
import { HOST, local, openDoor } from '../support/door.ts';
import { END_HEADERS, END_STREAM, FRAME, FrameClient, fieldBlock, frame } from '../support/h2-client.ts';
import { waitFor } from '../support/ports.ts';
import { OK, RawUpstream } from '../support/raw-upstream.ts';

t.test('interim answers are not kept for a client that does not read', async (t) => {
  const upstream = await RawUpstream.open();
  const endpoints = [local(upstream.port)];
  const door = await openDoor({ frontend: endpoints, backend: endpoints });
  t.teardown(() => {
    door.close();
    upstream.close();
  });
  // More than the kernel takes, also with the code of Huffman.
  const hint = `HTTP/1.1 103 Early Hints\r\nLink: ${'a'.repeat(250_000)}\r\n\r\n`;
  upstream.script = async (request) => {
    for (let i = 0; i < 60; i++) await request.flush(hint);
    await request.flush(OK);
  };
  const client = await FrameClient.connect(door.tlsPort, door.ca, HOST);
  t.teardown(() => client.socket.destroy());
  const fields = fieldBlock([':method', 'GET', ':scheme', 'https', ':authority', HOST, ':path', '/']);
  client.send(frame(FRAME.headers, END_HEADERS | END_STREAM, 1, fields));
  client.socket.pause();
  await upstream.request();
  await waitFor(() => [...door.door.exchanges].every(({ responded }) => responded), 20_000, 'the answer');
  client.socket.resume();
  await waitFor(
    () => client.frames.some(({ flags, type }) => type === FRAME.data && flags === END_STREAM),
    20_000,
    'all of it',
  );
  const heads = client.frames.filter(({ type }) => type === FRAME.headers).length;
  t.ok(heads > 2 && heads < 61, `${heads} of 61 heads came`);
});
