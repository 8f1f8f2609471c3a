// The connections to one endpoint: which kept one is taken and for how long, how many there may be, and what failing looks like.

import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { EVENT } from '../../src/codec/http1-message.ts';
import { FAILURES, type Failure } from '../../src/model/failure.ts';
import { type Endpoint, LIMITS, type Limits } from '../../src/model/snapshot.ts';
import type { Running, UpstreamConnection } from '../../src/upstream/connection.ts';
import { Connections, type Seeker } from '../../src/upstream/connections.ts';
import { type Address, Resolver } from '../../src/upstream/resolver.ts';
import { freePort, waitFor } from '../support/ports.ts';

interface Upstream {
  readonly port: number;
  readonly server: Server;
  /** The server's ends, in the order in which they were accepted. */
  readonly sockets: Socket[];
}

async function startUpstream(t: Test, host = '127.0.0.1', port = 0): Promise<Upstream> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.resume();
  });
  server.listen(port, host);
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, server, sockets };
}

interface Options {
  readonly limits?: Partial<Limits>;
  readonly host?: string;
  readonly tls?: boolean;
  readonly addresses?: () => readonly Address[] | Error | undefined;
}

/** Connections with a clock that is moved by hand. `addresses` is the name server; undefined: it never answers. */
function make(t: Test, port: number, { limits, host = '127.0.0.1', tls = false, addresses }: Options = {}) {
  const clock = { now: 10_000 };
  const asked: string[] = [];
  const resolver = new Resolver(
    () => clock.now,
    (name, answer) => {
      asked.push(name);
      const found = addresses?.();
      if (found instanceof Error) process.nextTick(answer, found, []);
      else if (found !== undefined) process.nextTick(answer, null, found);
    },
  );
  const endpoint: Endpoint = { host, port, tls };
  const connections = new Connections(endpoint, { ...LIMITS, ...limits }, resolver, () => clock.now);
  t.teardown(() => connections.close());
  return { connections, clock, asked };
}

interface Found {
  readonly socket?: UpstreamConnection;
  readonly reused?: boolean;
  readonly failure?: Failure;
  readonly detail?: string;
}

/** Asks for a connection; `seeker` is what to leave by. */
function ask(connections: Connections, streaming = false): { readonly seeker: Seeker; readonly found: Promise<Found> } {
  let seeker!: Seeker;
  const found = new Promise<Found>((done) => {
    seeker = {
      streaming,
      onConnection: (socket, reused) => done({ socket, reused }),
      onNoConnection: (failure, detail) => done({ failure, detail }),
    };
  });
  connections.seek(seeker);
  return { seeker, found };
}

async function open(connections: Connections): Promise<UpstreamConnection> {
  const { socket, failure, detail } = await ask(connections).found;
  if (socket === undefined) throw new Error(`${failure?.code}: ${detail}`);
  return socket;
}

/** An exchange that only listens. */
function runs(onBytes: () => void): Running {
  return { onBytes, onEnd: onBytes, onClose: () => {}, onDrain: () => {} };
}

const pending = async (found: Promise<Found>) =>
  (await Promise.race([found, new Promise((done) => setTimeout(done, 50, 'pending'))])) === 'pending';
/** Linux has all of 127.0.0.0/8; elsewhere only the first may be there. */
async function hasLoopback(address: string): Promise<boolean> {
  const server = createServer();
  const bound = await new Promise<boolean>((done) => {
    server.once('error', () => done(false));
    server.listen(0, address, () => done(true));
  });
  server.close();
  return bound;
}
const v4 = (address: string): Address => ({ address, family: 4 });

t.test('a new connection is told to be new, and later than asked for', async (t) => {
  const { port } = await startUpstream(t);
  const { connections } = make(t, port);
  let told = false;
  const { found } = ask(connections);
  found.then(() => {
    told = true;
  });
  t.notOk(told);
  t.equal(connections.count, 1, 'it counts while it is opened');
  t.match(await found, { reused: false });
  t.equal(connections.count, 1);
  t.equal(connections.takeIdle(true), undefined, 'what is in use is not idle');
});

t.test('the most recently used one is taken first', async (t) => {
  const { port } = await startUpstream(t);
  const { connections, clock } = make(t, port);
  const [a, b, c] = [await open(connections), await open(connections), await open(connections)];
  connections.giveBack(b, undefined);
  clock.now += 10;
  connections.giveBack(c, undefined);
  clock.now += 10;
  connections.giveBack(a, undefined);
  t.ok([a, c, b].every((expected) => connections.takeIdle(true) === expected));
  t.equal(connections.takeIdle(true), undefined);
});

