// The moment at which a listener may close: when nobody waits in its queue, as far as that can be known.

/** A turn of the event loop this short (ms), in which nothing came, ends with an empty queue as surely as we can know. */
const QUIET_TURN = 0.1;
/** Under load turns are longer: after each of these times (ms) one twice as long is good enough, and after the last any is. */
const QUIET_PATIENCE = 100;
const QUIET_WITHIN = 1_000;

/**
 * Resolves at such a moment: whoever closes its listener does so at once. Linux resets the connections that wait in the queue of a
 * listener that is closed, unless net.ipv4.tcp_migrate_req says that another one of the port gets them
 * (docs/decisions/0009-takeover.md). `accepted`: how many came so far; `now` in ms; `schedule` runs what it gets in the next turn.
 */
export function whenQuiet(
  accepted: () => number,
  now: () => number,
  schedule: (run: () => void) => void,
): Promise<void> {
  const begin = now();
  return new Promise((quiet) => {
    let before = -1;
    let since = 0;
    const look = () => {
      const time = now();
      const enough = QUIET_TURN * 2 ** ((time - begin) / QUIET_PATIENCE);
      if ((accepted() === before && time - since < enough) || time - begin >= QUIET_WITHIN) return quiet();
      before = accepted();
      since = now();
      schedule(look);
    };
    schedule(look);
  });
}
