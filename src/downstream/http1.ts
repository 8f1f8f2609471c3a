// HTTP/1.x from clients, on node:http: its requests become exchanges, and its errors clear answers.

import {
  type IncomingMessage,
  ServerResponse as NodeResponse,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { plainAddress } from '../http/forwarded.ts';
import { readFraming } from '../http/framing.ts';
import { fieldPairs, firstValue, type Headers } from '../http/headers.ts';
import {
  type ByteStream,
  type Downstream,
  Exchange,
  NO_BODY,
  type Origin,
  type RequestHead,
  UNTIL_END,
} from '../model/exchange.ts';
import { FAILURES, type Failure } from '../model/failure.ts';
import type { Limits, Listener } from '../model/snapshot.ts';
import type { Door } from '../proxy/door.ts';
import {
  handle,
  onDownstreamDrain,
  onDownstreamFinished,
  onDownstreamGone,
  onRequestBroken,
  onRequestChunk,
  onRequestEnd,
} from '../proxy/handle.ts';
import { rejectConnection } from '../proxy/reject.ts';

/** After an answer that came before the end of its request, how long the rest is read and thrown away, in ms. */
const LINGER = 3_000;

/** Options of node:http servers: strict parsing, and the limits of the snapshot. */
export function http1Options(limits: Limits): ServerOptions {
  return {
    insecureHTTPParser: false,
    requireHostHeader: false,
    maxHeaderSize: limits.headBytes,
    headersTimeout: limits.headTimeout,
    // A total time would cut large uploads; the body has an idle deadline instead.
    requestTimeout: 0,
    keepAliveTimeout: limits.keepAliveTimeout,
    connectionsCheckingInterval: 1_000,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
    shouldUpgradeCallback: asksForWebsocket,
  };
}

/** Makes a server's requests exchanges of the door. */
export function serveHttp1(server: Server, listener: Listener, door: Door): void {
  server.maxHeadersCount = 0;
  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    begin(door, listener, request, response, request.socket, false);
  };
  server.on('request', onRequest);
  server.on('checkContinue', onRequest);
  server.on('checkExpectation', onRequest);
  server.on('upgrade', (request: IncomingMessage, socket: Socket, first: Buffer) => {
    if (first.length > 0) socket.unshift(first);
    const response = new NodeResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket);
    socket.on('error', () => {});
    response.on('finish', () => {
      response.detachSocket(socket);
      linger(socket);
    });
    begin(door, listener, request, response, socket, true);
  });
  server.on('connect', (_request: IncomingMessage, socket: Socket) => {
    socket.on('error', () => {});
    refuse(door, listener, socket, FAILURES.methodRefused, 'the method CONNECT is not served here');
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) =>
    onClientError(door, listener, error, socket),
  );
}

/** A connection of ours, and what runs on it. */
interface Connection extends Socket {
  porticoOrigin?: Origin;
  porticoCurrent?: Http1Downstream | undefined;
  /** It ends with the answer under way: what the parser still finds on it is no request. */
  porticoEnding?: boolean;
}

function begin(
  door: Door,
  listener: Listener,
  request: IncomingMessage,
  response: ServerResponse,
  socket: Connection,
  upgrade: boolean,
): void {
  if (socket.porticoEnding === true) {
    request.resume();
    return;
  }
  socket.porticoOrigin ??= originOf(socket, listener);
  const head = readHead(request, upgrade);
  const downstream = new Http1Downstream(door, request, response, socket);
  const exchange = new Exchange(socket.porticoOrigin, downstream, head, Date.now(), door.now());
  downstream.exchange = exchange;
  socket.porticoCurrent = downstream;
  response.sendDate = true;
  response.on('drain', () => onDownstreamDrain(exchange));
  response.on('finish', () => {
    downstream.finished = true;
    if (socket.porticoCurrent === downstream) socket.porticoCurrent = undefined;
    onDownstreamFinished(door, exchange);
  });
  response.on('close', () => {
    if (!downstream.finished && !downstream.tunnelled) onDownstreamGone(door, exchange);
  });
  // The reason of a broken body comes by 'clientError' or 'close'.
  request.on('error', () => {});
  if (!exchange.requestEnded) {
    request.on('data', (chunk: Uint8Array) => onRequestChunk(exchange, chunk));
    request.on('end', () => {
      if (request.complete) onRequestEnd(exchange, request.rawTrailers);
    });
  }
  handle(door, exchange);
}

