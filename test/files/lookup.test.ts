// Lookup: which file a path names, that nothing outside of the root is ever opened, and that a release is found whole.

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { type Found, Root } from '../../src/files/lookup.ts';
import { readPath } from '../../src/files/path.ts';
import { makeFolder } from '../support/folder.ts';

const SEED = 20_261_122;
const ENDINGS = ['.br', '.gz', '.zst'];
const SECRET = 'this is not for the public';

function write(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
}

function makeRoot(t: Test, files: Readonly<Record<string, string>>) {
  const outside = makeFolder(t, 'lookup');
  const folder = join(outside, 'root');
  write(outside, { 'secret.txt': SECRET, 'root-of-others/secret.txt': SECRET });
  write(folder, { 'index.html': 'shell', ...files });
  let time = 0;
  let wall = Date.now() + 10_000;
  const root = new Root(folder, ENDINGS, { now: () => time, wallNow: () => wall });
  t.teardown(() => root.close());
  return {
    outside,
    folder,
    root,
    /** What was written is that long ago, in ms; 10 s unless it is set. */
    setAge: (ms: number) => {
      wall = Date.now() + ms;
    },
    pass: (ms: number) => {
      time += ms;
    },
  };
}

/** What a request would get: the text of the file, or why there is none. */
function get(root: Root, path: string): string {
  const found = root.find(path);
  if (found.kind !== 'file') return found.kind === 'nothing' && found.hidden ? 'hidden' : found.kind;
  return read(root, found);
}

function read(root: Root, found: Found): string {
  const descriptor = root.open(found);
  if (descriptor === undefined) return 'changed';
  try {
    return readFileSync(descriptor, 'latin1');
  } finally {
    closeSync(descriptor);
  }
}

t.test('files are found by their path, as sent or encoded', async (t) => {
  const { root } = makeRoot(t, {
    'a/b.txt': 'b',
    'My logo (1).txt': 'spaces',
    '@scope/x@2x.txt': 'at',
    'chunk.vendors~main.js': 'tilde',
    '50% off.txt': 'percent',
    'caf\u00e9.txt': 'e',
    '.well-known/security.txt': 'well known',
    'docs/index.html': 'docs',
    'empty/x.txt': 'x',
  });
  for (const [path, content] of [
    ['/', 'shell'],
    ['/?token=/../x', 'shell'],
    ['/index.html', 'shell'],
    ['/a/b.txt', 'b'],
    ['/a//b.txt', 'b'],
    ['//a/b.txt?x=%zz', 'b'],
    ['/%61/b%2Etxt', 'b'],
    ['/My%20logo%20(1).txt', 'spaces'],
    ['/@scope/x%402x.txt', 'at'],
    ['/chunk.vendors%7emain.js', 'tilde'],
    ['/50%25%20off.txt', 'percent'],
    ['/caf%C3%A9.txt', 'e'],
    ['/caf\xc3\xa9.txt', 'e'],
    ['/.well-known/security.txt', 'well known'],
    ['/docs/', 'docs'],
    ['/docs', 'folder'],
    ['/empty', 'nothing'],
    ['/empty/', 'nothing'],
    ['/a/b.txt/', 'nothing'],
    ['/a/b.txt/c', 'nothing'],
    ['/none', 'nothing'],
    [`/${'x'.repeat(5_000)}`, 'nothing'],
  ] as const) {
    t.equal(get(root, path), content, path);
  }
});

t.test('what is strange about a path is refused, never repaired', async (t) => {
  const { root } = makeRoot(t, {
    'a/b.txt': 'b',
    '.env': SECRET,
    '.git/config': SECRET,
    'a/.htpasswd': SECRET,
    '%2e/x': 'x',
  });
  for (const path of [
    '/.env',
    '/%2eenv',
    '/.git/config',
    '/a/.htpasswd',
    '/a%2f.htpasswd',
    '/a\\.htpasswd',
    '/../secret.txt',
  ]) {
    t.equal(get(root, path), 'hidden', path);
  }
  for (const path of [
    '/%2e%2e/secret.txt',
    '/a/../../secret.txt',
    '/.well-known/../.env',
    '/.well-known/.env',
    '/a/.well-known/x',
  ]) {
    t.equal(get(root, path), 'hidden', path);
  }
  for (const path of [
    '/a%2fb.txt',
    '/a%5cb.txt',
    '/a\\b.txt',
    '/a/b.txt%00',
    '/a/b.txt\x00',
    '/a/b.txt%',
    '/a/b.txt%2',
    '/%zz',
    '/%ff',
    '/a/b.txt%0a',
  ]) {
    t.equal(get(root, path), 'nothing', path);
  }
  t.equal(get(root, ''), 'folder', 'the root without its slash');
  for (const path of ['a/b.txt', '*', 'http://x/a/b.txt']) t.equal(get(root, path), 'nothing', path);
  t.equal(get(root, '/%252e%252e/secret.txt'), 'nothing', 'decoded once');
  t.equal(get(root, '/%252e/x'), 'x', 'decoded once, and no more');
});

