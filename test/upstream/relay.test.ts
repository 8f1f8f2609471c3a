// Tunnels over real sockets: bytes cross unchanged, a slow reader holds the writer back, and either end's end closes both.

import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { type Ended, relay } from '../../src/upstream/relay.ts';
import { waitFor } from '../support/ports.ts';

/** Both ends of a connection. `accepted` may stay half open, as the sockets of a node:http server do. */
async function pair(t: Test): Promise<{ opened: Socket; accepted: Socket }> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const opened = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [accepted] = (await once(server, 'connection')) as [Socket];
  server.close();
  for (const socket of [opened, accepted]) {
    socket.on('error', () => {});
    t.teardown(() => socket.destroy());
  }
  return { opened, accepted };
}

interface Tunnel {
  readonly client: Socket;
  readonly server: Socket;
  /** Our own ends. */
  readonly down: Socket;
  readonly up: Socket;
  readonly close: () => void;
  readonly ended: Promise<Ended>;
  /** How often the end was told. */
  readonly ends: Ended[];
}

/** client == down (ours) -- relay -- up (ours) == server, with the kinds of sockets that the program has there. */
async function open(t: Test, idleTimeout = 60_000, stallTimeout?: number): Promise<Tunnel> {
  const { opened: client, accepted: down } = await pair(t);
  const { opened: up, accepted: server } = await pair(t);
  const ends: Ended[] = [];
  let close = () => {};
  const ended = new Promise<Ended>((done) => {
    const onEnded = (how: Ended) => {
      ends.push(how);
      done(how);
    };
    close = relay(down, up, idleTimeout, onEnded, stallTimeout);
  });
  return { client, server, down, up, close, ended, ends };
}

function collect(socket: Socket): Buffer[] {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  return chunks;
}

const closed = (socket: Socket) => (socket.closed ? Promise.resolve() : once(socket, 'close'));

t.test('bytes cross both ways, unchanged and counted', async (t) => {
  const { client, server, ended } = await open(t);
  const up = randomBytes(1_000_000);
  const down = randomBytes(700_001);
  const atServer = collect(server);
  const atClient = collect(client);
  client.write(up);
  server.write(down);
  await waitFor(
    () => Buffer.concat(atServer).length >= up.length && Buffer.concat(atClient).length >= down.length,
    10_000,
  );
  t.ok(Buffer.concat(atServer).equals(up));
  t.ok(Buffer.concat(atClient).equals(down));
  client.end();
  server.on('end', () => server.end());
  t.strictSame(await ended, { up: up.length, down: down.length, by: 'downstream', broken: false });
});

for (const [name, by] of [
  ['client', 'downstream'],
  ['server', 'upstream'],
] as const) {
  const other = name === 'client' ? 'server' : 'client';

  t.test(`the ${name} ends: what it sent arrives, then all is closed`, async (t) => {
    const tunnel = await open(t);
    const last = randomBytes(300_000);
    const received = collect(tunnel[other]);
    tunnel[name].resume();
    tunnel[name].end(last);
    await once(tunnel[other], 'end');
    t.ok(Buffer.concat(received).equals(last), 'the last bytes are not lost');
    tunnel[other].end();
    t.match(await tunnel.ended, { by, broken: false });
    await Promise.all([closed(tunnel.client), closed(tunnel.server), closed(tunnel.down), closed(tunnel.up)]);
    t.equal(tunnel.ends.length, 1);
  });

  t.test(`the ${name} resets: the ${other} is not left half open`, async (t) => {
    const tunnel = await open(t);
    tunnel[other].resume();
    tunnel[other].once('end', () => tunnel[other].end());
    tunnel[name].write('x');
    await once(tunnel[other], 'data');
    const started = performance.now();
    tunnel[name].resetAndDestroy();
    t.match(await tunnel.ended, { by, broken: true });
    await closed(tunnel[other]);
    t.ok(performance.now() - started < 4_000, 'without waiting for the end that will not come');
    t.ok(tunnel.down.destroyed && tunnel.up.destroyed);
    t.equal(tunnel.ends.length, 1);
  });

  t.test(`the ${name} stands still: the ${other} is held back`, async (t) => {
    const tunnel = await open(t);
    tunnel[name].pause();
    const writer = tunnel[other];
    let written = 0;
    const chunk = Buffer.alloc(65_536, 1);
    const limit = 256 * 1024 * 1024;
    const ours = name === 'client' ? tunnel.down : tunnel.up;
    // Until the writer is not drained for a while: then all buffers on the way are full.
    for (;;) {
      if (written > limit) break;
      written += chunk.length;
      if (writer.write(chunk)) continue;
      const drained = await Promise.race([once(writer, 'drain').then(() => true), sleep(300).then(() => false)]);
      if (!drained) break;
    }
    t.ok(written < 64 * 1024 * 1024, `${written} bytes were taken`);
    t.ok(ours.writableLength < 1024 * 1024, `${ours.writableLength} bytes are held by us`);
    let received = 0;
    tunnel[name].on('data', (part: Buffer) => {
      received += part.length;
    });
    tunnel[name].resume();
    await waitFor(() => received === written, 20_000, 'the rest to arrive');
    t.equal(received, written);
    tunnel.close();
    t.match(await tunnel.ended, { by: 'drain', broken: false });
  });
}

