// Screen: what a route demands of a request before anything is done for it.

import type { RequestHead } from '../model/exchange.ts';
import { FAILURES } from '../model/failure.ts';
import type { Limits } from '../model/snapshot.ts';
import type { Refusal } from './admit.ts';

/** Refuses a body that announces itself as too large; one that does not is counted as it comes. */
export function screen(head: RequestHead, limits: Limits): Refusal | undefined {
  if (!isTooLarge(head.bodyLength, limits)) return undefined;
  return {
    failure: FAILURES.bodyTooLarge,
    detail: `the request body has ${head.bodyLength} bytes, ${overLimit(limits)}`,
  };
}

/** True when so many bytes of a body are more than the limit; without a limit never. */
export function isTooLarge(bytes: number, limits: Limits): boolean {
  return limits.bodyBytes !== 0 && bytes > limits.bodyBytes;
}

/** Names the limit, in words. */
export function overLimit(limits: Limits): string {
  return `more than the ${limits.bodyBytes} that are allowed (limit downstream.bodyBytes, set by BODY_LIMIT)`;
}
