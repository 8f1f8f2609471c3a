// Lines that wait to be written: as bytes in blocks, taken in pieces of whole lines or all together.

const BLOCK_SIZE = 64 * 1024;
export const LF = 0x0a;
/** Of a unit of text in UTF-8, at most. */
const MAX_UNIT = 3;

interface Block {
  readonly bytes: Buffer;
  /** The first byte that was not dropped. */
  start: number;
  end: number;
}

/** Text becomes bytes at once: a line that was put together of many parts and waits as text is fifty objects for the collector. */
export class LineQueue {
  readonly #blocks: Block[] = [openBlock(BLOCK_SIZE)];
  #length = 0;

  /** In bytes, newlines included. */
  get length(): number {
    return this.#length;
  }

  /** Puts a line without its newline. */
  put(line: string): void {
    let block = this.#blocks[this.#blocks.length - 1]!;
    if (line.length * MAX_UNIT >= block.bytes.length - block.end) {
      const size = Buffer.byteLength(line) + 1;
      if (size > block.bytes.length - block.end) {
        // An empty one makes room: the first block is what comes next.
        if (block.end === 0) this.#blocks.pop();
        block = openBlock(Math.max(size, BLOCK_SIZE));
        this.#blocks.push(block);
      }
    }
    const length = block.bytes.write(line, block.end) + 1;
    block.bytes[block.end + length - 1] = LF;
    block.end += length;
    this.#length += length;
  }

  /** The next lines, at most `most` bytes of them, or one that is longer. They hold until they are dropped. */
  peek(most: number): Buffer {
    const { bytes, start, end } = this.#blocks[0]!;
    let stop = end;
    if (end - start > most) {
      stop = bytes.lastIndexOf(LF, start + most - 1) + 1;
      if (stop <= start) stop = bytes.indexOf(LF, start) + 1;
    }
    return bytes.subarray(start, stop);
  }

  /** All lines, a piece for each block. They hold until they are dropped. */
  peekAll(): Buffer[] {
    return this.#blocks.map(({ bytes, start, end }) => bytes.subarray(start, end));
  }

  /** Lets go of so many bytes, the first ones. */
  drop(length: number): void {
    let left = length;
    while (left > 0) {
      const block = this.#blocks[0]!;
      const dropped = Math.min(left, block.end - block.start);
      left -= dropped;
      this.#length -= dropped;
      block.start += dropped;
      if (block.start === block.end) this.#leave(block);
    }
  }

  #leave(block: Block): void {
    if (this.#blocks.length > 1) this.#blocks.shift();
    else if (block.bytes.length > BLOCK_SIZE) this.#blocks[0] = openBlock(BLOCK_SIZE);
    else {
      block.start = 0;
      block.end = 0;
    }
  }
}

function openBlock(size: number): Block {
  return { bytes: Buffer.allocUnsafeSlow(size), start: 0, end: 0 };
}
