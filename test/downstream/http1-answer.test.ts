// The answer to one request over HTTP/1: what waits for a slow client is its own, whatever goes down beside it meanwhile.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect as connectPlain, createServer, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import t from 'tap';
import { HOST, local, openDoor, type TestDoor } from '../support/door.ts';
import { waitFor } from '../support/ports.ts';
import { OK, RawUpstream } from '../support/raw-upstream.ts';

/** Small enough to be gathered with others, and together far more than the kernel takes for a client that does not read. */
const PIECE = 4 * 1024;
const PIECES = 4_000;

/** Each piece is told from all others. */
function piece(of: string, at: number): Buffer {
  return Buffer.alloc(PIECE, `${of}${at},`);
}

/** Sends a body in chunks of one piece each, as fast as it is taken: node:http would join them. */
async function openUpstream(): Promise<{ port: number; close(): void }> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {});
    socket.on('data', (request) => {
      const [, kind = '', count = ''] = request.toString('latin1').split(' ')[1]!.split('/');
      let at = 0;
      const send = () => {
        while (at < Number(count)) {
          socket.write(`${PIECE.toString(16)}\r\n`);
          socket.write(piece(kind, at++));
          if (!socket.write('\r\n')) return void socket.once('drain', send);
        }
        socket.write('0\r\n\r\n');
      };
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      send();
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const close = () => {
    for (const socket of open) socket.destroy();
    server.close();
  };
  return { port: (server.address() as AddressInfo).port, close };
}

async function ask(door: TestDoor, isTls: boolean, target: string): Promise<Socket> {
  const socket = isTls
    ? connectTls({ host: '127.0.0.1', port: door.tlsPort, ca: door.ca, servername: HOST })
    : connectPlain({ host: '127.0.0.1', port: door.plainPort });
  socket.on('error', () => {});
  await once(socket, isTls ? 'secureConnect' : 'connect');
  socket.write(`GET ${target} HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`);
  return socket;
}

/** Of the body of an answer in chunks, without them. */
async function bodyOf(socket: Socket): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of socket) all.push(chunk as Buffer);
  const bytes = Buffer.concat(all);
  const parts: Buffer[] = [];
  for (let at = bytes.indexOf('\r\n\r\n') + 4; ; ) {
    const end = bytes.indexOf('\r\n', at);
    const size = Number.parseInt(bytes.toString('latin1', at, end), 16);
    if (!(size > 0)) return Buffer.concat(parts);
    parts.push(bytes.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
  }
}

function hashOf(parts: Iterable<Buffer>): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

function* pieces(of: string, count: number) {
  for (let at = 0; at < count; at++) yield piece(of, at);
}

for (const isTls of [false, true]) {
  t.test(`small pieces that wait for a slow client are not written over (${isTls ? 'TLS' : 'plain'})`, async (t) => {
    const upstream = await openUpstream();
    const endpoints = [local(upstream.port)];
    const door = await openDoor({ frontend: endpoints, backend: endpoints });
    t.teardown(() => {
      door.close();
      upstream.close();
    });
    const slow = await Promise.all(['a', 'b'].map((kind) => ask(door, isTls, `/${kind}/${PIECES}`)));
    for (const socket of slow) socket.pause();
    await waitFor(() => door.door.exchanges.size === 2, 10_000, 'both to be asked for');
    for (let round = 0; round < 50; round++) {
      const quick = await Promise.all(['x', 'y', 'z'].map((kind) => ask(door, isTls, `/${kind}/20`)));
      const bodies = await Promise.all(quick.map(bodyOf));
      for (const [i, body] of bodies.entries()) {
        if (hashOf([body]) !== hashOf(pieces('xyz'[i]!, 20)))
          t.fail(`quick answer ${i} of round ${round} is not its own`);
      }
    }
    t.equal(door.door.exchanges.size, 2, 'the slow ones are still under way');
    const bodies = await Promise.all(slow.map(bodyOf));
    for (const [i, body] of bodies.entries()) {
      t.equal(body.length, PIECE * PIECES);
      t.equal(hashOf([body]), hashOf(pieces('ab'[i]!, PIECES)));
    }
  });
}

for (const isTls of [false, true]) {
  t.test(`interim answers are not kept for a client that does not read (${isTls ? 'TLS' : 'plain'})`, async (t) => {
    const upstream = await RawUpstream.open();
    const endpoints = [local(upstream.port)];
    const door = await openDoor({ frontend: endpoints, backend: endpoints });
    t.teardown(() => {
      door.close();
      upstream.close();
    });
    // More than the kernel takes.
    const hint = `HTTP/1.1 103 Early Hints\r\nLink: ${'a'.repeat(250_000)}\r\n\r\n`;
    upstream.script = async (request) => {
      for (let i = 0; i < 60; i++) await request.flush(hint);
      await request.flush(OK);
    };
    const client = await ask(door, isTls, '/');
    client.pause();
    await upstream.request();
    await waitFor(() => [...door.door.exchanges].every(({ responded }) => responded), 20_000, 'the answer');
    const all: Buffer[] = [];
    for await (const bytes of client) all.push(bytes as Buffer);
    const text = Buffer.concat(all).toString('latin1');
    const hints = text.split('HTTP/1.1 103').length - 1;
    t.ok(hints > 0 && hints < 60, `${hints} of 60 came`);
    t.equal(text.split('HTTP/1.1 200').length, 2);
    t.ok(text.endsWith('\r\n\r\nok'), 'the answer itself is whole');
  });
}
