// Delivery: answers compressed on their way, whole, without delay, in bounded memory, and never ended clean when they are not whole.

import { randomBytes } from 'node:crypto';
import { connect } from 'node:http2';
import { PassThrough } from 'node:stream';
import {
  brotliDecompressSync,
  createBrotliDecompress,
  createGunzip,
  createZstdDecompress,
  gunzipSync,
  zstdDecompressSync,
} from 'node:zlib';
import t, { type Test } from 'tap';
import type { CompressStream } from '../../src/files/compress.ts';
import { firstValue, type Headers } from '../../src/http/headers.ts';
import { type Downstream, Exchange, NO_BODY } from '../../src/model/exchange.ts';
import { FAILURES, type Failure } from '../../src/model/failure.ts';
import type { Limits } from '../../src/model/snapshot.ts';
import { Delivery } from '../../src/proxy/delivery.ts';
import { HOST, local, openDoor, proxyRoute } from '../support/door.ts';
import type { ClientAnswer } from '../support/exchange.ts';
import { sendHttp1 } from '../support/http1-client.ts';
import { sendHttp2 } from '../support/http2-client.ts';
import { waitFor } from '../support/ports.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream } from '../support/raw-upstream.ts';

const TEXT = Buffer.from('const answer = 42; // of many lines, each the same\n'.repeat(20_000));
const DECODE = { gzip: gunzipSync, br: brotliDecompressSync, zstd: zstdDecompressSync };
const DECODERS = { gzip: createGunzip, br: createBrotliDecompress, zstd: createZstdDecompress };
type Coding = keyof typeof DECODE;
const CODINGS = Object.keys(DECODE) as Coding[];

async function setUp(t: Test, limits: Partial<Limits> = {}) {
  const upstream = await RawUpstream.open();
  const door = await openDoor({
    frontend: [local(upstream.port)],
    backend: [local(upstream.port)],
    routes: [proxyRoute('site', '', 'frontend', { compress: true })],
    limits,
    sweepEvery: 50,
  });
  t.teardown(() => {
    door.close();
    upstream.close();
  });
  const get = (send: typeof sendHttp1, coding: string, more: Headers = [], method = 'GET'): Promise<ClientAnswer> =>
    send(
      { port: door.tlsPort, ca: door.ca, serverName: HOST },
      { method, target: '/main.js', authority: HOST, headers: ['Accept-Encoding', coding, ...more] },
    );
  return { upstream, door, get };
}

const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: text/javascript\r\nETag: "1"\r\n';
const CHUNKED = `${HEAD}Transfer-Encoding: chunked\r\n\r\n`;
const chunk = (bytes: Buffer) =>
  Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);

