// Balance: which endpoint of a pool is tried next. In turn, passing by those that refused lately.

/** What is remembered of an endpoint outside of the snapshot; times in ms of a steady clock. */
export interface EndpointState {
  /** Until then others are asked first. */
  avoidUntil: number;
  /** Failed connects in a row. */
  failures: number;
}

/** A connect succeeded. */
export function noteReached(state: EndpointState): void {
  state.failures = 0;
  state.avoidUntil = 0;
}

/** A connect failed: others are asked first for a while. */
export function noteUnreached(state: EndpointState, now: number): void {
  state.failures++;
  state.avoidUntil = now + avoidFor(state.failures);
}

/** How long an endpoint is passed by after n failed connects in a row: 1 s, 2 s, 4 s, ... 30 s. */
export function avoidFor(failures: number): number {
  return Math.min(30_000, 500 * 2 ** Math.min(failures, 10));
}

/**
 * The index to try, starting at `cursor` (which the caller moves on); -1 when each was tried.
 * `tried` is a bit set, so at most 31 endpoints are told apart. When all are avoided the first untried one is asked:
 * a door that guesses wrong about an outage must not prolong it.
 */
export function pickEndpoint(states: readonly EndpointState[], cursor: number, tried: number, now: number): number {
  let fallback = -1;
  for (let step = 0; step < states.length; step++) {
    const index = (cursor + step) % states.length;
    if ((tried & (1 << index)) !== 0) continue;
    if (states[index]!.avoidUntil <= now) return index;
    if (fallback === -1) fallback = index;
  }
  return fallback;
}