t.test('a client that goes on sending after the server has ended breaks nothing', async (t) => {
  const { client, server, ended, up } = await open(t);
  const last = randomBytes(500_000);
  const received = collect(client);
  // Not reading yet, so that the end of the server is on its way while the client still writes.
  client.pause();
  server.resume();
  server.end(last);
  await waitFor(() => !up.writable, 10_000, 'the end of the server to arrive');
  client.write('the close frame that nobody waits for');
  await sleep(50);
  client.write('and more');
  client.resume();
  await once(client, 'end');
  t.ok(Buffer.concat(received).equals(last), 'the last bytes of the server are not lost');
  client.end();
  t.match(await ended, { by: 'upstream', broken: false });
});

/** As a TLS socket at the other end of a slow line: its own end takes a while after that of its peer. */
class SlowToEnd extends Duplex {
  constructor() {
    super({ allowHalfOpen: false });
  }
  override _read(): void {}
  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    done();
  }
  override _final(done: () => void): void {
    setTimeout(done, 100);
  }
  setTimeout(): void {}
  setKeepAlive(): void {}
}

t.test('what a client sends while the end of the server is under way is no error', async (t) => {
  const { opened: client, accepted: down } = await pair(t);
  const up = new SlowToEnd();
  const ended = new Promise<Ended>((done) => relay(down, up, 60_000, done));
  const received = collect(client);
  up.push('last');
  up.push(null);
  await once(up, 'end');
  await waitFor(() => up.writableEnded, 5_000);
  client.write('the close frame that nobody waits for');
  await once(client, 'end');
  client.end();
  const { broken, ...how } = await ended;
  t.strictSame(how, { by: 'upstream', up: 0, down: 4 });
  t.notOk(broken);
  t.equal(String(Buffer.concat(received)), 'last');
});

t.test('silence for too long closes both ends, traffic one way does not', async (t) => {
  const tunnel = await open(t, 400);
  tunnel.client.resume();
  tunnel.server.resume();
  for (let i = 0; i < 10; i++) {
    tunnel.client.write('x');
    await sleep(100);
  }
  t.strictSame(tunnel.ends, [], 'it was open for longer than the limit');
  t.match(await tunnel.ended, { by: 'idle', broken: false, up: 10, down: 0 });
  tunnel.server.end();
  await Promise.all([closed(tunnel.client), closed(tunnel.server)]);
});

t.test('an end that takes nothing of what is there for it closes both, one that is slow does not', async (t) => {
  const { client, server, ended, ends } = await open(t, 60_000, 400);
  const chunk = Buffer.alloc(256 * 1024);
  const pour = () => {
    while (!client.destroyed && client.write(chunk));
  };
  client.on('drain', pour);
  pour();
  for (let i = 0; i < 5; i++) {
    server.pause();
    await sleep(150);
    server.resume();
    await sleep(20);
  }
  t.strictSame(ends, []);
  server.pause();
  const how = await ended;
  t.equal(how.by, 'idle');
  await closed(client);
});

t.test('an end that is not answered does not stay for ever', async (t) => {
  const tunnel = await open(t);
  tunnel.client.resume();
  tunnel.server.resume();
  // The server is told of the end, and keeps its own side open (allowHalfOpen).
  tunnel.client.end();
  t.match(await tunnel.ended, { by: 'downstream', broken: false });
  t.ok(tunnel.up.destroyed && tunnel.down.destroyed);
  t.equal(tunnel.ends.length, 1);
});

t.test('closed by us: both at once, told once, and a second time does nothing', async (t) => {
  const tunnel = await open(t);
  tunnel.client.resume();
  tunnel.server.resume();
  tunnel.close();
  tunnel.close();
  t.match(await tunnel.ended, { by: 'drain', broken: false });
  tunnel.server.end();
  await Promise.all([closed(tunnel.client), closed(tunnel.server)]);
  tunnel.close();
  t.equal(tunnel.ends.length, 1);
});

t.test('a hash over megabytes in small odd pieces', async (t) => {
  const { client, server, ended } = await open(t);
  const sent = createHash('sha256');
  const seen = createHash('sha256');
  server.on('data', (chunk: Buffer) => seen.update(chunk));
  for (let i = 1; i < 1_500; i++) {
    const piece = randomBytes((i * 7_919) % 4_001);
    sent.update(piece);
    if (!client.write(piece)) await once(client, 'drain');
  }
  client.end();
  await once(server, 'end');
  server.end();
  client.resume();
  t.equal(seen.digest('hex'), sent.digest('hex'));
  t.match(await ended, { by: 'downstream', broken: false });
});
