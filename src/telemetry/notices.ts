// Notices: warnings whose cause comes again with each request, told only when they are news.

import type { Members } from './line.ts';
import type { Log } from './log.ts';

/** How often a warning of one kind is told at most, in ms. */
const SELDOM = 60_000;

export class Notices {
  readonly #log: Log;
  readonly #now: () => number;
  /** By subject; subjects come from the configuration, from the code and from files that are there, never from a client. */
  readonly #last = new Map<string, string>();
  readonly #toldAt = new Map<string, number>();

  /** `now` is a steady clock, in ms. */
  constructor(log: Log, now: () => number) {
    this.#log = log;
    this.#now = now;
  }

  /** What is to be said of a subject now, nothing included: told when it is not the same as the last time. */
  onChange(subject: string, messages: readonly string[], fields: Members): void {
    const text = messages.join('\n');
    if (text === (this.#last.get(subject) ?? '')) return;
    this.#last.set(subject, text);
    for (const message of messages) this.#log.warn(message, fields);
  }

  /** Told once a minute, however often it happens. */
  seldom(message: string, fields: Members): void {
    const now = this.#now();
    const before = this.#toldAt.get(message);
    if (before !== undefined && now - before < SELDOM) return;
    this.#toldAt.set(message, now);
    this.#log.warn(message, fields);
  }
}
