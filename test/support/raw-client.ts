// A client on bare sockets, plain or TLS: it sends exactly the bytes it is told, and reads answers as RFC 9112 says.

import { connect as connectPlain, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import type { Headers } from '../../src/http/headers.ts';
import { readFields } from './raw-upstream.ts';

export interface Address {
  readonly port: number;
  /** The authority to trust; undefined for a plain connection. */
  readonly ca?: string;
  readonly serverName?: string;
  readonly protocol?: 'http/1.1' | 'h2';
}

/** How an answer came to its end. `cut`: it cannot be taken for whole. `none`: no head ever came. */
export type AnswerEnd = 'complete' | 'cut' | 'none';

export class RawClient {
  readonly socket: Socket;
  /** The peer ended its side, or the connection is closed. */
  isGone = false;
  wasReset = false;
  readonly gone: Promise<void>;
  /** What carries the bytes: under TLS not the socket that they are read from. */
  readonly #carrier: Socket;
  readonly #received: Buffer[] = [];
  readonly #readers: AnswerReader[] = [];

  private constructor(socket: Socket, carrier: Socket) {
    this.socket = socket;
    this.#carrier = carrier;
    socket.setNoDelay(true);
    this.gone = new Promise((resolve) => {
      const leave = () => {
        if (this.isGone) return;
        this.isGone = true;
        for (const reader of this.#readers) reader.onConnectionGone(this.wasReset);
        resolve();
      };
      socket.on('end', leave);
      socket.on('error', (error: NodeJS.ErrnoException) => {
        this.wasReset ||= error.code === 'ECONNRESET';
      });
      socket.on('close', leave);
    });
    socket.on('data', (chunk: Buffer) => {
      this.#received.push(chunk);
      let rest = chunk;
      for (const reader of this.#readers) if (rest.length > 0) rest = reader.feed(rest);
    });
  }

  static connect(address: Address): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const carrier = connectPlain({ port: address.port, host: '127.0.0.1', allowHalfOpen: true });
      const socket =
        address.ca === undefined
          ? carrier
          : connectTls({
              socket: carrier,
              ca: address.ca,
              servername: address.serverName ?? '',
              ALPNProtocols: [address.protocol ?? 'http/1.1'],
              allowHalfOpen: true,
            } as ConnectionOptions);
      socket.once('error', reject);
      socket.once(address.ca === undefined ? 'connect' : 'secureConnect', () => {
        socket.removeListener('error', reject);
        resolve(new RawClient(socket, carrier));
      });
    });
  }

  get received(): Buffer {
    return Buffer.concat(this.#received);
  }

  /** Everything that came, as latin1. */
  get text(): string {
    return this.received.toString('latin1');
  }

  /** Latin1 text, or bytes. */
  write(bytes: string | Buffer): boolean {
    if (this.socket.destroyed) return true;
    return this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  /** The answer to the next request; ask for each before its bytes come. */
  reader(method: string): AnswerReader {
    const reader = new AnswerReader(method);
    this.#readers.push(reader);
    if (this.isGone) reader.onConnectionGone(this.wasReset);
    return reader;
  }

  close(): void {
    this.socket.destroy();
  }

  reset(): void {
    this.#carrier.resetAndDestroy();
  }
}

export interface Inform {
  readonly status: number;
  readonly headers: Headers;
}

type Place = 'head' | 'length' | 'size' | 'chunk' | 'trailers' | 'until-close' | 'done';

/** Reads one answer and the interim ones before it; what follows is left for the next reader. */
export class AnswerReader {
  readonly informs: Inform[] = [];
  status = 0;
  headers: Headers = [];
  trailers: Headers = [];
  end: AnswerEnd = 'none';
  /** The whole head as it came. */
  headText = '';
  onEvent: () => void = () => {};
  readonly #method: string;
  readonly #body: Buffer[] = [];
  #pending: Buffer = Buffer.alloc(0);
  #place: Place = 'head';
  #left = 0;

  constructor(method: string) {
    this.#method = method;
  }

  get isDone(): boolean {
    return this.#place === 'done';
  }

  get body(): Buffer {
    return Buffer.concat(this.#body);
  }

  feed(chunk: Buffer): Buffer {
    if (this.isDone) return chunk;
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    while (this.#step());
    this.onEvent();
    if (!this.isDone) return Buffer.alloc(0);
    const rest = this.#pending;
    this.#pending = Buffer.alloc(0);
    return rest;
  }

  onConnectionGone(wasReset: boolean): void {
    if (this.isDone) return;
    if (this.#place === 'until-close' && !wasReset) this.end = 'complete';
    else this.end = this.#place === 'head' ? 'none' : 'cut';
    this.#place = 'done';
    this.onEvent();
  }

  #step(): boolean {
    switch (this.#place) {
      case 'head':
        return this.#readHead();
      case 'length':
      case 'chunk':
        return this.#readCounted();
      case 'size':
        return this.#readSize();
      case 'trailers':
        return this.#readTrailers();
      case 'until-close':
        if (this.#pending.length > 0) this.#body.push(this.#take(this.#pending.length));
        return false;
      case 'done':
        return false;
    }
  }

  #readHead(): boolean {
    const end = this.#pending.indexOf('\r\n\r\n');
    if (end === -1) return false;
    const head = this.#take(end + 4).toString('latin1');
    const lines = head.split('\r\n');
    const status = Number(/^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(lines[0]!)?.[1]);
    if (Number.isNaN(status)) throw new Error(`no status line: ${lines[0]}`);
    const headers = readFields(lines.slice(1));
    if (status < 200 && status !== 101) {
      this.informs.push({ status, headers });
      return true;
    }
    this.headText = head;
    this.status = status;
    this.headers = headers;
    this.#place = this.#framing(status, headers);
    if (this.#place === 'done') this.end = 'complete';
    return true;
  }

  #framing(status: number, headers: Headers): Place {
    if (this.#method === 'HEAD' || status === 204 || status === 304 || status === 101) return 'done';
    let length: string | undefined;
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i]!.toLowerCase();
      if (name === 'transfer-encoding' && /chunked$/i.test(headers[i + 1]!)) return 'size';
      if (name === 'content-length') length = headers[i + 1]!;
    }
    if (length === undefined) return 'until-close';
    this.#left = Number(length);
    return this.#left === 0 ? 'done' : 'length';
  }

  #readCounted(): boolean {
    if (this.#left > 0) {
      if (this.#pending.length === 0) return false;
      const piece = this.#take(Math.min(this.#left, this.#pending.length));
      this.#left -= piece.length;
      this.#body.push(piece);
      if (this.#left > 0) return false;
    }
    if (this.#place === 'length') {
      this.#finish();
      return true;
    }
    if (this.#pending.length < 2) return false;
    this.#take(2);
    this.#place = 'size';
    return true;
  }

  #readSize(): boolean {
    const line = this.#takeLine();
    if (line === undefined) return false;
    if (!/^[0-9a-f]+/i.test(line)) throw new Error(`no chunk size: ${JSON.stringify(line)}`);
    this.#left = Number.parseInt(line, 16);
    this.#place = this.#left === 0 ? 'trailers' : 'chunk';
    return true;
  }

  #readTrailers(): boolean {
    const line = this.#takeLine();
    if (line === undefined) return false;
    if (line === '') this.#finish();
    else this.trailers.push(...readFields([line]));
    return true;
  }

  #finish(): void {
    this.end = 'complete';
    this.#place = 'done';
  }

  #takeLine(): string | undefined {
    const end = this.#pending.indexOf('\r\n');
    return end === -1 ? undefined : this.#take(end + 2).toString('latin1', 0, end);
  }

  #take(count: number): Buffer {
    const taken = this.#pending.subarray(0, count);
    this.#pending = this.#pending.subarray(count);
    return taken;
  }
}
