// Send: the pieces of an answer to the downstream side, in chunks and only as fast as they are taken.

import { closeSync, read } from 'node:fs';
import type { Downstream } from '../model/exchange.ts';
import type { FileAnswer, Piece } from './answer.ts';
import { isUnchanged } from './open-file.ts';

const CHUNK = 64 * 1024;

/** Told once, after the last chunk was handed over, or when the rest cannot be sent. */
export interface SendReceiver {
  onChunk(bytes: number): void;
  onSent(): void;
  onBroken(detail: string): void;
}

/** Sends one answer's body. It owns the answer's file, and closes it. */
export class Sending {
  readonly #answer: FileAnswer;
  readonly #downstream: Downstream;
  readonly #receiver: SendReceiver;
  /** The piece under way, and how far it has gone. */
  #index = 0;
  #offset = 0;
  #reading = false;
  #held = false;
  #done = false;
  #closed = false;

  constructor(answer: FileAnswer, downstream: Downstream, receiver: SendReceiver) {
    this.#answer = answer;
    this.#downstream = downstream;
    this.#receiver = receiver;
  }

  /** True while the downstream side takes nothing. */
  get held(): boolean {
    return this.#held;
  }

  start(): void {
    this.#pump();
  }

  onDrain(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#pump();
  }

  /** Nothing more is sent. */
  stop(): void {
    this.#done = true;
    this.#close();
  }

  #pump(): void {
    while (!this.#done && !this.#held && !this.#reading) {
      const piece = this.#answer.pieces[this.#index];
      if (piece === undefined) {
        this.stop();
        this.#receiver.onSent();
      } else if (piece instanceof Uint8Array) {
        const chunk = piece.subarray(this.#offset, this.#offset + CHUNK);
        this.#advance(chunk.length, piece.length);
        this.#put(chunk);
      } else this.#read(piece.start + this.#offset, piece.end);
    }
  }

  #read(from: number, end: number): void {
    const length = Math.min(CHUNK, end - from);
    if (length === 0) {
      this.#advance(0, this.#offset);
      return;
    }
    this.#reading = true;
    // Of its own each time: the socket may hold on to it for as long as it likes.
    const chunk = Buffer.allocUnsafeSlow(length);
    read(this.#answer.file!.descriptor, chunk, 0, length, from, (error, count) => {
      this.#reading = false;
      if (this.#done) this.#close();
      else if (error !== null) this.#break(`the file could not be read on (${error.code})`);
      else if (count === 0) this.#break('the file became shorter while it was sent');
      else this.#onRead(chunk, count);
    });
  }

  #onRead(chunk: Buffer, count: number): void {
    const piece = this.#answer.pieces[this.#index] as Exclude<Piece, Uint8Array>;
    this.#advance(count, piece.end - piece.start);
    // Before the last bytes leave: with them the answer would be whole, and a mixture of two states of the file.
    if (this.#isLastOfFile() && !isUnchanged(this.#answer.file!)) {
      this.#break('the file changed while it was sent');
      return;
    }
    this.#put(count === chunk.length ? chunk : chunk.subarray(0, count));
    this.#pump();
  }

  #isLastOfFile(): boolean {
    return !this.#answer.pieces.slice(this.#index).some((piece) => !(piece instanceof Uint8Array));
  }

  #advance(by: number, size: number): void {
    this.#offset += by;
    if (this.#offset < size) return;
    this.#index++;
    this.#offset = 0;
  }

  #put(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#receiver.onChunk(chunk.length);
    if (!this.#downstream.write(chunk)) this.#held = true;
  }

  #break(detail: string): void {
    this.stop();
    this.#receiver.onBroken(detail);
  }

  /** Not while it is read from: its number could be another file's by then. */
  #close(): void {
    const { file } = this.#answer;
    if (this.#closed || this.#reading || file === undefined) return;
    this.#closed = true;
    closeSync(file.descriptor);
  }
}
