// Certificate files that change under a running door: each way of replacing them is noticed, and no request is lost over it.

import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import t, { type Test } from 'tap';
import { WebSocket, WebSocketServer } from 'ws';
import { makeAuthority, makeCertificate, type TestPair } from '../support/certificates.ts';
import { makeFolder } from '../support/folder.ts';
import { LAUNCHER, startPortico } from '../support/portico.ts';
import { waitFor } from '../support/ports.ts';
import { LOAD_KINDS, startLoad } from '../support/steady-load.ts';

const FRONTEND = 'toucan.example';
const NAMES = [FRONTEND, 'api-toucan.example'];
/** In ms, from the last byte that was written to the log's word that it is served. */
const PROMISE = 5_000;
/** Until clients of the test have seen it, too. */
const WITHIN = 20_000;

const authority = await makeAuthority();
const issue = (names: readonly string[] = NAMES) => makeCertificate({ names, issuer: authority });

function write(folder: string, { certificate, key }: TestPair): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'tls.crt'), certificate + authority.certificate);
  writeFileSync(join(folder, 'tls.key'), key, { mode: 0o600 });
}

async function startBackend(t: Test): Promise<string> {
  const server = createServer((_request, response) => response.end('here'));
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => socket.on('message', (message) => socket.send(String(message))));
  server.listen(0, '127.0.0.1');
  await new Promise((listening) => server.once('listening', listening));
  t.teardown(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.close();
    server.closeAllConnections();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The certificate that is shown; without `servername` to a client that does not say whom it asks for. */
function shown(port: number, servername?: string): Promise<string> {
  return new Promise((told, failed) => {
    const given = servername === undefined ? {} : { servername };
    const socket = connect({ socket: connectTcp(port, '127.0.0.1'), rejectUnauthorized: false, ...given }, () => {
      told(socket.getPeerX509Certificate()!.toString());
      socket.destroy();
    });
    socket.once('error', failed);
  });
}

/** Until every worker shows it: several handshakes in a row do. */
async function untilShown(port: number, { certificate }: TestPair, servername?: string): Promise<void> {
  await waitFor(
    async () => {
      for (let i = 0; i < 8; i++) if ((await shown(port, servername)) !== certificate.trimStart()) return false;
      return true;
    },
    WITHIN,
    'the new certificate to be shown by all workers',
  );
}

/** A door under load over these files, and what it takes to replace them. */
async function openUnderLoad(t: Test, files: { readonly cert: string; readonly key: string }, program?: Program) {
  const backend = await startBackend(t);
  const door = await startPortico(t, envFor(backend, files), program);
  const port = door.httpsPort;
  const load = startLoad(t, port, FRONTEND, authority.certificate);
  let replaced = 0;
  // Only the end of the log is kept, and access lines fill it.
  const swapsSince = (begin: number) =>
    door
      .logs()
      .filter(({ msg }) => msg === 'a changed certificate is served')
      .map(({ time }) => Date.parse(String(time)))
      .filter((at) => at >= begin);
  return {
    ...{ door, port },
    /** Served by all workers, and by the log's own clock soon enough after the last byte was written. */
    replace: async (way: string, put: (pair: TestPair) => void | Promise<void>) => {
      const pair = await issue();
      const begin = Date.now();
      await put(pair);
      const written = Date.now();
      await untilShown(port, pair, FRONTEND);
      const served = await waitFor(() => swapsSince(begin)[0], WITHIN, 'the log to say so');
      replaced++;
      const took = served - written;
      t.ok(took <= PROMISE, `${way}: the new serial is served after ${took} ms`);
      return pair;
    },
    /** Ends the load: no request has failed, and nothing was wrong. */
    finish: async () => {
      const { answered, failures } = await load.stop();
      t.same(failures, [], 'no request has failed');
      for (const kind of LOAD_KINDS) t.ok(answered[kind] > 10, `${kind}: ${answered[kind]} requests were answered`);
      t.same(
        door.logs().filter(({ level }) => level === 'error' || level === 'warn'),
        [],
      );
      const metrics = await (await fetch(`http://127.0.0.1:${door.adminPort}/metrics`)).text();
      t.match(metrics, `portico_tls_certificate_reload_total{result="success"} ${replaced}\n`);
      t.match(metrics, 'portico_tls_certificate_reload_total{result="failure"} 0');
    },
  };
}

type Program = Parameters<typeof startPortico>[2];

const envFor = (backend: string, { cert, key }: { readonly cert: string; readonly key: string }) => ({
  ...{ FRONTEND_DNS: NAMES[0]!, FRONTEND_SERVICE: backend, BACKEND_DNS: NAMES[1]!, BACKEND_SERVICE: backend },
  ...{ SSL_CRT: cert, SSL_KEY: key, WORKERS: process.platform === 'linux' ? '2' : '1' },
});

const chainOf = ({ certificate }: TestPair) => certificate + authority.certificate;

t.test('renamed over, and written over in place in two steps', async (t) => {
  const folder = makeFolder(t, 'changes');
  write(folder, await issue());
  const files = { cert: join(folder, 'tls.crt'), key: join(folder, 'tls.key') };
  const { port, replace, finish } = await openUnderLoad(t, files);
  const socket = new WebSocket(`wss://127.0.0.1:${port}/`, {
    ...{ headers: { Host: FRONTEND }, servername: FRONTEND, ca: authority.certificate },
  });
  t.teardown(() => socket.terminate());
  await new Promise((opened) => socket.once('open', opened));

  const renamed = await replace('directory entries renamed over', (pair) => {
    write(join(folder, 'other'), pair);
    for (const name of ['tls.crt', 'tls.key']) renameSync(join(folder, 'other', name), join(folder, name));
  });
  const inode = statSync(files.cert).ino;
  await replace('written in place, each file in two steps, the key after the certificate', async (pair) => {
    await writeInSteps(files.cert, chainOf(pair));
    await sleep(2_500);
    t.equal(await shown(port, FRONTEND), renamed.certificate.trimStart(), 'half a pair is not used');
    await writeInSteps(files.key, pair.key);
  });
  t.equal(statSync(files.cert).ino, inode, 'it was the same file all the time');
  const echo = new Promise((told) => socket.once('message', (message) => told(String(message))));
  socket.send('still here');
  t.equal(await echo, 'still here', 'a websocket lives on');
  await finish();
});

t.test('symlinks swapped as Kubernetes does it: ..data', async (t) => {
  const folder = makeFolder(t, 'changes');
  let count = 0;
  const publish = (pair: TestPair) => {
    const release = `..2026_11_22_0${count++}`;
    write(join(folder, release), pair);
    symlinkSync(release, join(folder, '..data_tmp'));
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
    for (const old of readdirSync(folder)) if (/^\.\.2026/.test(old) && old !== release) remove(join(folder, old));
  };
  publish(await issue());
  for (const name of ['tls.crt', 'tls.key']) symlinkSync(join('..data', name), join(folder, name));
  const files = { cert: join(folder, 'tls.crt'), key: join(folder, 'tls.key') };
  const { replace, finish } = await openUnderLoad(t, files);
  await replace('..data swapped', publish);
  await replace('..data swapped again', publish);
  await finish();
});

t.test('symlinks swapped as certbot does it: live/ to archive/', async (t) => {
  const folder = makeFolder(t, 'changes');
  const [archive, live] = [join(folder, 'archive', FRONTEND), join(folder, 'live', FRONTEND)];
  for (const each of [archive, live]) mkdirSync(each, { recursive: true });
  let count = 0;
  // As certbot's storage.py: new files beside the old ones, then each link taken away and made anew.
  const renew = (pair: TestPair) => {
    count++;
    writeFileSync(join(archive, `fullchain${count}.pem`), chainOf(pair));
    writeFileSync(join(archive, `privkey${count}.pem`), pair.key, { mode: 0o600 });
    for (const kind of ['privkey', 'fullchain']) {
      rmSync(join(live, `${kind}.pem`), { force: true });
      symlinkSync(join('..', '..', 'archive', FRONTEND, `${kind}${count}.pem`), join(live, `${kind}.pem`));
    }
  };
  renew(await issue());
  const { replace, finish } = await openUnderLoad(t, {
    cert: join(live, 'fullchain.pem'),
    key: join(live, 'privkey.pem'),
  });
  await replace('links made anew', renew);
  await replace('links made anew again', renew);
  await finish();
});

t.test('single files that are mounted: written in place on the host', async (t) => {
  const whyNot = noMounts();
  if (whyNot !== undefined) return void t.plan(0, whyNot);
  const folder = makeFolder(t, 'changes');
  const [host, inside] = [join(folder, 'host'), join(folder, 'inside')];
  const first = await issue();
  write(host, first);
  mkdirSync(inside);
  const files = { cert: join(inside, 'tls.crt'), key: join(inside, 'tls.key') };
  for (const file of Object.values(files)) writeFileSync(file, '');
  const mounts = ['tls.crt', 'tls.key'].map((name) => `mount --bind ${join(host, name)} ${join(inside, name)}`);
  // A mount namespace of its own: nobody else sees them, and they go away with it.
  const start = [...mounts, 'exec "$@"'].join(' && ');
  const program = ['unshare', '-m', 'sh', '-c', start, 'sh', process.execPath, LAUNCHER] as const;
  const { door, port, replace, finish } = await openUnderLoad(t, files, [...program]);
  t.equal(await shown(port, FRONTEND), first.certificate.trimStart(), 'what is mounted is served');
  await replace('written in place', (pair) => write(host, pair));
  const last = await replace('written in place, the key after the certificate', async (pair) => {
    await writeInSteps(join(host, 'tls.crt'), chainOf(pair));
    await writeInSteps(join(host, 'tls.key'), pair.key);
  });
  await finish();
  // What no program inside of the mount can see is at least told of.
  write(join(host, 'other'), await issue());
  for (const name of ['tls.crt', 'tls.key']) renameSync(join(host, 'other', name), join(host, name));
  const health = async () => (await fetch(`http://127.0.0.1:${door.adminPort}/readyz?verbose`)).text();
  await waitFor(async () => /was replaced where it is mounted from/.test(await health()), WITHIN, 'health to say so');
  t.equal(await shown(port, FRONTEND), last.certificate.trimStart());
});

/** As a slow copy does it. */
async function writeInSteps(file: string, text: string): Promise<void> {
  const half = Math.floor(text.length / 2);
  writeFileSync(file, text.slice(0, half), { mode: 0o600 });
  await sleep(700);
  appendFileSync(file, text.slice(half));
}

const remove = (path: string) => rmSync(path, { recursive: true });

/** Why there can be no mount here; undefined: there can. */
function noMounts(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root may mount a file';
  const { status } = spawnSync('unshare', ['-m', 'mount', '--bind', '/tmp', '/mnt']);
  return status === 0 ? undefined : 'this machine allows no mounts, even to root';
}

t.test('a bad pair is never used, and health, metrics and log say why', { timeout: 110_000 }, async (t) => {
  const folder = makeFolder(t, 'changes');
  const good = await issue();
  write(folder, good);
  const files = { cert: join(folder, 'tls.crt'), key: join(folder, 'tls.key') };
  const door = await startPortico(t, envFor(await startBackend(t), files));
  const admin = async (path: string) => (await fetch(`http://127.0.0.1:${door.adminPort}${path}`)).text();
  writeFileSync(join(folder, 'tls.crt'), (await issue()).certificate);
  const why = /tls\.key does not belong to the certificate in SSL_CRT .*: it is not used, what was served before stays/;
  await waitFor(async () => why.test(await admin('/readyz?verbose')), 60_000, 'health to say why');
  t.match(await admin('/readyz?verbose'), /\[\+\]certificate ok: valid until .*; SSL_KEY \//);
  const isLogged = () => door.logs().some(({ level, msg }) => level === 'error' && why.test(String(msg)));
  await waitFor(isLogged, 5_000, 'the log to say why');
  t.match(await admin('/metrics'), 'portico_tls_certificate_reload_total{result="failure"} 1');
  t.equal(await shown(door.httpsPort, FRONTEND), good.certificate);
  write(folder, await issue());
  await waitFor(async () => !why.test(await admin('/readyz?verbose')), WITHIN, 'the good pair to be taken');
  t.not(await shown(door.httpsPort, FRONTEND), good.certificate);
});
