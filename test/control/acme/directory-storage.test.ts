// The store that is a directory: for our user only, whole or not at all, and locked by one at a time.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { DirectoryStorage } from '../../../src/control/acme/directory-storage.ts';
import { StorageError } from '../../../src/control/acme/storage.ts';
import { makeFolder } from '../../support/folder.ts';

const modeOf = (path: string) => statSync(path).mode & 0o777;

t.test('what is stored is found again, by our user only', async (t) => {
  const root = join(makeFolder(t), 'certs', 'acme');
  const storage = new DirectoryStorage(root);
  t.equal(await storage.load('certificates/a.example.json'), undefined);
  t.strictSame(await storage.list('certificates'), []);
  await storage.store('certificates/b.example.json', Buffer.from('b'));
  await storage.store('certificates/a.example.json', Buffer.from('old'));
  await storage.store('certificates/a.example.json', Buffer.from('a'));
  t.equal(String(await new DirectoryStorage(root).load('certificates/a.example.json')), 'a');
  t.strictSame(await storage.list('certificates'), ['certificates/a.example.json', 'certificates/b.example.json']);
  t.equal(modeOf(root), 0o700);
  t.equal(modeOf(join(root, 'certificates')), 0o700);
  t.equal(modeOf(join(root, 'certificates/a.example.json')), 0o600);
  t.strictSame(readdirSync(join(root, 'certificates')), ['a.example.json', 'b.example.json'], 'nothing is left behind');
});

t.test('a folder that others may look into is closed to them, one above the store is left as it is', async (t) => {
  const folder = makeFolder(t);
  const root = join(folder, 'acme');
  mkdirSync(join(root, 'accounts'), { recursive: true });
  for (const each of [root, join(root, 'accounts')]) chmodSync(each, 0o755);
  await new DirectoryStorage(root).store('accounts/x.json', Buffer.from('x'));
  t.equal(modeOf(join(root, 'accounts')), 0o700);
  t.equal(modeOf(root), 0o700);
  t.equal(modeOf(folder), 0o755);
});

t.test('no name leads out of it', async (t) => {
  const storage = new DirectoryStorage(makeFolder(t));
  for (const name of ['../x', 'a/../../x', '/etc/passwd', '.hidden', 'a//b', 'a\0', '', 'A']) {
    await t.rejects(storage.load(name), StorageError, JSON.stringify(name));
    await t.rejects(storage.store(name, Buffer.from('x')), StorageError, JSON.stringify(name));
    await t.rejects(storage.lock(name), StorageError, JSON.stringify(name));
  }
});

t.test('a store that cannot be written says where and what to do', async (t) => {
  const folder = makeFolder(t);
  writeFileSync(join(folder, 'certs'), 'a file');
  const storage = new DirectoryStorage(join(folder, 'certs', 'acme'));
  await t.rejects(storage.store('courses/a.json', Buffer.from('x')), {
    name: 'StorageError',
    message: `cannot write ${join(folder, 'certs', 'acme', 'courses/a.json')}: a part of its path is no folder`,
  });
  await t.rejects(storage.lock('a'), StorageError);
  t.equal(await storage.load('courses/a.json'), undefined, 'there is nothing in it');
});

t.test('a lock has one holder', async (t) => {
  const root = makeFolder(t);
  const [one, other] = [new DirectoryStorage(root), new DirectoryStorage(root)];
  const taken = await Promise.all([one.lock('a.example'), other.lock('a.example'), one.lock('a.example')]);
  const held = taken.filter((lock) => lock !== undefined);
  t.equal(held.length, 1);
  t.ok(await other.lock('b.example'), 'another name is another lock');
  await held[0]!.release();
  const next = await other.lock('a.example');
  t.ok(next);
  await held[0]!.release();
  t.equal(await one.lock('a.example'), undefined, 'who lets go twice does not take it from its next holder');
  await next!.release();
});

t.test('a lock whose holder was killed is free at once, for one of those that want it', async (t) => {
  const root = makeFolder(t);
  const child = await holdElsewhere(t, root);
  const storage = new DirectoryStorage(root);
  t.equal(await storage.lock('a.example'), undefined, 'while it lives');
  child.kill('SIGKILL');
  await once(child, 'exit');
  const path = join(root, 'locks', 'a.example.lock');
  const left = readFileSync(path);
  const holders: number[] = [];
  for (let round = 0; round < 40; round++) {
    writeFileSync(path, left);
    const taken = await Promise.all(Array.from({ length: 8 }, () => new DirectoryStorage(root).lock('a.example')));
    const held = taken.filter((lock) => lock !== undefined);
    holders.push(held.length);
    for (const lock of held) await lock.release();
  }
  t.same(holders, Array(40).fill(1));
  t.same(readdirSync(join(root, 'locks')), [], 'nothing is left behind');
});

t.test('a lock of another machine is free once nobody has touched it for a minute', async (t) => {
  const root = makeFolder(t);
  let now = Date.now();
  const storage = new DirectoryStorage(root, () => now);
  const path = join(root, 'locks', 'a.example.lock');
  mkdirSync(join(root, 'locks'));
  writeFileSync(path, 'another-host boot pid:[1] 17 0123');
  utimesSync(path, now / 1_000, now / 1_000);
  t.equal(await storage.lock('a.example'), undefined);
  now += 61_000;
  t.ok(await storage.lock('a.example'));
});

/** A process that holds the lock until it is killed. */
async function holdElsewhere(t: Test, root: string): Promise<ChildProcess> {
  const file = fileURLToPath(new URL('../../../src/control/acme/directory-storage.ts', import.meta.url));
  const script = `import { DirectoryStorage } from ${JSON.stringify(file)};
    const lock = await new DirectoryStorage(${JSON.stringify(root)}).lock('a.example');
    process.stdout.write(String(lock !== undefined));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  t.equal(String((await once(child.stdout!, 'data'))[0]), 'true');
  return child;
}
