// All certificates with what their issuers say of them: a source around the others, that staples answers to what they have.

import type { AcmeAnswers, ClientTrust } from '../../model/snapshot.ts';
import type { Clock } from '../acme/clock.ts';
import type { Storage } from '../acme/storage.ts';
import type { CertificateSource, Finding, LoadedCertificate } from '../certificate-source.ts';
import type { OcspAnswers } from './answers.ts';

/** It is looked again at least so often, in ms: clocks are set, and machines sleep. */
const LOOK_AGAIN = 3_600_000;

export class StapledCertificates implements CertificateSource {
  readonly #inner: CertificateSource;
  readonly #answers: OcspAnswers;
  readonly #storage: Storage;
  readonly #clock: Clock;
  readonly #stopping = new AbortController();
  #changed: () => Promise<void> = async () => {};
  #nap = new AbortController();
  #ended: Promise<void> = Promise.resolve();

  /** Takes what the store has; asks nobody. */
  static async open(inner: CertificateSource, answers: OcspAnswers, storage: Storage, clock: Clock) {
    await answers.know(inner.current(), storage);
    return new StapledCertificates(inner, answers, storage, clock);
  }

  private constructor(inner: CertificateSource, answers: OcspAnswers, storage: Storage, clock: Clock) {
    this.#inner = inner;
    this.#answers = answers;
    this.#storage = storage;
    this.#clock = clock;
  }

  current(): readonly LoadedCertificate[] {
    return this.#inner.current().map((loaded) => this.#answers.stapled(loaded));
  }

  findings(): readonly Finding[] {
    return [...this.#inner.findings(), ...this.#answers.findings(this.#inner.current())];
  }

  answers(): AcmeAnswers | undefined {
    return this.#inner.answers?.();
  }

  clientTrusts(): ReadonlyMap<string, ClientTrust> | undefined {
    return this.#inner.clientTrusts?.();
  }

  start(changed: () => Promise<void>): void {
    this.#changed = changed;
    this.#inner.start(() => {
      // There may be a certificate that nobody was asked about.
      this.#nap.abort();
      return changed();
    });
    this.#ended = this.#run(this.#stopping.signal);
  }

  stop(): void {
    this.#changed = async () => {};
    this.#stopping.abort();
    this.#inner.stop();
  }

  /** Resolves when nobody is being asked any more, after a stop. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#nap = new AbortController();
      const certificates = this.#inner.current();
      await this.#answers.know(certificates, this.#storage);
      this.#answers.keepOnly(certificates);
      const next = await this.#answers.ask(certificates, signal);
      // Answers came, or ended; what is as it was is seen there.
      if (!signal.aborted) await this.#changed().catch(() => {});
      const pause = Math.min(LOOK_AGAIN, Math.max(0, next - this.#clock.now()));
      await this.#clock.wait(pause, AbortSignal.any([signal, this.#nap.signal]));
    }
  }
}
