// Taking over: an instance starts beside the running one and serves; then it has the running one accept nothing more and end.

import { type Answer, callInstance } from './control-socket.ts';
import { SHARES_PORTS } from './ports.ts';

/** What the running instance offers: it serves on until it is told to go. */
export interface Offer extends Answer {
  readonly pid: number;
  /** That it listens on: they are taken, and yet free for the other one. */
  readonly ports: readonly number[];
  /** How long systemd waits for a sign of life, in ms; 0: it does not. */
  readonly watchdog: number;
}

/** A running instance that waits for its end. Should we end before that, it serves on. */
export interface Takeover {
  readonly offer: Offer;
  /** Resolves when it accepts nothing more, with undefined, or with a sentence when that is not known. Never rejects. */
  complete(): Promise<string | undefined>;
  /** It is to serve on. */
  abandon(): void;
}

/** How long the running instance may take to say that it is there, and to accept nothing more; in ms. */
const OFFER_TIMEOUT = 5_000;
const CLOSE_TIMEOUT = 30_000;

/** Finds the running instance. Resolves to a sentence when there is none. Rejects with one when there is, and it does not agree. */
export async function beginTakeover(places: readonly string[]): Promise<Takeover | string> {
  if (!SHARES_PORTS) throw new Error('--takeover needs Linux: on other systems two processes cannot share a port');
  const running = await callInstance(places);
  if (running instanceof Error) return running.message;
  const offer = (await running.ask('takeover', OFFER_TIMEOUT)) as Offer;
  if (!offer.ok) {
    running.close();
    throw new Error(`the running instance does not hand over: ${offer.message}`);
  }
  return {
    offer,
    complete: () =>
      running.ask('go', CLOSE_TIMEOUT).then(
        ({ ok, message }) => (ok ? undefined : message),
        // One that ended in the meantime accepts nothing either.
        (error: Error) => (running.ended ? undefined : error.message),
      ),
    abandon: () => running.close(),
  };
}
