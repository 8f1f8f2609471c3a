// Open file: one that is read while others may write to it.

import { closeSync, fstatSync, read } from 'node:fs';
import type { FileFacts } from './lookup.ts';

/** A descriptor with what the file was when it was opened. */
export interface OpenFile {
  readonly descriptor: number;
  readonly facts: FileFacts;
}

/** All bytes of an open file, which is closed. Undefined when it is not what it was any more. */
export async function readWhole(file: OpenFile): Promise<Buffer | undefined> {
  const { descriptor, facts } = file;
  try {
    const bytes = Buffer.allocUnsafeSlow(facts.size);
    let at = 0;
    while (at < bytes.length) {
      const count = await readSome(descriptor, bytes, at);
      if (count === 0) return undefined;
      at += count;
    }
    return isUnchanged(file) ? bytes : undefined;
  } finally {
    closeSync(descriptor);
  }
}

function readSome(descriptor: number, bytes: Buffer, at: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(descriptor, bytes, at, bytes.length - at, at, (error, count) =>
      error === null ? resolve(count) : reject(error),
    );
  });
}

/**
 * True while an open file is what it was when it was found. Size and date can be what they were although the content is not
 * (`cp -a` over it). That a name of it came or went changes the time, too, and nothing of what is read here.
 */
export function isUnchanged({ descriptor, facts }: OpenFile): boolean {
  const { size, mtimeMs, ctimeMs, nlink } = fstatSync(descriptor);
  return size === facts.size && mtimeMs === facts.modified && (ctimeMs === facts.changed || nlink !== facts.links);
}