t.test('idle ones end before the upstream would end them', async (t) => {
  const { port } = await startUpstream(t);
  const cases: [keepAlive: number | undefined, kept: number, over: number][] = [
    [undefined, 3_900, 4_000],
    [5_000, 3_900, 4_000],
    [75_000, 73_000, 74_000],
    [2_000, 900, 1_000],
    [1_000, 400, 600],
  ];
  for (const [keepAlive, kept, over] of cases) {
    const { connections, clock } = make(t, port);
    const socket = await open(connections);
    connections.giveBack(socket, keepAlive);
    clock.now += kept;
    connections.sweep();
    t.notOk(socket.isGone, `${keepAlive}: not after ${kept} ms`);
    t.equal(connections.takeIdle(true), socket);
    connections.giveBack(socket, keepAlive);
    clock.now += over;
    t.equal(connections.takeIdle(true), undefined, `${keepAlive}: not used after ${over} ms`);
    t.ok(socket.isGone);
    const swept = await open(connections);
    connections.giveBack(swept, keepAlive);
    clock.now += over;
    connections.sweep();
    t.ok(swept.isGone, `${keepAlive}: swept`);
    await waitFor(() => connections.count === 0, 5_000, 'the count to fall');
  }
});

t.test('a request that may not be repeated takes only one that was used just now', async (t) => {
  const { port } = await startUpstream(t);
  const { connections, clock } = make(t, port);
  const socket = await open(connections);
  connections.giveBack(socket, 75_000);
  clock.now += 900;
  t.equal(connections.takeIdle(false), socket);
  connections.giveBack(socket, 75_000);
  clock.now += 1_100;
  t.equal(connections.takeIdle(false), undefined);
  t.equal(connections.takeIdle(true), socket, 'it is there for one that may');
  // An upstream that keeps them short: half of its time.
  connections.giveBack(socket, 2_000);
  clock.now += 600;
  t.equal(connections.takeIdle(false), undefined);
  t.equal(connections.takeIdle(true), socket);
});

t.test('whatever comes on an idle connection answers no request of ours', async (t) => {
  const { port, sockets } = await startUpstream(t);
  const { connections } = make(t, port);
  for (const event of ['bytes', 'end', 'reset'] as const) {
    const socket = await open(connections);
    await waitFor(() => sockets.length > 0, 5_000);
    const theirs = sockets.pop()!;
    connections.giveBack(socket, undefined);
    if (event === 'bytes') theirs.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    else if (event === 'end') theirs.end();
    else theirs.resetAndDestroy();
    await waitFor(() => socket.isGone, 5_000, `the end after ${event}`);
    t.equal(connections.takeIdle(true), undefined, event);
    await waitFor(() => connections.count === 0, 5_000, 'the count to fall');
  }
});

t.test('an idle connection that was taken is read by its new owner only', async (t) => {
  const { port, sockets } = await startUpstream(t);
  const { connections } = make(t, port);
  const socket = await open(connections);
  connections.giveBack(socket, undefined);
  t.equal(connections.takeIdle(true), socket);
  await waitFor(() => sockets.length > 0, 5_000);
  socket.parser.expect('GET', false);
  const first = new Promise<number>((told) => {
    socket.running = runs(() => told(socket.parser.next()));
  });
  sockets[0]!.write('HTTP/1.1 204 No Content\r\n\r\n');
  t.equal(await first, EVENT.head);
  t.notOk(socket.isGone);
});

t.test('at the limit requests wait in line, and are served by what comes back', async (t) => {
  const { port } = await startUpstream(t);
  const { connections } = make(t, port, { limits: { upstreamConnections: 2, waiting: 2 } });
  const [a, b] = [await open(connections), await open(connections)];
  const first = ask(connections);
  const second = ask(connections);
  const tooMany = await ask(connections).found;
  t.equal(tooMany.failure, FAILURES.busy);
  t.match(tooMany.detail, /no connection free: 2 requests already wait for one of its 2$/);
  t.ok(await pending(first.found));
  connections.giveBack(a, undefined);
  t.match(await first.found, { socket: a, reused: true }, 'in the order in which they came');
  t.ok(await pending(second.found));
  b.destroy();
  const replaced = await second.found;
  t.match(replaced, { reused: false }, 'one that was closed makes room for a new one');
  t.not(replaced.socket, b);
  t.equal(connections.count, 2);
});

t.test('idle connections make room, one for each request that may not use them', async (t) => {
  const { port } = await startUpstream(t);
  const { connections } = make(t, port, { limits: { upstreamConnections: 3, waiting: 1 } });
  const idle = [await open(connections), await open(connections), await open(connections)];
  for (const connection of idle) connections.giveBack(connection, 75_000);
  const all = [ask(connections), ask(connections), ask(connections, true)];
  for (const { found } of all) t.match(await found, { reused: false });
  t.ok(idle.every((connection) => connection.isGone));
  t.ok(await pending(ask(connections).found), 'then the line stands');
  t.equal(connections.count, 3);
});

