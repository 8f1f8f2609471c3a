// One connection to an endpoint: its socket, read without streams into one buffer, and the exchange that runs on it.

import type { Socket } from 'node:net';
import { ResponseParser } from '../codec/http1-response.ts';
import { plainAddress } from '../http/forwarded.ts';
import { ReadBuffers } from './read-buffers.ts';

/** Of an answer's head, in bytes: an SSO answer with its cookies fits, an attack on our memory does not. */
const HEAD_LIMITS = Object.freeze({ startLine: 8 * 1024, head: 256 * 1024 });

/** The exchange that runs on a connection. */
export interface Running {
  /** The parser has more bytes. */
  onBytes(): void;
  /** The upstream ended its side in order. */
  onEnd(): void;
  /** The connection is gone; `error` says why, when anything does. */
  onClose(error: Error | undefined): void;
  onDrain(): void;
}

/** A socket of ours knows its connection, so that its events need no closure. */
interface Carrier extends Socket {
  porticoConnection?: UpstreamConnection;
}

export class UpstreamConnection {
  socket!: Carrier;
  /** The endpoint's address, as it was reached. */
  address = '';
  readonly parser = new ResponseParser(HEAD_LIMITS);
  running: Running | undefined;
  /** The upstream ended its side: what was read before may still wait. */
  ended = false;
  onGone: () => void = () => {};
  /** The upstream ended it while nothing ran. */
  onEndedIdle: () => void = () => {};
  /** The reset that a write has met: the system tells it once, and what is read then looks like an end. */
  reset: Error | undefined;
  #error: Error | undefined;
  readonly #buffers = new ReadBuffers();

  readonly #isTls: boolean;

  constructor(isTls: boolean) {
    this.#isTls = isTls;
  }

  /**
   * For net.connect: how its socket reads. What was read is lent (Receiver.onChunk): while the socket is paused the buffer keeps it.
   * Over TLS what was decrypted already still comes then, and is copied.
   */
  readonly reading = Object.freeze({
    buffer: (): Uint8Array => this.#buffers.next(this.running !== undefined),
    callback: (length: number, buffer: Uint8Array): boolean => {
      this.#buffers.note(length === buffer.length);
      const bytes = buffer.subarray(0, length) as Buffer;
      this.onData(this.#isTls ? Buffer.from(bytes) : bytes);
      return true;
    },
  });

  /** The socket is connected. `streaming`: its bytes come as events, as a tunnel needs them. */
  attach(streaming: boolean): void {
    const { socket } = this;
    this.address = plainAddress(socket.remoteAddress ?? '');
    this.socket.porticoConnection = this;
    socket.on('end', onEnd);
    socket.on('error', onError);
    socket.on('close', onClose);
    socket.on('drain', onDrain);
    if (streaming) socket.on('data', onData);
  }

  get isGone(): boolean {
    return this.ended || this.socket.destroyed;
  }

  destroy(): void {
    this.socket.destroy();
  }

  /** Takes the socket out, for a tunnel. */
  release(): Socket {
    const { socket } = this;
    this.running = undefined;
    socket.pause();
    socket.removeListener('data', onData);
    socket.removeListener('end', onEnd);
    socket.removeListener('drain', onDrain);
    return socket;
  }

  onData(bytes: Buffer): void {
    if (this.running === undefined) {
      // Whatever comes on an idle connection answers no request of ours: were it kept, the next client would get it.
      this.socket.destroy(new Error('it spoke before it was asked'));
      return;
    }
    this.parser.feed(bytes);
    this.running.onBytes();
  }

  onEnd(): void {
    this.ended = true;
    if (this.running === undefined) this.onEndedIdle();
    else this.running.onEnd();
  }

  /** After an end that was in order the system has another word for it (EPIPE). */
  onWriteFailed(error: NodeJS.ErrnoException): void {
    if (error.code === 'ECONNRESET') this.reset = error;
  }

  onError(error: Error): void {
    this.#error = error;
  }

  onClose(): void {
    const { running } = this;
    this.running = undefined;
    this.#buffers.end();
    running?.onClose(this.#error);
    this.onGone();
  }
}

function onData(this: Carrier, bytes: Buffer): void {
  this.porticoConnection!.onData(bytes);
}

function onEnd(this: Carrier): void {
  this.porticoConnection!.onEnd();
}

/** An error that nobody hears ends the process; what it means is told with the close that follows. */
function onError(this: Carrier, error: Error): void {
  this.porticoConnection!.onError(error);
}

function onClose(this: Carrier): void {
  this.porticoConnection!.onClose();
}

function onDrain(this: Carrier): void {
  this.porticoConnection!.running?.onDrain();
}
