// Where node:http2 keeps the streams of a session: in tables of ours, which its streams come and go in at less cost.

import type { Http2Session } from 'node:http2';

/** A Map of few members from small numbers, as far as node:http2 uses one. */
export class OpenStreams {
  readonly #ids: number[] = [];
  readonly #streams: object[] = [];

  get size(): number {
    return this.#ids.length;
  }

  get(id: number): object | undefined {
    const place = this.#ids.indexOf(id);
    return place === -1 ? undefined : this.#streams[place];
  }

  set(id: number, stream: object): this {
    const place = this.#ids.indexOf(id);
    if (place !== -1) this.#streams[place] = stream;
    else {
      this.#ids.push(id);
      this.#streams.push(stream);
    }
    return this;
  }

  delete(id: number): boolean {
    const place = this.#ids.indexOf(id);
    if (place === -1) return false;
    takeOut(this.#ids, place);
    takeOut(this.#streams, place);
    return true;
  }

  /** Each of those that are there now; they may go meanwhile. */
  forEach(tell: (stream: object) => void): void {
    for (const stream of this.#streams.slice()) tell(stream);
  }
}

/** A Set of few members, as far as node:http2 uses one. */
export class PendingStreams {
  readonly #streams: object[] = [];

  get size(): number {
    return this.#streams.length;
  }

  add(stream: object): this {
    if (!this.#streams.includes(stream)) this.#streams.push(stream);
    return this;
  }

  delete(stream: object): boolean {
    const place = this.#streams.indexOf(stream);
    if (place === -1) return false;
    takeOut(this.#streams, place);
    return true;
  }

  /** Each of those that are there now; they may go meanwhile. */
  forEach(tell: (stream: object) => void): void {
    for (const stream of this.#streams.slice()) tell(stream);
  }
}

/** What comes last takes the place: nothing is copied, and nothing new is made. */
function takeOut<T>(all: T[], place: number): void {
  const last = all.pop()!;
  if (place < all.length) all[place] = last;
}

interface State {
  streams: unknown;
  pendingStreams: unknown;
}

/**
 * Gives a new session these tables. Its own are a Map and a Set, in which each stream comes and goes: they keep what died alive as told in
 * src/model/roster.ts, and a third of what was allocated with it. False where this Node is built otherwise: then they stay.
 */
export function useOwnTables(session: Http2Session): boolean {
  const symbol = Object.getOwnPropertySymbols(session).find(({ description }) => description === 'state');
  if (symbol === undefined) return false;
  const state = (session as unknown as Record<symbol, State | undefined>)[symbol];
  if (state === undefined || !isEmpty(state.streams) || !isEmpty(state.pendingStreams)) return false;
  state.streams = new OpenStreams();
  state.pendingStreams = new PendingStreams();
  return true;
}

function isEmpty(table: unknown): boolean {
  return typeof table === 'object' && table !== null && 'size' in table && table.size === 0;
}
