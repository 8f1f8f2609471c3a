// Admit: is this head one that has a single reading? The first decision about every request.

import { countOf, type Headers, isNamed, largestField, sizeOf } from '../http/headers.ts';
import { type Authority, readAuthority, readTarget } from '../http/target.ts';
import type { RequestHead } from '../model/exchange.ts';
import { FAILURES, type Failure, overHeadLimit } from '../model/failure.ts';
import type { Limits } from '../model/snapshot.ts';

/** A head that was understood. */
export interface Admitted {
  readonly authority: Authority;
  /** Path and query as sent. */
  readonly path: string;
}

/** Why a request goes no further, in words for whoever sent it. */
export interface Refusal {
  readonly failure: Failure;
  readonly detail: string;
}

type HeadLimits = Pick<Limits, 'headBytes' | 'headFields' | 'requestLineBytes'>;

/** RFC 9110 §5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** TRACE and TRACK echo credentials back to scripts; CONNECT is for forward proxies. */
const REFUSED_METHODS: readonly string[] = ['TRACE', 'TRACK', 'CONNECT'];

/** Checks method, target, Host and size. Returns the reading, or the refusal. */
export function admit(head: RequestHead, limits: HeadLimits): Admitted | Refusal {
  const count = head.headers.length / 2;
  if (count > limits.headFields) {
    const limit = `the limit of ${limits.headFields} (limit downstream.headFields)`;
    return refuse(FAILURES.headTooLarge, `the request has ${count} header fields, more than ${limit}`);
  }
  // Over HTTP/1 line and head were measured as they came.
  if (head.target.length > limits.requestLineBytes) {
    const limit = `${limits.requestLineBytes} bytes (limit downstream.requestLineBytes)`;
    return refuse(FAILURES.targetTooLong, `the request target is longer than ${limit}`);
  }
  // HTTP/2 compresses it: a byte may stand for a field of 4 KiB that was sent before (RFC 7541 §6.1).
  if (head.protocol === 'HTTP/2.0' && head.target.length + sizeOf(head.headers) > limits.headBytes) {
    return refuse(FAILURES.headTooLarge, overHeadLimit(limits.headBytes, largestField(head.headers)));
  }
  if (!TOKEN.test(head.method)) return refuse(FAILURES.malformed, 'the method is no token');
  // In any letter case: some upstreams read a method so.
  if (REFUSED_METHODS.includes(head.method.toUpperCase())) {
    return refuse(FAILURES.methodRefused, `the method ${head.method} is not served here`);
  }
  if (head.problem !== undefined) return refuse(FAILURES.malformed, head.problem);
  const target = readTarget(head.method, head.target);
  if (typeof target === 'string') return refuse(FAILURES.malformed, target);
  if (countOf(head.headers, 'host') > 1) return refuse(FAILURES.malformed, 'the request has more than one Host field');
  if (head.authority === undefined || head.authority === '') {
    return refuse(FAILURES.malformed, 'the request has no Host field');
  }
  const authority = readAuthority(head.authority);
  if (authority === undefined) return refuse(FAILURES.malformed, 'the Host field is no valid host name');
  if (target.authority !== undefined && target.authority.toLowerCase() !== head.authority.toLowerCase()) {
    return refuse(FAILURES.malformed, 'the host of the request target and the Host field differ');
  }
  const expectation = unknownExpectation(head.headers);
  if (expectation) return refuse(FAILURES.expectationRefused, 'only Expect: 100-continue is understood');
  return { authority, path: target.path };
}

function refuse(failure: Failure, detail: string): Refusal {
  return { failure, detail };
}

function unknownExpectation(headers: Headers): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    if (isNamed(name, 'expect') && headers[i + 1]!.toLowerCase() !== '100-continue') return true;
  }
  return false;
}
