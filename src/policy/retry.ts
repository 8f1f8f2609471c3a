// Retry: may a failed attempt be made again? Only where it is provable that nothing happens twice.

import type { Failure } from '../model/failure.ts';

/** Methods whose repetition has the effect of one (RFC 9110 §9.2.2). */
export function isIdempotent(method: string): boolean {
  switch (method) {
    case 'GET':
    case 'HEAD':
    case 'OPTIONS':
    case 'PUT':
    case 'DELETE':
      return true;
    default:
      return false;
  }
}

/** A failed attempt. */
export interface Failed {
  readonly failure: Failure;
  readonly method: string;
  /** It ran on a connection that had carried requests before. */
  readonly reused: boolean;
  /** A byte of the body was handed to the transport: it is gone and cannot be sent again. */
  readonly bodyStarted: boolean;
  /** Any part of an answer was seen, an interim one included. */
  readonly answerStarted: boolean;
  /** Asks for a tunnel, which is never repeated once it may have been seen. */
  readonly upgrade: boolean;
}

export type Again = 'no' | 'other-endpoint' | 'fresh-connection';

/** What may be done after a failed attempt. */
export function mayRetry(failed: Failed): Again {
  if (failed.bodyStarted || failed.answerStarted) return 'no';
  // Never connected: nobody has seen it, whatever the method.
  if (failed.failure.unsent) return 'other-endpoint';
  // Lost on a kept connection before any byte of an answer: the upstream had closed it, as it may at any time
  // (RFC 9112 §9.3.1). It may also have read the request, so only idempotent ones go again.
  if (failed.reused && !failed.upgrade && failed.failure.code === 'connection_lost' && isIdempotent(failed.method)) {
    return 'fresh-connection';
  }
  return 'no';
}
