// An account at an issuer, and what can be asked of the issuer with it (RFC 8555, RFC 9773).

import { createHash } from 'node:crypto';
import type { Log } from '../../telemetry/log.ts';
import type { Issuer } from '../configuration.ts';
import { AccountKey } from './account-key.ts';
import type { Clock } from './clock.ts';
import { type Storage, StorageError } from './storage.ts';
import { describeProblem, type IssuerAnswer, IssuerError, problemOf, Transport } from './transport.ts';

/** Some issuers refuse good nonces to keep clients awake (RFC 8555 §6.5). */
const NONCE_ATTEMPTS = 6;
const KEPT_NONCES = 10;
/** Seconds to wait for another process that opens the same account. */
const ACCOUNT_TRIES = 90;
/** How long what a directory says is relied on (RFC 8555 §7.1.1), in ms. */
const DIRECTORY_FOR = 3_600_000;
/** How long an issuer may take to check a name, or to issue. */
const POLL_FOR = 5 * 60_000;
/** How long an issuer may go on looking after it has failed to see the answer. */
const RETRIES_FOR = 20_000;
const FIRST_POLL = 250;
const SLOWEST_POLL = 10_000;

export interface Directory {
  readonly newNonce: string;
  readonly newAccount: string;
  readonly newOrder: string;
  /** undefined: the issuer has no ARI. */
  readonly renewalInfo: string | undefined;
  readonly terms: string | undefined;
  /** By name; undefined: it has none. */
  readonly profiles: readonly string[] | undefined;
}

export interface Order {
  readonly url: string;
  readonly status: string;
  readonly authorizations: readonly string[];
  readonly finalize: string;
  readonly certificate: string | undefined;
  /** In words, when it went wrong. */
  readonly error: string | undefined;
}

export interface Challenge {
  readonly type: string;
  readonly url: string;
  readonly status: string;
  readonly token: string;
  readonly error: string | undefined;
}

export interface Authorization {
  readonly status: string;
  readonly challenges: readonly Challenge[];
}

interface Account {
  readonly key: AccountKey;
  readonly url: string;
}

/** As it is stored. */
interface StoredAccount {
  readonly directory: string;
  readonly key: string;
  readonly url?: string;
  readonly email?: string;
}

/** What issuing needs beside an issuer. */
export interface Means {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly log: Log;
}

export class AcmeClient {
  readonly issuer: Issuer;
  readonly #transport: Transport;
  readonly #storage: Storage;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #signal: AbortSignal;
  #nonces: string[] = [];
  #directory: { readonly read: Promise<Directory>; readonly until: number } | undefined;
  #account: Promise<Account> | undefined;

  constructor(issuer: Issuer, ca: string | undefined, { storage, clock, log }: Means, signal: AbortSignal) {
    this.issuer = issuer;
    this.#transport = new Transport(ca, () => clock.now());
    this.#storage = storage;
    this.#clock = clock;
    this.#log = log;
    this.#signal = signal;
  }

  close(): void {
    this.#transport.close();
  }

  directory(): Promise<Directory> {
    const now = this.#clock.now();
    if (this.#directory === undefined || this.#directory.until <= now) {
      const read = this.#readDirectory();
      this.#directory = { read, until: now + DIRECTORY_FOR };
      read.catch(() => this.forgetDirectory());
    }
    return this.#directory.read;
  }

  /** After a failure: the issuer may say something else by the next attempt. */
  forgetDirectory(): void {
    this.#directory = undefined;
  }

