// A first run: the demo opens by itself and says what runs where; what is wrong is said at once, with what to change.

import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { makeFolder } from '../support/folder.ts';
import { httpsGet } from '../support/https-get.ts';
import { LAUNCHER, startPortico } from '../support/portico.ts';
import { freePort, waitFor } from '../support/ports.ts';
import { answersOnUrl, startProcess } from '../support/process.ts';
import { makeTestCertificate } from '../support/tls.ts';

/** Runs a command of the program to its end. */
async function runOnce(t: Test, args: readonly string[], env: Readonly<Record<string, string>>) {
  const command = [...(args[0] === '-e' ? [] : [LAUNCHER]), ...args];
  const process_ = await startProcess(t, { command: process.execPath, args: command, env, cwd: makeFolder(t) });
  const { code } = await process_.exited;
  return { code, stdout: process_.stdout(), stderr: process_.stderr() };
}

t.test('without any variable the demo opens, on its own certificate, and says what runs where', async (t) => {
  const door = await startPortico(t, {});
  await waitFor(() => door.process.stdout().includes('Stop with Ctrl-C'), 10_000, 'all that is said at the start');
  const said = door.process.stdout();
  t.match(said, `https://toucan.localhost:${door.httpsPort}/`);
  t.match(said, `https://api-toucan.localhost:${door.httpsPort}/`);
  t.match(said, `http://toucan.localhost:${door.httpPort}/`);
  t.match(said, `http://127.0.0.1:${door.adminPort}/`);
  t.match(said, /curl --cacert \S+local-ca\.crt https:/);

  const ca = readFileSync(join(door.cwd, 'certs', 'local-ca.crt'), 'utf8');
  const page = await httpsGet(door.httpsPort, 'toucan.localhost', '/', ca);
  t.equal(page.status, 200);
  t.match(page.text, /Portico/);
  const backend = await httpsGet(door.httpsPort, 'api-toucan.localhost', '/', ca);
  t.equal(backend.headers['content-type'], 'application/json');
  t.match(JSON.parse(backend.text), { name: 'portico-demo-backend' });

  const health = await runOnce(t, ['healthcheck'], { ADMIN_PORT: String(door.adminPort) });
  t.equal(health.code, 0);
  t.same(await door.stop(), { code: 0, signal: null });
  const after = await runOnce(t, ['healthcheck'], { ADMIN_PORT: String(door.adminPort) });
  t.equal(after.code, 1);
  t.match(after.stderr, 'not ready');
});

/** With a standard output that nobody reads any more. */
const unread = (words: string, more: string) =>
  `{ sleep 0.5; ${words} "${process.execPath}" "${LAUNCHER}" ${more}; } | :`;

t.test('who reads may leave before all is said', async (t) => {
  const pair = await makeTestCertificate(makeFolder(t), ['a.test']);
  const sites = { FRONTEND_DNS: 'a.test', FRONTEND_SERVICE: 'a', BACKEND_SERVICE: 'b' };
  const env = { ...sites, SSL_CRT: pair.certificateFile, SSL_KEY: pair.keyFile };
  for (const command of ['schema', 'help', 'validate -T']) {
    const args = ['-c', unread('', `${command}; echo $? >&2`)];
    const process_ = await startProcess(t, { command: 'sh', args, env, cwd: makeFolder(t) });
    await process_.exited;
    t.match(process_.stderr(), /^(?:(?:warning|note): .*\n)*0\n$/, command);
  }
});

t.test('what cannot be written is a failure, told in one line', { skip: !existsSync('/dev/full') }, async (t) => {
  const args = ['-c', `"${process.execPath}" "${LAUNCHER}" schema > /dev/full`];
  const process_ = await startProcess(t, { command: 'sh', args, cwd: makeFolder(t) });
  t.match(await process_.exited, { code: 1 });
  t.match(process_.stderr(), /^portico: standard output could not be written: ENOSPC.*\n$/);
});

t.test('the demo serves also when nobody reads what it says', async (t) => {
  const ADMIN_PORT = String(await freePort());
  const env = { HTTP_PORT: String(await freePort()), HTTPS_PORT: String(await freePort()), ADMIN_PORT, WORKERS: '1' };
  const isReady = () => answersOnUrl(`http://127.0.0.1:${ADMIN_PORT}/readyz`);
  const args = ['-c', unread('exec', 'run')];
  const door = await startProcess(t, { command: 'sh', args, env, cwd: makeFolder(t), isReady });
  await sleep(500);
  t.ok(await isReady());
  t.equal(door.stderr(), '');
});

t.test('a taken port is an error that names the port and the variable, for each listener', async (t) => {
  for (const variable of ['HTTP_PORT', 'HTTPS_PORT', 'ADMIN_PORT']) {
    const env: Record<string, string> = {};
    for (const name of ['HTTP_PORT', 'HTTPS_PORT', 'ADMIN_PORT']) env[name] = String(await freePort());
    env.LISTEN_HOST = '127.0.0.1';
    const holder = createServer();
    t.teardown(() => holder.close());
    await new Promise<void>((bound) => holder.listen(Number(env[variable]), '127.0.0.1', bound));
    const { code, stderr } = await runOnce(t, ['run'], env);
    t.equal(code, 1, variable);
    t.match(stderr, `${variable} 127.0.0.1 port ${env[variable]} is taken by another process`);
    t.match(stderr, `set ${variable} to a free port`);
  }
});

t.test('all that is wrong with the variables is said at once', async (t) => {
  const wrong = {
    FRONTEND_DNS: 'https://a.test/',
    BACKEND_SERVICE: 'one,two',
    WORKERS: 'many',
    SSL_KEY: '/nowhere/a.key',
  };
  for (const command of ['run', 'validate']) {
    const { code, stderr } = await runOnce(t, [command], wrong);
    t.equal(code, 1);
    for (const name of ['FRONTEND_DNS', 'FRONTEND_SERVICE', 'BACKEND_SERVICE', 'SSL_CRT', 'WORKERS'])
      t.match(stderr, name);
    t.notMatch(stderr, /\n\s+at /, 'no stack');
  }
});

t.test('an old Node is told in one line, not by a syntax error', async (t) => {
  const script = `Object.defineProperty(process.versions, 'node', { value: '20.20.2' }); import(${JSON.stringify(LAUNCHER)})`;
  const { code, stderr } = await runOnce(t, ['-e', script], {});
  t.equal(code, 1);
  t.equal(stderr.trim().split('\n').length, 1);
  t.match(stderr, 'this is Node 20.20.2, Portico needs Node 26');
});

t.test('an unknown command is a usage error', async (t) => {
  const { code, stderr } = await runOnce(t, ['serve'], {});
  t.equal(code, 2);
  t.match(stderr, 'there is no command "serve"');
  t.match(stderr, 'usage: portico');
});
