// A call: one request and its answer as a client sees them, the same over HTTP/1.1, TLS and HTTP/2.

import type { ClientHttp2Stream } from 'node:http2';
import type { Headers } from '../../src/http/headers.ts';
import { HOST } from '../support/door.ts';
import type { H2Client } from '../support/h2-client.ts';
import type { AnswerEnd, AnswerReader, Inform, RawClient } from '../support/raw-client.ts';

export interface Ask {
  /** GET. */
  readonly method?: string;
  /** Byte for byte, latin1; `/`. */
  readonly target?: string;
  /** Host or :authority; that of the test door. */
  readonly authority?: string;
  readonly headers?: Headers;
  /** Announced by its length, and sent at once. */
  readonly body?: string | Buffer;
  /** The body follows by `write` and `end`: chunked in HTTP/1.1. */
  readonly stream?: boolean;
  /** Announces a body of this length, which follows by `write`. */
  readonly announces?: number;
  /** Sends Expect: 100-continue with a body of this length, which follows by `write`. */
  readonly expects?: number;
  readonly version?: '1.0';
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
  readonly trailers: Headers;
  readonly informs: readonly Inform[];
  readonly end: AnswerEnd;
  /** HTTP/2: what the stream's frames say about its end. */
  readonly frames: { readonly endStream: boolean; readonly resetCode: number | undefined } | undefined;
}

export abstract class Call {
  readonly #waiting = new Set<() => void>();

  abstract get status(): number;
  abstract get headers(): Headers;
  abstract get body(): Buffer;
  abstract get informs(): readonly Inform[];
  abstract get isDone(): boolean;
  /** Bytes written that still wait on our own side. */
  abstract get unsent(): number;
  abstract write(bytes: string | Buffer): boolean;
  abstract end(trailers?: Headers): void;
  /** The client goes, without a word. */
  abstract leave(): void;
  abstract pause(): void;
  abstract resume(): void;
  abstract close(): void;
  protected abstract result(): Answer;

  /** Resolves when the condition holds; it is looked at with everything that comes. Rejects when the answer ends before. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.isDone) throw new Error(`the answer ended (${this.result().end}) before what was waited for`);
      await new Promise<void>((tell) => this.#waiting.add(tell));
    }
  }

  /** Waits for the final head. */
  async head(): Promise<void> {
    await this.until(() => this.status !== 0);
  }

  /** Waits for the end, whichever. */
  async answer(): Promise<Answer> {
    while (!this.isDone) await new Promise<void>((tell) => this.#waiting.add(tell));
    return this.result();
  }

  protected tell(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const each of waiting) each();
  }
}

export class Http1Call extends Call {
  readonly client: RawClient;
  readonly #reader: AnswerReader;
  readonly #isChunked: boolean;

  constructor(client: RawClient, ask: Ask) {
    super();
    this.client = client;
    this.#isChunked = ask.stream === true;
    this.#reader = client.reader(ask.method ?? 'GET');
    this.#reader.onEvent = () => this.tell();
    client.write(Buffer.concat([Buffer.from(headOf(ask), 'latin1'), bytesOf(ask.body ?? '')]));
  }

  get status(): number {
    return this.#reader.status;
  }

  get headers(): Headers {
    return this.#reader.headers;
  }

  get body(): Buffer {
    return this.#reader.body;
  }

  get informs(): readonly Inform[] {
    return this.#reader.informs;
  }

  get isDone(): boolean {
    return this.#reader.isDone;
  }

  get unsent(): number {
    return this.client.socket.writableLength;
  }

