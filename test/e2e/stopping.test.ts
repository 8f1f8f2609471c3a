// Stopping and reloading: what is under way ends, what is new is refused, the exit code tells how it went.

import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { Agent, request } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws';
import { childrenOf } from '../support/children.ts';
import { httpsGet } from '../support/https-get.ts';
import { needParts, partPath } from '../support/parts.ts';
import { LAUNCHER, type Portico, startPortico } from '../support/portico.ts';
import { waitFor } from '../support/ports.ts';
import { makeTestCertificate } from '../support/tls.ts';

const NAME = 'door.test';

/** A backend whose answers to /held wait until they are let go. */
async function startBackend(t: Test) {
  const held: ServerResponse[] = [];
  const server = createServer((request, response) => {
    if (request.url === '/held') held.push(response);
    else response.end('here');
  });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => socket.on('message', (message) => socket.send(String(message))));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
    sockets.close();
  });
  return { held, port: (server.address() as AddressInfo).port };
}

async function open(t: Test, env: Record<string, string> = {}): Promise<{ door: Portico; held: ServerResponse[] }> {
  const { held, port } = await startBackend(t);
  const door = await startPortico(t, {
    FRONTEND_DNS: NAME,
    FRONTEND_SERVICE: `127.0.0.1:${port}`,
    BACKEND_SERVICE: `127.0.0.1:${port}`,
    ...env,
  });
  return { door, held };
}

/** Settles with the status and body, or with the error's code. */
function startGet(door: Portico, path: string): Promise<{ status: number; text: string } | string> {
  return httpsGet(door.httpsPort, NAME, path, door.ca).catch(
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  );
}

async function readyStatus(door: Portico): Promise<number> {
  return (await fetch(`http://127.0.0.1:${door.adminPort}/readyz`)).status;
}

function refusesConnections(port: number): Promise<boolean> {
  return new Promise((answer) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => {
      socket.destroy();
      answer(false);
    });
    socket.once('error', () => answer(true));
  });
}

t.test('SIGTERM: not ready, nothing new, GOAWAY, and what is in flight ends; exit 0', async (t) => {
  const { door, held } = await open(t);
  const session = connectHttp2(`https://${NAME}:${door.httpsPort}`, {
    ca: door.ca,
    servername: NAME,
    lookup: (_host, _options, answer) => answer(null, [{ address: '127.0.0.1', family: 4 }]),
  });
  t.teardown(() => session.destroy());
  const goaway = once(session, 'goaway');
  const stream: ClientHttp2Stream = session.request({ ':path': '/held' });
  const head = once(stream, 'response');
  stream.setEncoding('utf8');
  const body = stream.toArray();
  const get = startGet(door, '/held');
  await waitFor(() => held.length === 2, 5_000, 'both requests to reach the backend');

  door.process.signal('SIGTERM');
  await waitFor(async () => (await readyStatus(door)) === 503, 5_000, 'readyz to answer 503');
  await goaway;
  await waitFor(() => refusesConnections(door.httpsPort), 5_000, 'the TLS listener to close');
  t.ok(await refusesConnections(door.httpPort), 'the redirect listener is closed as well');
  for (const response of held) response.end('at last');

  t.match(await get, { status: 200, text: 'at last' });
  t.equal((await head)[0][':status'], 200);
  t.equal((await body).join(''), 'at last');
  t.same(await door.process.exited, { code: 0, signal: null });
});

t.test('a stop in the middle of a reload ends it all the same; exit 0', async (t) => {
  const { door } = await open(t);
  // The reload waits for it.
  const worker = childrenOf(door.process.pid)[0]!;
  process.kill(worker, 'SIGSTOP');
  door.process.signal('SIGHUP');
  await sleep(300);
  door.process.signal('SIGTERM');
  await waitFor(() => door.logs().some(({ msg }) => String(msg).startsWith('stopping')), 5_000, 'the stop to begin');
  process.kill(worker, 'SIGCONT');
  t.same(await door.process.exited, { code: 0, signal: null });
});

t.test('past the deadline what is left is cut with an answer that says so; exit 3', async (t) => {
  const { door, held } = await open(t, { DRAIN_TIMEOUT: '1' });
  const get = startGet(door, '/held');
  await waitFor(() => held.length === 1, 5_000, 'the request to reach the backend');
  t.same(await door.stop(), { code: 3, signal: null });
  t.match(await get, { status: 503, text: /drain|close/ });
  t.ok(door.logs().some((line) => line.msg === 'access' && line.failure === 'drain_deadline'));
});

