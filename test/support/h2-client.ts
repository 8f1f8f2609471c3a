// An HTTP/2 client over node:http2 that also keeps the frames as they came over the wire, and a way to send frames by hand.

import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { Duplex } from 'node:stream';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Headers } from '../../src/http/headers.ts';

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export const FRAME = Object.freeze({
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
});
export const END_STREAM = 1;
export const END_HEADERS = 4;
/** RFC 9113 §3.4. */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export class H2Client {
  readonly session: ClientHttp2Session;
  /** Everything that the server sent, DATA without its payload. */
  readonly frames: readonly Frame[];
  readonly #socket: TLSSocket;

  private constructor(socket: TLSSocket, session: ClientHttp2Session, frames: readonly Frame[]) {
    this.#socket = socket;
    this.session = session;
    this.frames = frames;
  }

  static async connect(port: number, ca: string, serverName: string): Promise<H2Client> {
    const socket = await dial(port, ca, serverName);
    const reader = new FrameReader();
    const session = connect(`https://${serverName}`, { createConnection: () => tap(socket, reader) });
    session.on('error', () => {});
    return new H2Client(socket, session, reader.frames);
  }

  /** Opens a stream with these fields, pseudo-fields included. */
  request(fields: Headers, endStream: boolean): ClientHttp2Stream {
    return this.session.request(fields as never, { endStream, waitForTrailers: !endStream });
  }

  /** How the server ended a stream, by its frames. */
  endOf(stream: number): { readonly endStream: boolean; readonly resetCode: number | undefined } {
    const mine = this.frames.filter((frame) => frame.stream === stream);
    const carriesEnd = (frame: Frame) => frame.type === FRAME.data || frame.type === FRAME.headers;
    const reset = mine.find((frame) => frame.type === FRAME.reset);
    return {
      endStream: mine.some((frame) => carriesEnd(frame) && (frame.flags & END_STREAM) !== 0),
      resetCode: reset?.payload.readUInt32BE(0),
    };
  }

  /** Stops the reading of the socket itself, as a client does that stands still. */
  close(): void {
    this.session.destroy();
    this.#socket.destroy();
  }
}

/** A connection on which frames are written by hand. */
export class FrameClient {
  readonly frames: readonly Frame[];
  readonly socket: TLSSocket;
  readonly gone: Promise<void>;

  private constructor(socket: TLSSocket, reader: FrameReader) {
    this.socket = socket;
    this.frames = reader.frames;
    socket.on('data', (chunk: Buffer) => reader.feed(chunk));
    socket.on('error', () => {});
    this.gone = new Promise((resolve) => {
      socket.on('end', resolve);
      socket.on('close', () => resolve());
    });
    socket.write(Buffer.concat([PREFACE, frame(FRAME.settings, 0, 0, Buffer.alloc(0))]));
  }

  static async connect(port: number, ca: string, serverName: string): Promise<FrameClient> {
    return new FrameClient(await dial(port, ca, serverName), new FrameReader());
  }

  send(...frames: Buffer[]): boolean {
    return this.socket.destroyed || this.socket.write(Buffer.concat(frames));
  }
}

/** The bytes of a frame (RFC 9113 §4.1). */
export function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A field block of literals that are never indexed and not Huffman coded (RFC 7541 §6.2.3). */
export function fieldBlock(fields: Headers): Buffer {
  const parts: Buffer[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    parts.push(Buffer.of(0x10), literal(fields[i]!), literal(fields[i + 1]!));
  }
  return Buffer.concat(parts);
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.of(bytes.length), bytes]);
  const length = [127];
  let left = bytes.length - 127;
  for (; left >= 128; left >>= 7) length.push((left & 127) | 128);
  length.push(left);
  return Buffer.concat([Buffer.from(length), bytes]);
}

function dial(port: number, ca: string, serverName: string): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: '127.0.0.1', ca, servername: serverName, ALPNProtocols: ['h2'] });
    socket.setNoDelay(true);
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      socket.removeListener('error', reject);
      resolve(socket);
    });
  });
}

/** Puts a reader between a socket and node:http2, which takes a real socket's bytes before anybody else sees them. */
function tap(socket: TLSSocket, reader: FrameReader): Duplex {
  const between = new Duplex({
    read: () => {
      socket.resume();
    },
    write: (chunk: Buffer, _encoding, done) => {
      if (socket.destroyed) done();
      else socket.write(chunk, () => done());
    },
    final: (done) => {
      socket.end();
      done();
    },
    destroy: (error, done) => {
      socket.destroy();
      done(error);
    },
  });
  socket.on('data', (chunk: Buffer) => {
    reader.feed(chunk);
    if (!between.push(chunk)) socket.pause();
  });
  socket.on('end', () => between.push(null));
  socket.on('error', () => between.destroy());
  socket.on('close', () => between.destroy());
  return between;
}

class FrameReader {
  readonly frames: Frame[] = [];
  #pending: Buffer = Buffer.alloc(0);

  feed(chunk: Buffer): void {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    for (;;) {
      if (this.#pending.length < 9) return;
      const length = this.#pending.readUIntBE(0, 3);
      if (this.#pending.length < 9 + length) return;
      const type = this.#pending[3]!;
      this.frames.push({
        type,
        flags: this.#pending[4]!,
        stream: this.#pending.readUInt32BE(5) & 0x7fffffff,
        payload: type === FRAME.data ? Buffer.alloc(0) : Buffer.from(this.#pending.subarray(9, 9 + length)),
      });
      this.#pending = this.#pending.subarray(9 + length);
    }
  }
}
