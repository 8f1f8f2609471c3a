// Framing: how a request's end is known (RFC 9112 §6). What is ambiguous is refused, never repaired.

import { countOf, firstValue, type Headers } from './headers.ts';

/** The framing of an HTTP/1 request: 'none', 'chunked', a number of bytes; or `problem`, the reason for a 400. */
export type Framing =
  | { readonly kind: 'none' | 'chunked' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'problem'; readonly problem: string };

const NONE: Framing = Object.freeze({ kind: 'none' });
const CHUNKED: Framing = Object.freeze({ kind: 'chunked' });

/** Reads Content-Length and Transfer-Encoding. */
export function readFraming(headers: Headers, protocol: 'HTTP/1.0' | 'HTTP/1.1'): Framing {
  const length = firstValue(headers, 'content-length');
  const coding = firstValue(headers, 'transfer-encoding');
  if (coding !== undefined) {
    if (protocol === 'HTTP/1.0') return problem('Transfer-Encoding does not exist in HTTP/1.0');
    if (length !== undefined) return problem('both Content-Length and Transfer-Encoding are set');
    if (countOf(headers, 'transfer-encoding') > 1 || coding.toLowerCase() !== 'chunked') {
      return problem('the only Transfer-Encoding understood is a single "chunked"');
    }
    return CHUNKED;
  }
  if (length === undefined) return NONE;
  if (countOf(headers, 'content-length') > 1) return problem('there is more than one Content-Length');
  if (!/^\d{1,16}$/.test(length) || !Number.isSafeInteger(Number(length)))
    return problem('Content-Length is no valid number');
  return { kind: 'length', length: Number(length) };
}

function problem(text: string): Framing {
  return { kind: 'problem', problem: text };
}