t.test('a second signal ends it at once; exit 2', async (t) => {
  const { door, held } = await open(t);
  const get = startGet(door, '/held');
  await waitFor(() => held.length === 1, 5_000, 'the request to reach the backend');
  door.process.signal('SIGTERM');
  await waitFor(async () => (await readyStatus(door)) === 503, 5_000, 'readyz to answer 503');
  t.same(await door.stop('SIGTERM'), { code: 2, signal: null });
  t.type(await get, 'string', 'the request was broken off');
});

t.test('open websockets and idle connections do not hold up the end; both sides are closed', async (t) => {
  const { door } = await open(t);
  // The types of ws know no `servername`, which goes through to node:tls.
  const options: ClientOptions & { servername: string } = { ca: door.ca, servername: NAME, headers: { Host: NAME } };
  const socket = new WebSocket(`wss://127.0.0.1:${door.httpsPort}/ws`, options);
  await once(socket, 'open');
  socket.send('hello');
  t.equal(String((await once(socket, 'message'))[0]), 'hello');
  const closed = once(socket, 'close');
  t.same(await door.stop(), { code: 0, signal: null });
  await closed;
});

t.test('SIGHUP takes new certificate files; broken ones change nothing and open requests live on', async (t) => {
  const { door, held } = await open(t);
  const first = await httpsGet(door.httpsPort, NAME, '/', door.ca);
  const get = startGet(door, '/held');
  await waitFor(() => held.length === 1, 5_000, 'the request to reach the backend');

  // In the place of the first one, as a renewal does.
  const again = await makeTestCertificate(door.cwd, [NAME]);
  door.process.signal('SIGHUP');
  await waitFor(() => door.logs().some((line) => line.msg === 'reloaded'), 5_000, 'the reload');
  const second = await httpsGet(door.httpsPort, NAME, '/', again.ca);
  t.not(second.serial, first.serial, 'the new certificate is served');

  writeFileSync(again.certificateFile, 'no certificate');
  door.process.signal('SIGHUP');
  await waitFor(
    () => door.logs().some((line) => String(line.msg).startsWith('the reload failed')),
    5_000,
    'the refusal',
  );
  t.equal((await httpsGet(door.httpsPort, NAME, '/', again.ca)).serial, second.serial, 'the last good one stays');
  t.equal(await readyStatus(door), 200);

  held[0]!.end('still here');
  t.match(await get, { status: 200, text: 'still here' });
});

t.test(
  'a request that comes on a kept connection while draining is answered, and told that the connection ends',
  async (t) => {
    const { door, held } = await open(t);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    t.teardown(() => agent.destroy());
    const options = {
      host: '127.0.0.1',
      port: door.httpsPort,
      servername: NAME,
      headers: { Host: NAME },
      ca: door.ca,
      agent,
    };
    const client = request({ ...options, path: '/held' });
    client.end();
    await waitFor(() => held.length === 1, 5_000, 'the request to reach the backend');
    door.process.signal('SIGTERM');
    await waitFor(() => refusesConnections(door.httpsPort), 5_000, 'the listener to close');
    held[0]!.end('last');
    const [answer] = await once(client, 'response');
    t.equal(answer.headers.connection, 'close');
    answer.resume();
    t.same(await door.process.exited, { code: 0, signal: null });
  },
);

/** Runs a command with a socket as its standard output, as under systemd, of which nobody reads, and passes SIGTERM on to it. */
const UNREAD = `
import signal, socket, subprocess, sys
near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
child = subprocess.Popen(sys.argv[1:], stdout=near)
signal.signal(signal.SIGTERM, lambda *_: child.send_signal(signal.SIGTERM))
code = child.wait()
sys.exit(code if code >= 0 else 128 - code)
`;

t.test('a log that nobody reads does not keep it from ending', async (t) => {
  if (!needParts(t, ['python3'])) return;
  const program = [partPath('python3'), '-c', UNREAD, process.execPath, LAUNCHER] as const;
  for (const often of [1, 2]) {
    const door = await startPortico(t, { DRAIN_TIMEOUT: often === 1 ? '0' : '60' }, [...program]);
    for (let i = 0; i < 20; i++) await fetch(`http://127.0.0.1:${door.httpPort}/`, { redirect: 'manual' });
    const started = performance.now();
    door.process.signal('SIGTERM');
    await sleep(300);
    if (often === 2) door.process.signal('SIGTERM');
    t.match(await door.process.exited, { code: 137 });
    t.ok(performance.now() - started < 15_000, `told ${often} times`);
  }
});
