// HTTP/1 from clients: a connection, its requests one after another, and the answers to them.

import type { Socket } from 'node:net';
import { HANDSHAKE } from '../codec/client-hello.ts';
import { EVENT, type Event, type HeadLimits, MAX_TRAILERS } from '../codec/http1-message.ts';
import { RequestParser } from '../codec/http1-request.ts';
import { firstValue } from '../http/headers.ts';
import { type ByteStream, Exchange, NO_BODY, type Origin, type RequestHead, UNTIL_END } from '../model/exchange.ts';
import { FAILURES, type Failure, overHeadLimit, overTrailerLimit } from '../model/failure.ts';
import type { Roster } from '../model/roster.ts';
import type { Limits } from '../model/snapshot.ts';
import type { Door, Watched } from '../proxy/door.ts';
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
import { type AnsweringConnection, Http1Downstream } from './http1-answer.ts';
import { LINGER } from './linger.ts';
import { noticeUnlisted } from './proxy-senders.ts';
import { readAsStream, readInPlace } from './reading.ts';

/** What a client may send ahead of its answer, in bytes; more waits in the kernel. */
const MAX_AHEAD = 64 * 1024;
/** So much of a body that is not wanted for now is read: who leaves behind a small one is noticed. In bytes. */
const MAX_HELD = 16 * 1024;

/** A socket of ours knows its connection, so that its events need no closure. */
interface Carrier extends Socket {
  porticoConnection?: Http1Connection;
}

/** Serves a connection on which HTTP/1 is spoken; it is one of `connections` while it lives. */
export function serveHttp1(socket: Socket, origin: Origin, door: Door, connections: Roster<Http1Connection>): void {
  const connection = new Http1Connection(socket, origin, door);
  const place = connections.add(connection);
  socket.once('close', () => connections.remove(place));
}

/** One connection. It reads one request at a time: what a client sends ahead waits until its answer is complete. */
export class Http1Connection implements Watched, AnsweringConnection {
  /** For a head, for the next request, or for the client's own end; Infinity while an exchange has deadlines of its own. */
  deadline: number;
  readonly socket: Carrier;
  readonly door: Door;
  readonly #origin: Origin;
  readonly #parser: RequestParser;
  /** What the parser goes by: a reload changes nothing of it. */
  readonly #headLimits: HeadLimits;
  readonly #inPlace: boolean;
  /** Among those whose deadlines are looked at; -1 when it is released. */
  #place: number;
  #current: Http1Downstream | undefined;
  /** Requests that were begun. */
  #count = 0;
  /** Back-pressure: the request's body is not wanted for now. */
  #held = false;
  /** The loop over the parser's events runs. */
  #reading = false;
  /** The connection ends with the answer under way: its request is still read, and none behind it. */
  #isLast = false;
  /** Nothing more is read as HTTP: what comes is thrown away. */
  #ending = false;
  /** The client has ended its side. */
  #inputEnded = false;

  constructor(socket: Socket, origin: Origin, door: Door) {
    const { limits } = door.active;
    this.socket = socket;
    this.door = door;
    this.#origin = origin;
    this.#headLimits = { startLine: limits.requestLineBytes, head: limits.headBytes };
    this.#parser = new RequestParser(this.#headLimits);
    this.deadline = door.now() + limits.headTimeout;
    this.#place = door.watched.add(this);
    this.socket.porticoConnection = this;
    this.#inPlace = readInPlace(socket, onRead);
    socket.on('data', onData);
    socket.on('end', onEnd);
    socket.on('drain', onDrain);
    socket.on('error', onError);
    socket.on('close', onClose);
  }

  // ---- from the socket

