// The log: whole lines in order, a bounded memory when nobody reads, what was lost counted, and an end that never waits long.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs, { closeSync, constants, openSync, readFileSync, readSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { createLog, descriptorSink, lostLines, type Sink } from '../../src/telemetry/log.ts';
import { makeFolder } from '../support/folder.ts';
import { needParts, partPath } from '../support/parts.ts';
import { waitFor } from '../support/ports.ts';

/** A sink that keeps its lines. */
function memorySink(): Sink & { lines: string[] } {
  const lines: string[] = [];
  return { lines, put: (line) => lines.push(line), flush: () => Promise.resolve() };
}

/** A named pipe with both ends open: whoever writes to it is stopped when it is full. */
function makePipe(t: Test): { readEnd: number; writeEnd: number; path: string } {
  const path = join(makeFolder(t, 'pipe'), 'pipe');
  execFileSync('mkfifo', [path]);
  const readEnd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writeEnd = openSync(path, 'w');
  t.teardown(() => {
    closeSync(readEnd);
    closeSync(writeEnd);
  });
  return { readEnd, writeEnd, path };
}

const descriptorOf = (socket: Socket) => (socket as unknown as { _handle: { fd: number } })._handle.fd;

/** All that is in the pipe now. */
function drain(readEnd: number): string {
  const buffer = Buffer.alloc(65_536);
  let text = '';
  for (;;) {
    try {
      const length = readSync(readEnd, buffer);
      if (length === 0) return text;
      text += buffer.toString('utf8', 0, length);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return text;
      throw error;
    }
  }
}

/** A stream socket, as systemd gives services one for their log: what is written to `near` arrives at `far`. */
async function makeSocket(t: Test): Promise<{ near: Socket; far: Socket }> {
  const path = join(makeFolder(t, 'socket'), 'socket');
  const server = createServer();
  server.listen(path);
  await once(server, 'listening');
  const near = connect(path);
  const [far] = (await once(server, 'connection')) as [Socket];
  t.teardown(() => {
    near.destroy();
    far.destroy();
    server.close();
  });
  return { near, far };
}

t.test('lines of the level and above are written', async (t) => {
  const sink = memorySink();
  const log = createLog('warn', sink);
  log.debug('a');
  log.info('b');
  log.warn('c', { number: 1, yes: true, missing: undefined, text: 'two\nlines \u2028\x85' });
  log.error('d');
  log.line('{"msg":"access"}');
  t.equal(sink.lines.length, 3);
  t.match(sink.lines[0], /^[\x20-\x7e]+$/, 'in printable ASCII');
  const { time, ...rest } = JSON.parse(sink.lines[0]!);
  t.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  t.strictSame(rest, { level: 'warn', msg: 'c', number: 1, yes: true, text: 'two\nlines \u2028\x85' });
  t.match(JSON.parse(sink.lines[1]!), { level: 'error', msg: 'd' });
});

t.test('silent writes nothing, debug all', async (t) => {
  for (const [level, count] of [
    ['silent', 0],
    ['error', 2],
    ['info', 4],
    ['debug', 5],
  ] as const) {
    const sink = memorySink();
    const log = createLog(level, sink);
    for (const name of ['debug', 'info', 'warn', 'error'] as const) log[name]('x');
    log.line('{}');
    t.equal(sink.lines.length, count, level);
  }
});

t.test('a file gets every line, whole and in order', async (t) => {
  const file = join(makeFolder(t, 'log'), 'log');
  const descriptor = openSync(file, 'a');
  t.teardown(() => closeSync(descriptor));
  const sink = descriptorSink(descriptor);
  const lines = Array.from({ length: 3_000 }, (_, i) => JSON.stringify({ i, text: '\xe9\u20ac'.repeat(i % 50) }));
  // One that is longer than what is written at a time.
  lines.splice(1_500, 0, JSON.stringify({ long: 'x'.repeat(100_000) }));
  for (const line of lines) sink.put(line);
  await sink.flush();
  t.equal(readFileSync(file, 'utf8'), `${lines.join('\n')}\n`);
  await sink.flush();
  sink.put('{"last":true}');
  await sink.flush();
  t.ok(readFileSync(file, 'utf8').endsWith('\n{"last":true}\n'), 'and it goes on after a pause');
});

