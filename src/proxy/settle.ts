// Settle: the one end of an exchange.

import type { Exchange } from '../model/exchange.ts';
import { FAILURES } from '../model/failure.ts';
import { accessLine } from '../telemetry/access-log.ts';
import { combinedLine } from '../telemetry/combined.ts';
import type { AbortPhase } from '../telemetry/metrics.ts';
import type { Door } from './door.ts';

/** Runs once for an exchange: lets go of what it holds, and writes its access line. */
export function settle(door: Door, exchange: Exchange): void {
  if (exchange.settled) return;
  exchange.settled = true;
  exchange.acting?.release();
  door.exchanges.remove(exchange.place);
  const endTime = door.now();
  const metrics = door.metrics.route(exchange.origin.listener, exchange.route?.name ?? 'none');
  // A websocket is answered when it opens: how long it is used says nothing of how long somebody waited.
  const duration = exchange.status === 101 ? exchange.firstByteTime : endTime - exchange.startTime;
  metrics.count(exchange.head.method, exchange.status, duration / 1_000);
  metrics.bytesIn += exchange.bytesIn;
  metrics.bytesOut += exchange.bytesOut;
  if (exchange.status >= 500 || (exchange.failure !== undefined && exchange.failure.side !== 'downstream'))
    door.failed.note(exchange, endTime);
  if (exchange.failure === FAILURES.clientGone) door.metrics.abort(abortPhase(exchange));
  const isCombined = door.active.snapshot.logFormat === 'combined';
  door.log.line(isCombined ? combinedLine(exchange) : accessLine(exchange, endTime));
}

function abortPhase(exchange: Exchange): AbortPhase {
  if (exchange.upstreamStatus === 101) return 'websocket';
  if (exchange.responded) return 'response';
  return exchange.requestEnded ? 'waiting' : 'request';
}