  async newOrder(name: string, replaces: string | undefined): Promise<Order> {
    const { newOrder, renewalInfo, profiles } = await this.directory();
    const { profile } = this.issuer;
    if (profile !== undefined && profiles?.includes(profile) !== true) {
      const offered = profiles === undefined ? 'none' : profiles.join(', ');
      throw new IssuerError('profile', `${this.#host} has no profile "${profile}" (it offers ${offered})`);
    }
    const order = {
      identifiers: [{ type: 'dns', value: name }],
      ...(profile === undefined ? {} : { profile }),
    };
    const isReplacement = replaces !== undefined && renewalInfo !== undefined;
    const answer = await this.post(newOrder, isReplacement ? { ...order, replaces } : order).catch((error) => {
      // RFC 9773 §5: it was replaced already, or the issuer does not know it. The name needs its certificate all the same.
      const isAbout = error instanceof IssuerError && ['alreadyReplaced', 'malformed'].includes(error.type);
      if (isReplacement && isAbout) return this.post(newOrder, order);
      throw error;
    });
    const url = answer.header('location');
    if (url === undefined) throw this.#rubbish('an order without a Location');
    return this.#order(url, answer);
  }

  async order(url: string): Promise<Order> {
    return this.#order(url, await this.post(url, undefined));
  }

  async authorization(url: string): Promise<Authorization> {
    return this.#authorization(await this.post(url, undefined));
  }

