// Compression: whether an answer goes down compressed, and what its fields are then.

import { allValues, firstValue, type Headers, hasMember } from '../http/headers.ts';
import {
  asksForRange,
  CODINGS,
  type Coding,
  chooseCoding,
  isTextType,
  MIN_COMPRESSED,
  weakened,
} from '../http/representation.ts';
import type { RequestHead } from '../model/exchange.ts';

/** Bodies that are bound to their bytes: compressed they would not fit any more. */
const DIGESTS: readonly string[] = ['content-digest', 'repr-digest', 'digest', 'content-md5'];

/** A coding, or `identity`: other clients get it compressed. Undefined: nobody does, it goes as it came. */
export function chooseCompression(
  head: RequestHead,
  status: number,
  headers: Headers,
): Coding | 'identity' | undefined {
  if (!mayCompress(status, headers)) return undefined;
  // A part is what the whole is (RFC 9110 §15.3.7), and stays a part of the bytes that it was cut from.
  if (status === 206) return 'identity';
  // RFC 9111 §5.2.1.6: clients may ask for that too.
  if (hasMember(head.headers, 'cache-control', 'no-transform')) return 'identity';
  if (head.protocol === 'HTTP/1.0' || asksForRange(head.method, head.headers)) return 'identity';
  return chooseCoding(head.headers, CODINGS);
}

/** Text that is not encoded yet, large enough, and not forbidden to be changed. */
function mayCompress(status: number, headers: Headers): boolean {
  if (status < 200 || status === 204 || status === 205 || status === 304) return false;
  const type = firstValue(headers, 'content-type');
  if (type === undefined || !isTextType(type)) return false;
  if (firstValue(headers, 'content-encoding') !== undefined) return false;
  const length = status === 206 ? undefined : firstValue(headers, 'content-length');
  if (length !== undefined && Number(length) < MIN_COMPRESSED) return false;
  if (hasMember(headers, 'cache-control', 'no-transform')) return false;
  return !DIGESTS.some((name) => firstValue(headers, name) !== undefined);
}

/**
 * The fields of a compressed answer. The ETag becomes weak, because the bytes are others than the upstream's, and a part of them
 * can be had from nobody: no Accept-Ranges.
 */
export function compressedHeaders(headers: Headers, coding: Coding): Headers {
  const out: Headers = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!.toLowerCase();
    if (name === 'content-length' || name === 'accept-ranges') continue;
    out.push(headers[i]!, name === 'etag' ? weakened(headers[i + 1]!) : headers[i + 1]!);
  }
  out.push('Content-Encoding', coding);
  return varying(out);
}

/** With `Vary: Accept-Encoding`, also for those who get it as it is: a cache has to tell them apart. */
export function varying(headers: Headers): Headers {
  if (hasMember(headers, 'vary', '*') || hasMember(headers, 'vary', 'accept-encoding')) return headers;
  // In front: Content-Length stays last.
  return ['Vary', 'Accept-Encoding', ...headers];
}

/**
 * A 304 for a client that holds what was changed on its way: it names the tag that this client has, or a cache would not take the
 * answer for the one that it keeps (RFC 9111 §4.3.4).
 */
export function unmodifiedHeaders(head: RequestHead, headers: Headers): Headers {
  const etag = firstValue(headers, 'etag');
  if (etag === undefined || etag.startsWith('W/')) return headers;
  const held = allValues(head.headers, 'if-none-match').join(',');
  if (!held.includes(`W/${etag}`)) return headers;
  return varying(
    headers.map((value, i) => (value === etag && headers[i - 1]!.toLowerCase() === 'etag' ? `W/${etag}` : value)),
  );
}
