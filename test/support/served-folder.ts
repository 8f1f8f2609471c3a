// Files in tests: a folder that is served, and a client that takes the answers.

import { mkdirSync, readdirSync, readlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Test } from 'tap';
import type { FileAnswer } from '../../src/files/answer.ts';
import { Sending } from '../../src/files/send.ts';
import { Files, type Outcome } from '../../src/files/serve.ts';
import { firstValue, type Headers } from '../../src/http/headers.ts';
import type { Downstream } from '../../src/model/exchange.ts';
import type { FilesAction, Parameters } from '../../src/model/snapshot.ts';
import { makeFolder } from './folder.ts';

export const HASHED = 'main.4f1c9a7be2d0.js';
export const PAGE = ['Accept', 'text/html,*/*;q=0.8'];
export const TEXT = 'const a = 1; // some text that is long enough to be worth compressing\n'.repeat(100);
export const BIG = Buffer.alloc(300_000, 'a picture that is larger than what is kept ');

export interface Seen {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
  field(name: string): string | undefined;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

export function setUp(t: Test, options: { parameters?: Parameters; maxKeptBytes?: number } = {}) {
  const folder = makeFolder(t, 'serve');
  write(folder, { 'index.html': '<!doctype html><title>shell</title>', [HASHED]: TEXT, 'picture.png': BIG.toString() });
  let time = 0;
  const files = new Files({
    now: () => time,
    // Long after all was written.
    wallNow: () => Date.now() + 10_000,
    ...(options.maxKeptBytes === undefined ? {} : { maxKeptBytes: options.maxKeptBytes }),
  });
  t.teardown(() => files.close());
  const action: Writable<FilesAction> = {
    kind: 'files',
    root: folder,
    parameters: options.parameters,
    fallback: true,
    base: false,
  };
  const ask = async (path: string, headers: Headers = [], method = 'GET'): Promise<Outcome> =>
    files.answer(action, { method, path, prefix: '', headers });
  const get = async (path: string, headers: Headers = [], method = 'GET'): Promise<Seen> => {
    const outcome = await ask(path, headers, method);
    if (outcome.kind !== 'answer') throw new Error(`${path}: ${outcome.kind}, ${outcome.detail}`);
    return receive(outcome);
  };
  return {
    folder,
    files,
    action,
    ask,
    get,
    pass: (ms: number) => {
      time += ms;
    },
  };
}

export function write(folder: string, contents: Readonly<Record<string, string | Buffer>>): void {
  for (const [path, content] of Object.entries(contents)) {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    // Long unchanged: its date is a strong validator.
    utimesSync(file, 1_700_000_000, 1_700_000_000);
  }
}

/** A client that takes chunks as `accepts` says, and drains a turn later. */
export class Client implements Downstream {
  readonly chunks: Buffer[] = [];
  sending!: Sending;
  accepts = true;
  inform(): void {}
  respond(): void {}
  write(chunk: Uint8Array): boolean {
    this.chunks.push(Buffer.from(chunk));
    if (!this.accepts) setImmediate(() => this.sending.onDrain());
    return this.accepts;
  }
  end(): void {}
  retract(): boolean {
    return false;
  }
  abort(): void {}
  pause(): void {}
  resume(): void {}
  tunnel(): undefined {}
}

export function send(answer: FileAnswer, client = new Client()): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    client.sending = new Sending(answer, client, {
      onChunk: () => {},
      onSent: () => resolve(Buffer.concat(client.chunks)),
      onBroken: (detail) => reject(new Error(detail)),
    });
    client.sending.start();
  });
}

/** What this process has open of a folder. */
export function openIn(folder: string): string[] {
  const linkOf = (fd: string) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  };
  return readdirSync('/proc/self/fd')
    .map(linkOf)
    .filter((link) => link.startsWith(folder))
    .sort();
}

export async function receive(answer: FileAnswer): Promise<Seen> {
  const body = await send(answer);
  const length = firstValue(answer.headers, 'content-length');
  if (length !== undefined && body.length > 0 && Number(length) !== body.length) {
    throw new Error(`${body.length} bytes came, and ${length} were announced`);
  }
  return {
    status: answer.status,
    headers: answer.headers,
    body,
    field: (name) => firstValue(answer.headers, name),
  };
}
