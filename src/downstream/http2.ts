// HTTP/2 from clients, on node:http2's core streams: each stream becomes an exchange.

import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { MAX_TRAILERS } from '../codec/http1-message.ts';
import { type Headers, sizeOf } from '../http/headers.ts';
import { Exchange, NO_BODY, type Origin, type RequestHead, UNTIL_END } from '../model/exchange.ts';
import { FAILURES, overTrailerLimit } from '../model/failure.ts';
import type { Roster } from '../model/roster.ts';
import type { Limits } from '../model/snapshot.ts';
import type { Door, Watched } from '../proxy/door.ts';
import { handle, onRequestBroken, onRequestChunk, onRequestEnd } from '../proxy/handle.ts';
import { Http2Downstream } from './http2-answer.ts';
import { LINGER } from './linger.ts';
import { useOwnTables } from './stream-tables.ts';

/** What a client may send ahead on one stream, and on all streams of a connection, in bytes. */
const STREAM_WINDOW = 256 * 1024;
const CONNECTION_WINDOW = 1024 * 1024;
/** Larger heads of answers break the stream; SSO answers come near to 64 KiB. */
const MAX_SENT_HEAD = 256 * 1024;

/** What a client sends right behind its first request is taken so long, in ms, while we drain. */
const FIRST_REQUESTS = 1_000;

/** Serves a connection on which HTTP/2 was agreed; it is one of `connections` while it lives. */
export function serveHttp2(socket: TLSSocket, origin: Origin, door: Door, connections: Roster<Http2Connection>): void {
  const connection = new Http2Connection(socket, origin, door);
  const place = connections.add(connection);
  socket.once('close', () => connections.remove(place));
}

/** One connection, and the streams that are open on it. */
export class Http2Connection implements Watched {
  /** It is looked at by every sweep, until it ends: then for the client's own end. */
  deadline = 0;
  readonly #socket: TLSSocket;
  readonly #session: ServerHttp2Session;
  readonly #origin: Origin;
  readonly #door: Door;
  /** How many are open, and how many there were. */
  #streams = 0;
  #count = 0;
  /** The number of the last stream whose head came, and of the last one whose head was seen to have begun. */
  #lastHead = 0;
  #lastBegun = 0;
  /** When the head that has begun must have come. */
  #headDeadline = 0;
  /** From when on nothing more is taken. */
  #closesAt = Number.POSITIVE_INFINITY;
  /** Nothing is under way, and our side has ended. */
  #ending = false;

