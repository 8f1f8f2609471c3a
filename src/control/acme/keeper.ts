// Keeps the certificate of one name: has it issued, renews it in time, and waits as long as failures and issuers demand.

import type { LoadedCertificate } from '../certificate-source.ts';
import type { ChallengeType, Issuance, Issuer } from '../configuration.ts';
import { Advice } from './advice.ts';
import type { AcmeClient } from './client.ts';
import { DnsAnswers, type DnsMeans } from './dns-answers.ts';
import { type Answering, issue, type PlacedOrder, rehearse } from './issue.ts';
import type { OrderCounts } from './measures.ts';
import {
  type Course,
  fileName,
  loadCertificate,
  loadCourse,
  type StoredCertificate,
  storeCertificate,
  storeCourse,
} from './records.ts';
import { backoff, believable, describeWait, nextAttempt, restAfterIssue } from './renewal.ts';
import { StorageError } from './storage.ts';
import { toLoaded } from './stored.ts';
import { IssuerError } from './transport.ts';

/** Another process of the same store may have renewed: we look this often, at least. In ms. */
const LOOK_AGAIN = 3_600_000;
/** While another process has the lock. */
const OTHERS_TURN = 2_000;
/** When the store cannot be written: nothing is ordered meanwhile. */
const STORAGE_PAUSE = 60_000;
/** How often an order that was cut off by a restart is taken up again at once. */
const MAX_RESUMED = 3;

/** What all names share. */
export interface Shared extends DnsMeans {
  /** At our ports. */
  readonly answering: Answering;
  readonly counts: OrderCounts;
  client(issuer: Issuer): AcmeClient;
  /** Runs it when few enough others do. */
  inTurn<T>(work: () => Promise<T>): Promise<T>;
  /** Something that is told of us became something else. Resolves when it is in force. */
  changed(): Promise<void>;
}

export class Keeper {
  readonly name: string;
  /** undefined: nothing was ever issued. */
  loaded: LoadedCertificate | undefined;
  /** Why there is no newer one, in words. */
  problem: string | undefined;
  readonly #issuance: Issuance;
  readonly #shared: Shared;
  #stored: StoredCertificate | undefined;
  /** What the store has still to be told of the certificate that was issued. */
  #unsaved: Course | undefined;
  readonly #advice: Advice;
  /** An order that was cut off is taken up at once by who comes after, not each time. */
  #isFirstAttempt = true;
  /** The workers refused what we have, or were not asked yet. */
  #isUntold = false;

  constructor(name: string, issuance: Issuance, shared: Shared) {
    this.name = name;
    this.#issuance = issuance;
    this.#shared = shared;
    this.#advice = new Advice(name, shared);
  }

