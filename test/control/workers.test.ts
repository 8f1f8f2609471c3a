// Workers: one that hangs is replaced while another one answers, one that cannot be started is tried again, and none takes what none has tried.

import { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { compile } from '../../src/control/compile.ts';
import { readEnvironment } from '../../src/control/environment.ts';
import { Workers } from '../../src/control/workers.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { childrenOf } from '../support/children.ts';
import { freePort, waitFor } from '../support/ports.ts';
import { answersOnPort } from '../support/process.ts';

const skip = process.platform === 'linux' ? false : 'there is one worker only, and no /proc';
/** In ms; less than the reports of a busy machine are late. */
const HUNG_AFTER = 6_000;
/** In ms; more than the start of a process takes on a busy machine. */
const ANSWER_TIMEOUT = 5_000;

async function startTwo(t: Test, hungAfter = HUNG_AFTER, answerTimeout?: number) {
  const logged: Record<string, unknown>[] = [];
  const log = createLog('info', { put: (line) => logged.push(JSON.parse(line)), flush: () => Promise.resolve() });
  const configuration = readEnvironment({
    ...{ FRONTEND_DNS: 'a.test', FRONTEND_SERVICE: '127.0.0.1:9', BACKEND_SERVICE: '127.0.0.1:9' },
    ...{ SSL_CRT: 'none', SSL_KEY: 'none', LOG_LEVEL: 'silent', LISTEN_HOST: '127.0.0.1' },
    ...{ HTTP_PORT: String(await freePort()), HTTPS_PORT: String(await freePort()) },
  });
  // Without the listener that would need a certificate.
  const plain = { ...configuration, listeners: configuration.listeners.filter(({ kind }) => kind !== 'tls') };
  const { port } = plain.listeners[0]!;
  const snapshot = (generation: number, address = '127.0.0.1') => {
    const listeners = plain.listeners.map((each) => ({ ...each, address }));
    const parts = { generation, certificates: [], authorities: new Map(), ticketKeys: new Uint8Array(48) };
    return compile({ ...plain, listeners }, parts);
  };
  const others = childrenOf(process.pid);
  const workers = new Workers(2, log, hungAfter, answerTimeout);
  await workers.start(snapshot(1));
  t.teardown(() => workers.kill());
  const ours = () => childrenOf(process.pid).filter((pid) => !others.includes(pid));
  return { workers, snapshot, port, logged, ours };
}

async function killAll({ workers, ours }: Awaited<ReturnType<typeof startTwo>>): Promise<void> {
  for (const pid of ours()) process.kill(pid, 'SIGKILL');
  await waitFor(() => workers.serving === 0, 5_000, 'their ends');
}

/** The method of Node that starts a process; `fail` is what happens in its place until the end of the test, or until it is undone. */
function breakSpawn(t: Test, fail: (spawn: () => unknown, options: { file: string }) => unknown): () => void {
  const prototype = ChildProcess.prototype as unknown as { spawn(options: { file: string }): unknown };
  const { spawn } = prototype;
  prototype.spawn = function (options) {
    return fail(() => spawn.call(this, options), options);
  };
  const undo = () => {
    prototype.spawn = spawn;
  };
  t.teardown(undo);
  return undo;
}

t.test('a worker that hangs is ended and replaced, the other one serves on', { skip }, async (t) => {
  const { workers, logged, ours } = await startTwo(t);
  const [hung, well] = ours() as [number, number];
  process.kill(hung, 'SIGSTOP');
  t.equal(workers.serving, 2, 'a process that hangs is a process all the same');
  await waitFor(() => ours().length === 2 && !ours().includes(hung) && workers.serving === 2, 40_000, 'a new worker');
  t.ok(ours().includes(well));
  t.match(
    logged.map(({ msg }) => msg),
    ['a worker hangs: it is ended', /^a worker ended; the others serve on/],
  );
});

for (const [how, fail] of [
  [
    'is told',
    (spawn, options) => {
      options.file = '/nowhere';
      return spawn();
    },
  ],
  [
    'is thrown',
    () => {
      throw new Error('spawn ENOMEM');
    },
  ],
] as const satisfies [string, Parameters<typeof breakSpawn>[1]][]) {
  t.test(`a worker whose process cannot be made is tried again: it ${how}`, { skip }, async (t) => {
    const { workers, logged, ours } = await startTwo(t);
    const failures = () => logged.filter(({ how }) => /^spawn .*ENO/.test(String(how)));
    const undo = breakSpawn(t, fail);
    process.kill(ours()[0]!, 'SIGKILL');
    await waitFor(() => failures().length > 1, 10_000, 'the second one that cannot be started');
    t.equal(workers.serving, 1);
    undo();
    await waitFor(() => workers.serving === 2, 20_000, 'a new worker');
    t.equal(await workers.drain(5_000, false), 0, 'none is waited for in vain');
    t.strictSame(ours(), []);
  });

  t.test(`the first ones cannot be started: it ${how}`, { skip }, async (t) => {
    breakSpawn(t, fail);
    await t.rejects(startTwo(t), { message: /spawn .*ENO/ });
  });
}

t.test('a worker that answers late answers for nothing but what it was asked', { skip }, async (t) => {
  const { workers, snapshot, port, ours } = await startTwo(t, 60_000, ANSWER_TIMEOUT);
  const before = ours();
  process.kill(before[1]!, 'SIGSTOP');
  await t.rejects(workers.replace(snapshot(2, '127.0.0.2')), { message: 'a worker did not answer in time' });
  const next = workers.replace(snapshot(3, '127.0.0.3'));
  process.kill(before[1]!, 'SIGCONT');
  await next;
  t.ok(await answersOnPort(port, '127.0.0.3'));
  t.notOk(await answersOnPort(port, '127.0.0.2'), 'what was abandoned is not held');
  t.equal(workers.serving, 2);
  t.strictSame(ours(), before, 'none had to be ended');
});

t.test('a worker that ends between its yes and the swap holds up nobody', { skip }, async (t) => {
  const { workers, snapshot, port, ours } = await startTwo(t, 60_000);
  const [killed, late] = ours() as [number, number];
  process.kill(late, 'SIGSTOP');
  const replaced = workers.replace(snapshot(2, '127.0.0.2'));
  await waitFor(() => answersOnPort(port, '127.0.0.2'), 5_000, 'what the first one has bound');
  await sleep(500);
  process.kill(killed, 'SIGKILL');
  await waitFor(() => workers.serving === 1, 5_000, 'its end');
  process.kill(late, 'SIGCONT');
  const since = performance.now();
  await replaced;
  await waitFor(() => workers.serving === 2, 10_000, 'another one in its place');
  t.ok(performance.now() - since < 10_000);
});

t.test('while none serves, a new snapshot waits for one that tries it', { skip }, async (t) => {
  const started = await startTwo(t);
  const { workers, snapshot } = started;
  await killAll(started);
  await t.rejects(workers.replace(snapshot(2, '192.0.2.1')), { message: /EADDRNOTAVAIL/ });
  await waitFor(() => workers.serving === 2, 20_000, 'both, by the snapshot before');
  await killAll(started);
  await workers.replace(snapshot(3));
  t.ok(workers.serving > 0);
});

t.test('a new snapshot that none will try is refused', { skip }, async (t) => {
  const { workers, snapshot } = await startTwo(t);
  workers.kill();
  await waitFor(() => workers.serving === 0, 5_000, 'their ends');
  await t.rejects(workers.replace(snapshot(2)), { message: /^no worker serves that could try it/ });
});
