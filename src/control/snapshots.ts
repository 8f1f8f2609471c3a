// Snapshots: what the configuration, its files and the certificates become, put in force on every worker, one change after the other.

import { join } from 'node:path';
import type { Snapshot } from '../model/snapshot.ts';
import type { Log } from '../telemetry/log.ts';
import { SYSTEM_CLOCK } from './acme/clock.ts';
import { DirectoryStorage } from './acme/directory-storage.ts';
import { OrderCounts } from './acme/measures.ts';
import { AcmeSource } from './acme/source.ts';
import type { CertificateSource, Finding, LoadedCertificate } from './certificate-source.ts';
import { CertificatesInForce } from './certificates-in-force.ts';
import { compile } from './compile.ts';
import type { Configuration } from './configuration.ts';
import { loadFiles } from './materials.ts';
import { OcspAnswers } from './ocsp/answers.ts';
import { StapledCertificates } from './ocsp/source.ts';
import { checkPorts } from './ports.ts';
import { keepUntilRestart } from './restart.ts';
import { TicketKeys } from './ticket-keys.ts';
import type { Workers } from './workers.ts';

/** What a configuration names, and what was issued for it. */
interface Loaded {
  readonly certificates: CertificateSource;
  /** PEM by the name of its file. */
  readonly authorities: ReadonlyMap<string, string>;
}

export class Snapshots {
  readonly certificates: CertificatesInForce;
  /** Of all certificates that were ever asked for. */
  readonly orders = new OrderCounts();
  /** Of all certificates that have a responder. */
  readonly ocsp: OcspAnswers;
  readonly #load: () => Configuration;
  readonly #workers: Workers;
  readonly #log: Log;
  /** In force, as are the files. */
  #configuration: Configuration;
  #files: Loaded | undefined;
  /** The certificates of the snapshot that was made last. */
  #given: readonly LoadedCertificate[] = [];
  #generation = 0;
  readonly #ticketKeys = new TicketKeys();
  #turn: Promise<unknown> = Promise.resolve();
  #stopped = false;

  /** `load`: reads the configuration anew, and throws a ConfigError when there is something wrong with it. */
  constructor(configuration: Configuration, load: () => Configuration, workers: Workers, log: Log) {
    this.#configuration = configuration;
    this.#load = load;
    this.#workers = workers;
    this.#log = log;
    this.ocsp = new OcspAnswers(SYSTEM_CLOCK, log);
    const swap = () => workers.replace(this.#compile(this.#configuration, this.#files!));
    this.certificates = new CertificatesInForce(log, { inTurn: (work) => this.inTurn(work), swap }, SYSTEM_CLOCK);
  }

  get configuration(): Configuration {
    return this.#configuration;
  }

  /** How many were made; 0: none yet. */
  get generation(): number {
    return this.#generation;
  }

  /** Changes come one after the other. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }

  /** Rejects with a ConfigError when the files of the configuration are not fit to be served. */
  async makeFirst(): Promise<Snapshot> {
    this.#files = await this.#loadAll(this.#configuration);
    for (const warning of this.#configuration.warnings) this.#log.warn(warning);
    return this.#compile(this.#configuration, this.#files);
  }

  /** The first one is in force: from now on certificates look after themselves, and the keys of tickets change. */
  begin(): void {
    this.certificates.take(this.#files!.certificates, this.#given);
    this.#ticketKeys.start(() => this.inTurn(() => this.#replaceTicketKeys()));
  }

  /** Nothing changes by itself any more. */
  stop(): void {
    this.#stopped = true;
    this.#ticketKeys.stop();
    this.certificates.stop();
  }

  /** Resolves when what was under way has ended. Never rejects. */
  get settled(): Promise<unknown> {
    return this.#turn;
  }

  /** For `inTurn`: all of the configuration as it is now, or nothing of it. Resolves to what is worth a word. */
  async replace(): Promise<{ warnings: string[]; findings: readonly Finding[] }> {
    const kept = keepUntilRestart(this.#configuration, this.#load());
    const files = await this.#loadAll(kept.configuration);
    // What comes into force is what was read now, however it compares with what is served: that is how to insist.
    const ours = this.#configuration.listeners.map(({ port }) => port);
    await checkPorts(kept.configuration.listeners, ours);
    await this.#workers.replace(this.#compile(kept.configuration, files));
    this.#configuration = kept.configuration;
    this.#files = files;
    // After a stop nobody would end what looks after them.
    if (!this.#stopped) this.certificates.take(files.certificates, this.#given);
    return {
      warnings: [...kept.configuration.warnings, ...kept.warnings],
      findings: files.certificates.findings(),
    };
  }

  /** The files, what was issued to us, and what issuers say of all of them. */
  async #loadAll(configuration: Configuration): Promise<Loaded> {
    const { certificates, authorities } = loadFiles(configuration, new Date());
    const { issuance, certsDirectory, ocspStapling } = configuration;
    const storage = new DirectoryStorage(join(certsDirectory, 'acme'));
    const means = { storage, clock: SYSTEM_CLOCK, log: this.#log, counts: this.orders, authorities };
    const all = issuance.length === 0 ? certificates : certificates.and(await AcmeSource.open(issuance, means));
    if (!ocspStapling) return { certificates: all, authorities };
    const kept = new DirectoryStorage(join(certsDirectory, 'ocsp'));
    return { certificates: await StapledCertificates.open(all, this.ocsp, kept, SYSTEM_CLOCK), authorities };
  }

  async #replaceTicketKeys(): Promise<void> {
    if (this.#stopped) return;
    await this.#workers.replace(this.#compile(this.#configuration, this.#files!)).catch((error: Error) => {
      this.#log.warn('the new keys of session tickets come with the next reload', { error: error.message });
    });
  }

  #compile(configuration: Configuration, files: Loaded): Snapshot {
    const answers = files.certificates.answers?.();
    this.#given = files.certificates.current();
    const clientTrusts = files.certificates.clientTrusts?.();
    const { previous } = this.#ticketKeys;
    return compile(configuration, {
      generation: ++this.#generation,
      certificates: this.#given.map(({ certificate }) => certificate),
      ...(answers === undefined ? {} : { acme: answers }),
      ...(clientTrusts === undefined ? {} : { clientTrusts }),
      authorities: files.authorities,
      ticketKeys: this.#ticketKeys.current,
      ...(previous === undefined ? {} : { previousTicketKeys: previous }),
    });
  }
}
