// The header fields that a client gets: the upstream's, less what belongs to one connection, in public terms.

import {
  FRAMING,
  fieldFlags,
  type Headers,
  HOP_BY_HOP,
  isNamed,
  NO_TRAILER,
  nominatedFields,
  PROTECTED,
} from '../http/headers.ts';
import { type Mapping, mapCookiePath, mapLocation } from '../http/location.ts';
import type { HeaderRules } from '../model/snapshot.ts';
import { applyRules } from './header-rules.ts';

/** Makes the client's fields; Content-Length is kept (last), all other framing is left to the downstream side. */
export function responseHeaders(
  status: number,
  upstream: Headers,
  mapping: Mapping,
  requestId: string,
  rules?: HeaderRules,
): Headers {
  const nominated = nominatedFields(upstream);
  let out: Headers = [];
  let length: string | undefined;
  for (let i = 0; i < upstream.length; i += 2) {
    const name = upstream[i]!;
    const value = upstream[i + 1]!;
    const flags = fieldFlags(name);
    if ((flags & (HOP_BY_HOP | FRAMING)) !== 0) {
      if (isNamed(name, 'content-length')) length = value;
      continue;
    }
    if (nominated !== undefined && (flags & PROTECTED) === 0 && nominated.has(name.toLowerCase())) continue;
    out.push(name, value);
    const last = out.length - 1;
    switch (name.length) {
      case 8:
        if (isNamed(name, 'location')) out[last] = mapLocation(value, mapping);
        break;
      case 10:
        if (isNamed(name, 'set-cookie')) out[last] = mapCookiePath(value, mapping.prefix);
        break;
      case 12:
        if (isNamed(name, 'x-request-id')) out.length -= 2;
        break;
      case 16:
        if (isNamed(name, 'content-location')) out[last] = mapLocation(value, mapping);
        break;
    }
  }
  out.push('X-Request-Id', requestId);
  out = applyRules(out, rules);
  // RFC 9110 §8.6: never in a 1xx or 204. Last of all, because node:http re-encodes a Content-Disposition that follows it.
  if (length !== undefined && status >= 200 && status !== 204) out.push('Content-Length', length);
  return out;
}

/** Trailer fields that may be passed on: framing, routing and authentication are not for this place (RFC 9110 §6.5.1). */
export function trailers(fields: Headers): Headers {
  const out: Headers = [];
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    if ((fieldFlags(name) & (NO_TRAILER | HOP_BY_HOP | FRAMING)) === 0) out.push(name, fields[i + 1]!);
  }
  return out;
}