  /** Takes what is in the store. */
  async load(): Promise<void> {
    const { storage, clock } = this.#shared;
    try {
      const stored = await loadCertificate(storage, this.name);
      if (stored !== undefined && this.#take(stored)) return;
      const course = believable(await loadCourse(storage, this.name), clock.now());
      const next = this.#nextAttempt(course);
      // Without a word of what went wrong it may be under way in another process.
      if (course.problem !== undefined && next > clock.now()) this.problem = describeWait(course.problem, next);
    } catch (error) {
      this.problem = (error as Error).message;
    }
  }

  /** Until the signal is raised. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let pause = STORAGE_PAUSE;
      try {
        pause = await this.#step(signal);
      } catch (error) {
        // The store, or a mistake of ours: what is served stays.
        await this.#tell((error as Error).message, signal);
      }
      const longest = this.#isUntold ? STORAGE_PAUSE : LOOK_AGAIN;
      await this.#shared.clock.wait(Math.min(longest, Math.max(0, pause)), signal);
    }
  }

  /** Resolves to the ms until there may be something to do. */
  async #step(signal: AbortSignal): Promise<number> {
    const { clock, storage } = this.#shared;
    if (this.#isUntold) await this.#announce();
    await this.#synchronize(signal);
    const due = await this.#due();
    if (due > clock.now()) return due - clock.now();
    return this.#shared.inTurn(async () => {
      const lock = await storage.lock(fileName(this.name));
      if (lock === undefined) return OTHERS_TURN;
      try {
        return signal.aborted ? 0 : await this.#attempt(signal);
      } finally {
        await lock.release();
      }
    });
  }

  /** With the lock held: whoever had it before may have done all there was to do. */
  async #attempt(signal: AbortSignal): Promise<number> {
    const { clock, storage, log } = this.#shared;
    await this.#synchronize(signal);
    const due = await this.#due();
    if (due > clock.now()) return due - clock.now();
    const course = believable(await loadCourse(storage, this.name), clock.now());
    const next = this.#nextAttempt(course);
    this.#isFirstAttempt = false;
    if (next > clock.now()) {
      // Of an attempt before a restart, or of another process.
      if (course.failures > 0) await this.#tell(describeWait(course.problem, next), signal);
      return next - clock.now();
    }

    // As if it had failed: a process that dies in the middle must not begin anew as fast as it is started.
    course.failures++;
    const left = this.loaded === undefined ? undefined : this.loaded.notAfter.getTime() - clock.now();
    course.notBefore = clock.now() + backoff(course.failures, left, clock.random());
    await storeCourse(storage, this.name, course);
    const dns = this.#dnsAnswers(course);
    await dns?.clean(signal);
    const answering = dns === undefined ? this.#shared.answering : dns.beside(this.#shared.answering, signal);
    const reasons: string[] = [];
    for (const issuer of this.#issuance.issuers) {
      if ((course.pauses[issuer.directory] ?? 0) > clock.now()) continue;
      const host = hostOf(issuer);
      try {
        await this.#issueFrom(issuer, course, answering, signal);
        this.#shared.counts.count(host, 'issued');
        const ends = this.loaded!.notAfter.toISOString();
        log.info('a certificate was issued', { name: this.name, issuer: host, not_after: ends });
        await this.#announce();
        return 0;
      } catch (error) {
        if (signal.aborted) return 0;
        this.#shared.counts.count(host, 'failed');
        reasons.push((error as Error).message);
        course.problem = reasons.join('; then ');
        await this.#noteFailure(issuer, course, error as Error);
        // The next issuer would be told as little.
        if (isUnanswered(error)) break;
      }
    }
    const until = this.#nextAttempt(course);
    await this.#tell(describeWait(course.problem, until), signal);
    return until - clock.now();
  }

  async #issueFrom(issuer: Issuer, course: Course, answering: Answering, signal: AbortSignal): Promise<void> {
    const { storage, clock } = this.#shared;
    const client = this.#shared.client(issuer);
    const rehearsal = this.#rehearsalOf(issuer);
    const wish = { name: this.name, challenges: this.#challenges(course), replaces: this.#replaces(issuer) };
    const isResumed = course.order?.directory === issuer.directory;
    const keep = async (order: PlacedOrder) => {
      // One that follows on one that died is no new beginning: else a crash loop would place one each time.
      course.order = { ...order, directory: issuer.directory, resumed: course.order?.resumed ?? 0 };
      await storeCourse(storage, this.name, course);
    };
    const placed = isResumed ? course.order : undefined;
    if (placed !== undefined) {
      course.order = { ...course.order!, resumed: course.order!.resumed + 1 };
      await storeCourse(storage, this.name, course);
    } else if (rehearsal !== undefined && (this.#stored === undefined || course.failures > 1)) {
      const now = () => clock.now();
      await rehearse({ client: rehearsal, wish, answering, placed: undefined, keep: async () => {}, now });
    }
    const made = { client, wish, answering, placed, keep, now: () => clock.now() };
    const { chain, key, challenge } = await issue(made);
    this.#take({ directory: issuer.directory, chain, key });
    const { loaded } = this;
    const lifetime = loaded!.notAfter.getTime() - loaded!.notBefore.getTime();
    const worked = challenge ?? course.challenge;
    this.#unsaved = {
      ...(worked === undefined ? {} : { challenge: worked }),
      ...{ failures: 0, notBefore: 0, records: course.records },
      pauses: { ...course.pauses, [issuer.directory]: clock.now() + restAfterIssue(lifetime) },
    };
    await this.#save().catch((error: Error) => this.#tell(error.message, signal));
  }

  /** Where a failure costs nothing; undefined: it has no such place. */
  #rehearsalOf(issuer: Issuer): AcmeClient | undefined {
    if (issuer.rehearsal === undefined) return undefined;
    return this.#shared.client({ ...issuer, directory: issuer.rehearsal, eab: undefined, profile: undefined });
  }

  /** What is set in DNS is written down first, so that it is removed whatever becomes of us. */
  #dnsAnswers(course: Course): DnsAnswers | undefined {
    const { dns } = this.#issuance;
    if (dns === undefined) return undefined;
    return new DnsAnswers(dns, this.#shared, {
      records: () => course.records,
      keep: async (records) => {
        course.records = records;
        await storeCourse(this.#shared.storage, this.name, course);
      },
    });
  }

  /** Keeps what was issued, and that nothing is left to do. */
  async #save(): Promise<void> {
    const { storage } = this.#shared;
    const course = this.#unsaved;
    if (course === undefined) return;
    try {
      await storeCertificate(storage, this.name, this.#stored!);
      await storeCourse(storage, this.name, course);
    } catch (error) {
      throw new StorageError(`the new certificate is served, but could not be kept: ${(error as Error).message}`);
    }
    this.#unsaved = undefined;
    this.problem = undefined;
  }

  async #noteFailure(issuer: Issuer, course: Course, error: Error): Promise<void> {
    for (const client of [this.#shared.client(issuer), this.#rehearsalOf(issuer)]) client?.forgetDirectory();
    if (error instanceof IssuerError && error.retryAfter !== undefined) {
      course.pauses[issuer.directory] = this.#shared.clock.now() + error.retryAfter;
    }
    // An order that the issuer has not refused may still become a certificate.
    const isOpen =
      error instanceof IssuerError && ['unreachable', 'timeout', 'busy', 'unanswered'].includes(error.type);
    if (!isOpen || (course.order?.resumed ?? 0) >= MAX_RESUMED) delete course.order;
    await storeCourse(this.#shared.storage, this.name, course);
  }

  /** In ms of the wall clock. */
  #nextAttempt(course: Course): number {
    const mayResume = this.#isFirstAttempt && course.order !== undefined && course.order.resumed < MAX_RESUMED;
    const directories = this.#issuance.issuers.map(({ directory }) => directory);
    return nextAttempt(mayResume ? { ...course, notBefore: 0 } : course, directories);
  }

  /** What worked last comes first. */
  #challenges({ challenge }: Course): ChallengeType[] {
    const { challenges } = this.#issuance;
    // RFC 8555 §7.1.3: nothing else can prove a wildcard.
    if (this.name.startsWith('*')) return challenges.filter((each) => each === 'dns-01');
    return challenges.toSorted((a, b) => Number(b === challenge) - Number(a === challenge));
  }

  #replaces({ directory }: Issuer): string | undefined {
    return this.#stored?.directory === directory ? this.#advice.id : undefined;
  }

  /** The store and what we serve become one again. */
  async #synchronize(signal: AbortSignal): Promise<void> {
    const { storage } = this.#shared;
    if (this.#unsaved !== undefined) {
      await this.#save();
      await this.#announce();
    }
    const stored = await loadCertificate(storage, this.name);
    if (stored === undefined || stored.chain === this.#stored?.chain) return;
    if (this.#take(stored)) {
      this.problem = undefined;
      if (!signal.aborted) await this.#announce();
    }
  }

  /** False when it cannot be served. */
  #take(stored: StoredCertificate): boolean {
    const loaded = toLoaded(this.name, stored);
    if (loaded === undefined) return false;
    this.#stored = stored;
    this.loaded = loaded;
    return true;
  }

  /** When the next one is to be ordered, in ms of the wall clock. */
  async #due(): Promise<number> {
    const { loaded } = this;
    const issuer = this.#issuance.issuers.find(({ directory }) => directory === this.#stored?.directory);
    // Of an issuer that is not asked any more, as after a trial with a staging directory.
    if (loaded === undefined || issuer === undefined) return 0;
    return this.#advice.renewalOf(loaded, this.#shared.client(issuer));
  }

  /** A refusal is told by whoever has the workers; here it is only asked again. */
  async #announce(): Promise<void> {
    this.#isUntold = true;
    await this.#shared.changed().then(
      () => {
        this.#isUntold = false;
      },
      () => {},
    );
  }

  async #tell(problem: string, signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.problem === problem) return;
    this.problem = problem;
    await this.#shared.changed().catch(() => {});
  }
}

/** It was never asked to look. */
function isUnanswered(error: unknown): boolean {
  return error instanceof IssuerError && error.type === 'unanswered';
}

function hostOf({ directory }: Issuer): string {
  return new URL(directory).host;
}
