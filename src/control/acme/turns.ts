// Turns: so many work at a time, and who waits for something else lets others go on meanwhile.

export class Turns {
  readonly #most: number;
  readonly #signal: AbortSignal;
  #taken = 0;
  readonly #waiting: (() => void)[] = [];

  /** The signal: we stop. Nobody waits then, for all that is left to do is to clean up, in the little time that there is. */
  constructor(most: number, signal: AbortSignal) {
    this.#most = most;
    this.#signal = signal;
    signal.addEventListener('abort', () => {
      this.#taken += this.#waiting.length;
      for (const begin of this.#waiting.splice(0)) begin();
    });
  }

  /** Runs it when few enough others do. */
  async take<T>(work: () => Promise<T>): Promise<T> {
    await this.#begin();
    try {
      return await work();
    } finally {
      this.#end();
    }
  }

  /** Within a turn, which others have meanwhile. */
  async aside<T>(work: () => Promise<T>): Promise<T> {
    this.#end();
    try {
      return await work();
    } finally {
      await this.#begin();
    }
  }

  async #begin(): Promise<void> {
    if (this.#taken < this.#most || this.#signal.aborted) this.#taken++;
    else await new Promise<void>((begin) => this.#waiting.push(begin));
  }

  /** Whoever has waited longest has the turn from now on: who comes in between does not get it. */
  #end(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#taken--;
    else next();
  }
}