t.test('a tunnel in the line gets its turn, and who comes behind it waits for that', async (t) => {
  const { port } = await startUpstream(t);
  const { connections } = make(t, port, { limits: { upstreamConnections: 2, waiting: 5 } });
  const [a, b] = [await open(connections), await open(connections)];
  const first = ask(connections);
  const tunnel = ask(connections, true);
  const last = ask(connections);
  connections.giveBack(a, undefined);
  t.match(await first.found, { socket: a, reused: true });
  connections.giveBack(a, undefined);
  t.ok(a.isGone, 'a tunnel has a connection of its own');
  t.match(await tunnel.found, { reused: false });
  t.ok(await pending(last.found));
  connections.giveBack(b, undefined);
  t.match(await last.found, { socket: b, reused: true });
});

t.test('who left the line is passed by', async (t) => {
  const { port } = await startUpstream(t);
  const { connections } = make(t, port, { limits: { upstreamConnections: 1, waiting: 5 } });
  const socket = await open(connections);
  const gone = ask(connections);
  const stays = ask(connections);
  connections.leave(gone.seeker);
  connections.giveBack(socket, undefined);
  t.match(await stays.found, { socket, reused: true });
  t.ok(await pending(gone.found));
});

t.test('a broken connection that is given back is not kept', async (t) => {
  const { port } = await startUpstream(t);
  const { connections } = make(t, port);
  const socket = await open(connections);
  socket.destroy();
  connections.giveBack(socket, undefined);
  t.equal(connections.takeIdle(true), undefined);
});

t.test('nobody listens there', async (t) => {
  const port = await freePort();
  const { connections } = make(t, port);
  const { failure, detail } = await ask(connections).found;
  t.equal(failure, FAILURES.refused);
  t.match(detail, new RegExp(`ECONNREFUSED.*${port}`));
  t.equal(connections.count, 0);
});

t.test('a failed connect lets the next in line try', async (t) => {
  const port = await freePort();
  const { connections } = make(t, port, { limits: { upstreamConnections: 1 } });
  const all = [ask(connections), ask(connections), ask(connections)];
  for (const { found } of all) t.equal((await found).failure, FAILURES.refused);
});

t.test('a name that is not known', async (t) => {
  const error = Object.assign(new Error('getaddrinfo ENOTFOUND backend'), { code: 'ENOTFOUND' });
  const { connections } = make(t, 80, { host: 'backend', addresses: () => error });
  t.match(await ask(connections).found, { failure: FAILURES.dns, detail: /ENOTFOUND backend/ });
});

t.test('the connect has a deadline: a name server that does not answer', async (t) => {
  const { connections } = make(t, 80, { host: 'backend', limits: { connectTimeout: 50 } });
  t.match(await ask(connections).found, {
    failure: FAILURES.dns,
    detail: /has a name that was not resolved within 50 ms .*upstream\.connectTimeout/,
  });
  t.equal(connections.count, 0);
});

t.test('a name server that falls silent: connections go where they went', async (t) => {
  const { port } = await startUpstream(t);
  let addresses: readonly Address[] | undefined = [v4('127.0.0.1')];
  const { connections, clock, asked } = make(t, port, { host: 'backend', addresses: () => addresses });
  (await open(connections)).destroy();
  addresses = undefined;
  for (let i = 0; i < 3; i++) {
    clock.now += 30_000;
    (await open(connections)).destroy();
  }
  t.equal(asked.length, 2);
});

t.test('an address that nobody has tried is not doubted', async (t) => {
  const { port } = await startUpstream(t);
  let addresses: readonly Address[] | undefined = [v4('127.0.0.1')];
  const { connections, clock } = make(t, port, {
    host: 'backend',
    addresses: () => addresses,
    limits: { connectTimeout: 50 },
  });
  (await open(connections)).destroy();
  addresses = undefined;
  clock.now += 30_000;
  t.match(await ask(connections).found, { failure: FAILURES.dns });
  clock.now += 1_000;
  (await open(connections)).destroy();
});

t.test('the connect has a deadline: a TLS handshake that does not begin', async (t) => {
  const { port, sockets } = await startUpstream(t);
  const { connections } = make(t, port, { tls: true, limits: { connectTimeout: 100 } });
  t.match(await ask(connections).found, { failure: FAILURES.connectTimeout });
  await waitFor(() => sockets[0]?.closed === true, 5_000, 'the half-open connection to be closed');
});

