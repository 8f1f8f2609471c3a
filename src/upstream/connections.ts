// The connections to one endpoint: opened with a deadline, kept for the next request, bounded in number, with a waiting line.

import { isIP, connect as netConnect, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { plainAddress } from '../http/forwarded.ts';
import { FAILURES, type Failure } from '../model/failure.ts';
import type { Endpoint, Limits } from '../model/snapshot.ts';
import { lookupThrough, type Resolver } from './resolver.ts';

/** Who wants a connection. */
export interface Seeker {
  onSocket(socket: Socket, reused: boolean): void;
  onNoSocket(failure: Failure, detail: string): void;
}

/** How long a connection is kept idle when the upstream does not say: shorter than the 5 s of a Node upstream. */
const DEFAULT_KEEP = 4_000;
/** A request that may not be repeated takes a kept connection only when it was used this short a time ago. */
const SURELY_ALIVE = 1_000;

interface Idle {
  readonly socket: Socket;
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
  readonly #all = new Set<Socket>();
  /** Addresses that the name has now; undefined: nothing is known, all are good. */
  #current: ReadonlySet<string> | undefined;
  #opening = 0;

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
  takeIdle(repeatable: boolean): Socket | undefined {
    const now = this.#now();
    while (this.#idle.length > 0) {
      const last = this.#idle[this.#idle.length - 1]!;
      const age = now - last.since;
      // The others are older still.
      if (!repeatable && age > Math.min(SURELY_ALIVE, last.keep / 2)) return undefined;
      this.#idle.pop();
      stopWatching(last.socket);
      if (age < last.keep && !last.socket.destroyed) return last.socket;
      last.socket.destroy();
    }
    return undefined;
  }

  /** Opens a connection, or lines up for one. The seeker is told later, never at once. */
  seek(seeker: Seeker): void {
    if (this.count < this.#limits.upstreamConnections) this.#open(seeker);
    else if (this.#idle.length > 0 && this.#waiting.length === 0) {
      // All places are taken, and one of them by an idle connection that this request may not use: it makes room.
      this.#waiting.push(seeker);
      this.#idle.shift()!.socket.destroy();
    } else if (this.#waiting.length < this.#limits.waiting) this.#waiting.push(seeker);
    else {
      const detail = `has no connection free: ${this.#waiting.length} requests already wait for one of its ${this.#limits.upstreamConnections}`;
      process.nextTick(() => seeker.onNoSocket(FAILURES.busy, detail));
    }
  }

  /** Gives up on a connection that was asked for. */
  leave(seeker: Seeker): void {
    const index = this.#waiting.indexOf(seeker);
    if (index !== -1) this.#waiting.splice(index, 1);
  }

  /** Takes a connection back after a complete exchange. `keepAlive` is the upstream's Keep-Alive timeout in ms, if it said one. */
  giveBack(socket: Socket, keepAlive: number | undefined): void {
    const moved = this.#current !== undefined && !this.#current.has(plainAddress(socket.remoteAddress ?? ''));
    if (socket.destroyed || moved) {
      socket.destroy();
      return;
    }
    const next = this.#waiting.shift();
    if (next !== undefined) {
      next.onSocket(socket, true);
      return;
    }
    const keep = keepAlive === undefined ? DEFAULT_KEEP : Math.max(500, keepAlive - 1_000);
    this.#idle.push({ socket, since: this.#now(), keep });
    watch(socket);
  }

  /** Once a second: closes what was idle too long, and looks whether the name has moved. */
  sweep(): void {
    const now = this.#now();
    for (let i = this.#idle.length - 1; i >= 0; i--) {
      const idle = this.#idle[i]!;
      if (now - idle.since < idle.keep && !idle.socket.destroyed) continue;
      this.#idle.splice(i, 1);
      idle.socket.destroy();
    }
    if (this.#all.size > 0 && isIP(this.endpoint.host) === 0) {
      this.#resolver.refresh(this.endpoint.host, (addresses) => this.#moveTo(addresses.map((each) => each.address)));
    }
  }

  close(): void {
    this.#waiting.length = 0;
    for (const socket of this.#all) socket.destroy();
  }

  /** The name has other addresses: idle connections to the old ones end, busy ones end after their exchange. */
  #moveTo(addresses: readonly string[]): void {
    this.#current = new Set(addresses);
    for (const idle of this.#idle.splice(0)) {
      if (this.#current.has(plainAddress(idle.socket.remoteAddress ?? ''))) this.#idle.push(idle);
      else idle.socket.destroy();
    }
  }

  #open(seeker: Seeker): void {
    this.#opening++;
    openSocket(this.endpoint, this.#limits.connectTimeout, this.#resolver, (socket, failure, detail) => {
      this.#opening--;
      if (socket === undefined) {
        seeker.onNoSocket(failure!, detail);
        this.#serveWaiting();
        return;
      }
      this.#all.add(socket);
      // A new connection is the proof that its address is right.
      if (this.#current !== undefined && !this.#current.has(plainAddress(socket.remoteAddress ?? '')))
        this.#current = undefined;
      socket.once('close', () => {
        this.#all.delete(socket);
        this.#serveWaiting();
      });
      seeker.onSocket(socket, false);
    });
  }

  #serveWaiting(): void {
    if (this.#waiting.length > 0 && this.count < this.#limits.upstreamConnections) this.#open(this.#waiting.shift()!);
  }
}

// Whatever comes on an idle connection answers no request of ours: were it left in the buffer, the next client would get it.
function watch(socket: Socket): void {
  socket.on('data', onIdleEvent);
  socket.on('end', onIdleEvent);
  socket.resume();
}

function stopWatching(socket: Socket): void {
  socket.removeListener('data', onIdleEvent);
  socket.removeListener('end', onIdleEvent);
}

function onIdleEvent(this: Socket): void {
  this.destroy();
}

type Opened = (socket: Socket | undefined, failure: Failure | undefined, detail: string) => void;

/** Connects within `timeout`. Addresses from the cache that fail are asked anew at once, and tried once more. */
function openSocket(endpoint: Endpoint, timeout: number, resolver: Resolver, opened: Opened, again = false): void {
  let fromCache = false;
  const lookup = lookupThrough(resolver, (cached) => {
    fromCache = cached;
  });
  const { host, port } = endpoint;
  const options = {
    host,
    port,
    lookup,
    autoSelectFamily: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
  };
  const socket = endpoint.tls
    ? tlsConnect({ ...options, ALPNProtocols: ['http/1.1'], ...(isIP(host) === 0 ? { servername: host } : {}) })
    : netConnect(options);
  const deadline = setTimeout(() => {
    finish(FAILURES.connectTimeout, `accepted no connection within ${timeout} ms (limit upstream.connectTimeout)`);
  }, timeout);
  const onError = (error: NodeJS.ErrnoException) => {
    if (fromCache && !again) {
      cleanUp();
      socket.destroy();
      resolver.forget(host);
      openSocket(endpoint, timeout, resolver, opened, true);
      return;
    }
    const failure = connectFailure(error, endpoint);
    finish(failure, `${CONNECT_WORDS.get(failure)} (${describe(error)})`);
  };
  const onConnect = () => {
    cleanUp();
    // Between two exchanges nobody else listens, and an error that nobody hears ends the process.
    socket.on('error', () => {});
    holdWriteErrors(socket);
    opened(socket, undefined, '');
  };
  const event = endpoint.tls ? 'secureConnect' : 'connect';
  socket.once('error', onError);
  socket.once(event, onConnect);

  function cleanUp(): void {
    clearTimeout(deadline);
    socket.removeListener('error', onError);
    socket.removeListener(event, onConnect);
  }
  function finish(failure: Failure, detail: string): void {
    cleanUp();
    socket.on('error', () => {});
    socket.destroy();
    resolver.forget(host);
    opened(undefined, failure, detail);
  }
}

/** What each means, for whoever has to mend it; the endpoint is named before. */
const CONNECT_WORDS: ReadonlyMap<Failure, string> = new Map([
  [FAILURES.dns, 'has a name that cannot be resolved: is it running, and in the same network?'],
  [FAILURES.refused, 'refused the connection: nothing listens there, or it is still starting'],
  [FAILURES.connectTimeout, 'accepted no connection: is there a firewall between?'],
  [FAILURES.unreachable, 'cannot be reached from here'],
  [FAILURES.tls, 'made no TLS connection that can be trusted'],
]);

function connectFailure(error: NodeJS.ErrnoException, endpoint: Endpoint): Failure {
  switch (error.code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EAI_NODATA':
    case 'EAI_NONAME':
      return FAILURES.dns;
    case 'ECONNREFUSED':
      return FAILURES.refused;
    case 'ETIMEDOUT':
      return FAILURES.connectTimeout;
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
    case 'EMFILE':
    case 'ENFILE':
      return FAILURES.unreachable;
    default:
      return endpoint.tls ? FAILURES.tls : FAILURES.unreachable;
  }
}

/** The system's words; of a race over several addresses the first one's. */
function describe(error: Error): string {
  const first = error instanceof AggregateError ? (error.errors[0] as Error) : error;
  return first.message;
}

/** How long a failed write waits for the answer that may already be there. */
const READ_AFTER_WRITE_ERROR = 2_000;

/**
 * An upstream that refuses an upload answers and closes: our next write fails while its answer still waits to be read, and
 * Node destroys a socket on a failed write. So the error is held back until the reading side has ended, or a short time.
 */
function holdWriteErrors(socket: Socket): void {
  const write = socket._write;
  const writev = socket._writev;
  const hold = (callback: (error?: Error | null) => void) => (error?: Error | null) => {
    if (!error || socket.destroyed) {
      callback(error);
      return;
    }
    const timer = setTimeout(callback, READ_AFTER_WRITE_ERROR, error);
    socket.once('close', () => clearTimeout(timer));
  };
  socket._write = (chunk, encoding, callback) => write.call(socket, chunk, encoding, hold(callback));
  if (writev !== undefined && writev !== null) {
    socket._writev = (chunks, callback) => writev.call(socket, chunks, hold(callback));
  }
}