t.test('links inside are followed, links that lead out are nothing', async (t) => {
  const { root, outside, folder } = makeRoot(t, { 'a/b.txt': 'b', '..2026/tc.js': 'mounted' });
  symlinkSync('a/b.txt', join(folder, 'inside.txt'));
  symlinkSync('..2026', join(folder, '..data'));
  symlinkSync('..data/tc.js', join(folder, 'tc.js'));
  symlinkSync('../secret.txt', join(folder, 'out.txt'));
  symlinkSync(join(outside, 'secret.txt'), join(folder, 'absolute.txt'));
  symlinkSync('..', join(folder, 'up'));
  symlinkSync('../root-of-others', join(folder, 'others'));
  symlinkSync('/proc/self/environ', join(folder, 'environ'));
  symlinkSync('loop', join(folder, 'loop'));
  symlinkSync('gone.txt', join(folder, 'dangling'));
  t.equal(get(root, '/inside.txt'), 'b');
  t.equal(get(root, '/tc.js'), 'mounted');
  for (const path of [
    '/out.txt',
    '/absolute.txt',
    '/up/secret.txt',
    '/others/secret.txt',
    '/environ',
    '/loop',
    '/dangling',
  ]) {
    t.equal(get(root, path), 'nothing', path);
  }
});

t.test('a checked file that becomes a link to the outside is nothing', async (t) => {
  const { root, folder } = makeRoot(t, { 'a.txt': 'a' });
  const found = root.find('/a.txt') as Found;
  unlinkSync(join(folder, 'a.txt'));
  symlinkSync('../secret.txt', join(folder, 'a.txt'));
  t.equal(read(root, found), 'changed', 'what was found before is not opened');
  t.equal(get(root, '/a.txt'), 'nothing');
});

t.test('only files: a FIFO does not block, a socket or device is nothing', async (t) => {
  const { root, folder } = makeRoot(t, {});
  execFileSync('mkfifo', [join(folder, 'fifo.js')]);
  symlinkSync('/dev/zero', join(folder, 'zero.js'));
  t.equal(get(root, '/fifo.js'), 'nothing');
  t.equal(get(root, '/zero.js'), 'nothing');
});

t.test('a root that is not there is told, and served once it is', async (t) => {
  const folder = join(makeFolder(t, 'lookup'), 'later');
  const root = new Root(folder, ENDINGS, { now: () => 0, wallNow: Date.now });
  t.teardown(() => root.close());
  t.match(root.find('/'), { kind: 'broken', detail: /ENOENT/ });
  t.notMatch(JSON.stringify(root.find('/')), folder, 'no path of the machine is told');
  write(folder, { 'index.html': 'now' });
  t.equal(get(root, '/'), 'now');
});

t.test('changes are noticed: content, replacement, removal', async (t) => {
  const { root, folder, pass } = makeRoot(t, { 'a.txt': 'one' });
  t.equal(get(root, '/a.txt'), 'one');
  const before = root.find('/a.txt') as Found;
  writeFileSync(join(folder, 'a.txt'), 'three');
  pass(50);
  t.equal(get(root, '/a.txt'), 'three');
  t.equal(read(root, before), 'changed');
  writeFileSync(join(folder, 'b.tmp'), 'other');
  utimesSync(join(folder, 'b.tmp'), 1, 1);
  renameSync(join(folder, 'b.tmp'), join(folder, 'a.txt'));
  pass(50);
  t.equal(get(root, '/a.txt'), 'other');
  unlinkSync(join(folder, 'a.txt'));
  pass(50);
  t.equal(get(root, '/a.txt'), 'nothing');
  linkSync(join(folder, 'index.html'), join(folder, 'a.txt'));
  t.equal(get(root, '/a.txt'), 'shell');
});

