// One HTTP/2 connection: what the log tells of its answers, how long it may idle, how long a head may take, and how it ends.

import { type ClientHttp2Stream, constants } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { Headers } from '../../src/http/headers.ts';
import { type DoorOptions, HOST, local, openDoor, type TestDoor } from '../support/door.ts';
import { FRAME, FrameClient, fieldBlock, frame, H2Client } from '../support/h2-client.ts';
import { waitFor } from '../support/ports.ts';
import { OK, RawUpstream } from '../support/raw-upstream.ts';

async function setUp(t: Test, options: Partial<DoorOptions> = {}) {
  const upstream = await RawUpstream.open();
  upstream.answer(OK);
  const endpoints = [local(upstream.port)];
  const door = await openDoor({ frontend: endpoints, backend: endpoints, ...options });
  t.teardown(() => {
    door.close();
    upstream.close();
  });
  return { upstream, door };
}

const fields = (method: string): Headers => [':method', method, ':scheme', 'https', ':authority', HOST, ':path', '/'];

const ended = (stream: ClientHttp2Stream) =>
  new Promise<void>((resolve) => {
    stream.on('error', () => {});
    stream.on('close', () => resolve());
    stream.resume();
  });

t.test('a request with a body whose answer came whole did not lose its client', async (t) => {
  const { upstream, door } = await setUp(t);
  const client = await H2Client.connect(door.tlsPort, door.ca, HOST);
  t.teardown(() => client.close());
  const answers = [
    OK,
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    'HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 204 No Content\r\n\r\n',
    `HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n${'a'.repeat(100_000)}`,
  ];
  for (const answer of answers) {
    upstream.answer(answer);
    for (const body of ['ab', '']) {
      const stream = client.request(fields('POST'), false);
      stream.on('wantTrailers', () => stream.sendTrailers({}));
      stream.end(body);
      await ended(stream);
      t.equal(client.endOf(stream.id!).endStream, true);
    }
  }
  await waitFor(() => door.lines.length === 2 * answers.length, 5_000, 'the access lines');
  t.strictSame(
    door.lines.map((line) => line.failure),
    door.lines.map(() => undefined),
  );
});

t.test('a client that left before its answer was out is told as gone', async (t) => {
  const { upstream, door } = await setUp(t);
  const leave: Readonly<Record<string, (client: FrameClient) => unknown>> = {
    'resets the stream': (client) =>
      client.send(frame(FRAME.reset, 0, 1, Buffer.of(0, 0, 0, constants.NGHTTP2_CANCEL))),
    'ends the connection': (client) => client.socket.end(),
    'breaks the connection': (client) => client.socket.destroy(),
    'says goodbye': (client) => {
      client.send(frame(FRAME.goaway, 0, 0, Buffer.alloc(8)));
      client.socket.end();
    },
  };
  for (const [how, go] of Object.entries(leave)) {
    await t.test(how, async (t) => {
      const client = await FrameClient.connect(door.tlsPort, door.ca, HOST);
      t.teardown(() => client.socket.destroy());
      // No window for the answer: it waits, whole.
      const noWindow = Buffer.of(0, constants.NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0, 0, 0, 0);
      const before = upstream.requests.length;
      client.send(
        frame(FRAME.settings, 0, 0, noWindow),
        frame(FRAME.headers, 4, 1, fieldBlock(fields('POST'))),
        frame(FRAME.data, 1, 1, Buffer.from('ab')),
      );
      await upstream.request(before);
      await waitFor(() => client.frames.some(({ type }) => type === FRAME.headers), 5_000, 'the head of the answer');
      const lines = door.lines.length;
      go(client);
      const line = await waitFor(() => door.lines[lines], 5_000, 'the access line');
      t.match(line, { status: 200, failure: 'client_gone' });
    });
  }
});

/** A client that does not end its side because we ended ours. */
async function stubborn(t: Test, door: TestDoor): Promise<FrameClient> {
  const client = await FrameClient.connect(door.tlsPort, door.ca, HOST);
  client.socket.allowHalfOpen = true;
  t.teardown(() => client.socket.destroy());
  return client;
}

