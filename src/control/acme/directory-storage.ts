// A store that is a directory: files for our user only, written whole or not at all, and locks that outlive no holder.

import { randomBytes } from 'node:crypto';
import { constants, readFileSync, readlinkSync } from 'node:fs';
import {
  chmod,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { checkStorageName, type Lock, type Storage, StorageError } from './storage.ts';

/** More is nothing that we have written. */
const MAX_BYTES = 1024 * 1024;
/** A holder touches its lock this often, and one that was not touched for so long is abandoned. In ms. */
const HEARTBEAT = 10_000;
const ABANDONED_AFTER = 60_000;
/** What a write leaves behind that was cut off; it begins with a dot, as no name does. */
const TEMPORARY = '.new-';

export class DirectoryStorage implements Storage {
  readonly #root: string;
  readonly #now: () => number;

  constructor(root: string, now: () => number = Date.now) {
    this.#root = root;
    this.#now = now;
  }

  async load(name: string): Promise<Buffer | undefined> {
    const path = this.#path(name);
    try {
      if ((await stat(path)).size > MAX_BYTES) throw new StorageError(`${path} is too large to be ours: remove it`);
      return await readFile(path);
    } catch (error) {
      if (isCode(error, 'ENOENT') || isCode(error, 'ENOTDIR')) return undefined;
      throw explain(error, 'read', path);
    }
  }

  async store(name: string, bytes: Uint8Array): Promise<void> {
    const path = this.#path(name);
    const temporary = join(dirname(path), `${TEMPORARY}${randomBytes(8).toString('hex')}`);
    try {
      await this.#makeFolder(dirname(path));
      await writeWhole(temporary, bytes);
      await rename(temporary, path);
      await syncFolder(dirname(path));
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      throw explain(error, 'write', path);
    }
  }

  async list(prefix: string): Promise<string[]> {
    const folder = this.#path(prefix);
    try {
      const names = (await readdir(folder)).filter((each) => !each.startsWith('.'));
      return names.sort().map((each) => `${prefix}/${each}`);
    } catch (error) {
      if (isCode(error, 'ENOENT')) return [];
      throw explain(error, 'read', folder);
    }
  }

  async lock(name: string): Promise<Lock | undefined> {
    const path = `${this.#path(`locks/${name}`)}.lock`;
    const token = `${IDENTITY} ${process.pid} ${randomBytes(16).toString('hex')}`;
    // Before others can see it: what this process does not hold is taken for left over.
    HELD.add(token);
    let taken = false;
    try {
      await this.#makeFolder(dirname(path));
      taken = (await place(path, token)) || ((await this.#clear(path, token)) && (await place(path, token)));
      return taken ? new DirectoryLock(path, token, this.#now) : undefined;
    } catch (error) {
      throw explain(error, 'lock', path);
    } finally {
      if (!taken) HELD.delete(token);
    }
  }

  /**
   * Removes a lock whose holder is gone. True when it may be tried again. Only who holds the right to sweep removes what is another
   * one's, and looks once more first: between a look and a removal the lock may have got its next holder.
   */
  async #clear(path: string, token: string): Promise<boolean> {
    if (!(await this.#isAbandoned(path))) return false;
    const sweep = `${path}.sweep`;
    if (!(await place(sweep, token))) {
      // Another one is at it, or was killed in the middle of it: then the next one finds the way free.
      if (await this.#isAbandoned(sweep)) await rm(sweep, { force: true });
      return false;
    }
    try {
      if (await this.#isAbandoned(path)) await rm(path, { force: true });
      return true;
    } finally {
      await rm(sweep, { force: true });
    }
  }

  /** False for one that is not there. */
  async #isAbandoned(path: string): Promise<boolean> {
    const token = await readFile(path, 'latin1').catch(() => undefined);
    const stats = await stat(path).catch(() => undefined);
    if (token === undefined || stats === undefined) return false;
    return isGone(token) || this.#now() - stats.mtimeMs >= ABANDONED_AFTER;
  }

  #path(name: string): string {
    checkStorageName(name);
    return join(this.#root, name);
  }

  /** Nobody else may look into it, whatever made it. */
  async #makeFolder(folder: string): Promise<void> {
    await makeFolders(folder);
    for (let each = folder; each.length >= this.#root.length; each = dirname(each)) {
      const stats = await lstat(each);
      if ((stats.mode & 0o077) !== 0) await chmod(each, 0o700);
      if (each === dirname(each)) break;
    }
  }
}

class DirectoryLock implements Lock {
  readonly #path: string;
  readonly #token: string;
  readonly #heartbeat: NodeJS.Timeout;

  constructor(path: string, token: string, now: () => number) {
    this.#path = path;
    this.#token = token;
    this.#heartbeat = setInterval(() => {
      this.#beat(now()).catch(() => {});
    }, HEARTBEAT).unref();
  }

  async release(): Promise<void> {
    clearInterval(this.#heartbeat);
    HELD.delete(this.#token);
    if (await this.#isOurs()) await unlink(this.#path).catch(() => {});
  }

  async #beat(now: number): Promise<void> {
    if (await this.#isOurs()) await utimes(this.#path, now / 1_000, now / 1_000);
  }

  async #isOurs(): Promise<boolean> {
    return (await readFile(this.#path, 'latin1').catch(() => undefined)) === this.#token;
  }
}

/** Tokens of the locks that this process holds. */
const HELD = new Set<string>();

/** Where a process number means something: this machine, since it started, among those that see the same processes. */
const IDENTITY = [hostname().replace(/\s/g, '_'), readQuietly(bootId), readQuietly(processNamespace)].join(' ');

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
}

function processNamespace(): string {
  return readlinkSync('/proc/self/ns/pid');
}

function readQuietly(read: () => string): string {
  try {
    return read();
  } catch {
    return '-';
  }
}

/** Only a holder on this machine can be looked for; others are known by the age of their lock alone. */
function isGone(token: string): boolean {
  if (!token.startsWith(`${IDENTITY} `)) return false;
  const pid = Number(token.slice(IDENTITY.length + 1).split(' ')[0]);
  if (pid === process.pid) return !HELD.has(token);
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return isCode(error, 'ESRCH');
  }
}

/** One by one: of a file system that is read-only Node's own `recursive` says that something does not exist. */
async function makeFolders(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if (isCode(error, 'EEXIST')) return;
    if (!isCode(error, 'ENOENT') || folder === dirname(folder)) throw error;
    await makeFolders(dirname(folder));
    await makeFolders(folder);
  }
}

async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  await writeFile(path, bytes, { mode: 0o600, flag: 'wx', flush: true });
}

/** A rename outlives a crash only when its folder was written, too. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A file that is seen with all of its text or not at all. False when there is something of that name. */
async function place(path: string, text: string): Promise<boolean> {
  const temporary = join(dirname(path), `${TEMPORARY}${randomBytes(8).toString('hex')}`);
  try {
    await writeWhole(temporary, Buffer.from(text));
    await link(temporary, path);
    return true;
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  } finally {
    await rm(temporary, { force: true }).catch(() => {});
  }
}

function isCode(error: unknown, code: string): boolean {
  return (error as NodeJS.ErrnoException).code === code;
}

function explain(error: unknown, verb: string, path: string): StorageError {
  if (error instanceof StorageError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  const who = process.geteuid === undefined ? 'this user' : `user ${process.geteuid()}`;
  const reasons: Readonly<Record<string, string>> = {
    EROFS: 'its file system is read-only: mount a volume that can be written at CERTS_DIR (certsDirectory)',
    ENOSPC: 'the disk is full: free some space',
    EDQUOT: 'the quota is used up: free some space',
    EACCES: `${who} has no right to: make CERTS_DIR (certsDirectory) writable for it`,
    EPERM: `${who} has no right to: make CERTS_DIR (certsDirectory) writable for it`,
    ENOTDIR: 'a part of its path is no folder',
  };
  return new StorageError(`cannot ${verb} ${path}: ${reasons[code ?? ''] ?? message}`);
}
