// Signals while it starts: a stop ends it in order, a reload waits until it serves, and none opens a debugger.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { childrenOf } from '../support/children.ts';
import { makeFolder } from '../support/folder.ts';
import { LAUNCHER, readLog, startPortico } from '../support/portico.ts';
import { freePort, waitFor } from '../support/ports.ts';
import { answersOnUrl, type Running, startProcess } from '../support/process.ts';

const skip = process.platform === 'linux' ? false : 'needs /proc';
const SIGHUP = 1n;

async function begin(t: Test, before: readonly string[] = []) {
  const cwd = makeFolder(t, 'door');
  const adminPort = await freePort();
  const env = {
    ...{ HTTP_PORT: String(await freePort()), HTTPS_PORT: String(await freePort()), ADMIN_PORT: String(adminPort) },
    ...{ LISTEN_HOST: '127.0.0.1', WORKERS: '2', PORTICO_SOCKET: join(cwd, 'control.sock') },
  };
  const [command, ...args] = [...before, process.execPath, LAUNCHER, 'run'] as unknown as [string, ...string[]];
  const running = await startProcess(t, { command, args, cwd, env });
  return {
    running,
    /** How often. */
    said: (text: string) => readLog(running.stdout()).filter(({ msg }) => msg === text).length,
    isReady: () => answersOnUrl(`http://127.0.0.1:${adminPort}/readyz`),
  };
}

/** Its own code runs: Node itself does not catch this one. */
function heeds(pid: number): boolean {
  const caught = /^SigCgt:\s*(\w+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? '0';
  return (BigInt(`0x${caught}`) & SIGHUP) !== 0n;
}

const moments = {
  'its code has just begun': ({ pid }: { readonly pid: number }) => heeds(pid),
  'its workers start': ({ pid }: { readonly pid: number }) => childrenOf(pid).length === 2,
};

for (const [moment, isThere] of Object.entries(moments)) {
  t.test(`a stop when ${moment}: nothing is left behind; exit 0`, { skip }, async (t) => {
    const { running, said } = await begin(t);
    await waitFor(() => isThere(running), 10_000, moment);
    const workers = childrenOf(running.pid);
    t.same(await running.stop(), { code: 0, signal: null });
    t.equal(said('stopped before it served'), 1);
    t.equal(said('ready'), 0);
    t.equal(running.stderr(), '');
    for (const pid of workers) t.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
  });

  t.test(`reloads when ${moment}: done once it serves`, { skip }, async (t) => {
    const { running, said, isReady } = await begin(t);
    await waitFor(() => isThere(running), 10_000, moment);
    running.signal('SIGHUP');
    running.signal('SIGUSR1');
    await waitFor(isReady, 20_000, 'the door to open');
    await waitFor(() => said('reloaded') === 2, 10_000, 'the reloads');
    t.same(await running.stop(), { code: 0, signal: null });
    t.equal(running.stderr(), '', 'no debugger');
  });
}

t.test('of two that start at one moment one serves, and the other one says why not', { skip }, async (t) => {
  const folder = makeFolder(t, 'two');
  const adminPort = String(await freePort());
  const env = {
    ...{ HTTP_PORT: String(await freePort()), HTTPS_PORT: String(await freePort()), ADMIN_PORT: adminPort },
    ...{ LISTEN_HOST: '127.0.0.1', WORKERS: '1', TMPDIR: folder },
  };
  const begun = () => startProcess(t, { command: process.execPath, args: [LAUNCHER, 'run'], cwd: folder, env });
  const both = await Promise.all([begun(), begun()]);
  const isReady = ({ stdout }: Running) => readLog(stdout()).some(({ msg }) => msg === 'ready');
  await waitFor(() => both.every((each) => each.hasExited() || isReady(each)), 20_000, 'the outcome of both');
  const failed = both.filter((each) => each.hasExited());
  t.equal(failed.length, 1, 'they do not share the ports');
  t.same(await failed[0]?.exited, { code: 1, signal: null });
  t.match(failed[0]?.stderr(), /another instance answers at .*--takeover|is taken by another process/);
  t.ok(await answersOnUrl(`http://127.0.0.1:${adminPort}/readyz`));
});

t.test('as the first process of a container', { skip }, async (t) => {
  const unshare = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'];
  if (spawnSync(unshare[0]!, [...unshare.slice(1), 'true']).status !== 0) return t.pass('only root may try this');
  const { running, said } = await begin(t, unshare);
  const door = () => childrenOf(running.pid)[0];
  await waitFor(() => door() !== undefined && heeds(door()!), 10_000, 'its code to run');
  process.kill(door()!, 'SIGTERM');
  t.same(await running.exited, { code: 0, signal: null });
  t.equal(said('stopped before it served'), 1);
});

t.test('SIGUSR1 does not open a debugger in a worker', { skip }, async (t) => {
  const door = await startPortico(t, {});
  const [worker] = childrenOf(door.process.pid);
  process.kill(worker!, 'SIGUSR1');
  t.same(await door.stop(), { code: 0, signal: null });
  t.equal(door.process.stderr(), '');
});
