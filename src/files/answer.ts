// Answer: head and pieces for what a request asks of a representation: all of it, parts of it, or no byte (304, 412, 416).

import { randomBytes } from 'node:crypto';
import type { Headers } from '../http/headers.ts';
import {
  asksForRange,
  contentRange,
  evaluateConditions,
  mayApplyRange,
  partHead,
  partsEnd,
  type Ranges,
  readRanges,
  type Span,
} from '../http/representation.ts';
import type { Clocks } from './lookup.ts';
import type { OpenFile } from './open-file.ts';
import type { Representation } from './representations.ts';

export interface FileRequest {
  readonly method: string;
  /** Path and query as sent, without the route's prefix: without any path when only that was sent. */
  readonly path: string;
  readonly prefix: string;
  readonly headers: Headers;
}

/** A piece of a body: bytes that are here, or a span of the open file. */
export type Piece = Uint8Array | Span;

/** A head, and the pieces that its Content-Length counts. Whoever gets it closes the file, if there is one. */
export interface FileAnswer {
  readonly kind: 'answer';
  readonly status: number;
  readonly headers: Headers;
  readonly pieces: readonly Piece[];
  readonly file: OpenFile | undefined;
  /** Of a file that something is written into. */
  readonly remarked?: Remarked;
}

/** What people should know of a file as it is served now: each remark continues its path. None: there is nothing to say any more. */
export interface Remarked {
  readonly path: string;
  readonly remarks: readonly string[];
}

/** The answers that need no byte of the file: 304, 412, 416. */
export function answerWithoutBody(
  request: FileRequest,
  { validators, fields, size }: Representation,
  clocks: Clocks,
): FileAnswer | undefined {
  const condition = evaluateConditions(request.method, request.headers, validators);
  if (condition === 'failed') return emptyAnswer(412, ['Cache-Control', 'no-store']);
  // RFC 9110 §15.4.5: what a 200 would have said of caching, and no more.
  if (condition === 'unmodified') return { ...emptyAnswer(304, []), headers: [...fields, ...validators.fields] };
  if (rangesOf(request, validators, size, clocks) !== 'unsatisfiable') return undefined;
  return emptyAnswer(416, ['Content-Range', `bytes */${size}`, 'Cache-Control', 'no-store']);
}

/** The 200 or 206 of bytes that are here, or of a file. Without either: of what has no byte to send. */
export function answerWith(
  source: Uint8Array | OpenFile | undefined,
  request: FileRequest,
  { validators, type, size, fields, coding }: Representation,
  clocks: Clocks,
): FileAnswer {
  const bytes = source instanceof Uint8Array ? source : undefined;
  const file = source instanceof Uint8Array ? undefined : source;
  const ranges = rangesOf(request, validators, size, clocks);
  const headers = [...fields, 'Accept-Ranges', 'bytes', ...validators.fields];
  if (coding !== 'identity') headers.push('Content-Encoding', coding);
  if (typeof ranges === 'string') {
    headers.push('Content-Type', type, 'Content-Length', String(size));
    const pieces = request.method === 'HEAD' || size === 0 ? [] : [pieceOf(bytes, { start: 0, end: size })];
    return { kind: 'answer', status: 200, headers, pieces, file };
  }
  if (ranges.length > 1) return answerWithParts(ranges, bytes, headers, type, size, file);
  const span = ranges[0]!;
  headers.push('Content-Type', type, 'Content-Range', contentRange(span, size));
  headers.push('Content-Length', String(span.end - span.start));
  return { kind: 'answer', status: 206, headers, pieces: [pieceOf(bytes, span)], file };
}

function answerWithParts(
  spans: readonly Span[],
  bytes: Uint8Array | undefined,
  headers: Headers,
  type: string,
  size: number,
  file: OpenFile | undefined,
): FileAnswer {
  // Random, so that nothing in a file can be taken for it.
  const boundary = randomBytes(15).toString('base64url');
  const end = Buffer.from(partsEnd(boundary), 'latin1');
  const pieces: Piece[] = [];
  let length = end.length;
  for (const span of spans) {
    const head = Buffer.from(partHead(boundary, type, span, size), 'latin1');
    pieces.push(head, pieceOf(bytes, span));
    length += head.length + span.end - span.start;
  }
  pieces.push(end);
  headers.push('Content-Type', `multipart/byteranges; boundary=${boundary}`, 'Content-Length', String(length));
  return { kind: 'answer', status: 206, headers, pieces, file };
}

function pieceOf(bytes: Uint8Array | undefined, span: Span): Piece {
  return bytes === undefined ? span : bytes.subarray(span.start, span.end);
}

function rangesOf(
  request: FileRequest,
  validators: Representation['validators'],
  size: number,
  clocks: Clocks,
): Ranges {
  if (!asksForRange(request.method, request.headers)) return 'whole';
  return mayApplyRange(request.headers, validators, clocks.wallNow()) ? readRanges(request.headers, size) : 'whole';
}

/** With its slash, so that relative links of the index work. More than one leading slash would name a host. */
export function redirectToFolder(request: FileRequest): FileAnswer {
  const question = request.path.indexOf('?');
  const path = question === -1 ? request.path : request.path.slice(0, question);
  const query = question === -1 ? '' : request.path.slice(question);
  const location = `${request.prefix}${path.replace(/^\/+/, '/')}/${query}`;
  return emptyAnswer(301, ['Location', location, 'Cache-Control', 'no-cache']);
}

function emptyAnswer(status: number, headers: Headers): FileAnswer {
  return { kind: 'answer', status, headers: [...headers, 'Content-Length', '0'], pieces: [], file: undefined };
}
