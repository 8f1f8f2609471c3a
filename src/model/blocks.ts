// Blocks: buffers for what is copied on its way, used again and again. New ones lie outside of the heap, and many keep the collector marking.

/** In bytes. */
export const BLOCK_SIZE = 64 * 1024;
/** So many are kept when they are free. */
const MAX_FREE = 64;

const free: Buffer[] = [];

export function takeBlock(): Buffer {
  return free.pop() ?? Buffer.allocUnsafeSlow(BLOCK_SIZE);
}

/** Nobody reads it any more. */
export function giveBlock(block: Buffer): void {
  if (free.length < MAX_FREE) free.push(block);
}
