// Taking over: a second instance takes the place of the running one under load; nobody is refused, nothing is cut, and a failure changes nothing.

import { once } from 'node:events';
import { createServer, get, type ServerResponse } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import t, { type Test } from 'tap';
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws';
import { type Answer, askInstance, type Conversation, callInstance } from '../../src/control/control-socket.ts';
import { httpsGet } from '../support/https-get.ts';
import { openNotifySocket } from '../support/notify-socket.ts';
import { needParts } from '../support/parts.ts';
import { LAUNCHER, type Portico, readLog, startPortico } from '../support/portico.ts';
import { fileHead, startByFile } from '../support/portico-file.ts';
import { freePort, waitFor } from '../support/ports.ts';
import { type Running, startProcess } from '../support/process.ts';

const NAME = 'door.test';
const HEALTH_EVERY = 20;

/** Answers to /held wait until they are let go; websockets echo. */
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
    for (const socket of sockets.clients) socket.terminate();
    server.close();
    server.closeAllConnections();
  });
  return { held, service: `127.0.0.1:${(server.address() as AddressInfo).port}` };
}

async function open(t: Test, env: Record<string, string> = {}) {
  const { held, service } = await startBackend(t);
  const sites = { FRONTEND_DNS: NAME, FRONTEND_SERVICE: service, BACKEND_SERVICE: service };
  return { door: await startPortico(t, { ...sites, WORKERS: '2', ...env }), held };
}

/** `portico run --takeover` beside it. */
function startHeir(t: Test, door: Portico, env: Record<string, string> = {}): Promise<Running> {
  const args = [LAUNCHER, 'run', '--takeover'];
  return startProcess(t, { command: process.execPath, args, cwd: door.cwd, env: { ...door.env, ...env } });
}

const says = (running: Running, text: string) =>
  readLog(running.stdout()).some(({ msg }) => String(msg).startsWith(text));

async function untilReady(running: Running): Promise<void> {
  await waitFor(() => running.hasExited() || says(running, 'ready'), 20_000, 'the new instance');
  if (running.hasExited()) throw new Error(`it ended: ${running.stderr()}`);
}

interface Load {
  /** Requests that were answered; each of its kind on a connection of its own. */
  readonly done: number;
  /** Each what went wrong, in words. */
  readonly failed: readonly string[];
  stop(): Promise<void>;
}

/** Asks without a pause until it is stopped. */
function startLoad(t: Test, clients: number, ask: () => Promise<number>, expected: number): Load {
  const failed: string[] = [];
  let done = 0;
  let on = true;
  const run = async () => {
    while (on) {
      const outcome = await ask().catch((error: NodeJS.ErrnoException) => error.code ?? error.message);
      if (outcome === expected) done++;
      else failed.push(String(outcome));
    }
  };
  const all = Promise.all(Array.from({ length: clients }, run));
  const stop = async () => {
    on = false;
    await all;
  };
  t.teardown(stop);
  return {
    get done() {
      return done;
    },
    failed,
    stop,
  };
}

function getPlain(port: number, path: string): Promise<number> {
  return new Promise((got, failed) => {
    const options = { host: '127.0.0.1', port, path, agent: false, headers: { Host: NAME }, timeout: 10_000 };
    const client = get(options, (answer) => {
      answer.resume().on('error', failed);
      answer.on('end', () => got(answer.statusCode ?? 0));
    });
    client.on('error', failed);
    client.on('timeout', () => client.destroy(new Error('no answer within 10 s')));
  });
}

function openSession(door: Portico): ClientHttp2Session {
  return connectHttp2(`https://${NAME}:${door.httpsPort}`, {
    ca: door.ca,
    servername: NAME,
    lookup: (_host, _options, answer) => answer(null, [{ address: '127.0.0.1', family: 4 }]),
  });
}

