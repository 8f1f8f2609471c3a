// Framing: how a request's end is known (RFC 9112 §6). What is ambiguous is refused, never repaired.

import { allValues, type Headers } from './headers.ts';

/** The framing of an HTTP/1 request: 'none', 'chunked', a number of bytes; or `problem`, the reason for a 400. */
export type Framing =
  | { readonly kind: 'none' | 'chunked' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'problem'; readonly problem: string };

const NONE: Framing = Object.freeze({ kind: 'none' });
const CHUNKED: Framing = Object.freeze({ kind: 'chunked' });

/** Reads Content-Length and Transfer-Encoding. */
export function readFraming(headers: Headers, protocol: 'HTTP/1.0' | 'HTTP/1.1'): Framing {
  const lengths = allValues(headers, 'content-length');
  const codings = allValues(headers, 'transfer-encoding');
  if (codings.length > 0) {
    if (protocol === 'HTTP/1.0') return problem('Transfer-Encoding does not exist in HTTP/1.0');
    if (lengths.length > 0) return problem('both Content-Length and Transfer-Encoding are set');
    if (codings.length > 1 || codings[0]!.toLowerCase() !== 'chunked') {
      return problem('the only Transfer-Encoding understood is a single "chunked"');
    }
    return CHUNKED;
  }
  if (lengths.length === 0) return NONE;
  if (lengths.length > 1) return problem('there is more than one Content-Length');
  const length = lengths[0]!;
  if (!/^\d{1,16}$/.test(length) || !Number.isSafeInteger(Number(length)))
    return problem('Content-Length is no valid number');
  return { kind: 'length', length: Number(length) };
}

function problem(text: string): Framing {
  return { kind: 'problem', problem: text };
}