t.test('siblings count while they are not older', async (t) => {
  const { root, folder, pass } = makeRoot(t, { 'a.js': 'a', 'a.js.br': 'B', 'a.js.gz': 'G' });
  utimesSync(join(folder, 'a.js'), 1_000, 1_000);
  utimesSync(join(folder, 'a.js.br'), 1_000, 1_000);
  utimesSync(join(folder, 'a.js.gz'), 999, 999);
  symlinkSync('../secret.txt', join(folder, 'a.js.zst'));
  const siblings = () => [...(root.find('/a.js') as Found).siblings.keys()];
  t.strictSame(siblings(), ['.br']);
  utimesSync(join(folder, 'a.js.gz'), 1_001, 1_001);
  pass(1_000);
  t.strictSame(siblings(), ['.br', '.gz']);
  writeFileSync(join(folder, 'a.js'), 'newer');
  pass(50);
  t.strictSame(siblings(), [], 'as soon as the file itself is seen to have changed');
});

t.test('a sibling that may still be written to is not taken yet', async (t) => {
  const { root, folder, pass, setAge } = makeRoot(t, { 'a.js': 'a', 'a.js.gz': 'half', 'a.js.br': '' });
  // As gzip and `cp -a` do when they are done: the date of the file itself.
  for (const name of ['a.js', 'a.js.gz', 'a.js.br']) utimesSync(join(folder, name), 1_000, 1_000);
  const siblings = () => [...(root.find('/a.js') as Found).siblings.keys()];
  for (const age of [0, 1_000]) {
    setAge(age);
    t.strictSame(siblings(), []);
    pass(1_000);
  }
  setAge(2_100);
  t.strictSame(siblings(), ['.gz'], 'but for the one that is empty');
  writeFileSync(join(folder, 'a.js.gz'), 'half and a half');
  setAge(1_000);
  pass(1_000);
  t.strictSame(siblings(), [], 'written to once more');
});

t.test('a sibling that may not be read is none', async (t) => {
  const { root, folder } = makeRoot(t, { 'a.js': 'a', 'a.js.br': 'B', 'a.js.gz': 'G' });
  chmodSync(join(folder, 'a.js.br'), 0);
  // Root may read all.
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid!(65_534);
  try {
    t.match(root.find('/a.js'), { kind: 'file' });
    t.strictSame([...(root.find('/a.js') as Found).siblings.keys()], ['.gz']);
    t.match(root.find('/a.js.br'), { kind: 'broken', detail: /EACCES/ });
  } finally {
    if (isRoot) process.seteuid!(0);
  }
});

// Elsewhere a folder is known by its path alone: between the two renames there is nothing.
t.test('a release that is renamed into place is found whole', { skip: !existsSync('/proc/self/fd') }, async (t) => {
  const { root, outside, folder, pass } = makeRoot(t, { 'v.txt': 'one', 'v.txt.gz': 'one gz', 'old.txt': 'old' });
  const next = join(outside, 'next');
  write(next, { 'index.html': 'shell 2', 'v.txt': 'two', 'new.txt': 'new' });
  t.equal(get(root, '/v.txt'), 'one');
  const found = root.find('/v.txt') as Found;
  renameSync(folder, join(outside, 'old'));
  t.equal(get(root, '/v.txt'), 'one', 'between the two renames the old one is served');
  t.equal(get(root, '/none'), 'nothing');
  writeFileSync(folder, 'no folder');
  t.equal(get(root, '/none'), 'nothing', 'what stands there cannot be opened as a folder');
  pass(1_000);
  t.equal(get(root, '/v.txt'), 'one');
  unlinkSync(folder);
  renameSync(next, folder);
  t.equal(read(root, found), 'one', 'what was found is opened in the release that it was found in');
  t.equal(get(root, '/v.txt'), 'one', 'the root is looked at once a second');
  pass(1_000);
  t.equal(get(root, '/v.txt'), 'two');
  t.strictSame([...(root.find('/v.txt') as Found).siblings.keys()], [], 'not the sibling of the old release');
  t.equal(get(root, '/old.txt'), 'nothing');
  rmSync(join(outside, 'old'), { recursive: true });
  t.equal(get(root, '/new.txt'), 'new');
});

