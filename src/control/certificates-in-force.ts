// The certificates that the workers serve: exchanged when a source has others, until the workers have them, with a word for each finding, a count and a line of health.

import type { AcmeAnswers, ClientTrust } from '../model/snapshot.ts';
import type { Log } from '../telemetry/log.ts';
import type { Clock } from './acme/clock.ts';
import type { CertificateSource, Finding, LoadedCertificate } from './certificate-source.ts';
import { certificateRows, certificateTable } from './certificate-table.ts';
import type { Check } from './checks.ts';
import { formatProblem } from './problem.ts';

/** After a swap that failed: 2 s, 4, 8, up to a minute. */
const FIRST_PAUSE = 2_000;
const LONGEST_PAUSE = 60_000;

/** What the supervisor does for it. */
export interface Swapping {
  /** Runs when no reload and no other swap is under way. */
  inTurn(work: () => Promise<void>): Promise<void>;
  /** Gives the workers a snapshot with the certificates of the store. Rejects when one of them does not take it; then all keep theirs. */
  swap(): Promise<void>;
}

export class CertificatesInForce {
  /** How often changed certificates came into force by themselves, and how often some were not fit to, or not taken by a worker. */
  readonly renewals = { succeeded: 0, failed: 0 };
  readonly #log: Log;
  readonly #swapping: Swapping;
  readonly #clock: Clock;
  #store: CertificateSource | undefined;
  #served: readonly LoadedCertificate[] = [];
  /** What issuers find at the workers. */
  #answers: AcmeAnswers | undefined;
  #clientTrusts: ReadonlyMap<string, ClientTrust> | undefined;
  /** Findings that were told: each is told once, as long as it stays. */
  #told: ReadonlySet<string> = new Set();
  /** What the store has that the workers do not have yet. */
  #behind: Finding | undefined;
  #failures = 0;
  #pause = new AbortController();

  constructor(log: Log, swapping: Swapping, clock: Clock) {
    this.#log = log;
    this.#swapping = swapping;
    this.#clock = clock;
  }

  get served(): readonly LoadedCertificate[] {
    return this.#served;
  }

  /** The workers serve those of this store from now on, as `served` has them, and the one before is done with. */
  take(store: CertificateSource, served: readonly LoadedCertificate[]): void {
    this.stop();
    this.#store = store;
    this.#served = served;
    this.#answers = store.answers?.();
    this.#clientTrusts = store.clientTrusts?.();
    this.#tellFindings();
    let waiting: Promise<void> | undefined;
    const renew = () => {
      waiting ??= this.#swapping.inTurn(() => {
        waiting = undefined;
        return this.#renew(store, renew);
      });
      waiting.catch(() => {});
      return waiting;
    };
    store.start(renew);
  }

  table(): string {
    return certificateTable(this.#served, this.#findings(), new Date());
  }

  rows(): (readonly string[])[] {
    return certificateRows(this.#served, this.#findings(), new Date());
  }

  stop(): void {
    this.#store?.stop();
    this.#store = undefined;
    this.#catchUp();
  }

  /**
   * One that is valid is enough: the sites of the others are not all there is. A self-signed one is enough as well: who sends
   * requests only to what is ready would keep the issuer away for ever. `needed`: a listener speaks TLS.
   */
  check(needed: boolean): Check {
    const ends = this.#served.map(({ notAfter }) => notAfter.getTime());
    if (ends.length === 0) return { name: 'certificate', ok: !needed, detail: 'there is none' };
    const first = new Date(Math.min(...ends)).toISOString();
    const until = ends.length === 1 ? `valid until ${first}` : `${ends.length}, the first one valid until ${first}`;
    const wrong = this.#findings().filter(({ severity, code }) => severity === 'error' || /^(acme|ocsp)-/.test(code));
    const detail = [until, ...wrong.map(formatProblem)].join('; ');
    return { name: 'certificate', ok: Math.max(...ends) > Date.now(), detail };
  }

  #findings(): readonly Finding[] {
    return [...(this.#behind === undefined ? [] : [this.#behind]), ...(this.#store?.findings() ?? [])];
  }

  /** A source has other certificates, or something else to say. */
  async #renew(store: CertificateSource, again: () => Promise<void>): Promise<void> {
    // A reload has taken its place, or nothing is served any more.
    if (this.#store !== store) return;
    this.renewals.failed += this.#tellFindings();
    const next = store.current();
    const fresh = next.filter((each) => !this.#served.some((other) => isSame(each, other)));
    const answers = store.answers?.();
    const isSameAll = fresh.length === 0 && next.length === this.#served.length;
    const isStapled = next.every(({ certificate: { staple } }, i) => staple === this.#served[i]?.certificate.staple);
    const clientTrusts = store.clientTrusts?.();
    const isSameTrust = clientTrusts === this.#clientTrusts;
    if (isSameAll && isStapled && answers === this.#answers && isSameTrust) return this.#catchUp();
    try {
      await this.#swapping.swap();
    } catch (error) {
      this.renewals.failed++;
      const what = describeChange(!isSameAll, !isSameTrust);
      if (this.#store === store) this.#fallBehind(what, (error as Error).message, again);
      throw error;
    }
    this.#catchUp();
    this.#answers = answers;
    if (!isSameTrust) this.#log.info('changed authorities or revocation lists of clients are in force');
    this.#clientTrusts = clientTrusts;
    this.#served = next;
    if (isSameAll) return;
    this.renewals.succeeded++;
    for (const { place, certificate, notAfter } of fresh) {
      const names = certificate.names.join(' ');
      this.#log.info('a changed certificate is served', { place, names, valid_until: notAfter.toISOString() });
    }
  }

  /** No source tells the same change twice: whatever kept a worker from taking it is over one day. */
  #fallBehind(what: string, reason: string, again: () => Promise<void>): void {
    const message = `do not have ${what} yet: ${reason}`;
    const hint = 'it is tried again by itself';
    this.#behind = { code: 'not-in-force', severity: 'error', place: 'workers', message, hint };
    this.#tellFindings();
    this.#pause.abort();
    this.#pause = new AbortController();
    const { signal } = this.#pause;
    this.#clock.wait(Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** this.#failures++), signal).then(() => {
      if (!signal.aborted) again();
    });
  }

  /** What the store has is in force, or does not matter any more. */
  #catchUp(): void {
    this.#pause.abort();
    this.#failures = 0;
    this.#behind = undefined;
  }

  /** How many of those that are new are of certificates that are not used. */
  #tellFindings(): number {
    const told = new Set<string>();
    let refused = 0;
    for (const finding of this.#findings()) {
      const line = formatProblem(finding);
      // The days that are left count down in the text: it is the kind that is new.
      const isEachNew = ['not-used', 'acme-failed', 'not-in-force'].includes(finding.code);
      const key = isEachNew ? line : `${finding.code} ${finding.place}`;
      told.add(key);
      if (this.#told.has(key)) continue;
      if (finding.code === 'not-used') refused++;
      if (finding.severity === 'error') this.#log.error(line);
      else if (finding.severity === 'warning') this.#log.warn(line);
      else this.#log.info(line);
    }
    this.#told = told;
    return refused;
  }
}

function describeChange(ofCertificates: boolean, ofTrust: boolean): string {
  if (ofCertificates) return 'a changed certificate';
  return ofTrust ? 'changed authorities or revocation lists of clients' : 'what issuers say or look for';
}

function isSame(one: LoadedCertificate, other: LoadedCertificate): boolean {
  return one.certificate.chain === other.certificate.chain && one.certificate.key === other.certificate.key;
}