/** The status and the body of a request; it ends with the session when that fails. */
async function askHttp2(session: ClientHttp2Session, path: string): Promise<{ status: number; text: string }> {
  const stream = session.request({ ':path': path });
  const [head] = await once(stream, 'response');
  stream.setEncoding('utf8');
  return { status: Number(head[':status']), text: (await stream.toArray()).join('') };
}

async function getByNewSession(door: Portico): Promise<number> {
  const session = openSession(door);
  const broken = once(session, 'error').then(([error]) => Promise.reject(error));
  try {
    return (await Promise.race([askHttp2(session, '/'), broken])).status;
  } finally {
    broken.catch(() => {});
    session.destroy();
  }
}

async function openWebSocket(t: Test, door: Portico): Promise<WebSocket> {
  // The types of ws know no `servername`, which goes through to node:tls.
  const options: ClientOptions & { servername: string } = { ca: door.ca, servername: NAME, headers: { Host: NAME } };
  const socket = new WebSocket(`wss://127.0.0.1:${door.httpsPort}/ws`, options);
  t.teardown(() => socket.terminate());
  await once(socket, 'open');
  return socket;
}

async function echo(socket: WebSocket, text: string): Promise<string> {
  socket.send(text);
  return String((await once(socket, 'message'))[0]);
}

const skip = process.platform === 'linux' ? false : 'ports are not shared there';

t.test('under load: nobody is refused, what is under way ends where it is', { skip }, async (t) => {
  const { door, held } = await open(t, { DRAIN_TIMEOUT: '3' });
  const heldByHttp1 = httpsGet(door.httpsPort, NAME, '/held', door.ca);
  const session = openSession(door);
  t.teardown(() => session.destroy());
  const goaway = once(session, 'goaway');
  const heldByHttp2 = askHttp2(session, '/held');
  const socket = await openWebSocket(t, door);
  await waitFor(() => held.length === 2, 5_000, 'both requests to reach the backend');

  const loads = [
    startLoad(t, 8, () => getPlain(door.httpPort, '/'), 301),
    startLoad(t, 4, async () => (await httpsGet(door.httpsPort, NAME, '/', door.ca)).status, 200),
    startLoad(t, 2, () => getByNewSession(door), 200),
    startLoad(
      t,
      1,
      async () => {
        await new Promise((waited) => setTimeout(waited, HEALTH_EVERY));
        return getPlain(door.adminPort, '/readyz');
      },
      200,
    ),
  ];
  const heir = await startHeir(t, door);
  await untilReady(heir);
  const since = loads.map(({ done }) => done);
  t.ok(says(heir, 'took over'));
  await goaway;
  t.equal(await echo(socket, 'still'), 'still', 'the websocket lives on');
  for (const response of held) response.end('at last');
  t.match(await heldByHttp1, { status: 200, text: 'at last' });
  t.match(await heldByHttp2, { status: 200, text: 'at last' });
  t.notOk(door.process.hasExited(), 'the old instance waits for the websocket');
  await once(socket, 'close');
  t.same(await door.process.exited, { code: 0, signal: null }, 'the deadline ends it');

  await waitFor(() => loads.every(({ done }, i) => done > since[i]!), 10_000, 'the new instance to be asked by all');
  for (const load of loads) await load.stop();
  t.strictSame(
    loads.map(({ failed }) => failed),
    loads.map(() => []),
    `none of ${loads.map(({ done }) => done).join(' + ')} failed`,
  );

  const { PORTICO_SOCKET } = door.env;
  const reload = await startProcess(t, {
    ...{ command: process.execPath, args: [LAUNCHER, 'reload'] },
    env: { PORTICO_SOCKET: PORTICO_SOCKET! },
  });
  t.same(await reload.exited, { code: 0, signal: null }, 'commands reach the new instance');
  t.same(await heir.stop(), { code: 0, signal: null });
});