  write(bytes: string | Buffer): boolean {
    const chunk = bytesOf(bytes);
    if (!this.#isChunked) return this.client.write(chunk);
    return this.client.write(
      Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')]),
    );
  }

  end(trailers: Headers = []): void {
    if (this.#isChunked) this.client.write(`0\r\n${lines(trailers)}\r\n`);
  }

  leave(): void {
    this.client.close();
  }

  pause(): void {
    this.client.socket.pause();
  }

  resume(): void {
    this.client.socket.resume();
  }

  close(): void {
    this.client.close();
  }

  protected result(): Answer {
    const { status, headers, body, trailers, informs, end } = this.#reader;
    return { status, headers, body, trailers, informs, end, frames: undefined };
  }
}

export class Http2Call extends Call {
  readonly client: H2Client;
  readonly stream: ClientHttp2Stream;
  readonly informs: Inform[] = [];
  status = 0;
  headers: Headers = [];
  isDone = false;
  readonly #body: Buffer[] = [];
  #trailers: Headers = [];
  #sentTrailers: Headers = [];
  #ended = false;

  constructor(client: H2Client, ask: Ask) {
    super();
    this.client = client;
    const hasBody = ask.body !== undefined || ask.stream === true || (ask.expects ?? ask.announces) !== undefined;
    const stream = client.request(fieldsOf(ask), !hasBody);
    this.stream = stream;
    // 'continue' comes without its fields; 'headers' tells the others, and a 100 once more.
    stream.on('continue', () => this.#inform(100, []));
    stream.on('headers', (head, _flags, raw) => {
      if (head[':status'] !== 100) this.#inform(head[':status'] as number, withoutPseudo(raw));
    });
    stream.on('response', (head, _flags, raw) => {
      this.status = head[':status'] ?? 0;
      this.headers = withoutPseudo(raw);
      this.tell();
    });
    stream.on('trailers', (_head, _flags, raw) => {
      this.#trailers = withoutPseudo(raw);
    });
    stream.on('data', (chunk: Buffer) => {
      this.#body.push(chunk);
      this.tell();
    });
    stream.on('end', () => {
      this.#ended = true;
    });
    stream.on('wantTrailers', () => {
      const trailers: Record<string, string> = {};
      for (let i = 0; i < this.#sentTrailers.length; i += 2) {
        trailers[this.#sentTrailers[i]!.toLowerCase()] = this.#sentTrailers[i + 1]!;
      }
      stream.sendTrailers(trailers);
    });
    stream.on('error', () => {});
    stream.on('close', () => {
      this.isDone = true;
      this.tell();
    });
    if (ask.body !== undefined) stream.end(bytesOf(ask.body));
  }

  get body(): Buffer {
    return Buffer.concat(this.#body);
  }

  get unsent(): number {
    return this.stream.writableLength;
  }

  write(bytes: string | Buffer): boolean {
    return this.stream.destroyed || this.stream.write(bytesOf(bytes));
  }

  end(trailers: Headers = []): void {
    this.#sentTrailers = trailers;
    this.stream.end();
  }

  leave(): void {
    const CANCEL = 8;
    this.stream.close(CANCEL);
  }

  pause(): void {
    this.stream.pause();
  }

  resume(): void {
    this.stream.resume();
  }

  close(): void {
    this.client.close();
  }

  protected result(): Answer {
    const { status, headers, body, informs } = this;
    const frames = this.client.endOf(this.stream.id ?? 1);
    const isClean = this.#ended && frames.endStream && (frames.resetCode ?? 0) === 0;
    const end = status === 0 ? 'none' : isClean ? 'complete' : 'cut';
    return { status, headers, body, trailers: this.#trailers, informs, end, frames };
  }

  #inform(status: number, headers: Headers): void {
    this.informs.push({ status, headers });
    this.tell();
  }
}

/** Text as latin1. */
export function bytesOf(bytes: string | Buffer): Buffer {
  return typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
}

function headOf(ask: Ask): string {
  const fields = ['Host', ask.authority ?? HOST, ...(ask.headers ?? [])];
  if (ask.expects !== undefined) fields.push('Expect', '100-continue');
  const length = ask.expects ?? ask.announces;
  if (length !== undefined) fields.push('Content-Length', String(length));
  else if (ask.stream === true) fields.push('Transfer-Encoding', 'chunked');
  else if (ask.body !== undefined) fields.push('Content-Length', String(bytesOf(ask.body).length));
  return `${ask.method ?? 'GET'} ${ask.target ?? '/'} HTTP/${ask.version ?? '1.1'}\r\n${lines(fields)}\r\n`;
}

function fieldsOf(ask: Ask): Headers {
  const fields = [':method', ask.method ?? 'GET', ':scheme', 'https', ':authority', ask.authority ?? HOST];
  fields.push(':path', ask.target ?? '/');
  const given = ask.headers ?? [];
  for (let i = 0; i < given.length; i += 2) fields.push(given[i]!.toLowerCase(), given[i + 1]!);
  if (ask.expects !== undefined) fields.push('expect', '100-continue');
  const length = ask.expects ?? ask.announces;
  if (length !== undefined) fields.push('content-length', String(length));
  else if (ask.body !== undefined) fields.push('content-length', String(bytesOf(ask.body).length));
  return fields;
}

function lines(fields: Headers): string {
  let text = '';
  for (let i = 0; i < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`;
  return text;
}

function withoutPseudo(raw: readonly string[]): Headers {
  const fields: Headers = [];
  for (let i = 0; i < raw.length; i += 2) if (!raw[i]!.startsWith(':')) fields.push(raw[i]!, raw[i + 1]!);
  return fields;
}
