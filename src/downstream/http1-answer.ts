// The answer to one request over HTTP/1: head, body and trailers as bytes, as few writes as can be, and its end told once.

import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { chunkSize, fieldLines, lastChunk, statusLine } from '../codec/http1-write.ts';
import { firstValue, type Headers, isNamed } from '../http/headers.ts';
import type { ByteStream, Downstream, Exchange } from '../model/exchange.ts';
import type { Leaving } from '../model/turn.ts';
import type { Door } from '../proxy/door.ts';
import { onDownstreamDrain } from '../proxy/handle.ts';

/** Up to this size bytes are copied behind their head to leave in one write; larger ones are not worth the copy. */
const MAX_JOINED = 16 * 1024;
/** So much of small chunks may wait in the socket for a slow client; then the upstream waits. In bytes. */
const HIGH_WATER = 64 * 1024;

const FRAMING = Object.freeze({ none: 0, length: 1, chunked: 2, untilClose: 3 });

/** The connection that an answer leaves on. */
export interface AnsweringConnection {
  readonly socket: Socket;
  readonly door: Door;
  /** For large writes, and the last one of an answer: the kernel has it. */
  readonly onWritten: () => void;
  /** Whether the connection goes on behind this answer. `endsByClose`: else nobody could tell where it ends. */
  decideKeepAlive(answer: Http1Downstream, endsByClose: boolean): boolean;
  /** The answer is with the kernel, to its end. */
  onAnswered(answer: Http1Downstream): void;
  /** Back-pressure for the request's body. */
  hold(): void;
  letGo(): void;
  /** Hands the socket over to a tunnel. */
  release(): ByteStream;
}

export class Http1Downstream implements Downstream, Leaving {
  exchange!: Exchange;
  /** The request was read to its end. */
  requestDone = false;
  readonly #connection: AnsweringConnection;
  readonly #socket: Socket;
  #framing: (typeof FRAMING)[keyof typeof FRAMING] = FRAMING.none;
  /** Bytes that the announced length still asks for. */
  #left = 0;
  /** Bytes and the text behind them that leave at the end of this turn, or sooner with what follows. */
  #bytes: Buffer | undefined;
  #text = '';
  #responded = false;
  /** Some of the final answer was written. */
  #begun = false;
  #ended = false;
  /** The last byte was written to the socket, and is with the kernel. */
  #lastIsOut = false;
  #written = false;
  #aborted = false;
  /** It is called at the end of the turn. */
  #leaving = false;

  constructor(connection: AnsweringConnection) {
    this.#connection = connection;
    this.#socket = connection.socket;
  }