  /** The bytes are lent. */
  onData(chunk: Buffer): void {
    if (this.#ending || (this.#isLast && this.#isWaiting)) return;
    if (this.#current === undefined && !this.#parser.midHead) this.#awaitHead();
    this.#parser.feed(chunk);
    this.#read();
    this.#parser.own();
    const { unread } = this.#parser;
    if ((this.#held && unread > MAX_HELD) || (this.#isWaiting && unread > MAX_AHEAD)) this.socket.pause();
  }

  onEnd(): void {
    this.#inputEnded = true;
    const current = this.#current;
    if (current === undefined) {
      // Half a head is nobody's request.
      if (this.#ending || this.#parser.midHead) this.socket.destroy();
      else this.#close();
    } else if (!current.exchange.answered) {
      // Who only has no more to say cannot be told from who left, and what nobody waits for must not go on (nginx reads it so too).
      this.socket.destroy();
    }
  }

  onDrain(): void {
    if (this.#current !== undefined) onDownstreamDrain(this.#current.exchange);
  }

  onClose(): void {
    this.#ending = true;
    this.#stopWatch();
    const current = this.#current;
    this.#current = undefined;
    if (current !== undefined) onDownstreamGone(this.door, current.exchange);
  }

  onDeadline(): void {
    if (this.#ending) this.socket.destroy();
    else if (this.#parser.midHead) {
      const { headTimeout } = this.#limits;
      const limit = `${headTimeout / 1_000} s (limit downstream.headTimeout; without a configuration file HEAD_TIMEOUT)`;
      this.#refuse(FAILURES.headTimeout, `the request head did not arrive within ${limit}`);
    } else this.#close();
  }

  // ---- from the answer under way

  decideKeepAlive(current: Http1Downstream, endsByClose: boolean): boolean {
    const { requestsPerConnection } = this.#limits;
    const parser = this.#parser;
    // What is left of a request would be read as the next one. After a broken framing nobody knows what is left (RFC 9112 §6.1),
    // and behind an upgrade that was not granted may come anything.
    const keep =
      !endsByClose &&
      current.requestDone &&
      !current.exchange.isLast &&
      current.exchange.head.problem === undefined &&
      !current.exchange.head.upgrade &&
      parser.keepAlive &&
      !this.#origin.bound.draining &&
      (requestsPerConnection === 0 || this.#count < requestsPerConnection);
    if (!keep) this.#isLast = true;
    return keep;
  }

  onAnswered(current: Http1Downstream): void {
    if (this.#current !== current) return;
    this.#current = undefined;
    onDownstreamFinished(this.door, current.exchange);
    // What was sent ahead by somebody who has ended his side since is begun for nobody: his end is told once.
    if (this.#isLast || this.#ending || this.#inputEnded) {
      this.#close();
      return;
    }
    this.deadline = this.door.now() + this.#limits.keepAliveTimeout;
    if (this.#held || this.socket.isPaused()) {
      this.#held = false;
      this.socket.resume();
    }
    if (this.#parser.unread > 0) this.#awaitHead();
    // The end of a request without a body is read with what follows it; an idle connection is to hold no head.
    this.#read();
    // An end that no answer announced would meet the next request on its way.
    if (this.#current === undefined && this.#origin.bound.draining && !this.door.patient) this.#close();
  }

  readonly onWritten = (): void => {
    this.#current?.onWritten();
  };

  hold(): void {
    this.#held = true;
  }

  letGo(): void {
    if (!this.#held) return;
    this.#held = false;
    if (this.socket.isPaused()) this.socket.resume();
    process.nextTick(readOn, this);
  }

  readOn(): void {
    if (!this.#ending) this.#read();
  }

  release(): ByteStream {
    const { socket } = this;
    this.#ending = true;
    this.#current = undefined;
    this.#stopWatch();
    socket.pause();
    socket.removeListener('data', onData);
    socket.removeListener('end', onEnd);
    socket.removeListener('drain', onDrain);
    socket.removeListener('close', onClose);
    if (this.#inPlace) readAsStream(socket);
    const rest = this.#parser.takeRest();
    if (rest.length > 0) socket.unshift(Buffer.from(rest));
    return socket;
  }

  /** Ends when nothing is under way. */
  drain(): void {
    if (this.#current === undefined && !this.#ending && !this.#parser.midHead) this.#close();
  }

  // ---- inside

  get #limits(): Limits {
    return this.door.active.limits;
  }

  /** The request has been read, and its answer is not complete. */
  get #isWaiting(): boolean {
    return this.#current?.requestDone === true;
  }

  #stopWatch(): void {
    this.door.watched.remove(this.#place);
    this.#place = -1;
  }

  #awaitHead(): void {
    this.deadline = this.door.now() + this.#limits.headTimeout;
  }

  #read(): void {
    if (this.#reading) return;
    this.#reading = true;
    while (!this.#ending && !this.#held && !this.#isWaiting) {
      const event = this.#parser.next();
      if (event === EVENT.more) break;
      this.#onEvent(event);
    }
    this.#reading = false;
  }

  #onEvent(event: Event): void {
    const current = this.#current;
    switch (event) {
      case EVENT.head:
        this.#begin();
        break;
      case EVENT.chunk:
        if (current !== undefined) onRequestChunk(current.exchange, this.#parser.chunk);
        break;
      case EVENT.end:
        if (current === undefined) break;
        current.requestDone = true;
        onRequestEnd(current.exchange, this.#parser.trailers);
        break;
      case EVENT.problem:
        this.#refuseProblem();
        break;
      case EVENT.excess:
        this.#refuseExcess();
        break;
    }
  }

  #begin(): void {
    const parser = this.#parser;
    this.#count++;
    this.deadline = Number.POSITIVE_INFINITY;
    const downstream = new Http1Downstream(this);
    const head = readHead(parser);
    const exchange = new Exchange(this.#origin, downstream, head, Date.now(), this.door.now());
    downstream.exchange = exchange;
    downstream.requestDone = exchange.requestEnded;
    this.#current = downstream;
    handle(this.door, exchange);
  }

  #refuseProblem(): void {
    if (this.#count === 0 && this.#origin.scheme === 'http') {
      const first = this.#parser.takeRest();
      if (first[0] === HANDSHAKE) {
        const detail =
          'this port speaks plain HTTP, and what came was TLS; use http:// in the address, or the HTTPS port';
        return this.#refuse(FAILURES.tlsOnPlain, detail);
      }
      noticeUnlisted(this.door, this.#origin, first);
    }
    this.#refuse(FAILURES.malformed, `it is no valid HTTP/1.1 (${this.#parser.problem})`);
  }

  #refuseExcess(): void {
    const { startLine, head } = this.#headLimits;
    switch (this.#parser.excess) {
      case 'start line':
        return this.#refuse(
          FAILURES.targetTooLong,
          `the request line is longer than ${startLine} bytes (limit downstream.requestLineBytes)`,
        );
      case 'head':
        return this.#refuse(FAILURES.headTooLarge, overHeadLimit(head, this.#parser.largestField()));
      case 'trailers':
        return this.#refuse(FAILURES.headTooLarge, overTrailerLimit(MAX_TRAILERS));
    }
  }

  /** Answers what cannot be read as a request, or ends one whose rest cannot be read. */
  #refuse(failure: Failure, detail: string): void {
    this.#ending = true;
    const current = this.#current;
    if (current !== undefined) {
      onRequestBroken(current.exchange, failure, detail);
      return;
    }
    this.socket.write(rejectConnection(this.door, this.#origin, failure, detail), 'latin1');
    this.#close();
  }

  /** Ends our side; what the client still sends is thrown away until it ends its own, or for a short time. */
  #close(): void {
    this.#ending = true;
    this.deadline = this.door.now() + LINGER;
    if (this.#inputEnded) this.socket.destroySoon();
    else {
      this.socket.end();
      this.socket.resume();
    }
  }
}

function onData(this: Carrier, chunk: Buffer): void {
  this.porticoConnection!.onData(chunk);
}

function onRead(this: Carrier, length: number, bytes: Buffer): boolean {
  this.porticoConnection!.onData(bytes.subarray(0, length));
  return true;
}

function onEnd(this: Carrier): void {
  this.porticoConnection!.onEnd();
}

function onDrain(this: Carrier): void {
  this.porticoConnection!.onDrain();
}

/** What an error means is told by the close that follows. */
function onError(): void {}

function onClose(this: Carrier): void {
  this.porticoConnection!.onClose();
}

function readOn(connection: Http1Connection): void {
  connection.readOn();
}

function readHead(parser: RequestParser): RequestHead {
  const { framing, headers } = parser;
  return {
    method: parser.method,
    target: parser.target,
    authority: firstValue(headers, 'host'),
    protocol: parser.minor === 0 ? 'HTTP/1.0' : 'HTTP/1.1',
    headers,
    bodyLength: framing.kind === 'length' ? framing.length : framing.kind === 'chunked' ? UNTIL_END : NO_BODY,
    upgrade: parser.upgrade,
    problem: framing.kind === 'problem' ? framing.problem : undefined,
  };
}
