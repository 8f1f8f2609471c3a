// Certificate files that change under a running door: each way of replacing them is noticed, and no request is lost over it.

import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import t, { type Test } from 'tap';
import { WebSocket, WebSocketServer } from 'ws';
import { makeAuthority, makeCertificate, type TestPair } from '../support/certificates.ts';
import { makeFolder } from '../support/folder.ts';
import { httpsGet } from '../support/https-get.ts';
import { type Portico, startPortico } from '../support/portico.ts';
import { waitFor } from '../support/ports.ts';

const FRONTEND = 'toucan.example';
const NAMES = [FRONTEND, 'api-toucan.example'];
/** The promise is 5 s on a machine that has time. */
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

async function open(t: Test, folder: string): Promise<Portico> {
  const backend = await startBackend(t);
  return startPortico(t, {
    ...{ FRONTEND_DNS: NAMES[0]!, FRONTEND_SERVICE: backend, BACKEND_DNS: NAMES[1]!, BACKEND_SERVICE: backend },
    ...{ SSL_CRT: join(folder, 'tls.crt'), SSL_KEY: join(folder, 'tls.key') },
    WORKERS: process.platform === 'linux' ? '2' : '1',
  });
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

/** Asks again and again on new connections, until it is told to stop; what failed, and how many did not. */
function load(port: number) {
  let going = true;
  let answered = 0;
  const failures: string[] = [];
  const ask = async () => {
    while (going) {
      try {
        const { text } = await httpsGet(port, FRONTEND, '/', authority.certificate);
        if (text === 'here') answered++;
        else failures.push(text);
      } catch (error) {
        failures.push((error as Error).message);
      }
      await sleep(5);
    }
  };
  const asking = Promise.all([ask(), ask(), ask()]);
  return async () => {
    going = false;
    await asking;
    return { answered, failures };
  };
}

t.test('files written over, renamed over, swapped by a symlink, and in two steps, under load', async (t) => {
  const folder = makeFolder(t, 'changes');
  const live = join(folder, 'live');
  const release = (name: string, pair: TestPair) => {
    write(join(folder, name), pair);
    symlinkSync(name, join(folder, 'next'));
    renameSync(join(folder, 'next'), live);
  };
  const first = await issue();
  release('1', first);
  const door = await open(t, live);
  const port = door.httpsPort;
  await untilShown(port, first, FRONTEND);
  const socket = new WebSocket(`wss://127.0.0.1:${port}/`, {
    ...{ headers: { Host: FRONTEND }, servername: FRONTEND, ca: authority.certificate },
  });
  t.teardown(() => socket.terminate());
  await new Promise((opened) => socket.once('open', opened));
  const stop = load(port);
  t.teardown(stop);

  const over = await issue();
  write(live, over);
  await untilShown(port, over, FRONTEND);
  t.pass('written over');

  const renamed = await issue();
  write(join(folder, 'other'), renamed);
  for (const name of ['tls.crt', 'tls.key']) renameSync(join(folder, 'other', name), join(live, name));
  await untilShown(port, renamed, FRONTEND);
  t.pass('renamed over');

  const swapped = await issue();
  release('2', swapped);
  rmSync(join(folder, '1'), { recursive: true });
  await untilShown(port, swapped, FRONTEND);
  t.pass('the folder swapped by its symlink');

  const steps = await issue();
  writeFileSync(join(live, 'tls.crt'), steps.certificate + authority.certificate);
  await sleep(3_000);
  t.equal(await shown(port, FRONTEND), swapped.certificate, 'half a pair is not used');
  writeFileSync(join(live, 'tls.key'), steps.key);
  await untilShown(port, steps, FRONTEND);
  await untilShown(port, steps);
  t.pass('in two steps, and to clients that name nobody, too');

  const { answered, failures } = await stop();
  t.same(failures, [], `${answered} requests were answered, none failed`);
  const echo = new Promise((told) => socket.once('message', (message) => told(String(message))));
  socket.send('still here');
  t.equal(await echo, 'still here', 'the websocket lives on');
  const lines = door.logs();
  t.equal(lines.filter(({ msg }) => msg === 'a changed certificate is served').length, 4);
  t.same(
    lines.filter(({ level }) => level === 'error' || level === 'warn'),
    [],
  );
  const metrics = await (await fetch(`http://127.0.0.1:${door.adminPort}/metrics`)).text();
  t.match(metrics, 'portico_tls_certificate_reload_total{result="success"} 4');
  t.match(metrics, 'portico_tls_certificate_reload_total{result="failure"} 0');
});

t.test('a bad pair is never used, and health, metrics and log say why', { timeout: 110_000 }, async (t) => {
  const folder = makeFolder(t, 'changes');
  const good = await issue();
  write(folder, good);
  const door = await open(t, folder);
  const admin = async (path: string) => (await fetch(`http://127.0.0.1:${door.adminPort}${path}`)).text();
  writeFileSync(join(folder, 'tls.crt'), (await issue()).certificate);
  const why = /tls\.key does not belong to the certificate in SSL_CRT .*: it is not used, what was served before stays/;
  await waitFor(async () => why.test(await admin('/readyz?verbose')), 60_000, 'health to say why');
  t.match(await admin('/readyz?verbose'), /\[\+\]certificate ok: valid until .*; SSL_KEY \//);
  t.ok(door.logs().some(({ level, msg }) => level === 'error' && why.test(String(msg))));
  t.match(await admin('/metrics'), 'portico_tls_certificate_reload_total{result="failure"} 1');
  t.equal(await shown(door.httpsPort, FRONTEND), good.certificate);
  write(folder, await issue());
  await waitFor(async () => !why.test(await admin('/readyz?verbose')), WITHIN, 'the good pair to be taken');
  t.not(await shown(door.httpsPort, FRONTEND), good.certificate);
});
