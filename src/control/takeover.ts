// Taking over: an instance starts beside the running one and serves; then it has the running one accept nothing more and end.

import { callInstance, type Instance } from './control-socket.ts';
import { SHARES_PORTS } from './ports.ts';

/** A running instance that waits for its end. Should we end before that, it serves on. */
export interface Takeover {
  readonly running: Instance;
  /** Resolves when it accepts nothing more, or when that cannot be known. Never rejects. */
  complete(): Promise<Completed>;
  /** It is to serve on. */
  abandon(): void;
}

export interface Completed {
  /** Why it is not known whether it still accepts. */
  readonly doubt: string | undefined;
  /** Since it was found: what we have read may be older than what was in force. */
  readonly hasReloaded: boolean;
}

/** How long the running instance may take to say that it is there, and to accept nothing more; in ms. */
const OFFER_TIMEOUT = 5_000;
const CLOSE_TIMEOUT = 30_000;

/** Finds the running instance. Resolves to a sentence when there is none. Rejects with one when there is, and it does not agree. */
export async function beginTakeover(places: readonly string[]): Promise<Takeover | string> {
  if (!SHARES_PORTS) throw new Error('--takeover needs Linux: on other systems two processes cannot share a port');
  const conversation = await callInstance(places);
  if (conversation instanceof Error) return conversation.message;
  const running = (await conversation.ask('takeover', OFFER_TIMEOUT)) as Instance;
  if (!running.ok) {
    conversation.close();
    throw new Error(`the running instance does not hand over: ${running.message}`);
  }
  return {
    running,
    complete: () =>
      conversation.ask('go', CLOSE_TIMEOUT).then(
        (told) =>
          told.ok
            ? { doubt: undefined, hasReloaded: (told as Instance).reloads !== running.reloads }
            : { doubt: told.message, hasReloaded: false },
        // One that ended in the meantime accepts nothing either.
        (error: Error) => ({ doubt: conversation.ended ? undefined : error.message, hasReloaded: false }),
      ),
    abandon: () => conversation.close(),
  };
}
