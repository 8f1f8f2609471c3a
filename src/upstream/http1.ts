// The transport over HTTP/1.1: one attempt is one request and its response on a connection that may have served others.

import { EVENT, type Event } from '../codec/http1-message.ts';
import { chunkSize, fieldLines, lastChunk, requestLine } from '../codec/http1-write.ts';
import { firstValue, type Headers } from '../http/headers.ts';
import { BLOCK_SIZE, giveBlock, LARGE_BLOCK_SIZE, takeBlock, takeLargeBlock } from '../model/blocks.ts';
import {
  type Attempt,
  NO_BODY,
  type Receiver,
  type Transport,
  UNTIL_END,
  type UpstreamRequest,
} from '../model/exchange.ts';
import { FAILURES, type Failure } from '../model/failure.ts';
import type { Endpoint, Limits } from '../model/snapshot.ts';
import type { Leaving, Turn } from '../model/turn.ts';
import { openConnection } from './connect.ts';
import type { Running, UpstreamConnection } from './connection.ts';
import { Connections, type Seeker } from './connections.ts';
import { Resolver } from './resolver.ts';

/** So much of an upload may wait in the socket for a slow upstream; then the client waits. In bytes. */
const HIGH_WATER = 256 * 1024;
/** The same while its blocks are large. What the kernel took at once counts for a moment: one of them must not be too much. */
const LARGE_HIGH_WATER = LARGE_BLOCK_SIZE + BLOCK_SIZE;

/** Connects to endpoints over HTTP/1.1, plain or TLS, and keeps the connections. */
export class Http1Transport implements Transport {
  readonly #limits: Limits;
  readonly #resolver: Resolver;
  readonly #now: () => number;
  readonly #turn: Turn;
  readonly #connections = new Map<string, Connections>();

  constructor(limits: Limits, now: () => number, turn: Turn, resolver = new Resolver(now)) {
    this.#limits = limits;
    this.#now = now;
    this.#turn = turn;
    this.#resolver = resolver;
  }

  open(request: UpstreamRequest, endpoint: Endpoint, receiver: Receiver, fresh: boolean): Attempt {
    return new Http1Attempt(request, this.#connectionsTo(endpoint), receiver, fresh, this.#now, this.#turn);
  }

  /** Not kept: an upstream with synchronous workers would hold one of them for it. */
  probe(endpoint: Endpoint, told: (opens: boolean) => void): void {
    openConnection(endpoint, this.#limits.connectTimeout, this.#resolver, false, (connection) => {
      connection?.destroy();
      told(connection !== undefined);
    });
  }

  /** Once a second. */
  sweep(): void {
    for (const [key, connections] of this.#connections) {
      connections.sweep();
      if (connections.count === 0) this.#connections.delete(key);
    }
  }

  close(): void {
    for (const connections of this.#connections.values()) connections.close();
  }

  #connectionsTo(endpoint: Endpoint): Connections {
    const { host, port, tls, serverName, ca } = endpoint;
    // A connection is only ever used by those who would have trusted it themselves.
    const trust = serverName === undefined && ca === undefined ? '' : ` ${serverName} ${ca}`;
    const key = `${tls ? 'https' : 'http'}://${host}:${port}${trust}`;
    let connections = this.#connections.get(key);
    if (connections === undefined) {
      connections = new Connections(endpoint, this.#limits, this.#resolver, this.#now);
      this.#connections.set(key, connections);
    }
    return connections;
  }
}

class Http1Attempt implements Attempt, Seeker, Running, Leaving {
  readonly streaming: boolean;
  connected = false;
  reused = false;
  address = '';
  connectTime = -1;
  readonly #request: UpstreamRequest;
  readonly #connections: Connections;
  readonly #receiver: Receiver;
  readonly #now: () => number;
  readonly #turn: Turn;
  readonly #startTime: number;
  #connection: UpstreamConnection | undefined;
  readonly #chunked: boolean;
  /** The head, until it is written. */
  #head = '';
  /** Some of the request was written. */
  #hasLeft = false;
  /** The request was written to its end, or waits for the end of the turn as a whole. */
  #sent = false;
  /** What is written behind it until the end of the turn. */
  #block: Buffer | undefined;
  #blockLength = 0;
  /** An ordinary block was filled, or would have been: the next one is large. */
  #filled = false;
  #highWater = HIGH_WATER;
  /** It is called at the end of the turn. */
  #leaving = false;
  #headSeen = false;
  #keepAlive: number | undefined;
  /** Back-pressure: the answer is not wanted for now. */
  #held = false;
  /** The loop over the parser's events runs. */
  #reading = false;
  #closed = false;
  #error: Error | undefined;
  /** Nothing is told to the receiver any more. */
  #over = false;

