// Kept: what was read or made of files, in memory that is bounded in bytes.

import { LRUCache } from 'lru-cache';

/** What an entry takes beside its bytes: its key, and its place in the table. */
const ENTRY_BYTES = 512;

/** Bytes by a key that names a state of a file: what is kept never has to be thrown away for being old. */
export class Kept {
  readonly #entries: LRUCache<string, Buffer>;

  constructor(maxBytes: number) {
    this.#entries = new LRUCache({
      maxSize: maxBytes,
      // One file may not push out all others.
      maxEntrySize: Math.max(1, Math.floor(maxBytes / 4)),
      sizeCalculation: (bytes) => bytes.length + ENTRY_BYTES,
    });
  }

  get(key: string): Buffer | undefined {
    return this.#entries.get(key);
  }

  put(key: string, bytes: Buffer): void {
    this.#entries.set(key, bytes);
  }

  get bytes(): number {
    return this.#entries.calculatedSize;
  }
}
