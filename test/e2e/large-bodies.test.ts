// Large bodies: 1 GiB up and 1 GiB down, byte for byte, in bounded memory, over both protocols.

import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { Agent, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type Readable, Readable as ReadableStream, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { crc32 } from 'node:zlib';
import t, { type Test } from 'tap';
import { type Portico, startPortico } from '../support/portico.ts';

const NAME = 'door.test';
const SIZE = 1024 * 1024 * 1024;
const BLOCK = 1024 * 1024;
/** Far below the size of a body, far above what a worker needs otherwise. */
const MAX_RSS = 350 * 1024 * 1024;

/** Blocks that differ from each other, so that none can be lost, doubled or exchanged unseen. */
function* blocks(): Generator<Buffer> {
  const block = Buffer.allocUnsafeSlow(BLOCK);
  for (let i = 0; i < BLOCK; i += 4) block.writeUInt32LE(Math.imul(i, 2_654_435_761) >>> 0, i);
  for (let n = 0; n < SIZE / BLOCK; n++) {
    const each = Buffer.from(block);
    each.writeUInt32LE(n, 0);
    yield each;
  }
}

interface Sum {
  readonly length: number;
  readonly crc: number;
}

const EXPECTED: Sum = sumOf(blocks());

function sumOf(chunks: Iterable<Buffer>): Sum {
  let length = 0;
  let crc = 0;
  for (const chunk of chunks) {
    length += chunk.length;
    crc = crc32(chunk, crc);
  }
  return { length, crc };
}

async function read(stream: Readable): Promise<Sum> {
  let length = 0;
  let crc = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    length += chunk.length;
    crc = crc32(chunk, crc);
  }
  return { length, crc };
}

async function startBackend(t: Test): Promise<number> {
  const server = createServer((incoming: IncomingMessage, response: ServerResponse) => {
    if (incoming.method === 'GET') pipeline(ReadableStream.from(blocks()), response).catch(() => {});
    else read(incoming).then((sum) => response.end(JSON.stringify(sum)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

async function open(t: Test): Promise<Portico> {
  const at = `127.0.0.1:${await startBackend(t)}`;
  return startPortico(t, { FRONTEND_DNS: NAME, FRONTEND_SERVICE: at, BACKEND_SERVICE: at });
}

/** The most memory that any process of the door ever held. */
function peakMemory(pid: number): number {
  let peak = 0;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      if (parent !== pid && Number(name) !== pid) continue;
      const high = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${name}/status`, 'latin1'));
      peak = Math.max(peak, Number(high?.[1] ?? 0) * 1024);
    } catch {
      // Some other process that just ended.
    }
  }
  return peak;
}

function checkMemory(t: Test, door: Portico): void {
  if (process.platform !== 'linux') return;
  const peak = peakMemory(door.process.pid);
  t.ok(peak > 0 && peak < MAX_RSS, `peak memory of a worker: ${Math.round(peak / 1024 / 1024)} MiB`);
}

async function sendBody(to: Writable): Promise<void> {
  await pipeline(ReadableStream.from(blocks()), to);
}

t.test('HTTP/1.1 over TLS', async (t) => {
  const door = await open(t);
  const agent = new Agent({ keepAlive: false });
  const options = {
    host: '127.0.0.1',
    port: door.httpsPort,
    servername: NAME,
    headers: { Host: NAME },
    ca: door.ca,
    agent,
  };
  const down = request({ ...options, path: '/' });
  down.end();
  const [answer] = (await once(down, 'response')) as [IncomingMessage];
  t.same(await read(answer), EXPECTED, 'down');

  const up = request({ ...options, path: '/', method: 'POST', headers: { Host: NAME, 'Content-Length': SIZE } });
  const answered = once(up, 'response') as Promise<[IncomingMessage]>;
  await sendBody(up);
  const [told] = await answered;
  t.same(JSON.parse((await told.toArray()).join('')), EXPECTED, 'up');
  checkMemory(t, door);
});

t.test('HTTP/2', async (t) => {
  const door = await open(t);
  const session = connectHttp2(`https://${NAME}:${door.httpsPort}`, {
    ca: door.ca,
    servername: NAME,
    lookup: (_host, _options, answer) => answer(null, [{ address: '127.0.0.1', family: 4 }]),
    settings: { initialWindowSize: 1024 * 1024 },
  });
  t.teardown(() => session.destroy());
  const down = session.request({ ':path': '/' });
  t.same(await read(down), EXPECTED, 'down');

  const up = session.request({ ':path': '/', ':method': 'POST' });
  const told = up.toArray();
  await sendBody(up);
  t.same(JSON.parse((await told).join('')), EXPECTED, 'up');
  checkMemory(t, door);
});
