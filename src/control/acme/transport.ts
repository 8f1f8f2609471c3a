// HTTPS to an issuer: one request and its whole answer, bounded in size and time, and its problem documents as errors.

import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { version } from '../version.ts';
import { LONGEST_RETRY_AFTER } from './renewal.ts';

/** A certificate chain has some KiB. */
const MAX_BYTES = 256 * 1024;
/** From the first byte sent to the last one received, in ms. */
const TIMEOUT = 30_000;
/** Of what is told of it, in characters. */
const MAX_WORDS = 500;
const MAX_KIND = 80;
/** Of a whole message. */
const MOST_TOLD = 4_000;

/** An issuer refused, or did not answer as an issuer does. The message is for people. */
export class IssuerError extends Error {
  override readonly name = 'IssuerError';
  /** The end of the problem's URN, like `rateLimited`; some, like 'unreachable', are ours. */
  readonly type: string;
  readonly status: number;
  /** When it wants to be asked again at the earliest, in ms from now. */
  readonly retryAfter: number | undefined;

  constructor(type: string, message: string, status = 0, retryAfter?: number) {
    // An issuer may have written any part of it.
    super(plain(message, MOST_TOLD));
    this.type = type;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

export interface IssuerAnswer {
  readonly status: number;
  readonly text: string;
  /** In ms from now. */
  readonly retryAfter: number | undefined;
  header(name: string): string | undefined;
  /** The URLs of Link fields with this relation. */
  links(relation: string): string[];
  /** Throws an IssuerError when it is no JSON object. */
  json(): Readonly<Record<string, unknown>>;
}

export class Transport {
  readonly #agent: Agent;
  readonly #now: () => number;

  /** `ca`: who vouches for the issuer's own certificate, in PEM; without it those that the system trusts. */
  constructor(ca: string | undefined, now: () => number) {
    this.#agent = new Agent({ keepAlive: true, maxSockets: 4, ...(ca === undefined ? {} : { ca }) });
    this.#now = now;
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Resolves to whatever was answered, failures too. Rejects with an IssuerError when there was no whole answer. */
  send(method: 'GET' | 'HEAD' | 'POST', url: string, body: string | undefined, signal: AbortSignal) {
    return new Promise<IssuerAnswer>((answered, failed) => {
      const target = readUrl(url);
      const fail = (error: Error) => failed(error instanceof IssuerError ? error : unreachable(target, error));
      const asked = request(
        target,
        {
          ...{ method, agent: this.#agent, signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT)]) },
          headers: {
            'User-Agent': `portico/${version()}`,
            'Accept-Language': 'en',
            ...(body === undefined ? {} : { 'Content-Type': 'application/jose+json' }),
            ...(body === undefined ? {} : { 'Content-Length': Buffer.byteLength(body) }),
          },
        },
        (answer) => this.#read(answer, target).then(answered, fail),
      );
      asked.on('error', fail);
      // Without this an answer with 101 would end the request without a word.
      asked.on('upgrade', ({ statusCode }, socket) => {
        socket.destroy();
        fail(new IssuerError('rubbish', `${target.host} answered with status ${statusCode}`, statusCode));
      });
      asked.end(body);
    });
  }

  async #read(answer: IncomingMessage, target: URL): Promise<IssuerAnswer> {
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > MAX_BYTES)
        throw new IssuerError('rubbish', `${target.host} answered with more than ${MAX_BYTES} bytes`);
      chunks.push(chunk);
    }
    const { headers, statusCode: status = 0 } = answer;
    const text = Buffer.concat(chunks).toString('utf8');
    const header = (name: string) => {
      const value = headers[name];
      return Array.isArray(value) ? value.join(', ') : value;
    };
    return {
      ...{ status, text, header },
      retryAfter: readRetryAfter(header('retry-after'), this.#now()),
      links: (relation) => readLinks(header('link') ?? '', relation, target),
      json: () => readObject(text, target, status),
    };
  }
}

/** RFC 8555 §6.7. */
export function problemOf(answer: IssuerAnswer, url: string): IssuerError {
  const { host } = readUrl(url);
  const { status, retryAfter } = answer;
  let problem: Readonly<Record<string, unknown>>;
  try {
    problem = answer.json();
  } catch {
    return new IssuerError('rubbish', `${host} answered with status ${status} and no reason`, status, retryAfter);
  }
  const type =
    typeof problem.type === 'string' ? (/^urn:ietf:params:acme:error:(\w+)$/.exec(problem.type)?.[1] ?? '') : '';
  return new IssuerError(type, `${host} refused: ${describeProblem(problem)}`, status, retryAfter);
}

/**
 * What a problem document says, in one line; it comes from outside, so it is bounded and made plain. Of its subproblems (RFC 8555
 * §6.7.1) the first three are told, and nothing below those.
 */
export function describeProblem(problem: unknown): string {
  const { subproblems } = (problem ?? {}) as Record<string, unknown>;
  const below = Array.isArray(subproblems) ? subproblems.slice(0, 3) : [];
  return [problem, ...below].map(wordsOf).join('; ');
}

function wordsOf(problem: unknown): string {
  if (typeof problem !== 'object' || problem === null) return 'no reason given';
  const { type, detail } = problem as Record<string, unknown>;
  const words = typeof detail === 'string' && detail !== '' ? plain(detail) : 'no reason given';
  const kind = typeof type === 'string' ? plain(type.replace('urn:ietf:params:acme:error:', ''), MAX_KIND) : 'unknown';
  return `${words} (${kind})`;
}

/** What comes from outside, in one line of bounded length. */
export function plain(words: string, most = MAX_WORDS): string {
  return words.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, ' ').slice(0, most);
}

/** An issuer names its own URLs: they are no way to anything but HTTPS. */
function readUrl(url: string): URL {
  const read = URL.canParse(url) ? new URL(url) : undefined;
  if (read?.protocol === 'https:' && read.username === '') return read;
  throw new IssuerError('rubbish', `the issuer names ${plain(JSON.stringify(url))}, which is no https:// URL`);
}

function unreachable({ host }: URL, error: Error): IssuerError {
  const { code } = error as NodeJS.ErrnoException;
  if (error.name === 'TimeoutError' || (error.cause as Error | undefined)?.name === 'TimeoutError') {
    return new IssuerError('unreachable', `${host} did not answer within ${TIMEOUT / 1_000} s`);
  }
  const trust = /CERT|ISSUER|SIGNATURE|ALTNAME/.test(code ?? '') ? '; is it to be trusted by ACME_CA_FILE (ca)?' : '';
  return new IssuerError('unreachable', `${host} cannot be reached: ${plain(error.message) || code}${trust}`);
}

function readObject(text: string, { host }: URL, status: number): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Told below.
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new IssuerError('rubbish', `${host} answered with something that is no JSON object (status ${status})`, status);
}

/** Seconds, or a date (RFC 9110 §10.2.3). */
export function readRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  const ms = /^\d{1,10}$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - now;
  return Number.isNaN(ms) ? undefined : Math.min(LONGEST_RETRY_AFTER, Math.max(0, ms));
}

function readLinks(field: string, relation: string, base: URL): string[] {
  return [...field.matchAll(/<([^>]*)>([^<]*)/g)]
    .filter(([, , parameters]) => new RegExp(`;\\s*rel="?${relation}"?\\s*(?:[;,]|$)`, 'i').test(parameters!))
    .flatMap(([, url]) => (URL.canParse(url!, base) ? [new URL(url!, base).href] : []));
}
