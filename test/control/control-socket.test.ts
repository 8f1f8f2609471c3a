// The control socket: for its user only, bounded in what it reads, and clear when nobody answers.

import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  type Answer,
  askInstance,
  type Commands,
  type Conversation,
  callInstance,
  defaultSocketPaths,
  openControlSocket,
} from '../../src/control/control-socket.ts';
import { makeFolder } from '../support/folder.ts';
import { waitFor } from '../support/ports.ts';

const YES: Answer = { ok: true, message: 'done', warnings: ['w'], problems: [] };
const COMMANDS: Commands = {
  reload: () => Promise.resolve(YES),
  fail: () => Promise.reject(new Error('broken')),
  sure: async ({ confirm }) => ({ ...YES, message: (await confirm(YES)) ? 'went' : 'stayed' }),
};

async function open(t: Test, path: string) {
  const control = await openControlSocket(path, COMMANDS);
  t.teardown(() => control.close());
  return control;
}

/** What comes back to these bytes before the end. */
async function say(path: string, text: string): Promise<string> {
  const socket = connect({ path });
  let heard = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    heard += chunk;
  });
  socket.on('error', () => {});
  socket.write(text);
  await once(socket, 'close');
  return heard;
}

t.test('a command is asked for and answered', async (t) => {
  const folder = makeFolder(t, 'control');
  const path = join(folder, 'own', 'control.sock');
  const control = await open(t, path);
  t.strictSame(await askInstance([path], 'reload'), YES);
  t.match(await askInstance([path], 'fail'), { ok: false, message: 'broken' });
  t.match(await askInstance([path], 'none'), { ok: false, message: /does not know/ });
  t.match(await askInstance([path], 'toString'), { ok: false, message: /does not know/ });
  t.equal(statSync(path).mode & 0o777, 0o600, 'only its user may open it');
  t.equal(statSync(join(folder, 'own')).mode & 0o777, 0o700, 'in a folder of its own');
  control.close();
  t.notOk(existsSync(path));
  t.notOk(existsSync(join(folder, 'own')), 'nothing is left behind');
});

t.test('what is no request gets no more than a refusal, and what is too long is not read on', async (t) => {
  const path = join(makeFolder(t, 'control'), 'c');
  await open(t, path);
  for (const text of [
    'x\n',
    '{}\n',
    '[]\n',
    'null\n',
    '{"command":7}\n',
    `${'x'.repeat(5_000)}`,
    `${'x'.repeat(5_000)}\n`,
  ]) {
    t.match(JSON.parse(await say(path, text)), { ok: false }, text.slice(0, 20));
  }
  t.match(JSON.parse(await say(path, '{"command":"reload"}\n{"command":"fail"}\n')), YES, 'one request a connection');
});

t.test('what an instance left behind makes room, a living one does not', async (t) => {
  const folder = makeFolder(t, 'control');
  const path = join(folder, 'c');
  await open(t, path);
  await t.rejects(openControlSocket(path, COMMANDS), { message: /another instance answers/ });
  t.strictSame(await askInstance([path], 'reload'), YES, 'it was not disturbed');
  const file = join(folder, 'file');
  writeFileSync(file, 'mine');
  await t.rejects(openControlSocket(file, COMMANDS), { message: /is there and no socket/ });
  t.equal(existsSync(file), true);
});

t.test('of two that open it at one moment one has it', async (t) => {
  const path = join(makeFolder(t, 'control'), 'c');
  const opened = await Promise.allSettled([open(t, path), open(t, path)]);
  const refused = opened.filter((each) => each.status === 'rejected').map(({ reason }) => reason);
  t.match(refused, [{ message: /another instance answers/ }]);
  t.equal(refused.length, 1);
  t.strictSame(await askInstance([path], 'reload'), YES);
});

