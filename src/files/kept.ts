// Kept: what was read or made of files, in memory that is bounded in bytes.

import { LRUCache } from 'lru-cache';

/** What an entry takes beside its bytes: its key, its buffer, and its place in the table. Measured: 800 to 1,000 bytes of RSS. */
const ENTRY_BYTES = 1_024;

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

  /** Of a key that is here already they are the same bytes. */
  put(key: string, bytes: Buffer): void {
    if (!this.#entries.has(key)) this.#entries.set(key, exact(bytes));
  }

  get bytes(): number {
    return this.#entries.calculatedSize;
  }
}

/** What zlib returns, and small buffers, are slices of larger ones: those would be held as a whole, and only the slice counted. */
function exact(bytes: Buffer): Buffer {
  if (bytes.buffer.byteLength === bytes.length) return bytes;
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}
