// HTTP/1 heads and chunks as they go out (RFC 9112), as latin1 text: what is written here is read back by any parser as the same message.

import type { Headers } from '../http/headers.ts';
import { STATUS_TEXT } from '../http/status.ts';

export const LAST_CHUNK = '0\r\n\r\n';

/** `target` and `method` were read strictly before; nothing is checked again. */
export function requestLine(method: string, target: string): string {
  return `${method} ${target} HTTP/1.1\r\n`;
}

const STATUS_LINES: string[] = [];

/** Of a status without a name the reason phrase is left empty; clients ignore it (RFC 9112 §4). */
export function statusLine(status: number): string {
  STATUS_LINES[status] ??= `HTTP/1.1 ${status} ${STATUS_TEXT[status] ?? ''}\r\n`;
  return STATUS_LINES[status];
}

/** Field lines, without the empty line behind them. */
export function fieldLines(headers: Headers): string {
  let text = '';
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return text;
}

/** What stands before a chunk's bytes; behind them comes a CRLF. */
export function chunkSize(length: number): string {
  return `${length.toString(16)}\r\n`;
}

/** The end of a chunked body. */
export function lastChunk(trailers: Headers): string {
  return trailers.length === 0 ? LAST_CHUNK : `0\r\n${fieldLines(trailers)}\r\n`;
}
