// An HTTP/1.1 client that sends exactly the bytes it is told, and keeps everything that comes back.

import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Headers } from '../../src/http/headers.ts';
import { type ClientAnswer, type ClientRequest, type Door, type Inform, PATIENCE } from './exchange.ts';

/** Sends one request on a connection of its own. */
export function sendHttp1(door: Door, request: ClientRequest): Promise<ClientAnswer> {
  const head = Buffer.from(headOf(request), 'latin1');
  const body = bodyOf(request);
  if (request.waitForContinue === true) return sendBytes(door, head, request.method, body);
  return sendBytes(door, Buffer.concat([head, body]), request.method);
}

/** Sends any bytes and reads one answer to `method`; `afterContinue` follows once a 100 has come. */
export function sendBytes(door: Door, bytes: Buffer, method: string, afterContinue?: Buffer): Promise<ClientAnswer> {
  return new Promise((resolve, reject) => {
    const socket = dial(door);
    const reader = new AnswerReader(method);
    let waiting = afterContinue;
    const settle = () => {
      socket.destroy();
      const answer = reader.answer();
      if (answer === undefined) reject(new Error(`the connection ended before an answer to ${method}`));
      else resolve(answer);
    };
    socket.setTimeout(PATIENCE, () => {
      socket.destroy();
      reject(new Error(`no whole answer to ${method} within ${PATIENCE} ms`));
    });
    socket.on('data', (chunk: Buffer) => {
      reader.feed(chunk);
      if (waiting !== undefined && reader.informs.some((inform) => inform.status === 100)) {
        socket.write(waiting);
        waiting = undefined;
      }
      if (reader.isDone()) settle();
    });
    socket.on('end', () => {
      reader.onConnectionEnd();
      settle();
    });
    socket.on('error', () => settle());
    socket.write(bytes);
  });
}

function dial(door: Door): Socket {
  const place = { port: door.port, host: '127.0.0.1' };
  if (door.ca === undefined) return connectPlain(place);
  return connectTls({ ...place, ca: door.ca, servername: door.serverName, ALPNProtocols: ['http/1.1'] });
}

