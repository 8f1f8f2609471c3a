// The answers that responders gave for our certificates: asked for in time, kept over reloads and restarts, stapled as long as they are good.

import { createHash, X509Certificate } from 'node:crypto';
import type { Log } from '../../telemetry/log.ts';
import type { Clock } from '../acme/clock.ts';
import { storedNames } from '../acme/records.ts';
import type { Storage } from '../acme/storage.ts';
import { readRetryAfter } from '../acme/transport.ts';
import type { Finding, LoadedCertificate } from '../certificate-source.ts';
import { type OcspAnswer, OcspError, readAnswer } from './answer.ts';
import { OcspCounts } from './measures.ts';
import { demandsStaple, type Question, questionOf, responderOf, writeRequest } from './question.ts';
import { askResponder } from './transport.ts';

/** For the whole of a request, in ms. */
const TIMEOUT = 10_000;
const AT_A_TIME = 4;
/** Between two requests for one certificate, whatever its answers say. In ms. */
const SHORTEST_PAUSE = 60_000;
const LONGEST_PAUSE = 7 * 86_400_000;
/** After failures: a minute, two, four, up to an hour. */
const LONGEST_BACKOFF = 3_600_000;
/** When the responder asks for a longer pause, it gets one of so many ms at most: answers are valid for some days. */
const LONGEST_RETRY_AFTER = 86_400_000;

/** One certificate that has a responder. */
interface Entry {
  readonly responder: URL;
  /** undefined: nobody can be asked, and `problem` says why. */
  readonly question: Question | undefined;
  /** The certificate says that it must not be served without an answer. */
  readonly isDemanded: boolean;
  readonly storage: Storage;
  readonly storedAs: string;
  answer: OcspAnswer | undefined;
  /** Why the last request brought nothing; continues the responder's name. */
  problem: string | undefined;
  failures: number;
  /** When to ask, in ms of the wall clock. */
  dueAt: number;
}

