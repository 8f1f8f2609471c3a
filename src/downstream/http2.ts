// HTTP/2 from clients, on node:http2's core streams: each stream becomes an exchange.

import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { Headers } from '../http/headers.ts';
import { Exchange, NO_BODY, type Origin, type RequestHead, UNTIL_END } from '../model/exchange.ts';
import type { Roster } from '../model/roster.ts';
import type { Door } from '../proxy/door.ts';
import { handle, onRequestChunk, onRequestEnd } from '../proxy/handle.ts';
import { Http2Downstream } from './http2-answer.ts';
import { useOwnTables } from './stream-tables.ts';

/** What a client may send ahead on one stream, and on all streams of a connection, in bytes. */
const STREAM_WINDOW = 256 * 1024;
const CONNECTION_WINDOW = 1024 * 1024;
/** Larger heads of answers break the stream; SSO answers come near to 64 KiB. */
const MAX_SENT_HEAD = 256 * 1024;

/** Serves a connection on which HTTP/2 was agreed. */
export function serveHttp2(socket: TLSSocket, origin: Origin, door: Door, sessions: Roster<ServerHttp2Session>): void {
  const { limits } = door.active;
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
  const place = sessions.add(session);
  session.setLocalWindowSize(CONNECTION_WINDOW);
  session.on('close', () => sessions.remove(place));
  // Broken sessions end their streams, each of which is told by its own 'close'.
  session.on('error', () => {});
  // A session without streams ends after the keep-alive time; one with a slow answer lives on.
  let streams = 0;
  const onEnd = () => {
    streams--;
  };
  session.on('stream', (stream, _headers, flags, rawHeaders) => {
    streams++;
    const exchange = begin(door, socket, origin, stream, flags, rawHeaders, onEnd);
    // Not before its first request, which may be on its way: that one would be refused.
    if (door.draining || exchange.isLast) session.close();
  });
  session.on('timeout', () => {
    if (streams === 0) session.close();
    else session.setTimeout(limits.keepAliveTimeout);
  });
  session.setTimeout(limits.keepAliveTimeout);
}

function begin(
  door: Door,
  socket: TLSSocket,
  origin: Origin,
  stream: ServerHttp2Stream,
  flags: number,
  rawHeaders: readonly string[],
  onEnd: () => void,
): Exchange {
  const downstream = new Http2Downstream(door, socket, stream);
  const head = readHead(rawHeaders, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0);
  const exchange = new Exchange(origin, downstream, head, Date.now(), door.now());
  downstream.exchange = exchange;
  stream.on('error', () => {});
  stream.on('close', () => {
    onEnd();
    downstream.onClose();
  });
  if (!exchange.requestEnded) {
    let trailers: Headers = [];
    stream.on('trailers', (_fields: unknown, _flags: number, raw: Headers) => {
      trailers = raw;
    });
    stream.on('data', (chunk: Uint8Array) => onRequestChunk(exchange, chunk));
    stream.on('end', () => {
      // A reset stream "ends" as well; only a whole request may end upstream.
      if (!stream.aborted && stream.rstCode === constants.NGHTTP2_NO_ERROR) onRequestEnd(exchange, trailers);
    });
  } else {
    // Nothing comes, and to read that would end the stream before its answer is out, which costs an error and a fifth of all that it takes.
    // Paused, because a stream that nobody has touched is reset when its answer is out.
    stream.pause();
  }
  handle(door, exchange);
  return exchange;
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