t.test('a connection is closed soon after it was ended, whatever the client does', async (t) => {
  const { door } = await setUp(t, { limits: { keepAliveTimeout: 200 }, sweepEvery: 50 });
  const silent = await stubborn(t, door);
  const used = await stubborn(t, door);
  used.send(frame(FRAME.headers, 5, 1, fieldBlock(fields('GET'))));
  const leaving = await stubborn(t, door);
  leaving.send(frame(FRAME.goaway, 0, 0, Buffer.alloc(8)));
  const wrong = await stubborn(t, door);
  wrong.send(frame(FRAME.data, 1, 1, Buffer.from('of no stream')));
  await Promise.all([silent, used, leaving, wrong].map(({ gone }) => gone));
  t.ok(used.frames.some(({ type }) => type === FRAME.goaway));
  for (const client of [silent, used, leaving, wrong]) {
    const isClosed = () => {
      client.send(Buffer.alloc(1));
      return client.socket.destroyed;
    };
    await waitFor(isClosed, 8_000, 'the connection to be closed');
  }
  t.equal(door.door.watched.size, 0);
});

t.test('a head that does not come is waited for no longer than any other', async (t) => {
  const { door, upstream } = await setUp(t, { limits: { headTimeout: 300, keepAliveTimeout: 60_000 }, sweepEvery: 50 });
  const whole = frame(FRAME.headers, 5, 3, fieldBlock(fields('GET')));
  const halves: Readonly<Record<string, Buffer>> = {
    'without END_HEADERS': frame(FRAME.headers, 1, 3, fieldBlock(fields('GET')).subarray(0, 10)),
    'a part of a frame': whole.subarray(0, 20),
  };
  for (const [what, half] of Object.entries(halves)) {
    await t.test(what, async (t) => {
      const client = await stubborn(t, door);
      client.send(frame(FRAME.headers, 5, 1, fieldBlock(fields('GET'))));
      await upstream.request(upstream.requests.length);
      const begin = performance.now();
      client.send(half);
      await client.gone;
      const time = performance.now() - begin;
      t.ok(time >= 290 && time < 2_500, `${time} ms`);
    });
  }
  await t.test('one that comes slowly, but in time', async (t) => {
    const client = await stubborn(t, door);
    client.send(whole.subarray(0, 20));
    await sleep(150);
    client.send(whole.subarray(20));
    await waitFor(() => client.frames.some(({ type }) => type === FRAME.data), 5_000, 'the answer');
    await sleep(500);
    t.notOk(
      client.frames.some(({ type }) => type === FRAME.goaway),
      'the connection lives on',
    );
  });
});

/** A field of 3,900 bytes that is remembered from now on, and then stands for itself in one byte (RFC 7541 §6.2.1). */
const REMEMBERED = Buffer.concat([
  Buffer.from([0x40, 3]),
  Buffer.from('x-a'),
  Buffer.from([0x7f, 0x80 | ((3_900 - 127) & 127), (3_900 - 127) >> 7]),
  Buffer.alloc(3_900, 0x61),
]);
const AGAIN = 0xbe;

t.test('a head is measured by what it becomes, not by how little of it comes', async (t) => {
  const { upstream, door } = await setUp(t);
  const client = await stubborn(t, door);
  client.send(frame(FRAME.headers, 5, 1, Buffer.concat([fieldBlock(fields('GET')), REMEMBERED])));
  await upstream.request();
  client.send(frame(FRAME.headers, 5, 3, Buffer.concat([fieldBlock(fields('GET')), Buffer.alloc(150, AGAIN)])));
  await waitFor(() => door.lines.length === 2, 5_000, 'the second answer');
  t.match(door.lines[1], { status: 431, failure: 'head_too_large', detail: /65536 bytes .*largest field is x-a/ });
  t.equal(upstream.requests.length, 1);
});