class Http1Downstream implements Downstream {
  exchange!: Exchange;
  finished = false;
  tunnelled = false;
  readonly #door: Door;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #socket: Connection;
  #headPending = false;

  constructor(door: Door, request: IncomingMessage, response: ServerResponse, socket: Connection) {
    this.#door = door;
    this.#request = request;
    this.#response = response;
    this.#socket = socket;
  }

  inform(status: number, headers: Headers): void {
    if (this.#response.destroyed || this.#response.headersSent) return;
    if (status === 100) this.#response.writeContinue();
    else this.#send(() => this.#response.writeInformation(status, headers));
  }

  respond(status: number, headers: Headers): void {
    const response = this.#response;
    if (response.destroyed) return;
    // What is left of the request would be read as the next one, so this connection ends with this answer. After a broken
    // framing nobody knows what is left (RFC 9112 §6.1).
    if (!this.exchange.requestEnded || this.exchange.head.problem !== undefined) {
      response.shouldKeepAlive = false;
      this.#socket.destroySoon = () => linger(this.#socket);
    }
    if (this.#door.draining) response.shouldKeepAlive = false;
    if (!response.shouldKeepAlive) this.#socket.porticoEnding = true;
    const fields = this.#mayHaveTrailers(status, headers) ? headers : withoutTrailer(headers);
    if (!this.#send(() => response.writeHead(status, fields))) return;
    // The head leaves with the first chunk when that is already here, and by itself when it is not (events).
    this.#headPending = true;
    process.nextTick(flushHead, this);
  }

  write(chunk: Uint8Array): boolean {
    if (this.#response.destroyed) return true;
    this.#headPending = false;
    return this.#response.write(chunk);
  }

  end(trailers: Headers): void {
    const response = this.#response;
    this.#headPending = false;
    if (response.destroyed) return;
    if (trailers.length > 0 && response.chunkedEncoding) {
      if (!this.#send(() => response.addTrailers(fieldPairs(trailers)))) return;
    }
    response.end();
  }

  abort(): void {
    // Bytes that say "there is more" went out: ending without the rest is the abort. On a plain connection a body that
    // ends with the connection (HTTP/1.0) needs the reset as well; over TLS the missing close_notify tells it.
    if (this.#socket instanceof TLSSocket) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }

  pause(): void {
    this.#request.pause();
  }

  resume(): void {
    this.#request.resume();
  }

  tunnel(headers: Headers): ByteStream | undefined {
    const socket = this.#socket;
    if (socket.destroyed || this.#response.destroyed) return undefined;
    this.tunnelled = true;
    this.#response.detachSocket(socket);
    let text = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n';
    for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
    socket.write(`${text}\r\n`, 'latin1');
    return socket;
  }

  flushHead(): void {
    if (!this.#headPending || this.#response.destroyed) return;
    this.#headPending = false;
    this.#response.flushHeaders();
  }

  /** The parser gave up on this connection: nothing more can be read from it. */
  breakOff(failure: Failure, detail: string): void {
    this.#response.shouldKeepAlive = false;
    // What is wrong came behind a whole request, which has its answer all the same; then the connection ends.
    if (!this.exchange.requestEnded) onRequestBroken(this.exchange, failure, detail);
  }

  /** node:http throws for fields that it will not write, though it did read them: this answer then cannot be given. */
  #send(send: () => unknown): boolean {
    try {
      send();
      return true;
    } catch {
      this.abort();
      return false;
    }
  }

  /** node:http throws for a Trailer field in a message that is not chunked. */
  #mayHaveTrailers(status: number, headers: Headers): boolean {
    const bodiless = this.#request.method === 'HEAD' || status === 204 || status === 304;
    return !bodiless && this.#request.httpVersionMinor === 1 && firstValue(headers, 'content-length') === undefined;
  }
}

function flushHead(downstream: Http1Downstream): void {
  downstream.flushHead();
}

function withoutTrailer(headers: Headers): Headers {
  if (firstValue(headers, 'trailer') === undefined) return headers;
  const out: Headers = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]!.toLowerCase() !== 'trailer') out.push(headers[i]!, headers[i + 1]!);
  }
  return out;
}

function readHead(request: IncomingMessage, upgrade: boolean): RequestHead {
  const headers = request.rawHeaders;
  const protocol = request.httpVersionMinor === 0 ? 'HTTP/1.0' : 'HTTP/1.1';
  const framing = readFraming(headers, protocol);
  const framingProblem = framing.kind === 'problem' ? framing.problem : undefined;
  return {
    method: request.method ?? '',
    target: request.url ?? '',
    authority: firstValue(headers, 'host'),
    protocol,
    headers,
    bodyLength: framing.kind === 'length' ? framing.length : framing.kind === 'chunked' ? UNTIL_END : NO_BODY,
    upgrade,
    problem: request.httpVersionMajor === 1 ? framingProblem : 'only HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here',
  };
}

/** RFC 6455 §4.1, in any letter case. All other upgrades (h2c is a way around a proxy's rules) are plain requests. */
function asksForWebsocket(request: IncomingMessage): boolean {
  const headers = request.rawHeaders;
  return (
    request.method === 'GET' &&
    request.httpVersionMinor === 1 &&
    (firstValue(headers, 'upgrade') ?? '').trim().toLowerCase() === 'websocket' &&
    readFraming(headers, 'HTTP/1.1').kind === 'none'
  );
}

/** What the connection tells about whoever holds it. */
export function originOf(socket: Socket, listener: Listener): Origin {
  const secure = socket instanceof TLSSocket;
  const serverName = secure ? (socket as TLSSocket & { servername?: string | false }).servername : undefined;
  return {
    listener: listener.name,
    redirects: listener.kind === 'redirect',
    scheme: secure ? 'https' : 'http',
    peerAddress: plainAddress(socket.remoteAddress ?? ''),
    peerPort: socket.remotePort ?? 0,
    tlsVersion: secure ? (socket.getProtocol() ?? undefined) : undefined,
    serverName: typeof serverName === 'string' ? serverName.toLowerCase() : undefined,
  };
}

function onClientError(door: Door, listener: Listener, error: NodeJS.ErrnoException, socket: Connection): void {
  const [failure, detail] = explain(error);
  const current = socket.porticoCurrent;
  // The parser fails anew with all that a refused client still sends; its answer is on its way, and the rest is thrown away.
  if (failure !== undefined && socket.porticoEnding === true && current === undefined) return;
  if (failure === undefined || !socket.writable) {
    socket.destroy();
  } else if (current !== undefined && !current.finished) {
    current.breakOff(failure, detail);
  } else {
    refuse(door, listener, socket, failure, detail);
  }
}

function explain(error: NodeJS.ErrnoException): [failure: Failure | undefined, detail: string] {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return [
        FAILURES.headTooLarge,
        'the request head is larger than the limit (limit downstream.headBytes, set by HEAD_LIMIT)',
      ];
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return [
        FAILURES.headTimeout,
        'the request head did not arrive in time (limit downstream.headTimeout, set by HEAD_TIMEOUT)',
      ];
    case 'HPE_INVALID_EOF_STATE':
    case 'ECONNRESET':
    case 'EPIPE':
      return [undefined, ''];
    default:
      if (error.code?.startsWith('HPE_') !== true) return [undefined, ''];
      return [FAILURES.malformed, `it is no valid HTTP/1.1 (${error.message.replace(/^Parse Error: /, '')})`];
  }
}

/** An answer to something that never became an exchange. */
function refuse(door: Door, listener: Listener, socket: Connection, failure: Failure, detail: string): void {
  socket.porticoOrigin ??= originOf(socket, listener);
  // Who connected and said nothing is not told either: the idle end of a connection is no error.
  if (failure === FAILURES.headTimeout && socket.bytesRead === 0) {
    socket.destroy();
    return;
  }
  socket.porticoEnding = true;
  socket.write(rejectConnection(door, socket.porticoOrigin, failure, detail), 'latin1');
  linger(socket);
}

/** Ends a connection so that the peer can read our last bytes: a close with unread input would reset them away (RFC 9112 §9.6). */
export function linger(socket: Socket): void {
  if (socket.destroyed) return;
  socket.end();
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), LINGER);
  socket.once('end', () => socket.destroy());
  socket.once('close', () => clearTimeout(timer));
}
