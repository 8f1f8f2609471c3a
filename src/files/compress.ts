// Compress: text made smaller while it is asked for: files whole, a few at a time and each only once; answers as they stream.

import type { Transform } from 'node:stream';
import { promisify } from 'node:util';
import {
  brotliCompress,
  constants,
  createBrotliCompress,
  createGzip,
  createZstdCompress,
  gzip,
  zstdCompress,
} from 'node:zlib';
import type { Coding } from '../http/representation.ts';

const runBrotli = promisify(brotliCompress);
const runGzip = promisify(gzip);
const runZstd = promisify(zstdCompress);

/** The thread pool has four threads, which reading and name lookups need as well. */
const MAX_RUNNING = 2;
/** Who comes when this many wait is served uncompressed. */
const MAX_WAITING = 16;

/** Bytes, or undefined when what they were to be made of is not there any more. */
type Job = Promise<Buffer | undefined>;

export class Compressor {
  readonly #jobs = new Map<string, Job>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  /** False when so many wait that one more had better be served uncompressed. */
  get hasRoom(): boolean {
    return this.#jobs.size < MAX_RUNNING + MAX_WAITING;
  }

  /** The job of this key that is under way. */
  job(key: string): Job | undefined {
    return this.#jobs.get(key);
  }

  /** Starts the job of a key that has none; `read` gives what to compress, if it still can, once it is its turn. */
  start(key: string, coding: Coding, read: () => Job): Job {
    const job = this.#run(coding, read).finally(() => this.#jobs.delete(key));
    this.#jobs.set(key, job);
    return job;
  }

  async #run(coding: Coding, read: () => Job): Job {
    if (this.#running >= MAX_RUNNING) await new Promise<void>((free) => this.#waiting.push(free));
    else this.#running++;
    try {
      const bytes = await read();
      return bytes === undefined ? undefined : await encode(coding, bytes);
    } finally {
      // The place is handed on, or given up.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}

/** Levels behind which more time gains little: 2 MB of script take 30 to 60 ms each. */
function encode(coding: Coding, bytes: Buffer): Promise<Buffer> {
  switch (coding) {
    case 'br':
      return runBrotli(bytes, {
        params: {
          [constants.BROTLI_PARAM_QUALITY]: 5,
          [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT,
          [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
        },
      });
    case 'zstd':
      return runZstd(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 6 } });
    case 'gzip':
      return runGzip(bytes, { level: 6 });
  }
}

/** Compresses what is written to it. */
export interface CompressStream extends Transform {
  flush(kind: number, callback?: () => void): void;
}

/** The window of a stream, as a power of two: with the default ones of 2 and 4 MiB each client would hold as much. */
const WINDOW = 18;

/**
 * Opens a stream. The levels are lower than for files, which are compressed once. Measured on 2 MB of script: gzip takes 48 ms, holds 0.5 MiB
 * and leaves a 5th; br 33 ms, 2 MiB, a 5th; zstd 19 ms, 1.5 MiB, somewhat more than a 5th.
 */
export function openCompressStream(coding: Coding): CompressStream {
  switch (coding) {
    case 'br':
      return createBrotliCompress({
        params: {
          [constants.BROTLI_PARAM_QUALITY]: 4,
          [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT,
          [constants.BROTLI_PARAM_LGWIN]: WINDOW,
        },
      });
    case 'zstd':
      return createZstdCompress({
        params: { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_windowLog]: WINDOW },
      });
    case 'gzip':
      return createGzip({ level: 6 });
  }
}

/** What `flush` of such a stream takes, so that all that was written can be read at the other end. */
export const FLUSH: Readonly<Record<Coding, number>> = Object.freeze({
  br: constants.BROTLI_OPERATION_FLUSH,
  zstd: constants.ZSTD_e_flush,
  gzip: constants.Z_SYNC_FLUSH,
});
