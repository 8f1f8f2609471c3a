// The one executable: alone in an empty folder, with nothing on PATH, it does all that the source does.

import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, linkSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws';
import { buildDeb } from '../../packaging/deb.ts';
import { buildExecutable } from '../../packaging/executable.ts';
import { childrenOf, holderOf } from '../support/children.ts';
import { makeFolder } from '../support/folder.ts';
import { sendHttp1 } from '../support/http1-client.ts';
import { sendHttp2 } from '../support/http2-client.ts';
import { httpsGet } from '../support/https-get.ts';
import { needPart } from '../support/parts.ts';
import { type Portico, startPortico } from '../support/portico.ts';
import { freePort, waitFor } from '../support/ports.ts';
import { makeTestCertificate } from '../support/tls.ts';
import { visitWebSocket } from '../support/websocket-client.ts';

const NAME = 'door.test';
/** No Node, no shell, no home: nothing but the executable. */
const NOTHING = { PATH: '', HOME: '/nonexistent' };
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

const executable = join(makeFolder(t, 'executable'), 'portico');
await buildExecutable(executable);

/** Runs a command to its end, in an empty folder that stays empty. */
function run(t: Test, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const cwd = makeFolder(t);
  const options = { cwd, env: { ...NOTHING, ...env }, encoding: 'utf8', timeout: 20_000 } as const;
  const { status, stdout, stderr } = spawnSync(executable, args, options);
  t.same(readdirSync(cwd), [], 'nothing is unpacked');
  return { status, stdout, stderr };
}

/** Answers with the target, echoes on websockets. */
async function startBackend(t: Test): Promise<string> {
  const server = createServer((request, response) => request.pipe(response));
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => socket.on('message', (message) => socket.send(String(message))));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
    sockets.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function open(t: Test, env: Record<string, string> = {}, program = executable): Promise<Portico> {
  const backend = await startBackend(t);
  const sites = { FRONTEND_DNS: NAME, FRONTEND_SERVICE: backend, BACKEND_SERVICE: backend };
  return startPortico(t, { ...NOTHING, ...sites, ...env }, [program]);
}

async function openWebSocket(t: Test, door: Portico) {
  // The types of ws know no `servername`, which goes through to node:tls.
  const options: ClientOptions & { servername: string } = { ca: door.ca, servername: NAME, headers: { Host: NAME } };
  const socket = new WebSocket(`wss://127.0.0.1:${door.httpsPort}/ws`, options);
  t.teardown(() => socket.terminate());
  let localPort = 0;
  socket.once('upgrade', (response) => {
    localPort = response.socket.localPort ?? 0;
  });
  await once(socket, 'open');
  const says = async (word: string): Promise<string> => {
    socket.send(word);
    return String((await once(socket, 'message'))[0]);
  };
  return { socket, localPort, says };
}

t.test('its commands', async (t) => {
  const ADMIN_PORT = String(await freePort());
  t.match(run(t, ['version']), { status: 0, stdout: `portico ${version} (Node ${process.versions.node}` });
  t.match(run(t, ['validate']), { status: 0, stdout: 'the demo would be served' });
  t.match(run(t, ['validate'], { WORKERS: 'many' }), { status: 1, stderr: 'WORKERS' });
  t.match(run(t, ['healthcheck'], { ADMIN_PORT }), { status: 1, stderr: 'not ready' });
  t.match(run(t, ['--help']), { status: 0, stdout: 'usage: portico' });
  t.match(run(t, ['worker']), { status: 2, stderr: 'no command "worker"' }, 'a worker is no command for people');
  t.ok(statSync(executable).size < 200 * 1024 * 1024, 'it is about the size of Node');
});

