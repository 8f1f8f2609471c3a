// The certificates that the workers serve: exchanged when a source has others, with a word for each finding, a count and a line of health.

import type { AcmeAnswers, ClientTrust } from '../model/snapshot.ts';
import type { Log } from '../telemetry/log.ts';
import type { Check } from './admin.ts';
import type { CertificateSource, LoadedCertificate } from './certificate-source.ts';
import { certificateTable } from './certificate-table.ts';
import { formatProblem } from './problem.ts';

/** What the supervisor does for it. */
export interface Swapping {
  /** Runs when no reload and no other swap is under way. */
  inTurn(work: () => Promise<void>): Promise<void>;
  /** Gives the workers a snapshot with the certificates of the store. Rejects when one of them refuses; then all keep theirs. */
  swap(): Promise<void>;
}

export class CertificatesInForce {
  /** How often changed certificates came into force by themselves, and how often some were not fit to. */
  readonly renewals = { succeeded: 0, failed: 0 };
  readonly #log: Log;
  readonly #swapping: Swapping;
  #store: CertificateSource | undefined;
  #served: readonly LoadedCertificate[] = [];
  /** What issuers find at the workers. */
  #answers: AcmeAnswers | undefined;
  #clientTrusts: ReadonlyMap<string, ClientTrust> | undefined;
  /** Findings that were told: each is told once, as long as it stays. */
  #told: ReadonlySet<string> = new Set();

  constructor(log: Log, swapping: Swapping) {
    this.#log = log;
    this.#swapping = swapping;
  }

  get served(): readonly LoadedCertificate[] {
    return this.#served;
  }

  /** The workers serve those of this store from now on, as `served` has them, and the one before is done with. */
  take(store: CertificateSource, served: readonly LoadedCertificate[]): void {
    this.#store?.stop();
    this.#store = store;
    this.#served = served;
    this.#answers = store.answers?.();
    this.#clientTrusts = store.clientTrusts?.();
    this.#tellFindings(store);
    let waiting: Promise<void> | undefined;
    store.start(() => {
      waiting ??= this.#swapping.inTurn(() => {
        waiting = undefined;
        return this.#renew(store);
      });
      waiting.catch(() => {});
      return waiting;
    });
  }

  table(): string {
    return certificateTable(this.#served, this.#store?.findings() ?? [], new Date());
  }

  stop(): void {
    this.#store?.stop();
    this.#store = undefined;
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
    const wrong = (this.#store?.findings() ?? []).filter(
      ({ severity, code }) => severity === 'error' || /^(acme|ocsp)-/.test(code),
    );
    const detail = [until, ...wrong.map(formatProblem)].join('; ');
    return { name: 'certificate', ok: Math.max(...ends) > Date.now(), detail };
  }

  /** A source has other certificates, or something else to say. */
  async #renew(store: CertificateSource): Promise<void> {
    // A reload has taken its place, or nothing is served any more.
    if (this.#store !== store) return;
    this.renewals.failed += this.#tellFindings(store);
    const next = store.current();
    const fresh = next.filter((each) => !this.#served.some((other) => isSame(each, other)));
    const answers = store.answers?.();
    const isSameAll = fresh.length === 0 && next.length === this.#served.length;
    const isStapled = next.every(({ certificate: { staple } }, i) => staple === this.#served[i]?.certificate.staple);
    const clientTrusts = store.clientTrusts?.();
    if (isSameAll && isStapled && answers === this.#answers && clientTrusts === this.#clientTrusts) return;
    try {
      await this.#swapping.swap();
    } catch (error) {
      this.renewals.failed++;
      const reason = (error as Error).message;
      this.#log.error('a changed certificate was refused, everything stays as it was', { error: reason });
      throw error;
    }
    this.#answers = answers;
    if (clientTrusts !== this.#clientTrusts)
      this.#log.info('changed authorities or revocation lists of clients are in force');
    this.#clientTrusts = clientTrusts;
    this.#served = next;
    if (isSameAll) return;
    this.renewals.succeeded++;
    for (const { place, certificate, notAfter } of fresh) {
      const names = certificate.names.join(' ');
      this.#log.info('a changed certificate is served', { place, names, valid_until: notAfter.toISOString() });
    }
  }

  /** How many of those that are new are of certificates that are not used. */
  #tellFindings(store: CertificateSource): number {
    const told = new Set<string>();
    let refused = 0;
    for (const finding of store.findings()) {
      const line = formatProblem(finding);
      // The days that are left count down in the text: it is the kind that is new.
      const isEachNew = finding.code === 'not-used' || finding.code === 'acme-failed';
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

function isSame(one: LoadedCertificate, other: LoadedCertificate): boolean {
  return one.certificate.chain === other.certificate.chain && one.certificate.key === other.certificate.key;
}
