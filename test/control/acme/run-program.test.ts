// Programs that change DNS: what they are given, and that whatever they do is bounded and told in a sentence.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { LONGEST_RUN, runProgram } from '../../../src/control/acme/run-program.ts';
import { TestClock } from '../../support/acme-source.ts';
import { makeFolder } from '../../support/folder.ts';
import { waitFor } from '../../support/ports.ts';

const NEVER = new AbortController().signal;

const run = (script: string, clock = new TestClock(), signal = NEVER) =>
  runProgram({ title: 'the hook', command: '/bin/sh', args: ['-c', script], input: 'said to it' }, clock, signal);

const failure = (script: string, clock?: TestClock, signal?: AbortSignal) =>
  run(script, clock, signal).then(
    () => 'it did not fail',
    (error: Error) => error.message,
  );

function isThere(pid: number): boolean {
  try {
    // A zombie that nobody has collected yet is gone for all that matters.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}

/** A script that writes its number and that of a child, and waits. */
const WAITING = (folder: string) => `sleep 300 & echo $! > ${folder}/child; echo $$ > ${folder}/own; wait`;

async function numbersIn(folder: string): Promise<number[]> {
  const files = ['child', 'own'].map((each) => join(folder, each));
  await waitFor(() => files.every((file) => existsSync(file) && readFileSync(file).length > 0), 5_000, 'its start');
  return files.map((file) => Number(readFileSync(file, 'latin1')));
}

async function goneWithin(t: Test, pids: readonly number[]): Promise<void> {
  await waitFor(() => !pids.some(isThere), 5_000, 'them to be gone');
  t.notOk(pids.some(isThere));
}

t.test('it gets its input, no shell in between, and none of our variables', async (t) => {
  process.env.PORTICO_TEST_SECRET = 'hidden';
  t.teardown(() => delete process.env.PORTICO_TEST_SECRET);
  const out = join(makeFolder(t), 'out');
  await run(`cat > ${out}; env >> ${out}; pwd >> ${out}`);
  const text = readFileSync(out, 'utf8');
  t.match(text, /^said to it/);
  t.match(text, /^PATH=/m);
  t.match(text, /^\/$/m);
  t.notMatch(text, /hidden/);
  const args = ['-c', `printf %s "$1" > ${out}`, 'sh', '; exit 1 `id` $(id)'];
  await runProgram({ title: 'x', command: '/bin/sh', args }, new TestClock(), NEVER);
  t.equal(readFileSync(out, 'utf8'), args[3]);
});

t.test('how it failed, with its last words', async (t) => {
  t.equal(
    await failure('echo first >&2; echo no such zone >&2; echo >&2; exit 3'),
    'the hook ended with status 3: no such zone',
  );
  t.equal(await failure('echo on stdout; exit 1'), 'the hook ended with status 1: on stdout');
  t.equal(await failure('exit 4'), 'the hook ended with status 4');
  t.equal(await failure('kill -9 $$'), 'the hook was ended by SIGKILL');
  const missing = runProgram({ title: 'the hook', command: '/nowhere', args: [] }, new TestClock(), NEVER);
  await t.rejects(missing, { message: 'the hook cannot be run (ENOENT)' });
});

t.test('its words are plain, short, and no secret', async (t) => {
  t.equal(await failure(`printf 'a\\033[31mb' >&2; exit 1`), 'the hook ended with status 1: a [31mb');
  t.equal(await failure('echo token=abcdef >&2; exit 1'), 'the hook ended with status 1: ***');
  const message = await failure('head -c 3000000 /dev/zero | tr "\\0" "a "; exit 1');
  t.ok(message.length < 300, `${message.length} characters`);
});

t.test('one that hangs is ended, and what it has started too', async (t) => {
  const clock = new TestClock();
  const folder = makeFolder(t);
  const failed = failure(WAITING(folder), clock);
  const pids = await numbersIn(folder);
  clock.advance(LONGEST_RUN + 1);
  t.equal(await failed, 'the hook did not end within 2 minutes, and was ended');
  await goneWithin(t, pids);
});

t.test('a stop ends it, and none is started after one', async (t) => {
  const stopping = new AbortController();
  const folder = makeFolder(t);
  const failed = failure(WAITING(folder), new TestClock(), stopping.signal);
  const pids = await numbersIn(folder);
  stopping.abort();
  t.equal(await failed, 'the hook was ended: we stop');
  await goneWithin(t, pids);
  t.equal(await failure('exit 0', new TestClock(), stopping.signal), 'the hook was not started: we stop');
});

t.test('one that has a grace goes on for as long after a stop, and may begin then', async (t) => {
  const stopped = AbortSignal.abort();
  const out = join(makeFolder(t), 'out');
  const program = { title: 'the hook', command: '/bin/sh', grace: 60_000 };
  await runProgram({ ...program, args: ['-c', `echo done > ${out}`] }, new TestClock(), stopped);
  t.equal(readFileSync(out, 'utf8'), 'done\n');

  const stopping = new AbortController();
  const [folder, clock] = [makeFolder(t), new TestClock()];
  const waiting = runProgram({ ...program, args: ['-c', WAITING(folder)] }, clock, stopping.signal);
  const failed = t.rejects(waiting, { message: 'the hook was ended: we stop' });
  const pids = await numbersIn(folder);
  stopping.abort();
  await waitFor(() => clock.waiting() === 1, 5_000, 'the grace');
  t.ok(pids.every(isThere), 'not at once');
  clock.advance(60_000);
  await failed;
  await goneWithin(t, pids);
});

t.test('what it leaves behind holds up nobody', async (t) => {
  const folder = makeFolder(t);
  await run(`sleep 300 & echo $! > ${folder}/child; echo $$ > ${folder}/own; exit 0`);
  await goneWithin(t, await numbersIn(folder));
});