t.test('the demo, with the pages inside of it', async (t) => {
  const door = await startPortico(t, NOTHING, [executable]);
  await waitFor(() => door.process.stdout().includes('Stop with Ctrl-C'), 10_000, 'all that is said at the start');
  t.match(door.process.stdout(), 'Portico is open, with its demo behind it');
  const page = await httpsGet(door.httpsPort, 'toucan.localhost', '/', door.ca);
  t.equal(page.text, readFileSync(new URL('../../src/demo/page/index.html', import.meta.url), 'utf8'));
  const icon = await httpsGet(door.httpsPort, 'toucan.localhost', '/icon.svg', door.ca);
  t.equal(icon.headers['content-type'], 'image/svg+xml');
  const status = await httpsGet(door.httpsPort, 'api-toucan.localhost', '/', door.ca);
  t.match(JSON.parse(status.text), { name: 'portico-demo-backend' });
  const metrics = await (await fetch(`http://127.0.0.1:${door.adminPort}/metrics`)).text();
  t.match(metrics, `portico_build_info{version="${version}"`);
  t.match(run(t, ['healthcheck'], { ADMIN_PORT: String(door.adminPort) }), { status: 0 });
  t.same(await door.stop(), { code: 0, signal: null });
  t.same(readdirSync(door.cwd), ['certs'], 'the certificate authority of the demo is all that it writes');
});

t.test('requests over HTTP/1.1 and HTTP/2, websockets, a reload and a stop', async (t) => {
  const door = await open(t);
  const body = Buffer.alloc(300_000, 'portico');
  const request = { method: 'POST', target: '/upload', authority: NAME, headers: [], body };
  for (const send of [sendHttp1, sendHttp2]) {
    const answer = await send(door.door(NAME), request);
    t.equal(answer.status, 200, send.name);
    t.ok(answer.body.equals(body), `${send.name}: the body is whole`);
  }
  const visit = { target: '/ws', authority: NAME, protocols: [], messages: ['one', 'two'] };
  t.match(await visitWebSocket(door.door(NAME), visit), { status: 101, messages: ['one', 'two'], closeCode: 1000 });

  const open_ = await openWebSocket(t, door);
  const before = await httpsGet(door.httpsPort, NAME, '/', door.ca);
  const again = await makeTestCertificate(door.cwd, [NAME]);
  door.process.signal('SIGHUP');
  await waitFor(() => door.logs().some((line) => line.msg === 'reloaded'), 5_000, 'the reload');
  t.not((await httpsGet(door.httpsPort, NAME, '/', again.ca)).serial, before.serial, 'the new certificate is served');
  t.equal(await open_.says('still'), 'still', 'an open websocket lives on');

  t.same(await door.stop(), { code: 0, signal: null });
  t.equal(door.process.stderr(), '');
});

t.test('the Debian package brings it', async (t) => {
  if (needPart(t, 'dpkg-deb') === undefined) return;
  const folder = makeFolder(t, 'deb');
  const file = buildDeb({ executable, output: folder, compression: 'none' });
  const root = join(folder, 'root');
  t.equal(spawnSync('dpkg-deb', ['-x', file, root]).status, 0);
  const installed = spawnSync(join(root, 'usr/bin/portico'), ['version'], { env: NOTHING, encoding: 'utf8' });
  t.match(installed, { status: 0, stdout: `portico ${version}` });
});

const skip = process.platform === 'linux' ? false : 'needs /proc';

t.test('a crash of a worker costs its own connections only, and it is started again', { skip }, async (t) => {
  // Its file is gone by then, as when a newer version took its place: what runs goes on by itself.
  const file = join(makeFolder(t), 'portico');
  linkSync(executable, file);
  const door = await open(t, { WORKERS: '2' }, file);
  rmSync(file);

  const workers = childrenOf(door.process.pid);
  const held = new Map<number, Awaited<ReturnType<typeof openWebSocket>>[]>(workers.map((pid) => [pid, []]));
  // The kernel spreads connections by hash: until each worker has some.
  for (let i = 0; i < 40 && [...held.values()].some((sockets) => sockets.length === 0); i++) {
    const one = await openWebSocket(t, door);
    held.get(holderOf(workers, door.httpsPort, one.localPort)!)!.push(one);
  }
  const [victim, survivor] = workers as [number, number];
  const ends = held.get(victim)!.map(({ socket }) => once(socket, 'close'));
  t.ok(ends.length > 0 && held.get(survivor)!.length > 0, 'both hold connections');
  process.kill(victim, 'SIGKILL');
  await Promise.all(ends);
  for (const { says } of held.get(survivor)!) t.equal(await says('here'), 'here', 'it goes on');

  const verbose = async () => (await fetch(`http://127.0.0.1:${door.adminPort}/readyz?verbose`)).text();
  await waitFor(async () => (await verbose()).includes('2 of 2 workers serve'), 10_000, 'a new worker');
  t.notOk(existsSync(file));
  t.same(await door.stop(), { code: 0, signal: null });
});
