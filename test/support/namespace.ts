// Runs a test file once more in network, mount and user namespaces of its own: there every port is free, and file systems can be mounted.

import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { makeFolder } from './folder.ts';
import { needParts, partPath } from './parts.ts';

const INSIDE = 'PORTICO_TEST_INSIDE';

/**
 * True inside. Outside the file is run inside as a child, and this is false. Where the system allows no namespaces the test
 * is skipped and says so, also where parts are required: no part that could be installed is missing then.
 */
export async function runInside(t: Test, file: string, parts: readonly string[]): Promise<boolean> {
  if (process.env[INSIDE] === '1') return true;
  if (!needParts(t, ['unshare', 'ip', 'mount', ...parts])) return false;
  const enter = ['--user', '--map-root-user', '--net', '--mount'];
  const script = `${partPath('ip')} link set lo up && exec "$@"`;
  const inside = (...command: readonly string[]) => [...enter, '/bin/sh', '-c', script, 'sh', ...command];
  const tried = spawnSync(partPath('unshare'), inside('mount', '-t', 'tmpfs', 'none', '/mnt'), { encoding: 'utf8' });
  if (tried.status !== 0) {
    t.plan(0, `this system allows no namespaces of our own (${tried.stderr.trim()})`);
    return false;
  }
  const command = inside(process.execPath, '--enable-source-maps', fileURLToPath(file));
  await t.spawn(partPath('unshare'), command, { env: { ...process.env, [INSIDE]: '1' } }, 'inside');
  return false;
}

/** From now on names are looked up at 127.0.0.1:53 by everybody inside. */
export function useLocalNames(t: Test): void {
  const file = join(makeFolder(t, 'resolv'), 'resolv.conf');
  writeFileSync(file, 'nameserver 127.0.0.1\noptions timeout:1\n');
  execFileSync(partPath('mount'), ['--bind', file, '/etc/resolv.conf']);
}

export interface Disk {
  readonly folder: string;
  setReadOnly(isReadOnly: boolean): void;
  /** Leaves nothing free. */
  fill(): void;
  empty(): void;
}

/** A small file system of its own, as long as the test runs. */
export function mountDisk(t: Test, size = '256k'): Disk {
  const folder = makeFolder(t, 'disk');
  const ballast = join(folder, 'ballast');
  execFileSync(partPath('mount'), ['-t', 'tmpfs', '-o', `size=${size},mode=700`, 'none', folder]);
  t.teardown(() => execFileSync(partPath('umount'), ['--lazy', folder]));
  return {
    folder,
    setReadOnly: (isReadOnly) => execFileSync(partPath('mount'), ['-o', `remount,${isReadOnly ? 'ro' : 'rw'}`, folder]),
    // It ends with "no space left", which is what it is for.
    fill: () => spawnSync('/bin/sh', ['-c', `cat /dev/zero > ${ballast}`]),
    empty: () => writeFileSync(ballast, ''),
  };
}