t.test(
  'a stop of the old one ends websockets and idle connections, and no request; a second one ends all',
  { skip },
  async (t) => {
    const { door, held } = await open(t, { DRAIN_TIMEOUT: '60' });
    const socket = await openWebSocket(t, door);
    const idle = openSession(door);
    t.teardown(() => idle.destroy());
    t.match(await askHttp2(idle, '/'), { status: 200 });
    const asked = httpsGet(door.httpsPort, NAME, '/held', door.ca);
    await waitFor(() => held.length === 1, 5_000, 'the request to reach the backend');
    await untilReady(await startHeir(t, door));
    t.equal(await echo(socket, 'still'), 'still');
    door.process.signal('SIGTERM');
    await waitFor(() => says(door.process, 'stopping: websockets'), 5_000, 'the word of it');
    await new Promise((waited) => setTimeout(waited, 500));
    held[0]!.end('at last');
    t.match(await asked, { status: 200, text: 'at last' });
    t.same(await door.process.exited, { code: 0, signal: null });
    t.notOk(says(door.process, 'stopping at once'));

    const again = await open(t, { DRAIN_TIMEOUT: '60' });
    await openWebSocket(t, again.door);
    const cut = httpsGet(again.door.httpsPort, NAME, '/held', again.door.ca);
    cut.catch(() => {});
    await waitFor(() => again.held.length === 1, 5_000, 'the request to reach the backend');
    await untilReady(await startHeir(t, again.door));
    again.door.process.signal('SIGTERM');
    await waitFor(() => says(again.door.process, 'stopping: websockets'), 5_000, 'the word of it');
    again.door.process.signal('SIGTERM');
    t.same(await again.door.process.exited, { code: 2, signal: null });
    await t.rejects(cut);
  },
);

t.test('what a listener holds that a reload has left out may end, too', { skip }, async (t) => {
  const { held, service } = await startBackend(t);
  const port = await freePort();
  const site = `pools: { site: { endpoints: ["http://${service}"] } }\nhosts: { ${NAME}: { routes: [{ proxy: site }] } }\n`;
  let head = '';
  const door = await startByFile(t, [NAME], (ground) => {
    head = fileHead(ground);
    return head.replace('admin:', `  old: { kind: plain, address: 127.0.0.1, port: ${port} }\nadmin:`) + site;
  });
  const asked = getPlain(port, '/held');
  await waitFor(() => held.length === 1, 5_000, 'the request to reach the backend');
  door.write(head + site);
  t.match(await door.command('reload'), { code: 0 });
  const heir = await startProcess(t, {
    ...{ command: process.execPath, args: [LAUNCHER, 'run', '--takeover', '--config', door.file], cwd: door.cwd },
  });
  await untilReady(heir);
  await new Promise((waited) => setTimeout(waited, 500));
  held[0]!.end('at last');
  t.equal(await asked, 200);
  t.same(await door.process.exited, { code: 0, signal: null });
});

t.test('what the running one reloads meanwhile is in force after the takeover, too', { skip }, async (t) => {
  let head = '';
  const site = (status: number) => `hosts: { ${NAME}: { routes: [{ reply: { status: ${status} } }] } }\n`;
  const door = await startByFile(t, [NAME], (ground) => {
    head = fileHead(ground);
    return head + site(204);
  });
  const heir = await startProcess(t, {
    ...{ command: process.execPath, args: [LAUNCHER, 'run', '--takeover', '--config', door.file], cwd: door.cwd },
  });
  await waitFor(() => says(door.process, 'another instance starts'), 20_000, 'the new instance');
  door.write(head + site(410));
  t.match(await askInstance([`${door.cwd}/control.sock`], 'reload'), { ok: true });
  await untilReady(heir);
  t.equal((await httpsGet(door.httpsPort, NAME, '/', door.certificate.ca)).status, 410);
});

