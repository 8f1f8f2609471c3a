// The answer to one request over HTTP/2: what an exchange says, told to a stream of node:http2.

import { constants, type ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { type Headers, lowerName } from '../http/headers.ts';
import { BLOCK_SIZE, giveBlock, takeBlock } from '../model/blocks.ts';
import type { ByteStream, Downstream, Exchange } from '../model/exchange.ts';
import type { Leaving } from '../model/turn.ts';
import type { Door, Watched } from '../proxy/door.ts';
import { onDownstreamDrain, onDownstreamFinished, onDownstreamGone } from '../proxy/handle.ts';

/** Smaller chunks are not worth a block. In bytes. */
const SMALL = 16 * 1024;
/** So many frames of heads may wait in a connection for a slow client before interim answers are left out. */
const MAX_QUEUED = 8;

export class Http2Downstream implements Downstream, Leaving, Watched {
  exchange!: Exchange;
  /** For the reset of an answer that was aborted to leave. */
  deadline = Number.POSITIVE_INFINITY;
  readonly #door: Door;
  readonly #socket: Socket;
  readonly #stream: ServerHttp2Stream;
  /** The head, and the bytes behind it, that leave at the end of this turn, or sooner with what follows. */
  #fields: string[] | undefined;
  #bytes: Buffer | undefined;
  #trailers: Headers = [];
  #ended = false;
  /** The answer was given to node:http2 in one piece. */
  #isWhole = false;
  #hearsDrain = false;
  #aborted = false;
  /** Among those whose deadlines are looked at; -1 when it is not. */
  #place = -1;
  /** It is called at the end of the turn. */
  #leaving = false;

  constructor(door: Door, socket: Socket, stream: ServerHttp2Stream) {
    this.#door = door;
    this.#socket = socket;
    this.#stream = stream;
  }

  inform(status: number, headers: Headers): void {
    const stream = this.#stream;
    if (this.#isGone || stream.headersSent || this.#fields !== undefined) return;
    // Nothing waits for it, but for the one word to send a body: one that a slow client cannot take now is left out.
    if (status !== 100 && (stream.session?.state.outboundQueueSize ?? 0) > MAX_QUEUED) return;
    this.#send(() => stream.additionalHeaders({ ':status': status, ...grouped(headers) }));
  }

  respond(status: number, headers: Headers): void {
    if (this.#isGone) return;
    const fields: string[] = [':status', String(status)];
    for (let i = 0; i < headers.length; i += 2) fields.push(lowerName(headers[i]!), headers[i + 1]!);
    if (this.exchange.head.method === 'HEAD' || status === 204 || status === 304) {
      this.#ended = true;
      this.#send(() => this.#stream.respond(fields as never, { endStream: true }));
      this.#stopRequest();
      return;
    }
    this.#fields = fields;
    this.#leaveSoon();
  }

  write(chunk: Uint8Array): boolean {
    if (this.#isGone || this.#ended) return true;
    if (chunk.length < SMALL && this.#fields !== undefined && this.#bytes === undefined) {
      this.#bytes = Buffer.from(chunk);
      return true;
    }
    this.#begin();
    // It is lent, and node:http2 keeps it until the client's window opens.
    if (chunk.length < SMALL) return this.#isRoom(this.#stream.write(Buffer.from(chunk)));
    let isTaken = true;
    for (let at = 0; at < chunk.length; at += BLOCK_SIZE) {
      const part = chunk.subarray(at, at + BLOCK_SIZE);
      const block = takeBlock();
      block.set(part);
      isTaken = this.#stream.write(block.subarray(0, part.length), () => giveBlock(block));
    }
    return this.#isRoom(isTaken);
  }

  end(trailers: Headers): void {
    if (this.#isGone || this.#ended) return;
    this.#ended = true;
    this.#trailers = trailers;
    if (this.#fields === undefined) this.#stream.end();
  }

  retract(): boolean {
    if (this.#fields === undefined || this.#isGone) return false;
    this.#fields = undefined;
    this.#bytes = undefined;
    return true;
  }

  leave(): void {
    this.#leaving = false;
    if (this.#isGone || this.#fields === undefined) return;
    // One that is whole cannot be broken off, and costs less without waiting for trailers.
    if (this.#ended && this.#trailers.length === 0 && this.exchange.requestEnded) {
      const fields = this.#fields;
      this.#fields = undefined;
      this.#isWhole = true;
      this.#send(() => {
        this.#stream.respond(fields as never);
        this.#stream.end(this.#bytes);
      });
    } else {
      this.#begin();
      if (this.#ended) this.#stream.end();
    }
  }

  abort(): void {
    if (this.#aborted || this.#stream.destroyed) return;
    this.#aborted = true;
    this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    // The reset leaves ahead of all answers, but not before the client reads on: nothing is held until then, and not for ever.
    this.deadline = this.#door.now() + this.#door.active.limits.upstreamIdleTimeout;
    this.#place = this.#door.watched.add(this);
    onDownstreamGone(this.#door, this.exchange);
  }

  onDeadline(): void {
    this.#socket.destroy();
  }

  /** The stream was reset before its answer was given: it closes when what came of its request was read, or thrown away. */
  onReset(): void {
    onDownstreamGone(this.#door, this.exchange);
    this.#stream.resume();
  }

  /** The stream is closed. */
  onClose(): void {
    this.#door.watched.remove(this.#place);
    if (this.exchange.answered && this.#isOut) onDownstreamFinished(this.#door, this.exchange);
    else onDownstreamGone(this.#door, this.exchange);
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  tunnel(): ByteStream | undefined {
    return undefined;
  }

  #sendTrailers(): void {
    const stream = this.#stream;
    if (this.#aborted || stream.destroyed || stream.closed) return;
    this.#send(() => stream.sendTrailers(grouped(this.#trailers)));
    this.#stopRequest();
  }

  /** Of a stream that is closed: its answer left to the end. */
  get #isOut(): boolean {
    if (this.#aborted) return false;
    // Where the request was read, node:http2 closes a stream with the last frame of its answer, and it never finishes. Who leaves before leaves a code.
    const { writableFinished, rstCode } = this.#stream;
    return writableFinished || (this.#isWhole && rstCode === constants.NGHTTP2_NO_ERROR);
  }

  get #isGone(): boolean {
    return this.#stream.destroyed || this.#stream.closed;
  }

  /** Listens for room where there is none: most answers never need it, and each listener of a stream is dear. */
  #isRoom(isTaken: boolean): boolean {
    if (isTaken || this.#hearsDrain) return isTaken;
    this.#hearsDrain = true;
    this.#stream.on('drain', () => onDownstreamDrain(this.exchange));
    return false;
  }

  #leaveSoon(): void {
    if (this.#leaving) return;
    this.#leaving = true;
    this.#door.turn.leaveSoon(this);
  }

  /**
   * Sends the head, and what waits behind it. With trailers awaited node:http2 ends nothing by itself. Without, close(code) sends
   * END_STREAM ahead of the reset, and a truncated answer looks whole.
   */
  #begin(): void {
    const fields = this.#fields;
    if (fields === undefined) return;
    this.#fields = undefined;
    this.#stream.on('wantTrailers', () => this.#sendTrailers());
    this.#send(() => this.#stream.respond(fields as never, { waitForTrailers: true }));
    if (this.#bytes !== undefined && !this.#isGone) this.#stream.write(this.#bytes);
    this.#bytes = undefined;
  }

  /**
   * RFC 9113 §8.1: the answer is complete, a client that still sends may stop. A turn later, because a reset that overtakes
   * END_STREAM makes a whole answer look broken off.
   */
  #stopRequest(): void {
    if (this.exchange.requestEnded) return;
    setImmediate(() => {
      const stream = this.#stream;
      if (!this.exchange.requestEnded && !stream.destroyed && !stream.closed) stream.close(constants.NGHTTP2_NO_ERROR);
    });
  }

  /** node:http2 throws for fields that it will not write, though node:http read them: this answer then cannot be given. */
  #send(send: () => void): void {
    try {
      send();
    } catch {
      this.abort();
    }
  }
}

/** Fields as node:http2 takes them where it takes no flat list: lines of one name in an array. */
function grouped(headers: Headers): Record<string, string | string[]> {
  const out: Record<string, string | string[]> = Object.create(null);
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!.toLowerCase();
    const value = headers[i + 1]!;
    const before = out[name];
    if (before === undefined) out[name] = value;
    else if (typeof before === 'string') out[name] = [before, value];
    else before.push(value);
  }
  return out;
}