for (const [protocol, send] of [
  ['HTTP/1.1', sendHttp1],
  ['HTTP/2', sendHttp2],
] as const) {
  t.test(`${protocol}: what arrives is what was sent, its length known or not, with its trailers`, async (t) => {
    const { upstream, door, get } = await setUp(t);
    for (const coding of CODINGS) {
      upstream.answer(`${HEAD}Content-Length: ${TEXT.length}\r\n\r\n${TEXT.toString('latin1')}`);
      const known = await get(send, coding);
      t.equal(known.end, 'complete');
      t.equal(firstValue(known.headers, 'content-encoding'), coding);
      t.equal(firstValue(known.headers, 'etag'), 'W/"1"');
      t.equal(firstValue(known.headers, 'vary'), 'Accept-Encoding');
      t.equal(firstValue(known.headers, 'content-length'), undefined);
      t.ok(known.body.length < TEXT.length / 10);
      t.ok(DECODE[coding](known.body).equals(TEXT));

      upstream.script = (request) => {
        request.write(CHUNKED);
        for (let at = 0; at < TEXT.length; at += 30_000) request.write(chunk(TEXT.subarray(at, at + 30_000)));
        request.write('0\r\nX-Sum: 7\r\nContent-Digest: sha-256=:x:\r\nETag: "2"\r\n\r\n');
      };
      const streamed = await get(send, coding, ['TE', 'trailers']);
      t.equal(streamed.end, 'complete');
      t.ok(DECODE[coding](streamed.body).equals(TEXT));
      t.strictSame(
        streamed.trailers.map((each, i) => (i % 2 === 0 ? each.toLowerCase() : each)),
        ['x-sum', '7'],
        'none that was told of other bytes',
      );
    }
    await waitFor(() => door.lines.length === 6, 5_000, 'the access lines');
    t.equal(door.lines[0]!.failure, undefined);
    t.ok((door.lines[0]!.bytes_out as number) < TEXT.length / 10, 'what went down is counted');
  });

  t.test(`${protocol}: an answer that is cut off is cut off, never a clean end`, async (t) => {
    const { upstream, door, get } = await setUp(t);
    for (const coding of CODINGS) {
      upstream.script = async (request) => {
        await request.flush(CHUNKED);
        await request.flush(chunk(TEXT));
        request.drop();
      };
      t.equal((await get(send, coding)).end, 'cut', coding);
      upstream.script = async (request) => {
        await request.flush(`${HEAD}Content-Length: ${TEXT.length + 1}\r\n\r\n${TEXT.toString('latin1')}`);
        request.drop();
      };
      t.equal((await get(send, coding)).end, 'cut', coding);
    }
    await waitFor(() => door.lines.length === 6, 5_000, 'the access lines');
    t.ok(door.lines.every((line) => line.failure === 'response_truncated'));
    await waitFor(() => door.door.watched.size === 0, 5_000, 'nothing to be watched any more');
  });

  t.test(`${protocol}: HEAD has the head of the GET, and no body`, async (t) => {
    const { upstream, get } = await setUp(t);
    upstream.answer(`${HEAD}Content-Length: ${TEXT.length}\r\n\r\n`);
    const answer = await get(send, 'gzip', [], 'HEAD');
    t.equal(answer.end, 'complete');
    t.equal(answer.body.length, 0);
    t.equal(firstValue(answer.headers, 'content-encoding'), 'gzip');
    t.equal(firstValue(answer.headers, 'content-length'), undefined);
    t.equal(firstValue(answer.headers, 'etag'), 'W/"1"');
  });
}

t.test('a client that takes no coding gets it as it is, and caches are told that others do', async (t) => {
  const { upstream, get } = await setUp(t);
  upstream.answer(`${CHUNKED}2\r\nok\r\n0\r\nContent-Digest: sha-256=:x:\r\n\r\n`);
  const untouched = await get(sendHttp1, 'identity', ['TE', 'trailers']);
  t.equal(firstValue(untouched.trailers, 'content-digest'), 'sha-256=:x:');
  upstream.answer(`${HEAD}Content-Length: ${TEXT.length}\r\n\r\n${TEXT.toString('latin1')}`);
  const answer = await get(sendHttp1, 'identity');
  t.ok(answer.body.equals(TEXT));
  t.equal(firstValue(answer.headers, 'vary'), 'Accept-Encoding');
  t.equal(firstValue(answer.headers, 'etag'), '"1"');
  t.equal(firstValue(answer.headers, 'content-length'), String(TEXT.length));
});

t.test('a 304 for what was compressed names the weak tag', async (t) => {
  const { upstream, get } = await setUp(t);
  upstream.answer('HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n');
  const answer = await get(sendHttp1, 'gzip', ['If-None-Match', 'W/"1"']);
  t.equal(answer.status, 304);
  t.equal(firstValue(answer.headers, 'etag'), 'W/"1"');
  t.strictSame((await upstream.request()).values('if-none-match'), ['W/"1"'], "comparing is the upstream's business");
});