t.test('a start that fails leaves the running one as it was', { skip }, async (t) => {
  const { door } = await open(t);
  const other = createTcpServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  t.teardown(() => other.close());
  const taken = String((other.address() as AddressInfo).port);
  for (const [env, words] of [
    [{ WORKERS: 'many' }, /WORKERS/],
    [{ SSL_KEY: '/nowhere' }, /SSL_KEY/],
    [{ HTTP_PORT: taken }, /HTTP_PORT .* is taken by another process/],
    [{ ADMIN_PORT: taken }, /ADMIN_PORT .* is taken by another process/],
  ] as const) {
    const heir = await startHeir(t, door, env);
    t.same(await heir.exited, { code: 1, signal: null });
    t.match(heir.stderr(), words);
    t.equal((await httpsGet(door.httpsPort, NAME, '/', door.ca)).status, 200);
    t.equal(await getPlain(door.adminPort, '/readyz'), 200);
  }
  t.notOk(says(door.process, 'handing over'));
});

t.test('one at a time; and one that dies before it serves changes nothing', { skip }, async (t) => {
  const { door } = await open(t);
  const first = (await callInstance([door.env.PORTICO_SOCKET!])) as Conversation;
  const offer = await first.ask('takeover', 5_000);
  const ports = [door.httpsPort, door.httpPort, door.adminPort];
  t.match(offer as Answer & object, { ok: true, pid: door.process.pid, ports });

  const second = await startHeir(t, door);
  t.same(await second.exited, { code: 1, signal: null });
  t.match(second.stderr(), /the running instance does not hand over: another one is taking over already/);

  first.close();
  await waitFor(() => says(door.process, 'the instance that was to take over has left'), 5_000, 'the word of it');
  t.equal((await httpsGet(door.httpsPort, NAME, '/', door.ca)).status, 200);

  const third = await startHeir(t, door);
  await untilReady(third);
  t.same(await door.process.exited, { code: 0, signal: null }, 'the next one may');
  t.equal((await httpsGet(door.httpsPort, NAME, '/', door.ca)).status, 200);
});

t.test('one that does not answer is left alone', { skip }, async (t) => {
  const { door } = await open(t);
  door.process.signal('SIGSTOP');
  const heir = await startHeir(t, door);
  t.same(await heir.exited, { code: 1, signal: null });
  t.match(heir.stderr(), /did not answer within 5 s/);
  door.process.signal('SIGCONT');
  await waitFor(() => says(door.process, 'the instance that was to take over has left'), 5_000, 'the word of it');
  t.equal((await httpsGet(door.httpsPort, NAME, '/', door.ca)).status, 200);
});

t.test('without an instance it is a start like any other, and a taken port is an error', { skip }, async (t) => {
  const { door } = await open(t);
  const elsewhere = { PORTICO_SOCKET: `${door.cwd}/other.sock` };
  const refused = await startHeir(t, door, elsewhere);
  t.same(await refused.exited, { code: 1, signal: null });
  t.match(refused.stderr(), /HTTPS_PORT .* is taken by another process/);
  await door.stop();
  const heir = await startHeir(t, door);
  await untilReady(heir);
  t.ok(says(heir, 'there is nothing to take over'));
  t.equal((await httpsGet(door.httpsPort, NAME, '/', door.ca)).status, 200);
});

t.test('systemd is told which process is the service now, and not that it stops', { skip }, async (t) => {
  if (!needParts(t, ['python3', 'systemd-notify'])) return;
  const systemd = await openNotifySocket(t);
  const { door } = await open(t, { NOTIFY_SOCKET: systemd.path, WATCHDOG_USEC: '3000000' });
  const heir = await startHeir(t, door, { WATCHDOG_USEC: '' });
  await untilReady(heir);
  t.same(await door.process.exited, { code: 0, signal: null });
  const told = () => systemd.messages();
  const main = `MAINPID=${heir.pid}`;
  const at = await waitFor(() => told().findIndex(([first]) => first === main) + 1, 10_000, 'the main process');
  await waitFor(
    () =>
      told()
        .slice(at)
        .filter(([first]) => first === 'WATCHDOG=1').length > 2,
    15_000,
    'the signs of life that were due to the old instance',
  );
  t.notOk(told().some(([first]) => first === 'STOPPING=1'));
  t.ok(told().some((message, i) => i >= at && message[0] === 'READY=1'));
});