t.test('what a full disk refuses is written when there is room again', async (t) => {
  const path = join(makeFolder(t, 'full'), 'log');
  const file = openSync(path, 'a');
  t.teardown(() => closeSync(file));
  const { writev } = fs;
  let refusals = 0;
  const refuse = (_descriptor: number, _pieces: readonly Buffer[], done: (error: Error) => void) => {
    refusals++;
    setImmediate(done, Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }));
  };
  fs.writev = refuse as unknown as typeof writev;
  syncBuiltinESMExports();
  const giveRoom = () => {
    fs.writev = writev;
    syncBuiltinESMExports();
  };
  t.teardown(giveRoom);
  const sink = descriptorSink(file);
  sink.put('{"i":0}');
  await waitFor(() => refusals > 2, 5_000);
  sink.put('{"i":1}');
  giveRoom();
  await sink.flush();
  t.equal(readFileSync(path, 'utf8'), '{"i":0}\n{"i":1}\n');
});

const SEVERAL = ['a', 'b', 'c'];

/** Processes that each write a thousand lines to what `out` gives; their exit codes. */
function writeSideBySide(out: () => number | Socket): Promise<(number | null)[]> {
  const program = `
    const { descriptorSink } = await import(process.argv[1]);
    const sink = descriptorSink(1);
    for (let i = 0; i < 1000; i++) sink.put(JSON.stringify({ from: process.argv[2], i, text: '\\u00e9'.repeat((i * 37) % 1500) }));
    await sink.flush();`;
  const module = new URL('../../src/telemetry/log.ts', import.meta.url).href;
  const writers = SEVERAL.map((name) => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, module, name], {
      stdio: ['ignore', out(), 'inherit'],
    });
    return new Promise<number | null>((ended) => child.once('exit', ended));
  });
  return Promise.all(writers);
}

/** Of each process every line, whole and in order. */
function checkLines(t: Test, text: string): void {
  const next = Object.fromEntries(SEVERAL.map((name) => [name, 0]));
  const broken = text
    .split('\n')
    .slice(0, -1)
    .filter((line) => {
      try {
        const { from, i } = JSON.parse(line);
        return next[from]!++ !== i;
      } catch {
        return true;
      }
    });
  t.strictSame(broken, []);
  t.strictSame(Object.values(next), [1_000, 1_000, 1_000]);
}

t.test('several processes on one pipe do not mix their lines', async (t) => {
  const { readEnd, path } = makePipe(t);
  const opened: number[] = [];
  const codes = writeSideBySide(() => opened[opened.push(openSync(path, 'w')) - 1]!);
  for (const each of opened) closeSync(each);
  let text = '';
  const ended = codes.then(() => true);
  while (!(await Promise.race([ended, sleep(1)]))) text += drain(readEnd);
  text += drain(readEnd);
  t.strictSame(await codes, [0, 0, 0]);
  checkLines(t, text);
});

t.test('several processes on one socket do not mix their lines', async (t) => {
  const { near, far } = await makeSocket(t);
  const codes = writeSideBySide(() => near);
  near.destroy();
  let text = '';
  // Slow at first, so that writers meet a full one.
  await sleep(200);
  for await (const bytes of far) text += bytes.toString('utf8');
  t.strictSame(await codes, [0, 0, 0]);
  checkLines(t, text);
});

t.test('a reader that keeps up loses nothing, however long the turns of the writer are', async (t) => {
  const { readEnd, writeEnd } = makePipe(t);
  const path = join(makeFolder(t, 'log'), 'log');
  const file = openSync(path, 'a');
  t.teardown(() => closeSync(file));
  const { near, far } = await makeSocket(t);
  const sinks = [writeEnd, file, descriptorOf(near)].map(descriptorSink);
  let heard = '';
  far.on('data', (bytes: Buffer) => {
    heard += bytes.toString('latin1');
  });
  const line = (i: number) => JSON.stringify({ i, text: 'x'.repeat(980) });
  let text = '';
  let total = 0;
  for (let round = 0; round < 200; round++) {
    for (let i = 0; i < 40; i++, total++) for (const sink of sinks) sink.put(line(total));
    // As when requests keep the process busy: between two looks at what else is to be done passes some time.
    for (const end = performance.now() + 2; performance.now() < end; );
    await new Promise((next) => setImmediate(next));
    text += drain(readEnd);
  }
  const flushed = Promise.all(sinks.map((sink) => sink.flush())).then(() => true);
  while (!(await Promise.race([flushed, sleep(1)]))) text += drain(readEnd);
  text += drain(readEnd);
  const expected = Array.from({ length: total }, (_, i) => `${line(i)}\n`).join('');
  t.ok(text === expected, `through a pipe: ${text.split('\n').length - 1} of ${total} lines`);
  await waitFor(() => heard.length >= expected.length, 5_000).catch(() => {});
  t.ok(heard === expected, `through a socket: ${heard.split('\n').length - 1} of ${total} lines`);
  const written = readFileSync(path, 'utf8');
  t.ok(written === expected, `to a file: ${written.split('\n').length - 1} of ${total} lines`);
});