t.test('a folder that others may write to is refused, and a link to one', async (t) => {
  const folder = makeFolder(t, 'control');
  const open_ = join(folder, 'open');
  mkdirSync(open_);
  chmodSync(open_, 0o777);
  symlinkSync(open_, join(folder, 'link'));
  for (const name of ['open', 'link']) {
    await t.rejects(
      openControlSocket(join(folder, name, 'c'), COMMANDS),
      { message: /only this user may write/ },
      name,
    );
  }
  await t.rejects(openControlSocket(join(folder, 'x'.repeat(100)), COMMANDS), { message: /longer than 103 bytes/ });
});

t.test('nobody there', async (t) => {
  const folder = makeFolder(t, 'control');
  await t.rejects(askInstance([join(folder, 'c')], 'reload'), { message: /no instance runs here.*PORTICO_SOCKET/ });
  const silent = createServer((socket) => socket.end('not json'));
  silent.listen(join(folder, 'silent'));
  await once(silent, 'listening');
  t.teardown(() => silent.close());
  await t.rejects(askInstance([join(folder, 'silent')], 'reload'), { message: /ended before it had answered/ });
});

t.test('a command that asks back', async (t) => {
  const path = join(makeFolder(t, 'control'), 'c');
  let outcome = '';
  const sure: Commands[string] = async (caller) => {
    const answer = await COMMANDS.sure!(caller);
    outcome = answer.message;
    return answer;
  };
  const control = await openControlSocket(path, { sure });
  t.teardown(() => control.close());
  const call = async (): Promise<Conversation> => {
    const conversation = await callInstance([path]);
    if (conversation instanceof Error) throw conversation;
    t.strictSame(await conversation.ask('sure', 5_000), YES);
    return conversation;
  };
  t.match(await (await call()).ask('go', 5_000), { message: 'went' });
  t.match(await (await call()).ask('reload', 5_000), { message: 'stayed' }, 'any other word is a no');
  outcome = '';
  (await call()).close();
  await waitFor(() => outcome === 'stayed', 5_000, 'who left to be noticed');

  const left = await call();
  control.close();
  t.match(await left.ask('go', 5_000), { message: 'went' }, 'a conversation outlives the socket');
  t.type(await callInstance([path]), Error, 'nobody is there any more');
});

t.test('who does not answer is not waited for', async (t) => {
  const path = join(makeFolder(t, 'control'), 'c');
  const silent = createServer(() => {}).listen(path);
  await once(silent, 'listening');
  t.teardown(() => silent.close());
  const conversation = (await callInstance([path])) as Conversation;
  await t.rejects(conversation.ask('takeover', 50), { message: /did not answer within 0.05 s/ });
});

t.test('the place when none was set', async (t) => {
  const shared = join(tmpdir(), `portico-${process.getuid!()}-9180`, 'control.sock');
  t.strictSame(defaultSocketPaths(9180, {}), [shared]);
  t.strictSame(defaultSocketPaths(9180, { XDG_RUNTIME_DIR: '/run/user/7' }), [
    '/run/user/7/portico-9180/control.sock',
    shared,
  ]);
  t.strictSame(defaultSocketPaths(9180, { XDG_RUNTIME_DIR: 'relative' }), [shared]);
  const path = join(makeFolder(t, 'control'), 'second');
  await open(t, path);
  t.strictSame(await askInstance(['/nowhere/c', path], 'reload'), YES, 'the first that is there is asked');
});

t.test('what a killed instance left behind hides none that runs', async (t) => {
  const folder = makeFolder(t, 'control');
  const [stale, path] = [join(folder, 'stale'), join(folder, 'second')] as const;
  spawnSync(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(stale)}, () => process.kill(process.pid, 'SIGKILL'))`,
  ]);
  t.ok(existsSync(stale));
  t.match(await callInstance([stale, path]), { message: `no instance runs here (nothing answers at ${stale}` });
  await open(t, path);
  t.strictSame(await askInstance([stale, path], 'reload'), YES);
});
