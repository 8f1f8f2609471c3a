// Trace context (W3C): which trace a request belongs to. Passed when it is valid, begun here when there is none.

import { allValues, firstValue, type Headers } from './headers.ts';

/** Of version 00; a later one has these four parts in front, and may have more behind them. */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-|$)/;

/** The trace id of the fields; undefined when there is none, or none that is valid: then both fields are to be dropped. */
export function readTraceId(headers: Headers): string | undefined {
  if (firstValue(headers, 'traceparent') === undefined) return undefined;
  const values = allValues(headers, 'traceparent');
  if (values.length !== 1) return undefined;
  const parts = TRACEPARENT.exec(values[0]!);
  if (parts === null) return undefined;
  const [whole, version, traceId, parentId, more] = parts as unknown as [string, string, string, string, string];
  if (version === 'ff' || (version === '00' && (more === '-' || whole.length !== values[0]!.length))) return undefined;
  return /^0+$/.test(traceId) || /^0+$/.test(parentId) ? undefined : traceId;
}

/** A trace id out of a random UUID: its 122 random bits are enough, and whoever knows the one finds the other. */
export function traceIdOf(uuid: string): string {
  return uuid.slice(0, 8) + uuid.slice(9, 13) + uuid.slice(14, 18) + uuid.slice(19, 23) + uuid.slice(24);
}

/**
 * The field that begins a trace. Its parent id needs to be told from others of the same trace only, and there is none. Sampled: upstreams
 * that follow their parent, as is the default, would otherwise record nothing any more once this door stands before them.
 */
export function writeTraceparent(traceId: string): string {
  return `00-${traceId}-${traceId.slice(16)}-01`;
}
