// Workers: the death of one costs its own connections only, and none outlives its supervisor.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import t from 'tap';
import { childrenOf } from '../support/children.ts';
import { httpsGet } from '../support/https-get.ts';
import { LAUNCHER, startPortico } from '../support/portico.ts';
import { waitFor } from '../support/ports.ts';

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}

const skip = process.platform === 'linux' ? false : 'needs /proc';

t.test('a worker that dies is replaced, and the others serve on', { skip }, async (t) => {
  const door = await startPortico(t, { WORKERS: '2' });
  const ca = readFileSync(`${door.cwd}/certs/local-ca.crt`, 'utf8');
  const [victim] = childrenOf(door.process.pid);
  process.kill(victim!, 'SIGKILL');
  await waitFor(
    () => door.logs().some((line) => String(line.msg).startsWith('a worker ended')),
    5_000,
    'the log to tell it',
  );
  t.equal((await httpsGet(door.httpsPort, 'toucan.localhost', '/', ca)).status, 200, 'the other one answers');
  const verbose = async () => (await fetch(`http://127.0.0.1:${door.adminPort}/readyz?verbose`)).text();
  await waitFor(async () => (await verbose()).includes('2 of 2 workers serve'), 10_000, 'a new worker');
  t.equal((await httpsGet(door.httpsPort, 'toucan.localhost', '/', ca)).status, 200);
  t.same(await door.stop(), { code: 0, signal: null });
});

t.test('a supervisor that is killed leaves no worker behind', { skip }, async (t) => {
  const door = await startPortico(t, { WORKERS: '2' });
  const workers = childrenOf(door.process.pid);
  t.equal(workers.length, 2);
  process.kill(door.process.pid, 'SIGKILL');
  await waitFor(() => workers.every((pid) => !isAlive(pid)), 5_000, 'the workers to end');
  t.pass('they ended');
});

t.test('a worker whose supervisor is gone while it starts ends without a word', async (t) => {
  // Its order still waits to be read when there is nobody to answer to any more.
  const supervisor = `
    import { spawn } from 'node:child_process';
    const stdio = ['ignore', 'ignore', 'inherit', 'ipc'];
    const worker = spawn(process.execPath, [process.argv[1], 'worker', '0'], { stdio, serialization: 'advanced' });
    worker.send({ kind: 'prepare', snapshot: { generation: 1 } }, () => process.exit());`;
  const args = ['--input-type=module', '-e', supervisor, LAUNCHER];
  // It returns when the worker, too, has let go of stderr.
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 20_000 });
  t.equal(status, 0);
  t.equal(stderr, '');
});
