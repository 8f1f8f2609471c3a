// Format of header rules: which fields a configuration file may change, and how it says so.

import { FRAMING, fieldFlags, HOP_BY_HOP, IDENTITY } from '../http/headers.ts';
import { STRING } from './format-values.ts';
import { list, named, object, optional, parsed, type Shape, text } from './shape.ts';
import { Wrong } from './values.ts';

export function rules(side: 'request' | 'response') {
  const value = text('the value of a header field', /^[\x20-\x7e]+$/, 8_192);
  const name = fieldName(side);
  return object({
    set: optional(named(name, value, 0, 100), 'Fields in place of all of their names'),
    add: optional(named(name, value, 0, 100), 'Fields beside those that are there'),
    remove: optional(list(name, 0, 100), 'Names of fields to leave out'),
  });
}

/** RFC 9110 §5.1. */
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const OURS: readonly string[] = ['host', 'content-encoding', 'content-range', 'trailer', 'expect', 'date'];

function fieldName(side: 'request' | 'response'): Shape<string> {
  return parsed('the name of a header field', STRING, (value) => {
    if (!FIELD_NAME.test(value)) return new Wrong(`is "${value}", which is no name of a field`, 'like X-Frame-Options');
    const flags = fieldFlags(value);
    const lower = value.toLowerCase();
    if ((flags & (FRAMING | HOP_BY_HOP)) !== 0 || OURS.includes(lower)) {
      const hint = lower === 'host' ? 'set the host of the pool instead' : 'leave it out: it is set as it must be';
      return new Wrong('belongs to one connection or to the framing, which no rule may change', hint);
    }
    if (side === 'request' && (flags & IDENTITY) !== 0) {
      return new Wrong('says who the client is, which no rule may change', 'see trustedProxies');
    }
    if (lower === 'x-request-id' || lower === 'proxy-status') {
      return new Wrong('is how an answer is found in the log', 'leave it out');
    }
    return value;
  });
}