export class OcspAnswers {
  readonly counts = new OcspCounts();
  readonly #clock: Clock;
  readonly #log: Log;
  /** By their chain. */
  readonly #entries = new Map<string, Entry>();

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Takes note of these, with what the store has for them. Asks nobody. Never rejects. */
  async know(certificates: readonly LoadedCertificate[], storage: Storage): Promise<void> {
    await Promise.all(
      certificates.map(async (loaded) => {
        const { chain } = loaded.certificate;
        if (this.#entries.has(chain)) return;
        const entry = entryOf(loaded, storage);
        if (entry === undefined) return;
        await this.#recall(entry);
        this.#entries.set(chain, entry);
      }),
    );
  }

  /** All others are forgotten. */
  keepOnly(certificates: readonly LoadedCertificate[]): void {
    const chains = new Set(certificates.map(({ certificate }) => certificate.chain));
    for (const chain of this.#entries.keys()) if (!chains.has(chain)) this.#entries.delete(chain);
  }

  /** With its answer, when there is a good one. */
  stapled(loaded: LoadedCertificate): LoadedCertificate {
    const answer = this.#current(this.#entries.get(loaded.certificate.chain));
    if (answer?.status.kind !== 'good') return loaded;
    return { ...loaded, certificate: { ...loaded.certificate, staple: answer.bytes } };
  }

  findings(certificates: readonly LoadedCertificate[]): Finding[] {
    return certificates.flatMap((loaded) => {
      const entry = this.#entries.get(loaded.certificate.chain);
      const found = entry === undefined ? undefined : describe(loaded, entry, this.#current(entry));
      return found === undefined ? [] : { ...found, place: loaded.place, about: loaded.place };
    });
  }

  /** What the issuers last said of these that is still valid. */
  statusOf({ certificate }: LoadedCertificate): OcspAnswer | undefined {
    return this.#current(this.#entries.get(certificate.chain));
  }

  /** Asks for those whose time has come; resolves to when there is something to do again, in ms of the wall clock. Never rejects. */
  async ask(certificates: readonly LoadedCertificate[], signal: AbortSignal): Promise<number> {
    const entries = [...new Set(certificates.flatMap(({ certificate }) => this.#entries.get(certificate.chain) ?? []))];
    const due = entries.filter(({ dueAt }) => dueAt <= this.#clock.now());
    const lane = async () => {
      for (let next = due.shift(); next !== undefined && !signal.aborted; next = due.shift()) {
        await this.#askFor(next, signal);
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, lane));
    const now = this.#clock.now();
    return Math.min(
      ...entries.flatMap(({ dueAt, answer }) => [dueAt, answer?.nextUpdate ?? dueAt]).filter((at) => at > now),
    );
  }

  async #askFor(entry: Entry, signal: AbortSignal): Promise<void> {
    const { question, responder } = entry;
    if (question === undefined) return;
    try {
      const bytes = await askResponder(responder, writeRequest(question), TIMEOUT, signal);
      if (signal.aborted) return;
      this.#take(entry, readAnswer(bytes, question, this.#clock.now()));
    } catch (error) {
      if (signal.aborted) return;
      this.counts.count(responder.host, 'failed');
      entry.problem = error instanceof OcspError ? error.message : `could not be asked: ${(error as Error).message}`;
      entry.failures++;
      const pause = Math.min(LONGEST_BACKOFF, SHORTEST_PAUSE * 2 ** (entry.failures - 1));
      const now = this.#clock.now();
      const wanted = error instanceof OcspError ? (readRetryAfter(error.retryAfter, now) ?? 0) : 0;
      entry.dueAt = now + Math.max(pause * (1 + this.#clock.random() / 4), Math.min(LONGEST_RETRY_AFTER, wanted));
      this.#log.debug('a responder gave no OCSP answer', { responder: responder.href, error: entry.problem });
      return;
    }
    const { answer } = entry;
    this.counts.count(responder.host, answer!.status.kind);
    const until = new Date(answer!.nextUpdate).toISOString();
    const said = { names: question.leaf.subjectAltName ?? '', status: answer!.status.kind, valid_until: until };
    this.#log.info('the issuer answered by OCSP', { responder: responder.href, ...said });
    await entry.storage.store(entry.storedAs, answer!.bytes).catch((error: Error) => {
      // It is asked for again after a restart.
      this.#log.debug('an OCSP answer cannot be kept', { error: error.message });
    });
  }

  /** From the store; it has to be as good as one that came just now. */
  async #recall(entry: Entry): Promise<void> {
    try {
      const bytes = await entry.storage.load(entry.storedAs);
      if (bytes === undefined || entry.question === undefined) return;
      this.#take(entry, readAnswer(bytes, entry.question, this.#clock.now()));
    } catch {
      // Of the certificate before, too old, damaged, or out of reach.
    }
  }

  #take(entry: Entry, answer: OcspAnswer): void {
    const { thisUpdate, nextUpdate } = answer;
    const now = this.#clock.now();
    const lifetime = nextUpdate - thisUpdate;
    const half = thisUpdate + (lifetime / 2) * (1 + this.#clock.random() / 8);
    // Past its half already, as caches give it: soon, but not at once.
    const soon = now + Math.max(SHORTEST_PAUSE, (nextUpdate - now) / 4);
    entry.answer = answer;
    entry.problem = undefined;
    entry.failures = 0;
    entry.dueAt = Math.min(now + LONGEST_PAUSE, Math.max(half, soon));
  }

  #current(entry: Entry | undefined): OcspAnswer | undefined {
    return entry?.answer !== undefined && entry.answer.nextUpdate > this.#clock.now() ? entry.answer : undefined;
  }
}

/** undefined: it names no responder. */
function entryOf({ certificate, issuedBy }: LoadedCertificate, storage: Storage): Entry | undefined {
  const leaf = new X509Certificate(certificate.chain);
  const responder = responderOf(leaf);
  if (responder === undefined) return undefined;
  let question: Question | undefined;
  let problem: string | undefined = 'cannot be asked, because the file does not hold the certificate of the issuer';
  try {
    question = issuedBy === undefined ? undefined : questionOf(leaf, issuedBy);
  } catch (error) {
    problem = `cannot be asked about it: ${(error as Error).message}`;
  }
  // The next one of these names takes its place.
  const kind = `${certificate.names.join(' ')} ${leaf.publicKey.asymmetricKeyType}`;
  return {
    ...{ responder, question, storage, isDemanded: demandsStaple(leaf), answer: undefined, failures: 0 },
    ...(question === undefined ? { problem, dueAt: Number.POSITIVE_INFINITY } : { problem: undefined, dueAt: 0 }),
    storedAs: `answers/${createHash('sha256').update(kind).digest('hex').slice(0, 32)}.der`,
  };
}

/** What is to be said, with the certificate's place before it. */
function describe(
  { origin, place }: LoadedCertificate,
  entry: Entry,
  answer: OcspAnswer | undefined,
): Omit<Finding, 'place' | 'about'> | undefined {
  const { problem, isDemanded, responder } = entry;
  if (answer?.status.kind === 'revoked') {
    const { at, why } = answer.status;
    const message = `was revoked by its issuer at ${isoTime(at)} (${why}): clients that ask the issuer refuse it`;
    const todo =
      origin === 'acme'
        ? `remove ${storedNames(place).join(' and ')} from the store (acme in CERTS_DIR) and restart, then a new one is issued`
        : 'have a new one issued with a new key, and put it in place of this one';
    return { code: 'ocsp-revoked', severity: 'error', message, hint: `${todo}; ask the issuer why` };
  }
  const demand = 'demands a stapled OCSP answer (must-staple)';
  if (problem === undefined) {
    if (!isDemanded || answer !== undefined) return undefined;
    const message = `${demand}, which ${responder.origin} is being asked for: clients that heed it refuse it until then`;
    return { code: 'ocsp-pending', severity: 'warning', message };
  }
  const why = `${responder.origin} ${problem}`;
  if (isDemanded) {
    const hint = 'let this machine reach the responder, or have the certificate issued without must-staple';
    if (answer === undefined) {
      const message = `${demand}, and there is none, so that clients that heed it refuse it: ${why}`;
      return { code: 'ocsp-required', severity: 'error', message, hint };
    }
    const message = `${demand}, and there is none after ${isoTime(answer.nextUpdate)}: ${why}`;
    return { code: 'ocsp-failed', severity: 'warning', message, hint };
  }
  if (answer !== undefined) return undefined;
  const message = `gets no OCSP answer, clients may ask by themselves: ${why}`;
  const hint = 'let this machine reach the responder; OCSP_STAPLING=off (ocspStapling: false) asks nobody';
  return { code: 'ocsp-failed', severity: 'warning', message, hint };
}

const isoTime = (ms: number) => new Date(ms).toISOString();