t.test('a reader that stands still: nothing blocks, memory is bounded, what is lost is counted', async (t) => {
  const { readEnd, writeEnd } = makePipe(t);
  const sink = descriptorSink(writeEnd);
  const line = (i: number) => JSON.stringify({ i, text: 'x'.repeat(980) });
  const total = 20_000;
  const started = performance.now();
  for (let i = 0; i < total; i++) {
    sink.put(line(i));
    if (i % 1_000 === 0) await sleep(1);
  }
  t.ok(performance.now() - started < 10_000, 'about 20 MB were put without waiting');
  const flushed = performance.now();
  await sink.flush();
  t.ok(performance.now() - flushed < 10_000, 'flush gives up');

  let text = '';
  for (const end = performance.now() + 20_000; !text.includes('log lines lost') && performance.now() < end; ) {
    text += drain(readEnd);
    await sleep(2);
  }
  await sink.flush();
  text += drain(readEnd);
  const lines = text
    .split('\n')
    .slice(0, -1)
    .map((each) => JSON.parse(each));
  const kept = lines.filter((each) => 'i' in each);
  const lost = lines.filter((each) => 'lost' in each).reduce((sum, each) => sum + each.lost, 0);
  t.ok(kept.length < 6_000, `${kept.length} lines of 1 kB were held`);
  t.ok(kept.length > 3_000, 'but not few');
  t.equal(kept.length + lost, total, 'what was kept and what was counted is all there was');
  t.match(lostLines(sink), { name: 'portico_log_lines_lost_total', type: 'counter', values: [{ value: lost }] });
  t.ok(
    kept.every((each, at) => at === 0 || each.i > kept[at - 1].i),
    'in order',
  );
});

t.test('a reader that stands still does not keep a process from ending', async (t) => {
  const program = `
    const { createLog, descriptorSink } = await import(process.argv[1]);
    const log = createLog('info', descriptorSink(1));
    for (let i = 0; i < 500; i++) log.info('x'.repeat(1000));
    if (process.argv[2] === 'exit') setTimeout(() => process.exit(0), 100);
    else await log.flush();`;
  const module = new URL('../../src/telemetry/log.ts', import.meta.url).href;
  const { writeEnd } = makePipe(t);
  for (const way of ['exit', 'flush']) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, module, way], {
      stdio: ['ignore', writeEnd, 'inherit'],
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
    const code = await new Promise<number | null>((ended) => child.once('exit', ended));
    clearTimeout(timer);
    t.equal(code, 0, way);
  }
});

t.test('a terminal that stands still does not keep a process from ending either', async (t) => {
  if (!needParts(t, ['python3'])) return;
  // What is written to a terminal that nobody reads stays there, as after Ctrl-S.
  const run =
    'import pty, subprocess, sys; sys.exit(subprocess.run(sys.argv[1:], stdout=pty.openpty()[1], timeout=15).returncode)';
  const program = `
    const { createLog, descriptorSink } = await import(process.argv[1]);
    const log = createLog('info', descriptorSink(1));
    for (let i = 0; i < 500; i++) log.info('x'.repeat(1000));
    await log.flush();`;
  const module = new URL('../../src/telemetry/log.ts', import.meta.url).href;
  const args = ['-c', run, process.execPath, '--input-type=module', '-e', program, module];
  const { status, stderr } = spawnSync(partPath('python3'), args, { encoding: 'utf8' });
  t.strictSame([status, stderr], [0, '']);
});

t.test('a reader that has gone costs nothing', async (t) => {
  const path = join(makeFolder(t, 'pipe'), 'pipe');
  execFileSync('mkfifo', [path]);
  const readEnd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writeEnd = openSync(path, 'w');
  t.teardown(() => closeSync(writeEnd));
  const sink = descriptorSink(writeEnd);
  closeSync(readEnd);
  for (let i = 0; i < 100; i++) sink.put('{}');
  await sink.flush();
  t.equal(sink.lost, 100, 'but what it did not get is counted');
});
