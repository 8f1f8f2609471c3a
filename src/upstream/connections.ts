// The connections to one endpoint: opened with a deadline, kept for the next request, bounded in number, with a waiting line.

import { isIP } from 'node:net';
import { FAILURES, type Failure } from '../model/failure.ts';
import { Roster } from '../model/roster.ts';
import type { Endpoint, Limits } from '../model/snapshot.ts';
import { openConnection } from './connect.ts';
import type { UpstreamConnection } from './connection.ts';
import type { Resolver } from './resolver.ts';

/** Who wants a connection. */
export interface Seeker {
  /** Its connection becomes a tunnel, perhaps: it is read as a stream, and never kept. */
  readonly streaming: boolean;
  onConnection(connection: UpstreamConnection, reused: boolean): void;
  onNoConnection(failure: Failure, detail: string): void;
}

/** How long a connection is kept idle when the upstream does not say: shorter than the 5 s of a Node upstream. */
const DEFAULT_KEEP = 4_000;
/** A request that may not be repeated takes a kept connection only when it was used this short a time ago. */
const SURELY_ALIVE = 1_000;

/** An upstream that closed idle connections is expected to do so again, this part of the time earlier. */
const MARGIN = 0.8;
const MIN_KEEP = 200;
/** It may have been a restart: so long what was seen is believed. */
const BELIEVED_FOR = 600_000;

interface Idle {
  readonly connection: UpstreamConnection;
  readonly since: number;
  readonly keep: number;
}

/** All connections of this worker to one endpoint. Times in ms of the steady clock. */
export class Connections {
  readonly endpoint: Endpoint;
  readonly #limits: Limits;
  readonly #resolver: Resolver;
  readonly #now: () => number;
  /** Most recently used last. */
  readonly #idle: Idle[] = [];
  readonly #waiting: Seeker[] = [];
  readonly #all = new Roster<UpstreamConnection>();
  /** Addresses that the name has now; undefined: nothing is known, all are good. */
  #current: ReadonlySet<string> | undefined;
  #opening = 0;
  /** How long the upstream lets a connection idle, as far as it was seen to end one. */
  #observedKeep = 0;
  #observedAt = Number.NEGATIVE_INFINITY;

  constructor(endpoint: Endpoint, limits: Limits, resolver: Resolver, now: () => number) {
    this.endpoint = endpoint;
    this.#limits = limits;
    this.#resolver = resolver;
    this.#now = now;
  }

  get count(): number {
    return this.#all.size + this.#opening;
  }

  /** A kept connection that can be used at once, most recently used first; undefined when there is none. */
  takeIdle(repeatable: boolean): UpstreamConnection | undefined {
    const now = this.#now();
    while (this.#idle.length > 0) {
      const last = this.#idle[this.#idle.length - 1]!;
      const age = now - last.since;
      // The others are older still.
      if (!repeatable && age > Math.min(SURELY_ALIVE, last.keep / 2)) return undefined;
      this.#idle.pop();
      if (age < last.keep && !last.connection.isGone) return last.connection;
      last.connection.destroy();
    }
    return undefined;
  }

  /** Opens a connection, or lines up for one. The seeker is told later, never at once. */
  seek(seeker: Seeker): void {
    if (this.count < this.#limits.upstreamConnections) this.#open(seeker);
    else if (this.#idle.length > 0) {
      // All places are taken, and one of them by an idle connection that this request may not use: it makes room. Whoever
      // waits already has one that does.
      this.#waiting.push(seeker);
      this.#idle.shift()!.connection.destroy();
    } else if (this.#waiting.length < this.#limits.waiting) this.#waiting.push(seeker);
    else {
      const detail = `has no connection free: ${this.#waiting.length} requests already wait for one of its ${this.#limits.upstreamConnections}`;
      process.nextTick(() => seeker.onNoConnection(FAILURES.busy, detail));
    }
  }

  /** Gives up on a connection that was asked for. */
  leave(seeker: Seeker): void {
    const index = this.#waiting.indexOf(seeker);
    if (index !== -1) this.#waiting.splice(index, 1);
  }

  /** Takes a connection back after a complete exchange. `keepAlive` is the upstream's Keep-Alive timeout in ms, if it said one. */
  giveBack(connection: UpstreamConnection, keepAlive: number | undefined): void {
    if (connection.isGone || (this.#current !== undefined && !this.#current.has(connection.address))) {
      connection.destroy();
      return;
    }
    const next = this.#waiting[0];
    if (next?.streaming) {
      // A tunnel wants a connection of its own: this one makes room.
      connection.destroy();
      return;
    }
    if (next !== undefined) {
      this.#waiting.shift();
      next.onConnection(connection, true);
      return;
    }
    const said = keepAlive === undefined ? DEFAULT_KEEP : Math.max(500, keepAlive - 1_000);
    const now = this.#now();
    const keep = now - this.#observedAt < BELIEVED_FOR ? Math.min(said, this.#observedKeep) : said;
    this.#idle.push({ connection, since: now, keep });
  }

  /** Once a second: closes what was idle too long, and looks whether the name has moved. */
  sweep(): void {
    const now = this.#now();
    for (let i = this.#idle.length - 1; i >= 0; i--) {
      const idle = this.#idle[i]!;
      if (now - idle.since < idle.keep && !idle.connection.isGone) continue;
      this.#idle.splice(i, 1);
      idle.connection.destroy();
    }
    if (this.#all.size > 0 && isIP(this.endpoint.host) === 0) {
      this.#resolver.refresh(this.endpoint.host, (addresses) => this.#moveTo(addresses.map((each) => each.address)));
    }
  }

  close(): void {
    this.#waiting.length = 0;
    for (const connection of this.#all) connection.destroy();
  }

  /** The name has other addresses: idle connections to the old ones end, busy ones end after their exchange. */
  #moveTo(addresses: readonly string[]): void {
    this.#current = new Set(addresses);
    for (const idle of this.#idle.splice(0)) {
      if (this.#current.has(idle.connection.address)) this.#idle.push(idle);
      else idle.connection.destroy();
    }
  }

  #open(seeker: Seeker): void {
    this.#opening++;
    const { connectTimeout } = this.#limits;
    openConnection(this.endpoint, connectTimeout, this.#resolver, seeker.streaming, (connection, failure, detail) => {
      this.#opening--;
      if (connection === undefined) {
        seeker.onNoConnection(failure!, detail);
        this.#serveWaiting();
        return;
      }
      const place = this.#all.add(connection);
      // A new connection is the proof that its address is right.
      if (this.#current !== undefined && !this.#current.has(connection.address)) this.#current = undefined;
      connection.onGone = () => {
        this.#all.remove(place);
        this.#serveWaiting();
      };
      connection.onEndedIdle = () => this.#learn(connection);
      seeker.onConnection(connection, false);
    });
  }

  /** The upstream ended an idle connection: the next ones are given up before it does so again. */
  #learn(connection: UpstreamConnection): void {
    const idle = this.#idle.find((each) => each.connection === connection);
    if (idle === undefined) return;
    const lasted = this.#now() - idle.since;
    if (lasted >= idle.keep) return;
    this.#observedKeep = Math.max(MIN_KEEP, lasted * MARGIN);
    this.#observedAt = this.#now();
  }

  #serveWaiting(): void {
    if (this.#waiting.length > 0 && this.count < this.#limits.upstreamConnections) this.#open(this.#waiting.shift()!);
  }
}