t.test('a miss looks for a newer release at once', async (t) => {
  const { root, outside, folder } = makeRoot(t, {});
  t.equal(get(root, '/new.txt'), 'nothing');
  renameSync(folder, join(outside, 'old'));
  write(folder, { 'index.html': 'shell 2', 'new.txt': 'new' });
  t.equal(get(root, '/new.txt'), 'new');
  t.equal(get(root, '/'), 'shell 2');
});

// Swaps that take turns with what is looked up; how often, nobody can say.
t.test('whenever releases are swapped, a file of both is found', { skip: !existsSync('/proc/self/fd') }, async (t) => {
  const { root, outside, folder, pass } = makeRoot(t, { 'v.txt': 'one' });
  const next = join(outside, 'next');
  write(next, { 'index.html': 'shell 2', 'v.txt': 'two' });
  const swapper = new Worker(
    `const { renameSync } = require('node:fs');
    const { folder, next } = require('node:worker_threads').workerData;
    const wakes = new Int32Array(new SharedArrayBuffer(4));
    for (;;) {
      Atomics.wait(wakes, 0, 0, 0.2);
      renameSync(folder, folder + '.old');
      renameSync(next, folder);
      renameSync(folder + '.old', next);
    }`,
    { eval: true, workerData: { folder, next } },
  );
  await once(swapper, 'online');
  const seen = new Set<string>();
  for (const end = performance.now() + 1_000; performance.now() < end; pass(1_000)) seen.add(get(root, '/v.txt'));
  await swapper.terminate();
  t.strictSame([...seen].sort(), ['one', 'two']);
});

t.test('a release behind a symlink', async (t) => {
  const outside = makeFolder(t, 'lookup');
  write(outside, { 'r1/index.html': 'one', 'r2/index.html': 'two', 'secret.txt': SECRET });
  const current = join(outside, 'current');
  symlinkSync('r1', current);
  let time = 0;
  const root = new Root(current, ENDINGS, { now: () => time, wallNow: Date.now });
  t.teardown(() => root.close());
  t.equal(get(root, '/'), 'one');
  symlinkSync('r2', join(outside, 'current.new'));
  renameSync(join(outside, 'current.new'), current);
  time += 1_000;
  t.equal(get(root, '/'), 'two');
});

t.test('no path escapes: what is served is a file of the root, whatever is asked', async (t) => {
  const files = { 'a/b.txt': 'b', 'a/b.txt.gz': 'bgz', 'x y.txt': 'xy', '%2e%2e/secret.txt': 'inside', '.env': SECRET };
  const { root, folder } = makeRoot(t, files);
  symlinkSync('..', join(folder, 'up'));
  symlinkSync('../secret.txt', join(folder, 'a', 'out.txt'));
  const allowed = new Set(['shell', 'b', 'bgz', 'xy', 'inside', 'nothing', 'hidden', 'folder']);
  const piece = fc.constantFrom(
    ...[
      '/',
      '//',
      '\\',
      '.',
      '..',
      '%2e',
      '%2E',
      '%2f',
      '%2F',
      '%5c',
      '%252e',
      '%252f',
      '%25',
      '%',
      '%00',
      '\x00',
      '%c0%af',
    ],
    ...[
      '%c0%ae',
      '%ef%bc%8f',
      '\xc0\xae',
      ';',
      '?',
      '#',
      'a',
      'b.txt',
      'up',
      'out.txt',
      'secret.txt',
      'root',
      '.env',
      '..;',
      ' ',
    ],
    ...[
      '/../',
      '/a/../',
      '/up/',
      '.well-known',
      '/proc/self/root',
      'index.html',
      '%20',
      '~',
      'x y.txt',
      '\r\n',
      'file:',
      'C:',
    ],
  );
  const path = fc.array(piece, { maxLength: 9 }).map((pieces) => `/${pieces.join('')}`);
  fc.assert(
    fc.property(path, (asked) => allowed.has(get(root, asked))),
    { seed: SEED, numRuns: 20_000 },
  );
  fc.assert(
    fc.property(path, (asked) => {
      const wanted = readPath(asked);
      if (wanted === undefined || wanted === 'hidden') return true;
      return wanted.names.every((name) => !/[/\\\x00]/.test(name) && (name === '.well-known' || !name.startsWith('.')));
    }),
    { seed: SEED, numRuns: 20_000 },
  );
});
