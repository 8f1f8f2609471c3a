// Delivery: the last step of an answer that may be changed on its way: to the client, compressed where that is allowed and wanted.

import { type CompressStream, FLUSH, openCompressStream } from '../files/compress.ts';
import type { Headers } from '../http/headers.ts';
import type { Coding } from '../http/representation.ts';
import type { Exchange } from '../model/exchange.ts';
import { FAILURES, type Failure } from '../model/failure.ts';
import { chooseCompression, compressedHeaders, unmodifiedHeaders, varying } from '../policy/compression.ts';
import { changedTrailers } from '../policy/rewriting.ts';

/** Takes an answer on its way down, head first. */
export interface Outlet {
  respond(status: number, headers: Headers): void;
  /** Takes a chunk, which is lent. False: stop until onRoom. */
  write(chunk: Uint8Array): boolean;
  end(trailers: Headers): void;
  /** The client takes more. */
  onDrain(): void;
  /** Nothing more is sent, and nothing is told any more. */
  stop(): void;
}

/** Told how an answer gets on. */
export interface OutletReceiver {
  /** What was refused by `write` may come now. */
  onRoom(): void;
  /** Some of it went down. */
  onProgress(): void;
  /** All of it was handed to the downstream side. */
  onDelivered(): void;
  /** It cannot be delivered. */
  onUndeliverable(failure: Failure, detail: string): void;
}

/** What a slow upstream has sent is with the client after so many ms at the latest. */
export const HELD_BACK = 25;
/** Each holds up to 2 MiB (see openCompressStream): who comes when so many are open in this worker gets his answer as it is. */
const MAX_OPEN = 64;

let open = 0;

export class Delivery implements Outlet {
  readonly #exchange: Exchange;
  readonly #compress: boolean;
  readonly #receiver: OutletReceiver;
  readonly #openStream: (coding: Coding) => CompressStream;
  #stream: CompressStream | undefined;
  #flushKind = 0;
  #flushTimer: NodeJS.Timeout | undefined;
  #trailers: Headers = [];
  #stopped = false;

  /** `openStream` is for tests of what cannot be made to happen. */
  constructor(exchange: Exchange, compress: boolean, receiver: OutletReceiver, openStream = openCompressStream) {
    this.#exchange = exchange;
    this.#compress = compress;
    this.#receiver = receiver;
    this.#openStream = openStream;
  }

  respond(status: number, headers: Headers): void {
    const exchange = this.#exchange;
    // While an answer was held to be rewritten, one of ours took its place (a drain, a broken request).
    if (exchange.responded) return this.stop();
    exchange.status = status;
    exchange.responded = true;
    exchange.downstream.respond(status, this.#prepare(status, headers));
  }

  write(chunk: Uint8Array): boolean {
    if (this.#stopped) return true;
    if (this.#stream === undefined) return this.#put(chunk);
    this.#flushTimer ??= setTimeout(flush, HELD_BACK, this);
    // It is lent, and the compressor reads it in another thread.
    return this.#stream.write(Buffer.from(chunk));
  }

  end(trailers: Headers): void {
    if (this.#stopped) return;
    this.#trailers = this.#stream === undefined ? trailers : changedTrailers(trailers);
    if (this.#stream === undefined) return this.#finish();
    clearTimeout(this.#flushTimer);
    this.#stream.end();
  }

  onDrain(): void {
    if (this.#stream === undefined) this.#receiver.onRoom();
    else this.#stream.resume();
  }

  stop(): void {
    this.#stopped = true;
    this.#close();
  }

  flush(): void {
    this.#flushTimer = undefined;
    this.#stream?.flush(this.#flushKind);
  }

  /** The head as it goes out; opens the stream that the body needs. */
  #prepare(status: number, headers: Headers): Headers {
    const { head } = this.#exchange;
    if (status === 304) return unmodifiedHeaders(head, headers);
    if (!this.#compress) return headers;
    const coding = chooseCompression(head, status, headers);
    if (coding === undefined) return headers;
    if (coding === 'identity' || open >= MAX_OPEN) return varying(headers);
    // The head of a HEAD is that of the GET, and there is no body.
    if (head.method !== 'HEAD') this.#start(coding);
    return compressedHeaders(headers, coding);
  }

  #start(coding: Coding): void {
    const stream = this.#openStream(coding);
    open++;
    this.#stream = stream;
    this.#flushKind = FLUSH[coding];
    stream.on('data', (chunk: Uint8Array) => {
      if (!this.#stopped && !this.#put(chunk)) stream.pause();
    });
    stream.on('drain', () => {
      if (!this.#stopped) this.#receiver.onRoom();
    });
    stream.on('end', () => {
      if (!this.#stopped) this.#finish();
    });
    stream.on('error', (error: Error) => {
      if (this.#stopped) return;
      this.stop();
      this.#receiver.onUndeliverable(FAILURES.internal, `its answer could not be compressed (${error.message})`);
    });
  }

  #put(chunk: Uint8Array): boolean {
    // Who rewrites asks for the body of a HEAD too.
    if (this.#exchange.head.method === 'HEAD') return true;
    this.#exchange.bytesOut += chunk.length;
    this.#receiver.onProgress();
    return this.#exchange.downstream.write(chunk);
  }

  #finish(): void {
    this.#close();
    this.#exchange.answered = true;
    this.#exchange.downstream.end(this.#trailers);
    this.#receiver.onDelivered();
  }

  /** Frees what the stream holds, at once. */
  #close(): void {
    clearTimeout(this.#flushTimer);
    if (this.#stream === undefined) return;
    this.#stream.destroy();
    this.#stream = undefined;
    open--;
  }
}

function flush(delivery: Delivery): void {
  delivery.flush();
}
