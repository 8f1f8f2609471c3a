// Blocks: buffers for what is copied on its way, used again and again. New ones lie outside of the heap, and many keep the collector marking.

/** In bytes. */
export const BLOCK_SIZE = 64 * 1024;
/** So many are kept when they are free. */
const MAX_FREE = 64;
/** For what fills an ordinary one, in bytes: an upload of 1 MiB takes a sixth less CPU time, as fewer writes wake its reader. */
export const LARGE_BLOCK_SIZE = 512 * 1024;
/** So many of a worker are large: 32 MiB. */
export const MAX_LARGE = 64;

const free: Buffer[] = [];
const freeLarge: Buffer[] = [];
let large = 0;

export function takeBlock(): Buffer {
  return free.pop() ?? Buffer.allocUnsafeSlow(BLOCK_SIZE);
}

/** An ordinary one, where all the large ones are taken. */
export function takeLargeBlock(): Buffer {
  if (large === MAX_LARGE) return takeBlock();
  large++;
  return freeLarge.pop() ?? Buffer.allocUnsafeSlow(LARGE_BLOCK_SIZE);
}

/** Nobody reads it any more. */
export function giveBlock(block: Buffer): void {
  if (block.length === LARGE_BLOCK_SIZE) {
    large--;
    freeLarge.push(block);
  } else if (free.length < MAX_FREE) free.push(block);
}
