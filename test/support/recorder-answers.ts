// The answers of the recording upstream, one for each first segment of a path.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import type { Headers } from '../../src/http/headers.ts';
import type { Recorded } from './recorder.ts';

/** What a request's target asks for. */
export interface Steps {
  /** The first segment that is not empty: `status` of `/status/302?location=x`. */
  readonly name: string;
  /** The segments after it. */
  readonly rest: readonly string[];
  readonly query: URLSearchParams;
}

export interface Ask extends Steps {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly record: Recorded;
}

/** Sent with every answer, so that a proxy that writes its own Date is noticed. */
export const FIXED_DATE = 'Tue, 15 Nov 1994 08:12:31 GMT';

/** Reads a target; never through `new URL`, which takes `//x` for a host. */
export function steps(target: string): Steps {
  const question = target.indexOf('?');
  const path = question === -1 ? target : target.slice(0, question);
  const segments = path.split('/').filter((segment) => segment !== '');
  const query = new URLSearchParams(question === -1 ? '' : target.slice(question + 1));
  return { name: segments[0] ?? '', rest: segments.slice(1), query };
}

export function queryOf(query: URLSearchParams, name: string): string | undefined {
  return query.get(name) ?? undefined;
}

/** Bytes that look random and are the same for everybody (xorshift32). */
export function sampleBytes(count: number): Buffer {
  const words = new Uint32Array(Math.ceil(count / 4));
  let state = 0x9e3779b9;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return Buffer.from(words.buffer, 0, count);
}

export function answerTo(ask: Ask): void {
  const { request, response } = ask;
  response.on('error', () => {});
  if (request.headers.expect !== undefined && ask.name !== 'early') response.writeContinue();
  const answer = ANSWERS[ask.name] ?? answerText;
  if (ask.name === 'early') return void answer(ask);
  request.on('end', () => void answer(ask));
  request.resume();
}

type Answer = (ask: Ask) => void | Promise<void>;

const ANSWERS: Readonly<Record<string, Answer>> = {
  /** `/status/302?location=/x`: the query becomes fields. No body where there must be none. */
  status: (ask) => {
    const status = Number(ask.rest[0] ?? 200);
    const fields = [...ask.query].flat();
    if (status === 204 || status === 304) return send(ask, status, fields, undefined);
    return send(ask, status, [...fields, 'Content-Type', 'text/plain'], `status ${status}\n`);
  },

  /** `/headers?X-A=1&X-A=2`: fields of an answer, in this order. */
  headers: (ask) => send(ask, 200, [...ask.query].flat(), 'headers\n'),

  cookies: (ask) => send(ask, 200, COOKIES, 'cookies\n'),

  /** The request's body, once it is whole: Caddy closes the connection by chance when an answer begins before that. */
  echo: (ask) => {
    const type = ask.request.headers['content-type'];
    return send(ask, 200, type === undefined ? [] : ['Content-Type', type], Buffer.concat(ask.record.body));
  },

  /** `/big?bytes=N[&chunked=1]` */
  big: (ask) => {
    const body = sampleBytes(Number(ask.query.get('bytes') ?? 1_000_000));
    const type = ['Content-Type', 'application/octet-stream'];
    if (!ask.query.has('chunked')) return send(ask, 200, type, body);
    head(ask, 200, type);
    for (let at = 0; at < body.length; at += 60_000) ask.response.write(body.subarray(at, at + 60_000));
    ask.response.end();
  },

  gzip: (ask) =>
    send(ask, 200, ['Content-Type', 'text/plain', 'Content-Encoding', 'gzip', 'ETag', '"z"'], gzipSync('gzipped\n')),

  /** What a Flask application with CORS answers. */
  cors: (ask) => {
    const origin = ask.request.headers.origin ?? '*';
    const fields = [
      'Access-Control-Allow-Origin',
      origin,
      'Access-Control-Allow-Credentials',
      'true',
      'Vary',
      'Origin',
    ];
    if (ask.request.method !== 'OPTIONS') return send(ask, 200, fields, '{}');
    const allow = ['Access-Control-Allow-Headers', 'authorization, content-type, x-json-flavor'];
    const methods = ['Access-Control-Allow-Methods', 'DELETE, GET, POST, PUT', 'Allow', 'GET, HEAD, OPTIONS'];
    return send(ask, 200, [...fields, ...allow, ...methods], '');
  },

  sse: async (ask) => {
    head(ask, 200, ['Content-Type', 'text/event-stream', 'Cache-Control', 'no-cache']);
    for (let i = 1; i <= Number(ask.query.get('count') ?? 3); i++) {
      ask.response.write(`data: ${i}\n\n`);
      await sleep(Number(ask.query.get('every') ?? 20));
    }
    ask.response.end();
  },

  // One field only: Caddy lists several in an order of chance.
  trailers: (ask) => {
    head(ask, 200, ['Content-Type', 'text/plain', 'Trailer', 'X-Sum']);
    ask.response.write('first ');
    ask.response.addTrailers([['X-Sum', 'abc']]);
    ask.response.end('second\n');
  },

  hints: (ask) => {
    ask.response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' });
    return send(ask, 200, ['Content-Type', 'text/plain'], 'after the hints\n');
  },

  /** `/early?status=413`: answers before the body has come, and reads it all the same. */
  early: (ask) => {
    ask.record.answeredEarly = true;
    send(ask, Number(ask.query.get('status') ?? 413), ['Content-Type', 'text/plain'], 'no more of this\n');
    ask.request.resume();
  },

  /** `/slow?ms=` */
  slow: async (ask) => {
    await sleep(Number(ask.query.get('ms') ?? 1000));
    send(ask, 200, [], 'slow\n');
  },

  /** `/cut?bytes=100[&chunked=1]`: the connection ends in the middle of the answer. */
  cut: (ask) => {
    const body = sampleBytes(Number(ask.query.get('bytes') ?? 100));
    const framing = ask.query.has('chunked') ? [] : ['Content-Length', String(body.length * 2)];
    head(ask, 200, ['Content-Type', 'application/octet-stream', ...framing]);
    ask.response.write(body, () => setTimeout(() => ask.request.socket.destroy(), 30));
  },

  /** The connection ends before any byte of an answer. */
  drop: (ask) => {
    ask.request.socket.destroy();
  },
};

const COOKIES = [
  ['Set-Cookie', 'session=abc; Path=/; HttpOnly; Secure; SameSite=None'],
  ['Set-Cookie', 'theme="dark blue"; Expires=Wed, 21 Oct 2037 07:28:00 GMT; Path=/app'],
  ['Set-Cookie', 'plain=1'],
  ['Set-Cookie', '__Host-id=2; Path=/; Secure'],
].flat();

function answerText(ask: Ask): void {
  send(ask, 200, ['Content-Type', 'text/plain; charset=utf-8'], 'here\n');
}

function send(ask: Ask, status: number, fields: Headers, body: string | Buffer | undefined): void {
  const length = body === undefined ? [] : ['Content-Length', String(Buffer.byteLength(body))];
  head(ask, status, [...fields, ...length]);
  ask.response.end(body);
}

function head(ask: Ask, status: number, fields: Headers): void {
  const headers = ['Date', FIXED_DATE, 'Server', 'recorder', ...fields];
  // Caddy makes up a missing type out of the first bytes, and by chance: it depends on how they were packed.
  const hasType = fields.some((field, i) => i % 2 === 0 && field.toLowerCase() === 'content-type');
  if (!hasType && status !== 204 && status !== 304) headers.push('Content-Type', 'application/octet-stream');
  ask.record.answered = { status, headers };
  ask.response.writeHead(status, headers);
}
