// Names to addresses: cached for a while, anew when a connection fails, so that a recreated container is found.

import { type LookupAddress, lookup as systemLookup } from 'node:dns';
import type { LookupFunction } from 'node:net';

/** Asks the system; replaced in tests. */
export type Ask = (host: string, answer: (error: Error | null, addresses: readonly Address[]) => void) => void;

export interface Address {
  readonly address: string;
  readonly family: number;
}

interface Known {
  addresses: readonly Address[];
  readonly resolvedAt: number;
}

/** Age after which a name is asked again, in ms; with a sweep a second a change is seen within 30 s. */
const MAX_AGE = 25_000;
const MAX_NAMES = 1_000;

/** A cache before the system's resolver (getaddrinfo: /etc/hosts and the container network's DNS are honoured). */
export class Resolver {
  readonly #ask: Ask;
  readonly #now: () => number;
  readonly #known = new Map<string, Known>();
  readonly #asking = new Map<string, ((error: Error | null, addresses: readonly Address[]) => void)[]>();

  constructor(now: () => number, ask: Ask = askSystem) {
    this.#now = now;
    this.#ask = ask;
  }

  /** The addresses of a name; `fromCache` tells whether they might be outdated. */
  resolve(
    host: string,
    answer: (error: Error | null, addresses: readonly Address[], fromCache: boolean) => void,
  ): void {
    const known = this.#known.get(host);
    if (known !== undefined && this.#now() - known.resolvedAt < MAX_AGE) {
      process.nextTick(answer, null, known.addresses, true);
      return;
    }
    this.#resolveAnew(host, (error, addresses) => {
      // A resolver that fails is no reason to forget a place that works.
      if (error !== null && known !== undefined) answer(null, known.addresses, true);
      else answer(error, addresses, false);
    });
  }

  /** The next connection asks anew. */
  forget(host: string): void {
    this.#known.delete(host);
  }

  /** Asks again when what is known is old. `changed` is called with the new addresses only when they differ. */
  refresh(host: string, changed: (addresses: readonly Address[]) => void): void {
    const known = this.#known.get(host);
    if (this.#asking.has(host) || (known !== undefined && this.#now() - known.resolvedAt < MAX_AGE)) return;
    this.#resolveAnew(host, (error, addresses) => {
      if (error === null && (known === undefined || !sameAddresses(known.addresses, addresses))) changed(addresses);
      if (error !== null && known !== undefined) this.#remember(host, known.addresses);
    });
  }

  #resolveAnew(host: string, answer: (error: Error | null, addresses: readonly Address[]) => void): void {
    const waiting = this.#asking.get(host);
    if (waiting !== undefined) {
      waiting.push(answer);
      return;
    }
    const answers = [answer];
    this.#asking.set(host, answers);
    this.#ask(host, (error, addresses) => {
      this.#asking.delete(host);
      if (error === null) this.#remember(host, addresses);
      for (const each of answers) each(error, addresses);
    });
  }

  #remember(host: string, addresses: readonly Address[]): void {
    if (this.#known.size >= MAX_NAMES) this.#known.clear();
    this.#known.set(host, { addresses, resolvedAt: this.#now() });
  }
}

/** A `lookup` for net.connect; `used` is told whether the addresses came from the cache. */
export function lookupThrough(resolver: Resolver, used: (fromCache: boolean) => void): LookupFunction {
  return (host, options, callback) => {
    resolver.resolve(host, (error, addresses, fromCache) => {
      used(fromCache);
      if (error !== null) callback(error, []);
      else if (options.all === true) callback(null, addresses as LookupAddress[]);
      else callback(null, addresses[0]!.address, addresses[0]!.family);
    });
  };
}

function sameAddresses(a: readonly Address[], b: readonly Address[]): boolean {
  const key = (addresses: readonly Address[]) =>
    addresses
      .map((each) => each.address)
      .sort()
      .join();
  return key(a) === key(b);
}

function askSystem(host: string, answer: (error: Error | null, addresses: readonly Address[]) => void): void {
  systemLookup(host, { all: true }, (error, addresses) => {
    if (error === null && addresses.length === 0) answer(new Error(`no address for ${host}`), []);
    else answer(error, addresses ?? []);
  });
}