t.test('plain bytes where TLS was asked for', async (t) => {
  const upstream = await startUpstream(t);
  upstream.server.on('connection', (socket: Socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'));
  const { connections } = make(t, upstream.port, { tls: true });
  t.match(await ask(connections).found, { failure: FAILURES.tls });
});

t.test('an address from the cache that fails is asked anew at once', async (t) => {
  if (!(await hasLoopback('127.0.0.3'))) return void t.pass('skipped: this machine has one loopback address only');
  const upstream = await startUpstream(t, '127.0.0.2');
  let addresses = [v4('127.0.0.2')];
  const { connections, asked } = make(t, upstream.port, { host: 'backend', addresses: () => addresses });
  (await open(connections)).destroy();
  t.equal(asked.length, 1);
  // The container is made anew, with another address.
  upstream.server.close();
  for (const socket of upstream.sockets) socket.destroy();
  await startUpstream(t, '127.0.0.3', upstream.port);
  addresses = [v4('127.0.0.3')];
  const socket = await open(connections);
  t.equal(socket.address, '127.0.0.3');
  t.equal(asked.length, 2);
});

t.test('a name that moved: idle connections end, busy ones after their exchange', async (t) => {
  if (!(await hasLoopback('127.0.0.3'))) return void t.pass('skipped: this machine has one loopback address only');
  const old = await startUpstream(t, '127.0.0.2');
  await startUpstream(t, '127.0.0.3', old.port);
  let addresses = [v4('127.0.0.2')];
  const { connections, clock } = make(t, old.port, { host: 'backend', addresses: () => addresses });
  const [idle, busy] = [await open(connections), await open(connections)];
  clock.now += 26_000;
  connections.giveBack(idle, 75_000);
  addresses = [v4('127.0.0.3')];
  connections.sweep();
  await waitFor(() => idle.isGone, 5_000, 'the idle connection to end');
  t.notOk(busy.isGone, 'an exchange is not cut');
  connections.giveBack(busy, 75_000);
  t.ok(busy.isGone);
  const moved = await open(connections);
  t.equal(moved.address, '127.0.0.3');
  connections.giveBack(moved, 75_000);
  t.equal(connections.takeIdle(true), moved, 'connections to the new address are kept');
});

t.test('a name that stayed keeps its connections', async (t) => {
  const { port } = await startUpstream(t);
  const { connections, clock, asked } = make(t, port, { host: 'backend', addresses: () => [v4('127.0.0.1')] });
  const socket = await open(connections);
  clock.now += 26_000;
  connections.giveBack(socket, 75_000);
  connections.sweep();
  await waitFor(() => asked.length === 2, 5_000);
  await new Promise(setImmediate);
  t.equal(connections.takeIdle(true), socket);
});

t.test('close ends all of them', async (t) => {
  const { port } = await startUpstream(t);
  const { connections } = make(t, port);
  const [busy, idle] = [await open(connections), await open(connections)];
  connections.giveBack(idle, undefined);
  connections.close();
  t.ok(busy.isGone && idle.isGone);
});

t.test('a failed write waits for the answer that may already be there', async (t) => {
  const upstream = await startUpstream(t);
  upstream.server.removeAllListeners('connection');
  upstream.server.on('connection', (socket: Socket) => {
    socket.on('error', () => {});
    // As a server does that refuses an upload: it answers and closes without reading on.
    socket.once('readable', () => {
      socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      socket.destroySoon();
    });
  });
  const { connections } = make(t, upstream.port);
  const connection = await open(connections);
  const { socket, parser } = connection;
  parser.expect('POST', false);
  let status = 0;
  connection.running = runs(() => {
    if (parser.next() === EVENT.head) status = parser.status;
  });
  socket.pause();
  const chunk = Buffer.alloc(65_536);
  for (let i = 0; i < 40; i++) {
    socket.write(chunk);
    await new Promise((done) => setTimeout(done, 2));
  }
  t.notOk(connection.isGone, 'the failed writes have not ended it');
  socket.resume();
  await waitFor(() => status !== 0 || connection.isGone, 5_000, 'the answer');
  t.equal(status, 413);
});

t.test('an upstream that ends idle connections early is learned from', async (t) => {
  const { port, sockets } = await startUpstream(t);
  const { connections, clock } = make(t, port);
  const first = await open(connections);
  await waitFor(() => sockets.length > 0, 5_000);
  connections.giveBack(first, undefined);
  clock.now += 2_000;
  sockets[0]!.end();
  await waitFor(() => first.isGone, 5_000);
  const second = await open(connections);
  connections.giveBack(second, undefined);
  clock.now += 1_500;
  t.equal(connections.takeIdle(true), second, 'it is kept for less time than it lasted');
  connections.giveBack(second, undefined);
  clock.now += 1_700;
  t.equal(connections.takeIdle(true), undefined, 'and given up before the upstream does');
  clock.now += 600_000;
  const third = await open(connections);
  connections.giveBack(third, undefined);
  clock.now += 3_000;
  t.equal(connections.takeIdle(true), third, 'what was seen may have been a restart, and is not believed for ever');
});
