// Signals to the supervisor: caught from the first moment on, and kept until somebody heeds them.

export interface Signals {
  readonly stop: Wish;
  readonly reload: Wish;
}

/** SIGTERM and SIGINT ask for a stop, SIGHUP and SIGUSR1 for a reload. */
export function catchSignals(): Signals {
  return { stop: new Wish('SIGTERM', 'SIGINT'), reload: new Wish('SIGHUP', 'SIGUSR1') };
}

/** Signals that ask for the same. */
class Wish {
  #kept: NodeJS.Signals[] = [];
  #grant: ((signal: NodeJS.Signals) => void) | undefined;

  constructor(...names: readonly NodeJS.Signals[]) {
    for (const name of names) process.on(name, () => (this.#grant ?? this.#keep)(name));
  }

  readonly #keep = (signal: NodeJS.Signals) => this.#kept.push(signal);

  /** From now on each of them is passed on; now those that came before. */
  heed(grant: (signal: NodeJS.Signals) => void): void {
    this.#grant = grant;
    for (const signal of this.#kept.splice(0)) grant(signal);
  }
}