function headOf(request: ClientRequest): string {
  const lines = [`${request.method} ${request.target} HTTP/1.1`, `Host: ${request.authority}`];
  for (let i = 0; i < request.headers.length; i += 2) lines.push(`${request.headers[i]}: ${request.headers[i + 1]}`);
  if (request.waitForContinue === true) lines.push('Expect: 100-continue');
  if (request.chunked === true) lines.push('Transfer-Encoding: chunked');
  else if (request.body !== undefined) lines.push(`Content-Length: ${request.body.length}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}

function bodyOf(request: ClientRequest): Buffer {
  const body = request.body ?? Buffer.alloc(0);
  if (request.chunked !== true) return body;
  const parts: (Buffer | string)[] = [];
  // In two chunks, so that a proxy that reads the first one only is noticed.
  const middle = Math.ceil(body.length / 2);
  for (const piece of [body.subarray(0, middle), body.subarray(middle)]) {
    if (piece.length > 0) parts.push(`${piece.length.toString(16)}\r\n`, piece, '\r\n');
  }
  parts.push('0\r\n');
  const trailers = request.trailers ?? [];
  for (let i = 0; i < trailers.length; i += 2) parts.push(`${trailers[i]}: ${trailers[i + 1]}\r\n`);
  parts.push('\r\n');
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)));
}

type Place = 'head' | 'length' | 'size' | 'chunk' | 'trailers' | 'until-close' | 'done';

/** Reads one answer and the interim ones before it. */
class AnswerReader {
  readonly informs: Inform[] = [];
  private readonly method: string;
  private pending = Buffer.alloc(0);
  private place: Place = 'head';
  private left = 0;
  private status = 0;
  private headers: Headers = [];
  private readonly body: Buffer[] = [];
  private trailers: Headers = [];

  constructor(method: string) {
    this.method = method;
  }

  isDone(): boolean {
    return this.place === 'done';
  }

  answer(): ClientAnswer | undefined {
    if (this.place === 'head') return undefined;
    return {
      status: this.status,
      headers: this.headers,
      body: Buffer.concat(this.body),
      trailers: this.trailers,
      informs: this.informs,
      end: this.place === 'done' ? 'complete' : 'cut',
    };
  }

  onConnectionEnd(): void {
    if (this.place === 'until-close') this.place = 'done';
  }

  feed(chunk: Buffer): void {
    this.pending = Buffer.concat([this.pending, chunk]);
    while (this.step());
  }

  /** One step of the message; false when more bytes are needed. */
  private step(): boolean {
    switch (this.place) {
      case 'head':
        return this.readHead();
      case 'length':
      case 'chunk':
        return this.readCounted();
      case 'size':
        return this.readSize();
      case 'trailers':
        return this.readTrailers();
      case 'until-close':
        this.body.push(this.pending);
        this.pending = Buffer.alloc(0);
        return false;
      case 'done':
        return false;
    }
  }

  private readHead(): boolean {
    const end = this.pending.indexOf('\r\n\r\n');
    if (end === -1) return false;
    const lines = this.take(end + 4)
      .toString('latin1')
      .split('\r\n');
    const status = Number(/^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(lines[0]!)?.[1]);
    if (Number.isNaN(status)) throw new Error(`no status line: ${lines[0]}`);
    const headers = fieldsOf(lines.slice(1));
    if (status < 200 && status !== 101) {
      this.informs.push({ status, headers });
      return true;
    }
    this.status = status;
    this.headers = headers;
    this.place = this.framing(status, headers);
    return true;
  }

  /** How the body's end is known (RFC 9112 §6.3). */
  private framing(status: number, headers: Headers): Place {
    if (this.method === 'HEAD' || status === 204 || status === 304 || status === 101) return 'done';
    let length: string | undefined;
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i]!.toLowerCase();
      if (name === 'transfer-encoding' && /chunked$/i.test(headers[i + 1]!)) return 'size';
      if (name === 'content-length') length = headers[i + 1]!;
    }
    if (length === undefined) return 'until-close';
    this.left = Number(length);
    return this.left === 0 ? 'done' : 'length';
  }

  private readCounted(): boolean {
    if (this.pending.length === 0) return false;
    const isChunk = this.place === 'chunk';
    const piece = this.take(Math.min(this.left, this.pending.length));
    this.left -= piece.length;
    // Of a chunk the line end behind it is counted too, and dropped here.
    const rest = isChunk ? Math.max(0, 2 - this.left) : 0;
    this.body.push(piece.subarray(0, Math.max(0, piece.length - rest)));
    if (this.left === 0) this.place = isChunk ? 'size' : 'done';
    return true;
  }

  private readSize(): boolean {
    const line = this.takeLine();
    if (line === undefined) return false;
    const size = Number.parseInt(line, 16);
    if (Number.isNaN(size)) throw new Error(`no chunk size: ${JSON.stringify(line)}`);
    this.left = size + 2;
    this.place = size === 0 ? 'trailers' : 'chunk';
    return true;
  }

  private readTrailers(): boolean {
    const line = this.takeLine();
    if (line === undefined) return false;
    if (line === '') this.place = 'done';
    else this.trailers.push(...fieldsOf([line]));
    return true;
  }

  private takeLine(): string | undefined {
    const end = this.pending.indexOf('\r\n');
    return end === -1 ? undefined : this.take(end + 2).toString('latin1', 0, end);
  }

  private take(count: number): Buffer {
    const taken = this.pending.subarray(0, count);
    this.pending = this.pending.subarray(count);
    return taken;
  }
}

function fieldsOf(lines: readonly string[]): Headers {
  const headers: Headers = [];
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon > 0) headers.push(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return headers;
}
