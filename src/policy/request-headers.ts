// The header fields that an upstream gets: those of the client that are meant for it, and what we vouch for.

import {
  ALIAS,
  CLIENT_CERTIFICATE,
  FRAMING,
  fieldFlags,
  firstValue,
  type Headers,
  HOP_BY_HOP,
  hasMember,
  IDENTITY,
  isNamed,
  nominatedFields,
  PROTECTED,
  TRACE,
} from '../http/headers.ts';
import { type RequestHead, UNTIL_END } from '../model/exchange.ts';
import type { HeaderRules } from '../model/snapshot.ts';
import { applyRules } from './header-rules.ts';

/** What this hop says about the request. */
export interface Vouched {
  /** The peer is a trusted hop: its own X-Forwarded-Proto, -Host, -Port and -Prefix stand. */
  readonly trusted: boolean;
  /** The X-Forwarded-For to send. */
  readonly chain: string;
  readonly scheme: string;
  /** The authority that the client asked for. */
  readonly authority: string;
  readonly publicPort: number;
  /** The prefix that was stripped, or ''. */
  readonly prefix: string;
  readonly requestId: string;
  /** The one that begins a trace here, and takes the place of what the client may have sent; undefined: the client's own is passed. */
  readonly traceparent: string | undefined;
  /** Of the client's certificate, and then nobody else may say anything of it; undefined: the host asks for none. */
  readonly clientFields: Headers | undefined;
  /** The Host that the pool wants in place of the client's. */
  readonly host?: string | undefined;
  readonly rules?: HeaderRules | undefined;
}

/** Makes the upstream's fields. Order and duplicates are kept; ours come last. Framing is left to the transport. */
export function requestHeaders(head: RequestHead, vouched: Vouched): Headers {
  const incoming = head.headers;
  const nominated = nominatedFields(incoming);
  const out: Headers = [];
  for (let i = 0; i < incoming.length; i += 2) {
    const name = incoming[i]!;
    const flags = fieldFlags(name);
    // A tracestate without its traceparent says nothing.
    if ((flags & TRACE) !== 0 && vouched.traceparent !== undefined) continue;
    if ((flags & (HOP_BY_HOP | FRAMING)) !== 0) continue;
    if (nominated !== undefined && (flags & PROTECTED) === 0 && nominated.has(name.toLowerCase())) continue;
    if ((flags & IDENTITY) !== 0 && !passesIdentity(name, flags, vouched)) continue;
    if ((flags & ALIAS) !== 0) continue;
    if (head.bodyLength !== UNTIL_END && isNamed(name, 'trailer')) continue;
    if (vouched.host !== undefined && isNamed(name, 'host')) out.push(name, vouched.host);
    else out.push(name, incoming[i + 1]!);
  }
  if (hasMember(incoming, 'te', 'trailers')) out.push('TE', 'trailers');
  out.push('X-Forwarded-For', vouched.chain);
  pushUnlessKept(out, incoming, vouched, 'X-Forwarded-Proto', vouched.scheme);
  pushUnlessKept(out, incoming, vouched, 'X-Forwarded-Host', vouched.authority);
  pushUnlessKept(out, incoming, vouched, 'X-Forwarded-Port', String(vouched.publicPort));
  if (vouched.prefix !== '') out.push('X-Forwarded-Prefix', outerPrefix(incoming, vouched) + vouched.prefix);
  out.push('X-Request-Id', vouched.requestId);
  if (vouched.traceparent !== undefined) out.push('traceparent', vouched.traceparent);
  if (vouched.clientFields !== undefined) out.push(...vouched.clientFields);
  return applyRules(out, vouched.rules);
}

/** Of one line in these servers' default buffers (nginx, gunicorn). */
const LARGE_FIELD = 8 * 1024;

/** The name of the first field that many upstreams refuse for its size. */
export function largeField(headers: Headers): string | undefined {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]!.length + headers[i + 1]!.length > LARGE_FIELD) return headers[i]!.slice(0, 100);
  }
  return undefined;
}

/** Fields that say who the client is: from a trusted hop only, and never those that we make ourselves. */
function passesIdentity(name: string, flags: number, vouched: Vouched): boolean {
  if (!vouched.trusted) return false;
  if ((flags & CLIENT_CERTIFICATE) !== 0) return vouched.clientFields === undefined;
  const lower = name.toLowerCase();
  if (lower === 'x-forwarded-prefix') return vouched.prefix === '';
  return lower !== 'x-forwarded-for' && lower !== 'x-request-id';
}

function pushUnlessKept(out: Headers, incoming: Headers, vouched: Vouched, name: string, value: string): void {
  if (vouched.trusted && firstValue(incoming, name.toLowerCase()) !== undefined) return;
  out.push(name, value);
}

/** A trusted hop that stripped a prefix before us: ours comes behind it. */
function outerPrefix(incoming: Headers, vouched: Vouched): string {
  const outer = vouched.trusted ? firstValue(incoming, 'x-forwarded-prefix') : undefined;
  return outer === undefined ? '' : outer.replace(/\/+$/, '');
}
