// Why an exchange did not complete, as data: one table from code to status, log word, side and the sentence that people read.

export type Side = 'downstream' | 'upstream' | 'internal';

/** One row of the table. */
export interface Failure {
  /** The word in the access log and in `Proxy-Status: portico; details=`. */
  readonly code: string;
  readonly side: Side;
  /** The status of our own answer, while no head has been sent. */
  readonly status: number;
  /** The `error` of Proxy-Status (RFC 9209 §2.3). */
  readonly proxyStatus: string;
  /** True when the upstream cannot have seen the request: it may go to another endpoint, whatever its method. */
  readonly unsent: boolean;
}

function failure(code: string, side: Side, status: number, proxyStatus: string, unsent = false): Failure {
  return Object.freeze({ code, side, status, proxyStatus, unsent });
}

export const FAILURES = Object.freeze({
  malformed: failure('malformed_request', 'downstream', 400, 'http_request_error'),
  plainHttp: failure('plain_http_on_tls_port', 'downstream', 400, 'http_request_error'),
  tlsOnPlain: failure('tls_on_plain_port', 'downstream', 400, 'http_request_error'),
  clientUnknown: failure('client_certificate_missing', 'downstream', 403, 'http_request_denied'),
  clientRefused: failure('client_certificate_refused', 'downstream', 403, 'http_request_denied'),
  noRoute: failure('no_route', 'downstream', 404, 'http_request_denied'),
  noFile: failure('no_file', 'downstream', 404, 'http_request_denied'),
  methodRefused: failure('method_refused', 'downstream', 405, 'http_request_denied'),
  notForFiles: failure('method_not_for_files', 'downstream', 405, 'http_request_denied'),
  headTimeout: failure('head_timeout', 'downstream', 408, 'http_request_error'),
  bodyTimeout: failure('body_timeout', 'downstream', 408, 'http_request_error'),
  bodyTooSlow: failure('body_too_slow', 'downstream', 408, 'http_request_error'),
  bodyTooLarge: failure('body_too_large', 'downstream', 413, 'http_request_denied'),
  targetTooLong: failure('target_too_long', 'downstream', 414, 'http_request_error'),
  expectationRefused: failure('expectation_refused', 'downstream', 417, 'http_request_denied'),
  misdirected: failure('misdirected', 'downstream', 421, 'http_request_denied'),
  headTooLarge: failure('head_too_large', 'downstream', 431, 'http_request_error'),
  /** The client left; 499 is only ever seen in logs. */
  clientGone: failure('client_gone', 'downstream', 499, 'connection_terminated'),
  /** The client is there, but has taken nothing for too long. */
  clientStalled: failure('client_stalled', 'downstream', 499, 'connection_write_timeout'),
  dns: failure('dns_error', 'upstream', 502, 'dns_error', true),
  refused: failure('connection_refused', 'upstream', 502, 'connection_refused', true),
  unreachable: failure('unreachable', 'upstream', 502, 'destination_ip_unroutable', true),
  tls: failure('upstream_tls', 'upstream', 502, 'tls_protocol_error', true),
  connectTimeout: failure('connect_timeout', 'upstream', 504, 'connection_timeout', true),
  /** The connection ended before any byte of the answer. */
  lost: failure('connection_lost', 'upstream', 502, 'connection_terminated'),
  malformedResponse: failure('malformed_response', 'upstream', 502, 'http_protocol_error'),
  truncated: failure('response_truncated', 'upstream', 502, 'http_response_incomplete'),
  /** What is rewritten is taken in whole, and only so much is. */
  tooLargeToRewrite: failure('response_too_large', 'upstream', 502, 'http_response_body_size'),
  responseTimeout: failure('response_timeout', 'upstream', 504, 'http_response_timeout'),
  upstreamIdle: failure('upstream_idle', 'upstream', 504, 'connection_read_timeout'),
  busy: failure('too_many_waiting', 'upstream', 503, 'connection_limit_reached', true),
  draining: failure('drain_deadline', 'internal', 503, 'proxy_internal_error'),
  fileUnreadable: failure('file_unreadable', 'internal', 500, 'proxy_internal_error'),
  /** Between its head and its end. */
  fileChanged: failure('file_changed', 'internal', 500, 'proxy_internal_error'),
  internal: failure('internal', 'internal', 500, 'proxy_internal_error'),
});

/** Of trailers that are too large. */
export function overTrailerLimit(bytes: number): string {
  return `the trailers behind the request body are larger than ${bytes} bytes, which is as much as is ever taken`;
}

/** Of the name of a field, in what is said of it: a line of the log has to fit one write. */
const MAX_NAME = 100;

/** Of a head that is too large: the limit, and the field that takes most of it. */
export function overHeadLimit(headBytes: number, largest: { readonly name: string; readonly size: number }): string {
  const field =
    largest.name === '' ? '' : `; its largest field is ${largest.name.slice(0, MAX_NAME)} with ${largest.size} bytes`;
  return `the request head is larger than ${headBytes} bytes (limit downstream.headBytes; without a configuration file HEAD_LIMIT)${field}`;
}
