// What a test's client says and hears: one request and its answer, the same over HTTP/1.1 and HTTP/2.

import type { Headers } from '../../src/http/headers.ts';

/** Where to connect, always on 127.0.0.1, and as whom. */
export interface Door {
  readonly port: number;
  /** The authority to trust; undefined for a plain connection. */
  readonly ca: string | undefined;
  /** The name for the TLS handshake. */
  readonly serverName: string;
}

export interface ClientRequest {
  readonly method: string;
  /** Sent byte for byte (latin1). */
  readonly target: string;
  /** Host or :authority. */
  readonly authority: string;
  readonly headers: Headers;
  readonly body?: Buffer;
  /** The body's length is not announced: chunked in HTTP/1.1. */
  readonly chunked?: boolean;
  readonly trailers?: Headers;
  /** Sends `Expect: 100-continue` and the body only after the interim answer. */
  readonly waitForContinue?: boolean;
}

export interface Inform {
  readonly status: number;
  readonly headers: Headers;
}

export interface ClientAnswer {
  readonly status: number;
  /** As received; names of HTTP/2 pseudo-fields left out. */
  readonly headers: Headers;
  readonly body: Buffer;
  readonly trailers: Headers;
  readonly informs: readonly Inform[];
  /** `cut`: what came cannot be taken for a whole answer. */
  readonly end: 'complete' | 'cut';
}

/** How long a client of a test waits for anything. */
export const PATIENCE = 15_000;