  constructor(socket: TLSSocket, origin: Origin, door: Door) {
    this.#socket = socket;
    this.#session = openSession(socket, door.active.limits);
    this.#origin = origin;
    this.#door = door;
    const place = door.watched.add(this);
    socket.once('close', () => door.watched.remove(place));
    const session = this.#session;
    session.on('stream', (stream, _headers, flags, raw) => this.#begin(stream, flags, raw));
    // A session without streams ends after the keep-alive time; one with a slow answer lives on.
    session.on('timeout', () => {
      if (this.#streams === 0) this.#end();
      else session.setTimeout(this.#limits.keepAliveTimeout);
    });
    session.setTimeout(this.#limits.keepAliveTimeout);
  }

  /** Takes nothing more, and ends with its last answer. */
  drain(): void {
    // One that is new is told with its first request.
    if (this.#session.state.lastProcStreamID !== 0) this.#session.close();
  }

  onDeadline(): void {
    if (this.#door.now() >= this.#closesAt) this.#session.close();
    if (this.#ending) this.#socket.destroy();
    else if (this.#streams === 0) this.#look();
  }

  get #limits(): Limits {
    return this.#door.active.limits;
  }

  #begin(stream: ServerHttp2Stream, flags: number, raw: readonly string[]): void {
    const door = this.#door;
    const downstream = new Http2Downstream(door, this.#socket, stream);
    const head = readHead(raw, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0);
    const exchange = new Exchange(this.#origin, downstream, head, Date.now(), door.now());
    downstream.exchange = exchange;
    this.#streams++;
    this.#count++;
    this.#lastHead = stream.id!;
    stream.on('error', () => {});
    stream.on('close', () => {
      this.#streams--;
      downstream.onClose();
    });
    if (!exchange.requestEnded) {
      stream.on('aborted', () => downstream.onReset());
      readBody(stream, exchange);
    } else {
      // Nothing comes, and to read that would end the stream before its answer is out, which costs an error and a fifth of all that it takes.
      // Paused, because a stream that nobody has touched is reset when its answer is out.
      stream.pause();
    }
    handle(door, exchange);
    if (exchange.isLast || this.#isFull) this.#session.close();
    // Not before its first requests, which may be on their way: they would be refused.
    else if (this.#origin.bound.draining) this.#closesAt = Math.min(this.#closesAt, door.now() + FIRST_REQUESTS);
  }

  get #isFull(): boolean {
    const { requestsPerConnection } = this.#limits;
    return requestsPerConnection !== 0 && this.#count >= requestsPerConnection;
  }

  /**
   * At a connection without streams. node:http2 tells of a head when it is whole, and of one that has begun only the number of its stream;
   * where it refused that one by itself, there is nothing to wait for either.
   */
  #look(): void {
    const session = this.#session;
    if (session.closed || session.destroyed) return this.#end();
    const begun = session.state.lastProcStreamID ?? 0;
    if (begun === this.#lastHead) return;
    const now = this.#door.now();
    if (begun !== this.#lastBegun) {
      this.#lastBegun = begun;
      this.#headDeadline = now + this.#limits.headTimeout;
    } else if (now >= this.#headDeadline) this.#end();
  }

  /** Ends our side as soon as the client has taken all, and waits for its own end: for a short time, where node:http2 would wait for ever. */
  #end(): void {
    const socket = this.#socket;
    this.#ending = true;
    this.#session.close();
    // With a part of a head it waits for the rest.
    this.#session.destroy();
    this.deadline = this.#door.now() + this.#limits.upstreamIdleTimeout;
    if (socket.writableFinished) this.#linger();
    else socket.once('finish', () => this.#linger());
  }

  #linger(): void {
    this.deadline = this.#door.now() + LINGER;
  }
}

function openSession(socket: TLSSocket, limits: Limits): ServerHttp2Session {
  // A session ends with its client's side.
  socket.allowHalfOpen = false;
  const session = performServerHandshake(socket, {
    maxSendHeaderBlockLength: MAX_SENT_HEAD,
    // An upstream's doubled Location or ETag is the client's to judge, as over HTTP/1.1.
    strictSingleValueFields: false,
    // Above the limit of fields, so that those few too many get a 431 and only a flood is cut.
    maxHeaderListPairs: limits.headFields * 2,
    settings: {
      maxConcurrentStreams: limits.streamsPerConnection,
      maxHeaderListSize: limits.headBytes,
      initialWindowSize: STREAM_WINDOW,
      enablePush: false,
    },
  }) as ServerHttp2Session;
  useOwnTables(session);
  session.setLocalWindowSize(CONNECTION_WINDOW);
  // Broken sessions end their streams, each of which is told by its own 'close'.
  session.on('error', () => {});
  return session;
}

function readBody(stream: ServerHttp2Stream, exchange: Exchange): void {
  let trailers: Headers = [];
  stream.on('trailers', (_fields: unknown, _flags: number, raw: Headers) => {
    trailers = raw;
  });
  stream.on('data', (chunk: Uint8Array) => onRequestChunk(exchange, chunk));
  stream.on('end', () => {
    // A reset stream "ends" as well; only a whole request may end upstream.
    if (stream.aborted || stream.rstCode !== constants.NGHTTP2_NO_ERROR) return;
    if (sizeOf(trailers) <= MAX_TRAILERS) onRequestEnd(exchange, trailers);
    else onRequestBroken(exchange, FAILURES.headTooLarge, overTrailerLimit(MAX_TRAILERS));
  });
}

function readHead(raw: readonly string[], ended: boolean): RequestHead {
  let method = '';
  let target = '';
  let authority: string | undefined;
  let host: string | undefined;
  let cookie = -1;
  let length: string | undefined;
  let problem: string | undefined;
  const headers: Headers = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!;
    const value = raw[i + 1]!;
    switch (name) {
      case ':method':
        method = value;
        break;
      case ':path':
        target = value;
        break;
      case ':authority':
        authority = value;
        break;
      case ':scheme':
        break;
      case ':protocol':
        problem = 'extended CONNECT is not served here';
        break;
      case 'host':
        if (host !== undefined) problem = 'the request has more than one Host field';
        host = value;
        break;
      case 'cookie':
        // RFC 9113 §8.2.3: its pieces are one field for whoever speaks HTTP/1.1.
        if (cookie === -1) cookie = headers.push(name, value) - 1;
        else headers[cookie] += `; ${value}`;
        break;
      case 'content-length':
        length = value;
        headers.push(name, value);
        break;
      default:
        headers.push(name, value);
    }
  }
  if (authority !== undefined && host !== undefined && host.toLowerCase() !== authority.toLowerCase()) {
    problem = ':authority and the Host field differ';
  }
  authority ??= host;
  if (authority !== undefined) headers.unshift('Host', authority);
  let bodyLength = ended ? NO_BODY : UNTIL_END;
  if (length !== undefined) {
    if (!/^\d{1,16}$/.test(length) || !Number.isSafeInteger(Number(length)))
      problem = 'Content-Length is no valid number';
    else bodyLength = Number(length);
  }
  return { method, target, authority, protocol: 'HTTP/2.0', headers, bodyLength, upgrade: false, problem };
}
