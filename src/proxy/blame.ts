// Blame: why an exchange fails, noted once.

import type { Exchange } from '../model/exchange.ts';
import { FAILURES, type Failure } from '../model/failure.ts';

/** Notes why an exchange fails; the first reason stays. */
export function blame(exchange: Exchange, failure: Failure, detail: string): void {
  if (exchange.failure !== undefined) return;
  exchange.failure = failure;
  exchange.detail = detail;
}

/** The client is there, but has taken nothing of its answer for too long. */
export function abortStalled(exchange: Exchange): void {
  const detail = 'the client has not read its answer for too long (limit upstream.idleTimeout)';
  blame(exchange, FAILURES.clientStalled, detail);
  exchange.downstream.abort();
}
