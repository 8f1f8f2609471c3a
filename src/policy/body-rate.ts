// Body rate: does a request body come too slowly? A body is never bounded by a total time: large uploads take long.

import type { Limits } from '../model/snapshot.ts';

type RateLimits = Pick<Limits, 'bodyRate' | 'bodyRateGrace'>;

/**
 * True when a body that has come for `time` ms, while we were ready to read it, has brought less than the least rate. A client
 * that sends a byte now and then holds a connection here and a worker behind (slow POST; Apache's mod_reqtimeout draws the same line).
 */
export function isTooSlow(bytes: number, time: number, limits: RateLimits): boolean {
  return limits.bodyRate !== 0 && time > limits.bodyRateGrace && bytes * 1_000 < limits.bodyRate * time;
}

/** Names the limit, in words. */
export function underRate(limits: RateLimits): string {
  const grace = limits.bodyRateGrace / 1_000;
  return `less than ${limits.bodyRate} bytes a second after ${grace} s (limits downstream.bodyRate and downstream.bodyRateGrace)`;
}
