// A scripted upstream on bare sockets: it keeps every byte that it was sent, and answers with exactly the bytes of its script.

import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Headers } from '../../src/http/headers.ts';

/** What is done with a request, from the moment its head is there. */
export type Script = (request: SeenRequest) => unknown;

/** The answer of an upstream without a script, to a request that came whole. */
export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

export class RawUpstream {
  readonly connections: UpstreamConnection[] = [];
  /** In the order in which their heads came, over all connections. */
  readonly requests: SeenRequest[] = [];
  script: Script = async (request) => {
    await request.whole;
    request.write(OK);
  };
  readonly #server: Server;
  #told: (() => void)[] = [];

  private constructor() {
    // Half-open, so that the end of what we were sent and the end of what we say are two events.
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.connections.push(new UpstreamConnection(this, socket));
    });
  }

  static async open(port = 0, host = '127.0.0.1'): Promise<RawUpstream> {
    const upstream = new RawUpstream();
    await new Promise<void>((resolve, reject) => {
      upstream.#server.once('error', reject);
      upstream.#server.listen({ port, host, backlog: 1_024 }, () => resolve());
    });
    return upstream;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Connections that nobody has ended yet. */
  get openCount(): number {
    return this.connections.filter((connection) => !connection.isGone).length;
  }

  /** Answers every whole request with these bytes (latin1). */
  answer(bytes: string): void {
    this.script = async (request) => {
      await request.whole;
      request.write(bytes);
    };
  }

  /** The n-th request, as soon as its head is there. */
  async request(index = 0): Promise<SeenRequest> {
    while (this.requests.length <= index) await new Promise<void>((tell) => this.#told.push(tell));
    return this.requests[index]!;
  }

  onRequest(request: SeenRequest): void {
    this.requests.push(request);
    const told = this.#told;
    this.#told = [];
    for (const tell of told) tell();
    // A script that still writes when its test is over fails, and nobody minds.
    Promise.resolve(this.script(request)).catch(() => {});
  }

  close(): void {
    this.#server.close();
    for (const connection of this.connections) connection.socket.destroy();
  }
}

export class UpstreamConnection {
  readonly socket: Socket;
  readonly requests: SeenRequest[] = [];
  /** Why the bytes could not be read as requests any more. */
  problem: string | undefined;
  /** The proxy ended its side, or the connection is closed altogether. */
  isGone = false;
  wasReset = false;
  /** Resolves when the proxy ends its side in any way. */
  readonly gone: Promise<void>;
  readonly #raw: Buffer[] = [];
  readonly #parser: RequestParser;

  constructor(upstream: RawUpstream, socket: Socket) {
    this.socket = socket;
    this.#parser = new RequestParser(this, upstream);
    socket.setNoDelay(true);
    this.gone = new Promise((resolve) => {
      const leave = () => {
        if (this.isGone) return;
        this.isGone = true;
        this.requests.at(-1)?.onConnectionGone();
        resolve();
      };
      socket.on('end', () => {
        leave();
        socket.end();
      });
      socket.on('error', (error: NodeJS.ErrnoException) => {
        this.wasReset = error.code === 'ECONNRESET';
      });
      socket.on('close', leave);
    });
    socket.on('data', (chunk: Buffer) => {
      this.#raw.push(chunk);
      if (this.problem === undefined) this.#parser.feed(chunk);
    });
  }

  /** Everything that came, as latin1. */
  get raw(): string {
    return Buffer.concat(this.#raw).toString('latin1');
  }
}

/** A request as the upstream reads it, strictly by RFC 9112 §6. */
export class SeenRequest {
  readonly connection: UpstreamConnection;
  readonly method: string;
  readonly target: string;
  readonly version: string;
  readonly fields: Headers;
  /** The head's bytes as latin1, its empty line included. */
  readonly head: string;
  trailers: Headers = [];
  isWhole = false;
  /** Resolves when the request is complete; rejects when the connection ended before. */
  readonly whole: Promise<void>;
  /** Called with bytes of the body, or of the tunnel after an Upgrade. */
  onBytes: ((chunk: Buffer) => void) | undefined;
  readonly #body: Buffer[] = [];
  #settle: { resolve: () => void; reject: (error: Error) => void };

  constructor(connection: UpstreamConnection, head: string) {
    this.connection = connection;
    this.head = head;
    const lines = head.split('\r\n');
    [this.method, this.target, this.version] = lines[0]!.split(' ') as [string, string, string];
    this.fields = readFields(lines.slice(1));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // Most scripts do not wait for it.
    promise.catch(() => {});
    this.whole = promise;
    this.#settle = { resolve, reject };
  }

  get body(): Buffer {
    return Buffer.concat(this.#body);
  }

  /** All values of a field, `name` in any case. */
  values(name: string): string[] {
    return valuesOf(this.fields, name);
  }

  /** Writes latin1 text or bytes. False when the kernel takes no more for now. */
  write(bytes: string | Buffer): boolean {
    return this.connection.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  /** Ends our side of the connection. */
  end(): void {
    this.connection.socket.end();
  }

  /** Closes as a process that dies does: with unread input the kernel sends a reset. */
  drop(): void {
    this.connection.socket.destroy();
  }

  reset(): void {
    this.connection.socket.resetAndDestroy();
  }

  /** Writes, and resolves when the bytes are with the kernel. */
  flush(bytes: string | Buffer): Promise<void> {
    return new Promise((resolve) => {
      const chunk = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
      this.connection.socket.write(chunk, () => resolve());
    });
  }

  onBody(chunk: Buffer): void {
    this.#body.push(chunk);
    this.onBytes?.(chunk);
  }

  onWhole(trailers: Headers): void {
    this.trailers = trailers;
    this.isWhole = true;
    this.#settle.resolve();
  }

  onConnectionGone(): void {
    if (!this.isWhole) this.#settle.reject(new Error('the connection ended inside the request'));
  }
}

/** The values of a field in a flat list, `name` in any case. */
export function valuesOf(fields: Headers, name: string): string[] {
  const lower = name.toLowerCase();
  return fields.filter((_value, i) => i % 2 === 1 && fields[i - 1]!.toLowerCase() === lower);
}

/** Field lines as a flat list. */
export function readFields(lines: readonly string[]): Headers {
  const fields: Headers = [];
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.push(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return fields;
}

/** Writes chunks as fast as they are taken, until told to stop; returns how many bytes the kernel has taken. */
export async function pour(request: SeenRequest, total: number, onTaken: (bytes: number) => void): Promise<void> {
  const { socket } = request.connection;
  const chunk = Buffer.alloc(64 * 1024, 0x61);
  let written = 0;
  while (written < total && !socket.destroyed) {
    const flowing = socket.write(chunk);
    written += chunk.length;
    while (!flowing && socket.writableLength > 0 && !socket.destroyed) {
      onTaken(written - socket.writableLength);
      await sleep(1);
    }
    onTaken(written - socket.writableLength);
  }
}

type Place = 'head' | 'length' | 'size' | 'chunk' | 'trailers' | 'tunnel';

class RequestParser {
  readonly #connection: UpstreamConnection;
  readonly #upstream: RawUpstream;
  #pending: Buffer = Buffer.alloc(0);
  #place: Place = 'head';
  #left = 0;
  #trailers: string[] = [];
  #request: SeenRequest | undefined;

  constructor(connection: UpstreamConnection, upstream: RawUpstream) {
    this.#connection = connection;
    this.#upstream = upstream;
  }

  feed(chunk: Buffer): void {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    while (this.#step());
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
      case 'tunnel': {
        const all = this.#take(this.#pending.length);
        if (all.length > 0) this.#request!.onBody(all);
        return false;
      }
    }
  }

  #readHead(): boolean {
    const end = this.#pending.indexOf('\r\n\r\n');
    if (end === -1) return false;
    const head = this.#take(end + 4).toString('latin1');
    const request = new SeenRequest(this.#connection, head);
    this.#request = request;
    this.#connection.requests.push(request);
    const codings = request.values('transfer-encoding');
    const lengths = request.values('content-length');
    const isUpgrade = request.values('upgrade').length > 0;
    if (codings.length + lengths.length > 1) this.#connection.problem = 'more than one framing';
    if (isUpgrade) this.#place = 'tunnel';
    else if (codings.length > 0) this.#place = 'size';
    else if (lengths.length > 0) {
      this.#left = Number(lengths[0]);
      this.#place = 'length';
    }
    this.#upstream.onRequest(request);
    if (isUpgrade || (codings.length === 0 && (lengths.length === 0 || this.#left === 0))) this.#finish(isUpgrade);
    return true;
  }

  #readCounted(): boolean {
    if (this.#left > 0) {
      if (this.#pending.length === 0) return false;
      const piece = this.#take(Math.min(this.#left, this.#pending.length));
      this.#left -= piece.length;
      this.#request!.onBody(piece);
      if (this.#left > 0) return false;
    }
    if (this.#place === 'length') {
      this.#finish(false);
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
    if (!/^[0-9a-f]+$/i.test(line)) {
      this.#connection.problem = `no chunk size: ${line}`;
      return false;
    }
    this.#left = Number.parseInt(line, 16);
    this.#place = this.#left === 0 ? 'trailers' : 'chunk';
    return true;
  }

  #readTrailers(): boolean {
    const line = this.#takeLine();
    if (line === undefined) return false;
    if (line === '') this.#finish(false);
    else this.#trailers.push(line);
    return true;
  }

  #finish(tunnel: boolean): void {
    this.#place = tunnel ? 'tunnel' : 'head';
    const trailers = readFields(this.#trailers);
    this.#trailers = [];
    this.#request!.onWhole(trailers);
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