  inform(status: number, headers: Headers): void {
    // Nothing waits for it: one that a slow client cannot take now is left out.
    if (this.#isGone || this.#responded || this.#socket.writableLength > HIGH_WATER) return;
    this.#socket.write(`${statusLine(status)}${fieldLines(headers)}\r\n`, 'latin1');
  }

  respond(status: number, headers: Headers): void {
    if (this.#isGone || this.#responded) return;
    this.#responded = true;
    const { head } = this.exchange;
    const length = firstValue(headers, 'content-length');
    if (head.method === 'HEAD' || status === 204 || status === 304) this.#framing = FRAMING.none;
    else if (length !== undefined) {
      this.#framing = FRAMING.length;
      this.#left = Number(length);
    } else if (head.protocol === 'HTTP/1.1') this.#framing = FRAMING.chunked;
    else this.#framing = FRAMING.untilClose;
    const keep = this.#connection.decideKeepAlive(this, this.#framing === FRAMING.untilClose);
    let text = statusLine(status);
    let dated = false;
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i]!;
      if (isNamed(name, 'date')) dated = true;
      // RFC 9110 §6.6.2: it announces what only a chunked body can bring.
      if (this.#framing !== FRAMING.chunked && isNamed(name, 'trailer')) continue;
      text += `${name}: ${headers[i + 1]}\r\n`;
    }
    if (!dated) text += dateLine(Date.now());
    if (this.#framing === FRAMING.chunked) text += 'Transfer-Encoding: chunked\r\n';
    if (!keep) text += 'Connection: close\r\n';
    else if (head.protocol === 'HTTP/1.0') text += 'Connection: keep-alive\r\n';
    this.#text = `${text}\r\n`;
    this.#leaveSoon();
  }

  write(chunk: Uint8Array): boolean {
    if (this.#isGone || this.#ended || this.#framing === FRAMING.none || chunk.length === 0) return true;
    const isLarge = chunk.length > MAX_JOINED;
    if (!isLarge && this.#bytes !== undefined) this.#send(undefined);
    if (this.#framing === FRAMING.length) {
      this.#left -= chunk.length;
      // More than was announced would be read as the next answer.
      if (this.#left < 0) {
        this.abort();
        return true;
      }
    }
    if (this.#framing === FRAMING.chunked) this.#text += chunkSize(chunk.length);
    const socket = this.#socket;
    if (isLarge) {
      const queued = socket.writableLength > 0;
      this.#send(chunk);
      // What TLS takes it encrypts, and so copies, at once; but behind a write under way the chunk itself waits.
      return socket.writableLength === 0 || (!queued && socket instanceof TLSSocket);
    }
    this.#bytes = this.#join(chunk, this.#framing === FRAMING.chunked ? '\r\n' : '');
    this.#text = '';
    this.#leaveSoon();
    return socket.writableLength < HIGH_WATER;
  }

  end(trailers: Headers): void {
    if (this.#isGone || this.#ended) return;
    if (this.#framing === FRAMING.length && this.#left > 0) {
      this.abort();
      return;
    }
    this.#ended = true;
    if (this.#framing === FRAMING.chunked) this.#text += lastChunk(trailers);
    if (this.#framing === FRAMING.untilClose) {
      this.#send(undefined);
      this.#lastIsOut = true;
      this.#socket.end(this.#connection.onWritten);
    } else if (this.#bytes !== undefined || this.#text !== '') this.#leaveSoon();
    else if (this.#written) this.#connection.onAnswered(this);
  }

  retract(): boolean {
    if (this.#begun || this.#isGone) return false;
    this.#responded = false;
    this.#framing = FRAMING.none;
    this.#left = 0;
    this.#bytes = undefined;
    this.#text = '';
    return true;
  }

  abort(): void {
    if (this.#aborted || this.#socket.destroyed) return;
    this.#aborted = true;
    // Bytes that say "there is more" went out: ending without the rest is the abort. On a plain connection a body that
    // ends with the connection (HTTP/1.0) needs the reset as well; over TLS the missing close_notify tells it.
    if (this.#socket instanceof TLSSocket) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }

  pause(): void {
    this.#connection.hold();
  }

  resume(): void {
    this.#connection.letGo();
  }

  tunnel(headers: Headers): ByteStream | undefined {
    if (this.#isGone || this.#socket.writableEnded) return undefined;
    this.#responded = true;
    const head = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n';
    this.#socket.write(`${head}${fieldLines(headers)}\r\n`, 'latin1');
    return this.#connection.release();
  }

  /** What was written is with the kernel. */
  onWritten(): void {
    if (this.#isGone || this.#socket.writableLength > 0) return;
    this.#written = this.#lastIsOut;
    if (this.#written && this.#ended) this.#connection.onAnswered(this);
    else onDownstreamDrain(this.exchange);
  }

  leave(): void {
    this.#leaving = false;
    if (!this.#isGone && (this.#bytes !== undefined || this.#text !== '')) this.#send(undefined);
  }

  get #isGone(): boolean {
    return this.#aborted || this.#socket.destroyed;
  }

  /** Writes what waits, and a large chunk behind it. */
  #send(chunk: Uint8Array | undefined): void {
    const socket = this.#socket;
    // Behind a write under way they wait longer than this turn.
    const bytes = socket.writableLength === 0 || this.#bytes === undefined ? this.#bytes : Buffer.from(this.#bytes);
    const text = this.#text;
    const behind = chunk !== undefined && this.#framing === FRAMING.chunked ? '\r\n' : '';
    this.#bytes = undefined;
    this.#text = '';
    this.#begun = true;
    this.#lastIsOut ||= this.#isLastWrite();
    const told = chunk !== undefined || this.#lastIsOut ? this.#connection.onWritten : undefined;
    const joins = (bytes !== undefined && text !== '') || chunk !== undefined;
    if (joins) socket.cork();
    if (bytes !== undefined) socket.write(bytes, text === '' && chunk === undefined ? told : undefined);
    if (text !== '') socket.write(text, 'latin1', chunk === undefined ? told : undefined);
    if (chunk !== undefined) socket.write(chunk, behind === '' ? told : undefined);
    if (behind !== '') socket.write(behind, 'latin1', told);
    if (joins) socket.uncork();
  }

  /** The text that waits, and bytes behind it. What TLS takes it encrypts at once; what the kernel takes may wait for it. */
  #join(chunk: Uint8Array, behind: string): Buffer {
    const text = this.#text;
    const length = text.length + chunk.length + behind.length;
    const bytes =
      this.#socket instanceof TLSSocket ? this.#connection.door.turn.room(length) : Buffer.allocUnsafe(length);
    bytes.write(text, 0, 'latin1');
    bytes.set(chunk, text.length);
    if (behind !== '') bytes.write(behind, text.length + chunk.length, 'latin1');
    return bytes;
  }

  #isLastWrite(): boolean {
    switch (this.#framing) {
      case FRAMING.none:
        return true;
      case FRAMING.length:
        return this.#left === 0;
      case FRAMING.chunked:
        return this.#ended;
      case FRAMING.untilClose:
        return false;
    }
  }

  #leaveSoon(): void {
    if (this.#leaving) return;
    this.#leaving = true;
    this.#connection.door.turn.leaveSoon(this);
  }
}

let dateText = '';
let dateUntil = 0;

/** The Date field (RFC 9110 §6.6.1), made once a second. */
function dateLine(now: number): string {
  if (now >= dateUntil) {
    dateUntil = now - (now % 1_000) + 1_000;
    dateText = `Date: ${new Date(now).toUTCString()}\r\n`;
  }
  return dateText;
}
