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
  readonly addresses: readonly Address[];
  readonly resolvedAt: number;
  /** A connection to them failed. */
  doubted: boolean;
}

interface Question {
  readonly askedAt: number;
  readonly answers: ((error: Error | null, addresses: readonly Address[]) => void)[];
}

/** Age after which a name is asked again, in ms; with a sweep a second a change is seen within 30 s. */
const MAX_AGE = 25_000;
/** So long an answer is waited for where a place is known, in ms: some of the shortest connect timeout (1 s) is left then. */
const PATIENCE = 500;
const MAX_NAMES = 1_000;

/** A cache before the system's resolver (getaddrinfo: /etc/hosts and the container network's DNS are honoured). */
export class Resolver {
  readonly #ask: Ask;
  readonly #now: () => number;
  readonly #known = new Map<string, Known>();
  readonly #asking = new Map<string, Question>();

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
    const patience = this.#patienceLeft(host);
    if (known !== undefined && (this.#isFresh(known) || patience <= 0)) {
      process.nextTick(answer, null, known.addresses, true);
      return;
    }
    let isTold = false;
    const tellKnown = () => {
      isTold = true;
      answer(null, known!.addresses, true);
    };
    const timer = known === undefined ? undefined : setTimeout(tellKnown, patience);
    this.#resolveAnew(host, (error, addresses) => {
      if (isTold) return;
      clearTimeout(timer);
      // A resolver that fails is no reason to forget a place that works.
      if (error !== null && known !== undefined && !known.doubted) answer(null, known.addresses, true);
      else answer(error, addresses, false);
    });
  }

  /** A connection failed: the next one asks anew, and goes to the same place only where no answer comes. */
  doubt(host: string): void {
    const known = this.#known.get(host);
    if (known !== undefined) known.doubted = true;
  }

  /** Asks again when what is known is old. `changed` is called with the new addresses only when they differ. */
  refresh(host: string, changed: (addresses: readonly Address[]) => void): void {
    const known = this.#known.get(host);
    if (this.#asking.has(host) || (known !== undefined && this.#isFresh(known))) return;
    this.#resolveAnew(host, (error, addresses) => {
      if (error === null && (known === undefined || !sameAddresses(known.addresses, addresses))) changed(addresses);
    });
  }

  #isFresh(known: Known): boolean {
    return !known.doubted && this.#now() - known.resolvedAt < MAX_AGE;
  }

  /** For the answer to the question that is asked already, or else begins now. */
  #patienceLeft(host: string): number {
    const question = this.#asking.get(host);
    return question === undefined ? PATIENCE : question.askedAt + PATIENCE - this.#now();
  }

  #resolveAnew(host: string, answer: Question['answers'][number]): void {
    const asking = this.#asking.get(host);
    if (asking !== undefined) {
      asking.answers.push(answer);
      return;
    }
    const question: Question = { askedAt: this.#now(), answers: [answer] };
    this.#asking.set(host, question);
    this.#ask(host, (error, addresses) => {
      this.#asking.delete(host);
      const known = this.#known.get(host);
      if (error === null) this.#remember(host, addresses);
      // As if it had been confirmed: it is asked again later, not for every connection.
      else if (known !== undefined && !known.doubted) this.#remember(host, known.addresses);
      for (const each of question.answers) each(error, addresses);
    });
  }

  #remember(host: string, addresses: readonly Address[]): void {
    if (this.#known.size >= MAX_NAMES) this.#known.clear();
    this.#known.set(host, { addresses, resolvedAt: this.#now(), doubted: false });
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
