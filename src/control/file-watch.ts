// Watches files that somebody else renews: by events of their folders, and by a cheap look every few seconds for what no event tells of.

import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** How often all files are looked at, in ms: mounts, links further up and network disks send no events. */
const LOOK_EVERY = 2_000;
/** How long files have to stand still before they are read: whoever writes them may not be done. */
const SETTLE = 500;

/** Calls for looks, one at a time. */
export class FileWatch {
  readonly #look: (now: Date) => Promise<boolean>;
  readonly #watchers: FSWatcher[] = [];
  #timer: NodeJS.Timeout | undefined;
  #soon: NodeJS.Timeout | undefined;
  #looking = false;

  /** `look` resolves to true when there is a change that is to be looked at again soon. */
  constructor(look: (now: Date) => Promise<boolean>) {
    this.#look = look;
  }

  start(files: readonly string[]): void {
    for (const folder of new Set(files.map((file) => dirname(file)))) this.#watch(folder);
    this.#timer = setInterval(() => this.#lookNow(), LOOK_EVERY);
    this.#timer.unref();
    this.#lookSoon();
  }

  stop(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#soon);
    for (const each of this.#watchers) each.close();
  }

  #watch(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#lookSoon());
      // Without it the look every few seconds is enough.
      watcher.on('error', () => watcher.close());
      this.#watchers.push(watcher);
    } catch {
      // The folder is not there, or the system watches enough already.
    }
  }

  #lookSoon(): void {
    if (this.#soon !== undefined) return;
    this.#soon = setTimeout(() => {
      this.#soon = undefined;
      this.#lookNow();
    }, SETTLE);
    this.#soon.unref();
  }

  #lookNow(): void {
    if (this.#looking) return;
    this.#looking = true;
    this.#look(new Date())
      .then((isMoving) => {
        if (isMoving) this.#lookSoon();
      })
      .finally(() => {
        this.#looking = false;
      });
  }
}

/** Files that belong together: a change counts when it is seen a second time. */
export class WatchedFiles {
  readonly files: readonly string[];
  /** One that has no name any more: a mount holds on to a file that was replaced. */
  detached: string | undefined;
  /** Their state when they were last read; undefined: not since this was made, so that the first look has them read again. */
  #read: string | undefined;
  /** Another state, seen once. */
  #settling: string | undefined;

  constructor(files: readonly string[]) {
    this.files = [...new Set(files)];
  }

  /** `changed`: they are to be read now; `moving`: to be looked at again soon. */
  async look(): Promise<'changed' | 'moving' | 'same'> {
    const { text, detached } = await stateOf(this.files);
    this.detached = detached;
    if (text === this.#settling) {
      this.#read = text;
      this.#settling = undefined;
      return 'changed';
    }
    this.#settling = text === this.#read ? undefined : text;
    return this.#settling === undefined ? 'same' : 'moving';
  }
}

interface State {
  /** Differs when any of the files may have changed, links and folders on the way to them included. */
  readonly text: string;
  readonly detached: string | undefined;
}

async function stateOf(files: readonly string[]): Promise<State> {
  let detached: string | undefined;
  const states = await Promise.all(
    files.map(async (file) => {
      try {
        const { dev, ino, size, mtimeNs, ctimeNs, nlink } = await stat(file, { bigint: true });
        if (nlink === 0n) detached = file;
        return [dev, ino, size, mtimeNs, ctimeNs].join(':');
      } catch (error) {
        return (error as NodeJS.ErrnoException).code ?? 'unknown error';
      }
    }),
  );
  return { text: states.join(' '), detached };
}
