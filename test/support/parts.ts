// Finds the real programs that tests use as parts (nginx, gunicorn, ...), and decides what a missing one means.

import { spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import type { Test } from 'tap';

/**
 * The path of a part, or undefined. `nginx` and the like are looked for on PATH, `flask` and `gevent` in the Python that
 * gunicorn runs on, `chromium` under its several names.
 */
export function findPart(name: string): string | undefined {
  if (name === 'flask' || name === 'gevent') return findPythonModule(name);
  for (const spelling of SPELLINGS[name] ?? [name]) {
    const path = findProgram(spelling);
    if (path !== undefined) return path;
  }
  return undefined;
}

/** The path of a part. Without it the test skips and says the name; it fails where PORTICO_REQUIRE_PARTS is 1. */
export function needPart(t: Test, name: string): string | undefined {
  const path = findPart(name);
  if (path !== undefined) return path;
  if (process.env.PORTICO_REQUIRE_PARTS === '1') t.fail(`the part ${name} is not installed`);
  else t.plan(0, `the part ${name} is not installed`);
  return undefined;
}

/** True when all parts are there; else the test has skipped or failed over the first that is not. */
export function needParts(t: Test, names: readonly string[]): boolean {
  return names.every((name) => needPart(t, name) !== undefined);
}

/** A part that the caller has asked for by needPart before. */
export function partPath(name: string): string {
  const path = findPart(name);
  if (path === undefined) throw new Error(`the part ${name} is not installed`);
  return path;
}

const SPELLINGS: Readonly<Record<string, readonly string[]>> = {
  testssl: ['testssl', 'testssl.sh'],
  chromium: ['chromium', 'chromium-browser', 'google-chrome', '/usr/bin/chromium'],
};

// Servers live in sbin, which is on root's PATH only.
const MORE_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin'];

function findProgram(name: string): string | undefined {
  if (isAbsolute(name)) return isProgram(name) ? name : undefined;
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...MORE_FOLDERS];
  for (const folder of folders) {
    const path = join(folder, name);
    if (folder !== '' && isProgram(path)) return path;
  }
  return undefined;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Asks the interpreter that gunicorn's first line names: another Python on PATH may have other modules. */
function findPythonModule(name: string): string | undefined {
  const gunicorn = findProgram('gunicorn');
  if (gunicorn === undefined) return undefined;
  const firstLine = /^#!\s*(\S+)/.exec(readFileSync(gunicorn, 'latin1'));
  const interpreter = firstLine?.[1];
  if (interpreter === undefined) return undefined;
  const probe = spawnSync(interpreter, ['-c', `import ${name}`], { timeout: 20_000 });
  return probe.status === 0 ? `${interpreter} -m ${name}` : undefined;
}