t.test('so are trailers', async (t) => {
  const { upstream, door } = await setUp(t);
  const client = await stubborn(t, door);
  client.send(frame(FRAME.headers, 5, 1, Buffer.concat([fieldBlock(fields('GET')), REMEMBERED])));
  await upstream.request();
  for (const [i, count] of [4, 5].entries()) {
    const id = 3 + 2 * i;
    const trailers = frame(FRAME.headers, 5, id, Buffer.alloc(count, AGAIN));
    client.send(frame(FRAME.headers, 4, id, fieldBlock(fields('POST'))), trailers);
    await waitFor(() => door.lines.length === 2 + i, 5_000, 'the answer');
  }
  t.match(door.lines[1], { status: 200 });
  t.match(door.lines[2], { status: 431, failure: 'head_too_large', detail: /trailers .* 16384 bytes/ });
});

t.test('a client that leaves is noticed while its upload is held', async (t) => {
  const { upstream, door } = await setUp(t, { limits: { upstreamConnections: 1 } });
  const { promise: busy, resolve: letGo } = Promise.withResolvers<void>();
  upstream.script = async (request) => {
    await busy;
    request.write(OK);
  };
  const client = await stubborn(t, door);
  client.send(frame(FRAME.headers, 5, 1, fieldBlock(fields('GET'))));
  await upstream.request();
  const codes = [constants.NGHTTP2_NO_ERROR, constants.NGHTTP2_CANCEL];
  for (const [i, code] of codes.entries()) {
    const id = 3 + 2 * i;
    const start = frame(FRAME.headers, 4, id, fieldBlock(fields('POST')));
    client.send(start, frame(FRAME.data, 0, id, Buffer.alloc(1_000)));
    await waitFor(() => door.door.exchanges.size === 2, 5_000, 'the upload to wait for a connection');
    client.send(frame(FRAME.reset, 0, id, Buffer.of(0, 0, 0, code)));
    await waitFor(() => door.lines.length === i + 1, 5_000, `the end of the one that was reset with ${code}`);
    t.match(door.lines[i], { method: 'POST', status: 499, failure: 'client_gone' });
  }
  letGo();
  await waitFor(() => client.frames.some(({ type }) => type === FRAME.data), 5_000, 'the other answer');
});

t.test('a connection ends with the last request that it may carry', async (t) => {
  const { upstream, door } = await setUp(t, { limits: { requestsPerConnection: 2 } });
  const { promise: asked, resolve: letGo } = Promise.withResolvers<void>();
  upstream.script = async (request) => {
    if (upstream.requests.length === 2) letGo();
    await asked;
    request.write(OK);
  };
  const client = await stubborn(t, door);
  for (const id of [1, 3]) client.send(frame(FRAME.headers, 5, id, fieldBlock(fields('GET'))));
  const goaway = await waitFor(() => client.frames.find(({ type }) => type === FRAME.goaway), 5_000, 'the goodbye');
  t.equal(goaway.payload.readUInt32BE(0), 3, 'both are served');
  t.equal(goaway.payload.readUInt32BE(4), constants.NGHTTP2_NO_ERROR);
  await client.gone;
  const answered = client.frames.filter(({ type, flags }) => type === FRAME.data && (flags & 1) !== 0);
  t.strictSame(answered.map(({ stream }) => stream).sort(), [1, 3]);
});

t.test(
  'while its listener drains, what a new client sends right behind its first request is answered, too',
  async (t) => {
    const { upstream, door } = await setUp(t, { sweepEvery: 50 });
    const client = await stubborn(t, door);
    door.drain();
    for (const id of [1, 3]) {
      client.send(frame(FRAME.headers, 5, id, fieldBlock(fields('GET'))));
      await waitFor(() => upstream.requests.length > id / 2, 5_000, `request ${id} to reach the upstream`);
    }
    await client.gone;
    const goaway = client.frames.find(({ type }) => type === FRAME.goaway);
    t.equal(goaway?.payload.readUInt32BE(0), 3, 'then it is told of the end');
    const answered = client.frames.filter(({ type, flags }) => type === FRAME.data && (flags & 1) !== 0);
    t.strictSame(answered.map(({ stream }) => stream).sort(), [1, 3]);
  },
);