t.test('what a slow upstream has sent can be read before it sends more', async (t) => {
  const { upstream, door } = await setUp(t);
  for (const coding of CODINGS) {
    const more = Promise.withResolvers<void>();
    upstream.script = async (request) => {
      request.write(CHUNKED);
      request.write(chunk(Buffer.from('first ')));
      await more.promise;
      request.write(chunk(Buffer.from('second')));
      request.write('0\r\n\r\n');
    };
    const client = await RawClient.connect({ port: door.plainPort });
    const decoder = DECODERS[coding]();
    let text = '';
    decoder.on('data', (bytes: Buffer) => {
      text += bytes.toString();
    });
    let pending: Buffer = Buffer.alloc(0);
    client.socket.on('data', (bytes: Buffer) => {
      pending = Buffer.concat([pending, bytes]);
      pending = feedChunks(pending, (part) => decoder.write(part));
    });
    client.write(`GET / HTTP/1.1\r\nHost: ${HOST}\r\nAccept-Encoding: ${coding}\r\n\r\n`);
    await waitFor(() => text === 'first ', 10_000, `the first part by ${coding}`);
    more.resolve();
    await waitFor(() => text === 'first second', 10_000, `the rest by ${coding}`);
    client.close();
  }
});

/** Takes the chunks that are whole off the front, the head before them too. */
function feedChunks(bytes: Buffer, take: (part: Buffer) => void): Buffer {
  let rest = bytes;
  const headEnd = rest.indexOf('\r\n\r\n');
  if (rest.subarray(0, 5).toString() === 'HTTP/') {
    if (headEnd === -1) return rest;
    rest = rest.subarray(headEnd + 4);
  }
  for (;;) {
    const line = rest.indexOf('\r\n');
    if (line === -1) return rest;
    const size = Number.parseInt(rest.subarray(0, line).toString(), 16);
    if (Number.isNaN(size) || size === 0 || rest.length < line + 2 + size + 2) return rest;
    take(rest.subarray(line + 2, line + 2 + size));
    rest = rest.subarray(line + 2 + size + 2);
  }
}

t.test('a reader that stands still holds the upstream back, and is let go', async (t) => {
  const { upstream, door } = await setUp(t, { upstreamIdleTimeout: 700 });
  let taken = 0;
  upstream.script = async (request) => {
    request.write(CHUNKED);
    // Of which nothing gets smaller, whatever its type says.
    while (!request.connection.socket.destroyed) {
      const bytes = randomBytes(64 * 1024);
      await request.flush(chunk(bytes));
      taken += bytes.length;
    }
  };
  const client = await RawClient.connect({ port: door.plainPort });
  client.socket.pause();
  client.write(`GET / HTTP/1.1\r\nHost: ${HOST}\r\nAccept-Encoding: gzip\r\n\r\n`);
  await waitFor(() => door.lines.length === 1, 15_000, 'it to be let go');
  t.equal(door.lines[0]!.failure, 'client_stalled');
  t.ok(taken < 32 * 1024 * 1024, `${taken} bytes were taken`);
  await waitFor(() => door.door.watched.size === 0, 5_000, 'nothing to be watched any more');
  client.close();
});

t.test('a reader that does not take the last of it is let go as well', async (t) => {
  const { upstream, door } = await setUp(t, { upstreamIdleTimeout: 500 });
  const part = randomBytes(40 * 1024);
  // Little enough to be here as a whole, more than a stream without a window takes.
  upstream.script = async (request) => {
    await request.flush(CHUNKED);
    for (let i = 0; i < 3; i++) await request.flush(chunk(part));
    await request.flush('0\r\n\r\n');
  };
  const session = connect(`https://127.0.0.1:${door.tlsPort}`, {
    ca: door.ca,
    servername: HOST,
    settings: { initialWindowSize: 0 },
  });
  t.teardown(() => session.destroy());
  const stream = session.request({ ':path': '/', ':authority': HOST, 'accept-encoding': 'gzip' });
  stream.on('error', () => {});
  stream.resume();
  await waitFor(() => door.lines.length === 1, 15_000, 'the exchange to end');
  t.equal(door.lines[0]!.failure, 'client_stalled');
  t.equal(door.door.exchanges.size, 0);
});