  /**
   * Tells the issuer that it may look, and waits for what it finds. Some look again and again after a failure, which stands
   * in the challenge meanwhile (RFC 8555 §8.2): a pending one that comes back with an error has failed for long enough.
   */
  async check(authorizationUrl: string, challenge: Challenge): Promise<Authorization> {
    if (challenge.status === 'pending') await this.post(challenge.url, {});
    const patience = this.#clock.now() + RETRIES_FOR;
    return this.#poll(
      authorizationUrl,
      (answer) => this.#authorization(answer),
      ({ status, challenges }) =>
        status !== 'pending' ||
        (this.#clock.now() > patience &&
          challenges.some(({ url, error }) => url === challenge.url && error !== undefined)),
    );
  }

  /** `csr` in DER. */
  async finalize(order: Order, csr: Uint8Array): Promise<Order> {
    await this.post(order.finalize, { csr: Buffer.from(csr).toString('base64url') });
    return this.settled(order);
  }

  /** Waits while the issuer works on it. */
  settled({ url }: Order): Promise<Order> {
    return this.#poll(
      url,
      (answer) => this.#order(url, answer),
      ({ status }) => status !== 'processing',
    );
  }

  /** The chain as PEM, and the other chains that the issuer has for it. */
  async chains(url: string): Promise<string[]> {
    const first = await this.post(url, undefined);
    const chains = [first.text];
    if (this.issuer.preferredChain === undefined) return chains;
    for (const other of first.links('alternate').slice(0, 8)) chains.push((await this.post(other, undefined)).text);
    return chains;
  }

  /** RFC 9773 §4.1; undefined: the issuer has no ARI. */
  async renewalInfo(id: string): Promise<IssuerAnswer | undefined> {
    const { renewalInfo } = await this.directory();
    if (renewalInfo === undefined) return undefined;
    const url = `${renewalInfo.replace(/\/$/, '')}/${id}`;
    const answer = await this.#transport.send('GET', url, undefined, this.#signal);
    if (answer.status !== 200) throw problemOf(answer, url);
    return answer;
  }

  /** What a challenge is answered with (RFC 8555 §8.1). */
  async keyAuthorization(token: string): Promise<string> {
    return `${token}.${(await this.#signedIn()).key.thumbprint}`;
  }

  /** Signed by the account. Rejects with the problem when the issuer refuses. */
  async post(url: string, payload: object | undefined): Promise<IssuerAnswer> {
    const account = await this.#signedIn();
    try {
      return await this.#signed(url, account.key, { kid: account.url }, payload);
    } catch (error) {
      if (!(error instanceof IssuerError) || error.type !== 'accountDoesNotExist') throw error;
      // The issuer has lost it, as test servers do with each start: the same key opens a new one.
      await this.#keepAccount({ directory: this.issuer.directory, key: account.key.pem });
      this.#account = undefined;
      const { key, url: kid } = await this.#signedIn();
      return this.#signed(url, key, { kid }, payload);
    }
  }

  get #host(): string {
    return new URL(this.issuer.directory).host;
  }

  async #readDirectory(): Promise<Directory> {
    const { directory: url } = this.issuer;
    const answer = await this.#transport.send('GET', url, undefined, this.#signal);
    if (answer.status !== 200) throw problemOf(answer, url);
    const found = answer.json();
    const needed = (key: string) => {
      const value = found[key];
      return typeof value === 'string' ? value : fail(this.#rubbish(`a directory without ${key}; is ${url} one?`));
    };
    const meta = typeof found.meta === 'object' && found.meta !== null ? (found.meta as Record<string, unknown>) : {};
    const profiles =
      typeof meta.profiles === 'object' && meta.profiles !== null ? Object.keys(meta.profiles) : undefined;
    return {
      newNonce: needed('newNonce'),
      newAccount: needed('newAccount'),
      newOrder: needed('newOrder'),
      renewalInfo: typeof found.renewalInfo === 'string' ? found.renewalInfo : undefined,
      terms: typeof meta.termsOfService === 'string' ? meta.termsOfService : undefined,
      profiles: profiles?.slice(0, 20),
    };
  }

  #signedIn(): Promise<Account> {
    this.#account ??= this.#signIn().catch((error) => {
      this.#account = undefined;
      throw error;
    });
    return this.#account;
  }

  async #signIn(): Promise<Account> {
    // Of two processes that begin together one opens the account, and the other one finds it.
    for (let tries = 0; tries < ACCOUNT_TRIES && !this.#signal.aborted; tries++) {
      const lock = await this.#storage.lock(this.#accountName.replaceAll('/', '-'));
      if (lock !== undefined) return this.#openAccount().finally(() => lock.release());
      await this.#clock.wait(1_000, this.#signal);
    }
    throw new IssuerError('busy', `somebody else has held the account at ${this.#host} for too long`);
  }

  async #openAccount(): Promise<Account> {
    const { directory, email, eab } = this.issuer;
    // Kept before it is used: an account whose key got lost is of no use to anybody.
    const kept = (await this.#storedAccount()) ?? { directory, key: AccountKey.generate().pem };
    if (kept.url === undefined) await this.#keepAccount(kept);
    const key = new AccountKey(kept.key);
    if (kept.url !== undefined && kept.email === email) return { key, url: kept.url };
    const { newAccount, terms } = await this.directory();
    const contact = email === undefined ? [] : [`mailto:${email}`];
    if (kept.url !== undefined) {
      await this.#signed(kept.url, key, { kid: kept.url }, { contact });
      await this.#keepAccount({ ...kept, ...(email === undefined ? {} : { email }) });
      return { key, url: kept.url };
    }
    const agreed = terms === undefined ? {} : { terms_of_service: terms };
    this.#log.info('opening an ACME account, which agrees to the terms of service', { issuer: this.#host, ...agreed });
    const binding = eab === undefined ? {} : { externalAccountBinding: key.bind(eab.kid, eab.hmac, newAccount) };
    const answer = await this.#signed(
      newAccount,
      key,
      { jwk: key.jwk },
      { termsOfServiceAgreed: true, contact, ...binding },
    );
    const url = answer.header('location');
    if (url === undefined) throw this.#rubbish('an account without a Location');
    await this.#keepAccount({ directory, key: kept.key, url, ...(email === undefined ? {} : { email }) });
    return { key, url };
  }

  /** One account for each directory and each account that it is bound to. */
  get #accountName(): string {
    const { directory, eab } = this.issuer;
    const hash = createHash('sha256')
      .update(`${directory}\n${eab?.kid ?? ''}`)
      .digest('hex')
      .slice(0, 12);
    return `accounts/${new URL(directory).hostname.replace(/[^a-z0-9.-]/g, '_')}-${hash}.json`;
  }

  async #storedAccount(): Promise<StoredAccount | undefined> {
    const bytes = await this.#storage.load(this.#accountName);
    if (bytes === undefined) return undefined;
    try {
      const stored = JSON.parse(bytes.toString()) as StoredAccount;
      new AccountKey(stored.key);
      return stored;
    } catch {
      // What the file held is not repeated: a damaged key is a key.
      throw new StorageError(`${this.#accountName} in the store is damaged: put a copy back, or remove it`);
    }
  }

  async #keepAccount(account: StoredAccount): Promise<void> {
    await this.#storage.store(this.#accountName, Buffer.from(`${JSON.stringify(account, undefined, 2)}\n`));
  }

  async #signed(url: string, key: AccountKey, by: object, payload: object | undefined): Promise<IssuerAnswer> {
    for (let attempt = 1; ; attempt++) {
      const nonce = this.#nonces.pop() ?? (await this.#newNonce());
      const body = key.sign({ nonce, url, ...by }, payload);
      const answer = await this.#transport.send('POST', url, body, this.#signal);
      const next = answer.header('replay-nonce');
      if (next !== undefined && this.#nonces.length < KEPT_NONCES) this.#nonces.push(next);
      if (answer.status >= 200 && answer.status < 300) return answer;
      const problem = problemOf(answer, url);
      if (problem.type !== 'badNonce' || attempt === NONCE_ATTEMPTS) throw problem;
      // The others that we kept are as old; the one that came with the refusal is new.
      this.#nonces = this.#nonces.slice(-1);
    }
  }

  async #newNonce(): Promise<string> {
    const { newNonce } = await this.directory();
    const answer = await this.#transport.send('HEAD', newNonce, undefined, this.#signal);
    const nonce = answer.header('replay-nonce');
    if (nonce === undefined) throw this.#rubbish(`no nonce (status ${answer.status})`);
    return nonce;
  }

  /** Asks again, as often as the issuer likes, until it is done. */
  async #poll<T>(url: string, read: (answer: IssuerAnswer) => T, isDone: (value: T) => boolean): Promise<T> {
    const end = this.#clock.now() + POLL_FOR;
    for (let pause = FIRST_POLL; ; pause = Math.min(SLOWEST_POLL, pause * 2)) {
      const answer = await this.post(url, undefined);
      const value = read(answer);
      if (isDone(value)) return value;
      const wanted = Math.min(answer.retryAfter ?? pause, POLL_FOR);
      if (this.#clock.now() + wanted > end) {
        throw new IssuerError('timeout', `${this.#host} did not come to an end within ${POLL_FOR / 60_000} minutes`);
      }
      await this.#clock.wait(Math.max(FIRST_POLL, wanted), this.#signal);
    }
  }

  #order(url: string, answer: IssuerAnswer): Order {
    const { status, authorizations, finalize, certificate, error } = answer.json();
    const urls = Array.isArray(authorizations) ? authorizations : [];
    if (typeof status !== 'string' || typeof finalize !== 'string' || !urls.every((each) => typeof each === 'string')) {
      throw this.#rubbish('an order that is none');
    }
    return {
      ...{ url, status, finalize, authorizations: urls as string[] },
      certificate: typeof certificate === 'string' ? certificate : undefined,
      error: error === undefined ? undefined : describeProblem(error),
    };
  }

  #authorization(answer: IssuerAnswer): Authorization {
    const { status, challenges } = answer.json();
    if (typeof status !== 'string' || !Array.isArray(challenges)) throw this.#rubbish('an authorization that is none');
    return { status, challenges: challenges.slice(0, 20).flatMap(readChallenge) };
  }

  #rubbish(what: string): IssuerError {
    return new IssuerError('rubbish', `${this.#host} answered with ${what}`);
  }
}

/** RFC 8555 §8.1: a token is base64url, and goes into a path. */
function readChallenge(value: unknown): Challenge[] {
  const { type, url, status, token, error } = (value ?? {}) as Record<string, unknown>;
  if (typeof type !== 'string' || typeof url !== 'string' || typeof status !== 'string') return [];
  if (typeof token !== 'string' || !/^[\w-]{1,512}$/.test(token)) return [];
  return [{ type, url, status, token, error: error === undefined ? undefined : describeProblem(error) }];
}

function fail(error: Error): never {
  throw error;
}
