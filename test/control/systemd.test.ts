// Whether systemd is told anything, and what happens when it cannot be.

import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Systemd } from '../../src/control/systemd.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { makeFolder } from '../support/folder.ts';
import { waitFor } from '../support/ports.ts';

/** A systemd-notify that only writes down what it was called with, and under which variables. */
function setUp(t: Test, script?: string) {
  const folder = makeFolder(t);
  const file = join(folder, 'said');
  writeFileSync(file, '');
  if (script !== undefined) {
    const program = join(folder, 'systemd-notify');
    writeFileSync(program, `#!/bin/sh\n${script.replaceAll('FILE', file)}\n`);
    chmodSync(program, 0o755);
  }
  const logged: Record<string, unknown>[] = [];
  const log = createLog('info', { put: (line) => logged.push(JSON.parse(line)), flush: () => Promise.resolve() });
  const said = () => readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return { folder, log, logged, said };
}

t.test('without NOTIFY_SOCKET nothing is said', async (t) => {
  const { folder, log, logged, said } = setUp(t, 'echo "$@" >> FILE');
  const silent = new Systemd({ PATH: folder }, log);
  silent.ready('serving');
  const speaking = new Systemd({ PATH: folder, NOTIFY_SOCKET: '/run/none' }, log);
  speaking.ready('two\nlines');
  await waitFor(() => said().length > 0, 5_000, 'the other one to be heard');
  t.strictSame(said(), ['READY=1 STATUS=two lines']);
  t.strictSame(logged, []);
});

t.test('one message waits for the one before, and sees no other variable of ours', async (t) => {
  // What is quick would overtake what is slow.
  const slow = 'case $1 in READY*) /bin/sleep 0.1;; esac';
  const { folder, log, said } = setUp(t, `${slow}; echo "$1 $SECRET$NOTIFY_SOCKET" >> FILE`);
  const systemd = new Systemd({ PATH: folder, NOTIFY_SOCKET: '@name', SECRET: 'x' }, log);
  systemd.ready('serving');
  systemd.reloading();
  systemd.ready('serving');
  systemd.stopping(5_000);
  await waitFor(() => said().length === 4, 5_000, 'all of them');
  t.strictSame(said(), ['READY=1 @name', 'RELOADING=1 @name', 'READY=1 @name', 'STOPPING=1 @name']);
});

t.test('a systemd that cannot be told is a warning, once', async (t) => {
  const { folder, log, logged, said } = setUp(t, 'echo "$1" >> FILE; echo "Failed to notify" >&2; exit 1');
  const systemd = new Systemd({ PATH: folder, NOTIFY_SOCKET: '/run/none' }, log);
  systemd.ready('serving');
  systemd.reloading();
  systemd.ready('serving');
  await waitFor(() => said().length === 3, 5_000, 'all attempts');
  t.equal(logged.length, 1);
  t.match(logged[0], { level: 'warn', msg: 'systemd-notify failed', error: 'Failed to notify' });
});

t.test('a system without systemd-notify is a warning too', async (t) => {
  const { folder, log, logged } = setUp(t);
  new Systemd({ PATH: folder, NOTIFY_SOCKET: '/run/none' }, log).ready('serving');
  await waitFor(() => logged.length > 0, 5_000, 'the warning');
  t.match(logged[0], { level: 'warn', error: 'ENOENT' });
});

t.test('it tells whether it is alive only when systemd waits for it', async (t) => {
  const { folder, log } = setUp(t, 'exit 0');
  const count = (variables: Record<string, string>) => {
    const seen = { asked: 0, within: 0 };
    new Systemd({ PATH: folder, NOTIFY_SOCKET: '/run/none', ...variables }, log).watch((within) => {
      seen.asked++;
      seen.within = within;
      return false;
    });
    return seen;
  };
  const silent = [count({}), count({ WATCHDOG_USEC: '3s' }), count({ WATCHDOG_USEC: '30000', WATCHDOG_PID: '1' })];
  const asked = [count({ WATCHDOG_USEC: '30000' }), count({ WATCHDOG_USEC: '30000', WATCHDOG_PID: `${process.pid}` })];
  await waitFor(() => asked.every((seen) => seen.asked > 1), 5_000, 'both to be asked');
  t.strictSame([...new Set(asked.map(({ within }) => within))], [10], 'for a third of the time');
  t.strictSame(new Set(silent.map((seen) => seen.asked)), new Set([0]), 'the others never are');
});
