// Read buffers: what an upstream connection reads into; a larger one, of a bounded number, while an answer fills the ordinary one.

/** What one read takes from the kernel, in bytes. */
const READ_SIZE = 64 * 1024;
/** A third less CPU time for an answer of 1 MiB: fewer pauses, and fewer times that anybody is woken. */
const LARGE_READ_SIZE = 512 * 1024;
/** So many of a worker are large: 64 MiB. */
const MAX_LARGE = 128;

const free: Buffer[] = [];
let large = 0;

/** Those of one connection. */
export class ReadBuffers {
  #own: Buffer | undefined;
  #large: Buffer | undefined;
  #filled = false;

  /** Of the read just done; `filled`: it took all that there was room for. */
  note(filled: boolean): void {
    this.#filled = filled;
  }

  /** What to read into: before the first read, and behind each one. `busy`: an answer is under way, so that what was read may be lent. */
  next(busy: boolean): Buffer {
    this.#own ??= Buffer.allocUnsafeSlow(READ_SIZE);
    if (this.#large === undefined && this.#filled && busy && large < MAX_LARGE) {
      large++;
      this.#large = free.pop() ?? Buffer.allocUnsafeSlow(LARGE_READ_SIZE);
    } else if (this.#large !== undefined && !busy) {
      free.push(this.#large);
      large--;
      this.#large = undefined;
    }
    return this.#large ?? this.#own;
  }

  /** Nothing is read any more. What was read last may still be lent, so the large one goes to nobody else. */
  end(): void {
    if (this.#large === undefined) return;
    large--;
    this.#large = undefined;
  }
}
