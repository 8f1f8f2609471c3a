// Settle: the one end of an exchange.

import type { Exchange } from '../model/exchange.ts';
import type { Failure } from '../model/failure.ts';
import { accessLine } from '../telemetry/access-log.ts';
import type { Door } from './door.ts';

/** Runs once for an exchange: lets go of what it holds, and writes its access line. */
export function settle(door: Door, exchange: Exchange): void {
  if (exchange.settled) return;
  exchange.settled = true;
  exchange.acting?.release();
  door.exchanges.delete(exchange);
  door.log.line(accessLine(exchange, door.now()));
}

/** Notes why an exchange fails; the first reason stays. */
export function blame(exchange: Exchange, failure: Failure, detail: string): void {
  if (exchange.failure !== undefined) return;
  exchange.failure = failure;
  exchange.detail = detail;
}
