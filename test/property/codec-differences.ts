// Where our parsers accept what llhttp, strict as it is, refuses or reads otherwise: each kept difference with its reason.

import { METHODS } from 'node:http';
import type { Difference } from '../support/agreement.ts';
import type { Asked } from '../support/codec.ts';

export interface Row {
  readonly sentence: string;
  /** Why it is kept. */
  readonly reason: string;
  /** What shows it; for a response with what it answers. */
  readonly example: string;
  readonly asked?: Asked;
  explains(difference: Difference): boolean;
}

const GET: Asked = { method: 'GET', upgrade: false };

export const REQUEST_DIFFERENCES: readonly Row[] = [
  {
    sentence: 'a method that llhttp has no number for',
    reason:
      'Methods are an open set of tokens, each in its own case (RFC 9110 §9.1); it frames nothing, and a backend may know it.',
    example: 'FROB / HTTP/1.1\r\nHost: a\r\n\r\n',
    explains: ({ message, error }) => error === 'HPE_INVALID_METHOD' && !METHODS.includes(methodOf(message.start)),
  },
  {
    sentence: 'a request behind one that asks for an upgrade which is not served',
    reason:
      'Node drops all that follows a refused upgrade. Such a request is framed like any other (RFC 9110 §7.8), and so is the next one.',
    example: 'GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nGET /next HTTP/1.1\r\n\r\n',
    explains: ({ bytes, error, unread }) =>
      unread && error === '' && /^connection:.*upgrade/im.test(bytes) && /^upgrade:/im.test(bytes),
  },
  {
    sentence: 'a request behind a trailer named Connection: close',
    reason:
      'llhttp reads trailers as if they were fields of the head, which RFC 9110 §6.5.1 forbids; we drop that trailer.',
    example: 'PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n\r\n',
    explains: ({ bytes, error, unread }) =>
      unread && error === 'HPE_CLOSED_CONNECTION' && /\r\n0[^\r]*\r\n(?:.+\r\n)*connection:.*close/i.test(bytes),
  },
];

export const RESPONSE_DIFFERENCES: readonly Row[] = [
  {
    sentence: 'a final response behind an interim one with Connection: close, or of HTTP/1.0',
    reason:
      'The connection ends after the final response, not before it (RFC 9112 §9.6); llhttp ends at the interim one.',
    example: 'HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    asked: GET,
    explains: ({ bytes, error, unread }) =>
      unread &&
      error === 'HPE_CLOSED_CONNECTION' &&
      /HTTP\/1\.(?:0 1|1 1\d\d.*\r\n(?:.+\r\n)*connection:.*close)/i.test(bytes),
  },
];

function methodOf(start: string): string {
  return start.slice(0, start.indexOf(' '));
}
