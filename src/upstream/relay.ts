// Tunnels: bytes cross both ways with back-pressure until either end closes; then both are closed.

import type { ByteStream } from '../model/exchange.ts';

/** How a tunnel ended. */
export interface Ended {
  /** Bytes that went up (to the endpoint) and down. */
  readonly up: number;
  readonly down: number;
  /** Who ended it. */
  readonly by: 'downstream' | 'upstream' | 'idle' | 'drain';
  /** By a reset or an error, not by a clean close. */
  readonly broken: boolean;
}

/** After one end closed, how long the other may take to get what is still under way, in ms. */
const CLOSE_TIMEOUT = 5_000;
/** How long an end may take nothing of what is there for it, in ms: the other one is not read meanwhile, and could leave unnoticed. */
const STALL_TIMEOUT = 600_000;

/**
 * Joins two streams. `idleTimeout` in ms: without a byte either way that long, it is closed.
 * Returns a function that closes both at once; `ended` is called one time.
 */
export function relay(
  down: ByteStream,
  up: ByteStream,
  idleTimeout: number,
  ended: (how: Ended) => void,
  stallTimeout = STALL_TIMEOUT,
): () => void {
  let bytesUp = 0;
  let bytesDown = 0;
  let open = 2;
  let by: Ended['by'] | undefined;
  let broken = false;
  let timer: NodeJS.Timeout | undefined;

  join(down, up, 'downstream', (length) => {
    bytesUp += length;
  });
  join(up, down, 'upstream', (length) => {
    bytesDown += length;
  });
  down.resume();
  up.resume();

  function join(
    from: ByteStream,
    to: ByteStream,
    name: 'downstream' | 'upstream',
    count: (length: number) => void,
  ): void {
    from.setKeepAlive(true, 60_000);
    from.setTimeout(idleTimeout);
    from.on('data', (chunk) => {
      // The other end has said its last word, and its close is under way: nobody is left to read this.
      if (!to.writable) return;
      count(chunk.length);
      if (to.write(chunk)) return;
      from.pause();
      to.setTimeout(Math.min(stallTimeout, idleTimeout));
    });
    to.on('drain', () => {
      to.setTimeout(idleTimeout);
      from.resume();
    });
    from.on('timeout', () => {
      by ??= 'idle';
      closeBoth();
    });
    from.on('end', () => {
      by ??= name;
      to.end();
      timer ??= setTimeout(closeBoth, CLOSE_TIMEOUT);
    });
    from.on('error', () => {
      by ??= name;
      broken = true;
    });
    from.on('close', (hadError) => {
      by ??= name;
      broken ||= hadError;
      if (hadError) to.destroy();
      else to.end();
      timer ??= setTimeout(closeBoth, CLOSE_TIMEOUT);
      if (--open > 0) return;
      clearTimeout(timer);
      ended({ up: bytesUp, down: bytesDown, by, broken });
    });
  }

  function closeBoth(): void {
    down.destroy();
    up.destroy();
  }
  return () => {
    by ??= 'drain';
    closeBoth();
  };
}
