// The certificates that are issued to us, as a source: one for each name, self-signed until its issuer has answered.

import type { AcmeAnswers } from '../../model/snapshot.ts';
import type { CertificateSource, Finding, LoadedCertificate } from '../certificate-source.ts';
import type { Issuance, Issuer } from '../configuration.ts';
import { PendingAnswers } from './answers.ts';
import { AcmeClient, type Means } from './client.ts';
import { Keeper } from './keeper.ts';
import type { OrderCounts } from './measures.ts';
import { Turns } from './turns.ts';
import { makePlaceholder } from './x509.ts';

/** Names that are worked on at a time: those that wait for DNS hold up no other, and are few enough to be cleaned up at a stop. */
const UNDER_WAY = 32;
/** Of these, those that talk to an issuer, or have a program run. */
const AT_A_TIME = 4;

export interface AcmeMeans extends Means {
  readonly counts: OrderCounts;
  /** PEM by the name of its file: who vouches for the issuers' own servers. */
  readonly authorities: ReadonlyMap<string, string>;
}

export class AcmeSource implements CertificateSource {
  readonly #keepers: Keeper[] = [];
  readonly #placeholders = new Map<string, LoadedCertificate>();
  readonly #clients = new Map<string, AcmeClient>();
  readonly #means: AcmeMeans;
  readonly #answers: PendingAnswers;
  readonly #stopping = new AbortController();
  readonly #underWay = new Turns(UNDER_WAY, this.#stopping.signal);
  readonly #turns = new Turns(AT_A_TIME, this.#stopping.signal);
  #changed: () => Promise<void> = async () => {};
  #ended: Promise<unknown> = Promise.resolve();

  /** Reads what the store has, and makes what is needed to begin without it. */
  static async open(issuances: readonly Issuance[], means: AcmeMeans): Promise<AcmeSource> {
    const source = new AcmeSource(issuances, means);
    await Promise.all(source.#keepers.map((keeper) => source.#prepare(keeper)));
    return source;
  }

  private constructor(issuances: readonly Issuance[], means: AcmeMeans) {
    this.#means = means;
    this.#answers = new PendingAnswers(
      () => means.clock.now(),
      () => this.#changed(),
    );
    const shared = {
      ...means,
      answering: this.#answers,
      client: (issuer: Issuer) => this.#client(issuer),
      inTurn: <T>(work: () => Promise<T>) => this.#underWay.take(() => this.#turns.take(work)),
      aside: <T>(work: () => Promise<T>) => this.#turns.aside(work),
      changed: () => this.#changed(),
    };
    for (const issuance of issuances) {
      for (const name of issuance.names) this.#keepers.push(new Keeper(name, issuance, shared));
    }
  }

  current(): readonly LoadedCertificate[] {
    return this.#keepers.map((keeper) => keeper.loaded ?? this.#placeholders.get(keeper.name)!);
  }

  /** For the snapshot; undefined: none are pending. */
  answers(): AcmeAnswers | undefined {
    return this.#answers.current();
  }

  findings(): readonly Finding[] {
    const now = this.#means.clock.now();
    return this.#keepers.flatMap(({ name, loaded, problem }): Finding[] => {
      const isServed = loaded !== undefined && loaded.notAfter.getTime() > now;
      if (problem !== undefined) {
        const what = isServed ? 'cannot be renewed' : 'has no certificate that clients accept';
        const message = `${what}: ${problem}`;
        return [{ place: name, code: 'acme-failed', severity: isServed ? 'warning' : 'error', message }];
      }
      if (isServed) return [];
      const message = 'is being issued a certificate; clients get a self-signed one until then';
      return [{ place: name, code: 'acme-pending', severity: 'warning', message }];
    });
  }

  /** `changed` resolves when what we have is in force: an issuer is called only once its answer can be found. */
  start(changed: () => Promise<void>): void {
    this.#changed = changed;
    this.#ended = Promise.all(this.#keepers.map((keeper) => keeper.run(this.#stopping.signal)));
  }

  stop(): void {
    this.#changed = async () => {};
    this.#stopping.abort();
    for (const client of this.#clients.values()) client.close();
  }

  /** Resolves when nothing is under way any more, after a stop. */
  async ended(): Promise<void> {
    await this.#ended;
  }

  async #prepare(keeper: Keeper): Promise<void> {
    await keeper.load();
    if (keeper.loaded !== undefined) return;
    const certificate = await makePlaceholder(keeper.name, this.#means.clock.now());
    this.#placeholders.set(keeper.name, {
      ...{ origin: 'self-signed', place: keeper.name, certificate, issuer: 'self-signed' },
      ...{
        notBefore: new Date(this.#means.clock.now()),
        notAfter: new Date(this.#means.clock.now() + 90 * 86_400_000),
      },
    });
  }

  /** One for an issuer and account: they share nonces and connections. */
  #client(issuer: Issuer): AcmeClient {
    const id = JSON.stringify([issuer.directory, issuer.eab?.kid, issuer.profile, issuer.preferredChain]);
    let client = this.#clients.get(id);
    if (client === undefined) {
      const ca = issuer.ca === undefined ? undefined : this.#means.authorities.get(issuer.ca.file);
      client = new AcmeClient(issuer, ca, this.#means, this.#stopping.signal);
      this.#clients.set(id, client);
    }
    return client;
  }
}
