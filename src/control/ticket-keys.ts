// The keys of session tickets: one for all workers, made anew in time, and the one before kept as long as its tickets live.

import { randomBytes } from 'node:crypto';

/** So long a stolen key opens what was said in resumed sessions of TLS 1.2, in ms. */
const LIFETIME = 12 * 3_600_000;
/** Tickets live 2 hours (src/downstream/tls.ts), and a moment goes by until all workers have the new key. In ms. */
const OVERLAP = 2 * 3_600_000 + 60_000;

export class TicketKeys {
  #current = randomBytes(48);
  #previous: Buffer | undefined;
  #rotation: NodeJS.Timeout | undefined;
  #end: NodeJS.Timeout | undefined;

  /** 48 bytes. */
  get current(): Uint8Array {
    return this.#current;
  }

  get previous(): Uint8Array | undefined {
    return this.#previous;
  }

  /** From now on they change by themselves; `changed`: what workers have is to be replaced. */
  start(changed: () => void): void {
    const retire = () => {
      this.#previous = undefined;
      changed();
    };
    const rotate = () => {
      this.#previous = this.#current;
      this.#current = randomBytes(48);
      this.#end = setTimeout(retire, OVERLAP).unref();
      changed();
    };
    this.#rotation = setInterval(rotate, LIFETIME).unref();
  }

  stop(): void {
    clearInterval(this.#rotation);
    clearTimeout(this.#end);
  }
}
