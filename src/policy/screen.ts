// Screen: what a route demands of a request before anything is done for it.

import type { RequestHead } from '../model/exchange.ts';
import { FAILURES } from '../model/failure.ts';
import type { RouteLimits } from '../model/snapshot.ts';
import type { Refusal } from './admit.ts';

/** Refuses a body that announces itself as too large; one that does not is counted as it comes. */
export function screen(head: RequestHead, limits: RouteLimits): Refusal | undefined {
  if (!isTooLarge(head.bodyLength, limits)) return undefined;
  return {
    failure: FAILURES.bodyTooLarge,
    detail: `the request body has ${head.bodyLength} bytes, ${overLimit(limits)}`,
  };
}

/** True when so many bytes of a body are more than the limit; without a limit never. */
export function isTooLarge(bytes: number, limits: RouteLimits): boolean {
  return limits.bodyBytes !== 0 && bytes > limits.bodyBytes;
}

/** Names the limit, in words. */
export function overLimit(limits: RouteLimits): string {
  return `more than the ${limits.bodyBytes} that are allowed (limit downstream.bodyBytes; without a configuration file BODY_LIMIT)`;
}