t.test('a client that leaves takes its upstream request with it', async (t) => {
  const { upstream, door } = await setUp(t);
  upstream.script = (request) => {
    request.write(CHUNKED);
    request.write(chunk(TEXT));
  };
  const client = await RawClient.connect({ port: door.plainPort });
  client.write(`GET / HTTP/1.1\r\nHost: ${HOST}\r\nAccept-Encoding: br\r\n\r\n`);
  const request = await upstream.request();
  await waitFor(() => client.received.length > 0, 5_000, 'some of the answer');
  client.socket.destroy();
  await request.connection.gone;
  await waitFor(() => door.door.exchanges.size === 0, 5_000, 'the exchange to end');
  t.equal(door.lines[0]!.failure, 'client_gone');
});

// ---- by itself, where what happens cannot be made to happen

function deliver(stream: () => CompressStream, told: string[]) {
  const heads: Headers[] = [];
  const downstream = {
    respond: (_status: number, headers: Headers) => heads.push(headers),
    write: () => true,
    end: () => told.push('end'),
    abort: () => told.push('abort'),
  } as unknown as Downstream;
  const origin = {
    listener: 'l',
    bound: { draining: false },
    redirects: false,
    scheme: 'http' as const,
    peerAddress: '',
    callerAddress: '',
    client: undefined,
    tlsVersion: undefined,
    serverName: undefined,
  };
  const head = {
    method: 'GET',
    target: '/',
    authority: HOST,
    protocol: 'HTTP/1.1' as const,
    headers: ['Accept-Encoding', 'gzip'],
    bodyLength: NO_BODY,
    upgrade: false,
    problem: undefined,
  };
  const receiver = {
    onRoom: () => told.push('room'),
    onProgress: () => {},
    onDelivered: () => told.push('delivered'),
    onUndeliverable: (failure: Failure, detail: string) => told.push(`${failure.code}: ${detail}`),
  };
  const exchange = new Exchange(origin, downstream, head, 0, 0);
  return { exchange, delivery: new Delivery(exchange, true, receiver, stream), heads };
}

const plainStream = () => Object.assign(new PassThrough(), { flush: () => {} }) as unknown as CompressStream;

t.test('an error of the compressor is a failure, told once, and never an end', async (t) => {
  const told: string[] = [];
  const stream = plainStream();
  const { delivery } = deliver(() => stream, told);
  delivery.respond(200, ['Content-Type', 'text/css']);
  delivery.write(Buffer.from('a'));
  stream.destroy(new Error('out of memory'));
  await waitFor(() => told.length > 0, 5_000, 'the failure');
  delivery.end([]);
  delivery.write(Buffer.from('b'));
  t.strictSame(told, [`${FAILURES.internal.code}: its answer could not be compressed (out of memory)`]);
});

t.test('an answer of ours that came first is the only one', async (t) => {
  const told: string[] = [];
  const { delivery, exchange, heads } = deliver(plainStream, told);
  exchange.responded = true;
  delivery.respond(200, ['Content-Type', 'text/css']);
  delivery.write(Buffer.from('a'));
  delivery.end([]);
  t.strictSame([heads, told], [[], []]);
});

t.test('so many at a time, and who comes then gets it as it is; places come free however they end', async (t) => {
  const told: string[] = [];
  const open = () => {
    const made = deliver(plainStream, told);
    made.delivery.respond(200, ['Content-Type', 'text/css']);
    return { ...made, isCompressed: firstValue(made.heads[0]!, 'content-encoding') === 'gzip' };
  };
  const all = Array.from({ length: 64 }, open);
  t.ok(all.every((each) => each.isCompressed));
  const late = open();
  t.notOk(late.isCompressed);
  t.strictSame(late.heads[0], ['Vary', 'Accept-Encoding', 'Content-Type', 'text/css']);
  all[0]!.delivery.stop();
  all[0]!.delivery.stop();
  t.ok(open().isCompressed);
  t.notOk(open().isCompressed);
  all[1]!.delivery.end([]);
  await waitFor(() => told.includes('delivered'), 5_000, 'the end');
  const last = open();
  t.ok(last.isCompressed);
});
