// `portico healthcheck`: the instance's own word counts, whatever has become of its configuration since; never a stack.

import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openAdmin } from '../../src/control/admin.ts';
import { type Answer, openControlSocket } from '../../src/control/control-socket.ts';
import { makeFolder } from '../support/folder.ts';
import { LAUNCHER } from '../support/portico.ts';
import { freePort } from '../support/ports.ts';
import { startProcess } from '../support/process.ts';

/** Where an instance listens, with nothing behind it. */
async function startInstance(t: Test, ready: boolean) {
  const folder = makeFolder(t, 'health');
  const port = await freePort();
  const admin = await openAdmin('127.0.0.1', port, {
    overview: async () => ({ ready, summary: [], checks: [], tables: [] }),
    checks: async () => [{ name: 'listeners', ok: ready }],
    scrape: async () => ({ contentType: 'text/plain', text: '' }),
  });
  const status: Answer = { ok: ready, message: '', warnings: [], problems: ready ? [] : ['listeners: none'] };
  const control = await openControlSocket(join(folder, 'control.sock'), { status: async () => status });
  t.teardown(() => {
    admin.close();
    control.close();
  });
  return { folder, port };
}

async function check(t: Test, cwd: string, env: Readonly<Record<string, string>>, args: readonly string[] = []) {
  const command = [LAUNCHER, 'healthcheck', ...args];
  const process_ = await startProcess(t, { command: process.execPath, args: command, env, cwd });
  const { code } = await process_.exited;
  t.notMatch(process_.stderr(), /\n\s+at /, 'no stack');
  return { code, stderr: process_.stderr() };
}

t.test('a file that is broken since the start: its instance is found by what is left of it', async (t) => {
  for (const ready of [true, false]) {
    const { folder, port } = await startInstance(t, ready);
    const file = join(folder, 'portico.yaml');
    for (const text of [
      `admin: { port: ${port} }\nhosts: [\n`,
      `controlSocket: control.sock\nadmin:\n\tport: 1\n`,
      `admin: { port: ${port} }\nlisteners: { a: "\n`,
    ]) {
      writeFileSync(file, text);
      const said = await check(t, folder, {}, ['--config', 'portico.yaml']);
      t.match(said, ready ? { code: 0, stderr: '' } : { code: 1 }, text);
    }
  }
});

t.test('one that cannot be made out: the socket that is set is asked', async (t) => {
  const { folder } = await startInstance(t, true);
  t.match(await check(t, folder, { PORTICO_SOCKET: 'control.sock', ADMIN_PORT: 'abc' }), { code: 0 });
  t.match(await check(t, folder, { PORTICO_SOCKET: 'control.sock' }, ['--config', 'none.yaml']), { code: 0 });
  const other = await startInstance(t, false);
  t.match(await check(t, other.folder, { PORTICO_SOCKET: 'control.sock', ADMIN_PORT: 'abc' }), {
    code: 1,
    stderr: 'portico: not ready: listeners: none\n',
  });
});

t.test('what is wrong is said when no instance answers', async (t) => {
  const folder = makeFolder(t, 'health');
  const env = { PORTICO_SOCKET: 'control.sock' };
  t.match(await check(t, folder, { ...env, ADMIN_PORT: 'abc' }), {
    code: 1,
    stderr: /^portico: no instance was found that is ready:\n {2}ADMIN_PORT is "abc" \(give/,
  });
  t.match(await check(t, folder, env, ['--config', 'none.yaml']), {
    code: 1,
    stderr: /^portico: no instance was found that is ready:\n {2}none\.yaml:1:1 the file is not there/,
  });
});

t.test('who answers in its place, and not as it does, is not ready', async (t) => {
  const folder = makeFolder(t, 'health');
  const answers: [bytes: string, why: RegExp][] = [
    ['HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok', /aborted/],
    ['HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n', /it answers with status 101/],
  ];
  for (const [bytes, why] of answers) {
    const server = createServer((socket) => socket.once('data', () => socket.end(bytes))).listen(0, '127.0.0.1');
    t.teardown(() => server.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const said = await check(t, folder, { PORTICO_SOCKET: 'control.sock', ADMIN_PORT: String(port) });
    t.match(said, { code: 1, stderr: /^portico: not ready: 127\.0\.0\.1:\d+: / });
    t.match(said.stderr, why);
  }
});

t.test('an answer that does not end is given up', async (t) => {
  const folder = makeFolder(t, 'health');
  const server = createServer((socket) => {
    const timer = setInterval(() => socket.write('x'), 200);
    socket.on('error', () => {}).on('close', () => clearInterval(timer));
    socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
  }).listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const said = await check(t, folder, { PORTICO_SOCKET: 'control.sock', ADMIN_PORT: String(port) });
  t.match(said, { code: 1, stderr: /no answer within 5 s/ });
});