  constructor(
    request: UpstreamRequest,
    connections: Connections,
    receiver: Receiver,
    fresh: boolean,
    now: () => number,
    turn: Turn,
  ) {
    this.#request = request;
    this.#connections = connections;
    this.#receiver = receiver;
    this.#now = now;
    this.#turn = turn;
    this.#startTime = now();
    this.streaming = request.upgrade;
    this.#chunked = request.bodyLength === UNTIL_END;
    const repeatable = request.bodyLength === NO_BODY && (request.method === 'GET' || request.method === 'HEAD');
    const idle = fresh || request.upgrade ? undefined : connections.takeIdle(repeatable);
    if (idle === undefined) connections.seek(this);
    else this.#start(idle, true);
  }

  // ---- from the spine

  write(chunk: Uint8Array): boolean {
    const connection = this.#connection;
    if (this.#over || connection === undefined || connection.socket.destroyed || chunk.length === 0) return true;
    if (this.#chunked) this.#putText(chunkSize(chunk.length));
    this.#put(chunk);
    if (this.#chunked) this.#putText('\r\n');
    return connection.socket.writableLength + this.#blockLength < this.#highWater;
  }

  end(trailers: Headers): void {
    const connection = this.#connection;
    if (this.#over || connection === undefined || this.#sent) return;
    this.#sent = true;
    if (this.#chunked && !connection.socket.destroyed) this.#putText(lastChunk(trailers));
  }

  pause(): void {
    if (this.#held || this.#connection === undefined) return;
    this.#held = true;
    this.#connection.socket.pause();
  }

  resume(): void {
    if (!this.#held || this.#connection === undefined) return;
    this.#held = false;
    this.#connection.socket.resume();
    process.nextTick(readOn, this);
  }

  abort(): void {
    if (this.#over) return;
    this.#over = true;
    this.#connections.leave(this);
    this.#letGo()?.destroy();
  }

  // ---- from the connections

  onConnection(connection: UpstreamConnection, reused: boolean): void {
    if (this.#over) {
      this.#connections.giveBack(connection, undefined);
      return;
    }
    this.#start(connection, reused);
    this.#receiver.onConnected();
  }

  onNoConnection(failure: Failure, detail: string): void {
    this.#fail(failure, detail);
  }

  // ---- from the connection

  onBytes(): void {
    // Whatever it is, it was sent before it could know of this request.
    if (!this.#hasLeft) this.#fail(FAILURES.lost, 'spoke before it was asked');
    else this.#read();
  }

  onDrain(): void {
    this.#receiver.onDrain();
  }

  onEnd(): void {
    this.#read();
  }

  onClose(error: Error | undefined): void {
    this.#closed = true;
    this.#error = error;
    this.#read();
  }

  readOn(): void {
    this.#read();
  }

  // ---- inside

  #start(connection: UpstreamConnection, reused: boolean): void {
    const request = this.#request;
    this.connected = true;
    this.reused = reused;
    this.address = connection.address;
    this.connectTime = this.#now() - this.#startTime;
    this.#connection = connection;
    connection.running = this;
    connection.parser.expect(request.method, request.upgrade);
    this.#head = writeHead(request);
    this.#sent = request.bodyLength === NO_BODY || request.bodyLength === 0;
    this.#leaveSoon();
  }

  leave(): void {
    this.#leaving = false;
    if (this.#over) this.#dropBlock();
    else this.#flush();
  }

  #leaveSoon(): void {
    if (this.#leaving) return;
    this.#leaving = true;
    this.#turn.leaveSoon(this);
  }

  #putText(text: string): void {
    this.#put(Buffer.from(text, 'latin1'));
  }

  /** Copies bytes into the block, behind a head that has not left: what comes in one turn leaves in one write. */
  #put(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      this.#block ??= this.#takeBlock();
      if (this.#head !== '') this.#moveHead(this.#block);
      const length = Math.min(bytes.length - at, this.#block.length - this.#blockLength);
      this.#block.set(length === bytes.length ? bytes : bytes.subarray(at, at + length), this.#blockLength);
      this.#blockLength += length;
      at += length;
      if (this.#blockLength === this.#block.length) this.#flush();
    }
    this.#leaveSoon();
  }

  #takeBlock(): Buffer {
    const block = this.#filled ? takeLargeBlock() : takeBlock();
    this.#highWater = block.length === LARGE_BLOCK_SIZE ? LARGE_HIGH_WATER : HIGH_WATER;
    return block;
  }

  #moveHead(block: Buffer): void {
    if (this.#head.length < block.length) this.#blockLength = block.write(this.#head, 'latin1');
    else this.#connection!.socket.write(this.#head, 'latin1');
    this.#head = '';
  }

  /** Writes what waits; the block is free again when the kernel has it. */
  #flush(): void {
    const { socket } = this.#connection!;
    this.#hasLeft = true;
    if (this.#head !== '') socket.write(this.#head, 'latin1');
    this.#head = '';
    const block = this.#block;
    if (block === undefined) return;
    socket.write(block.subarray(0, this.#blockLength), () => giveBlock(block));
    this.#filled = this.#blockLength >= BLOCK_SIZE;
    this.#block = undefined;
    this.#blockLength = 0;
  }

  #dropBlock(): void {
    if (this.#block !== undefined) giveBlock(this.#block);
    this.#block = undefined;
  }

  #read(): void {
    if (this.#reading) return;
    this.#reading = true;
    const connection = this.#connection;
    while (!this.#over && !this.#held && connection !== undefined) {
      const event = connection.parser.next();
      if (event !== EVENT.more) this.#onEvent(event, connection);
      else {
        // An answer that was read and waits for a slow client is not spoilt by what happens to its connection meanwhile.
        const isOver = connection.ended && connection.reset === undefined;
        if (isOver && connection.parser.finish() === EVENT.end) this.#finish(connection);
        else if (connection.ended || this.#closed) this.#break(connection);
        break;
      }
    }
    this.#reading = false;
  }

  #onEvent(event: Event, connection: UpstreamConnection): void {
    const { parser } = connection;
    switch (event) {
      case EVENT.interim:
        return this.#receiver.onInform(parser.status, parser.headers);
      case EVENT.head:
        this.#headSeen = true;
        this.#keepAlive = keepAliveTimeout(parser.headers);
        return this.#receiver.onHead(parser.status, parser.headers);
      case EVENT.chunk:
        return this.#receiver.onChunk(parser.chunk);
      case EVENT.end:
        return this.#finish(connection);
      case EVENT.tunnel: {
        const { headers } = parser;
        const first = parser.takeRest();
        this.#over = true;
        this.#connection = undefined;
        return this.#receiver.onTunnel(headers, connection.release(), first);
      }
      case EVENT.problem:
        return this.#fail(FAILURES.malformedResponse, `answered with what is no valid HTTP (${parser.problem})`);
      case EVENT.excess:
        return this.#fail(FAILURES.malformedResponse, `answered with a ${parser.excess} that is too large`);
    }
  }

  /** The answer is complete: its connection serves the next one, when nothing speaks against it. */
  #finish(connection: UpstreamConnection): void {
    const { parser, socket } = connection;
    this.#over = true;
    this.#letGo();
    const isOut = this.#head === '' && this.#block === undefined;
    const reusable =
      this.#sent && isOut && parser.keepAlive && !this.streaming && parser.unread === 0 && socket.writableLength === 0;
    if (reusable) this.#connections.giveBack(connection, this.#keepAlive);
    else connection.destroy();
    this.#receiver.onEnd(parser.trailers);
  }

  /** The connection ended before the answer did. */
  #break(connection: UpstreamConnection): void {
    const error = this.#error ?? connection.reset;
    const how = error === undefined ? 'closed the connection' : 'broke the connection off';
    const why = error === undefined ? '' : ` (${error.message})`;
    if (this.#headSeen || connection.parser.midway) {
      this.#fail(FAILURES.truncated, `${how} in the middle of its answer${why}`);
    } else this.#fail(FAILURES.lost, `${how} before it answered${why}`);
  }

  #fail(failure: Failure, detail: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#letGo()?.destroy();
    this.#receiver.onFailure(failure, detail);
  }

  #letGo(): UpstreamConnection | undefined {
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection !== undefined) connection.running = undefined;
    return connection;
  }
}

function readOn(attempt: Http1Attempt): void {
  attempt.readOn();
}

/** Methods that ordinarily have no body. */
const BODILESS: readonly string[] = ['GET', 'HEAD', 'DELETE', 'OPTIONS'];

/** The head as it goes out: the end-to-end fields, then what frames this message and this connection. */
function writeHead(request: UpstreamRequest): string {
  const { headers } = request;
  let text = requestLine(request.method, request.target) + fieldLines(headers);
  if (request.upgrade) text += 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
  // RFC 9110 §10.1.4: whoever sends TE nominates it.
  else
    text += firstValue(headers, 'te') === undefined ? 'Connection: keep-alive\r\n' : 'Connection: keep-alive, TE\r\n';
  if (request.bodyLength >= 0) text += `Content-Length: ${request.bodyLength}\r\n`;
  else if (request.bodyLength === UNTIL_END) text += 'Transfer-Encoding: chunked\r\n';
  // RFC 9110 §8.6: a method that may expect a body says so when there is none; else some servers answer 411 or wait.
  else if (!BODILESS.includes(request.method)) text += 'Content-Length: 0\r\n';
  return `${text}\r\n`;
}

function keepAliveTimeout(headers: Headers): number | undefined {
  const value = firstValue(headers, 'keep-alive');
  if (value === undefined) return undefined;
  const seconds = /(?:^|[,;\s])timeout\s*=\s*(\d{1,6})/i.exec(value)?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1_000;
}
