// All certificates in force: those of every source, and whether each host has one.

import { X509Certificate } from 'node:crypto';
import type { AcmeAnswers, ClientTrust } from '../model/snapshot.ts';
import { coversName, namesOf } from './certificate-names.ts';
import type { CertificateSource, Finding, LoadedCertificate } from './certificate-source.ts';
import { CertificateFiles } from './certificate-watch.ts';
import { namesOf as hostsOf } from './compile.ts';
import type { Configuration } from './configuration.ts';
import { demandsStaple } from './ocsp/question.ts';

export class CertificateStore implements CertificateSource {
  readonly #sources: readonly CertificateSource[];
  readonly #hosts: readonly string[];
  readonly #staples: boolean;

  /** `hosts`: the names that need a certificate; `staples`: OCSP answers are asked for. */
  constructor(sources: readonly CertificateSource[], hosts: readonly string[], staples = true) {
    this.#sources = sources;
    this.#hosts = hosts;
    this.#staples = staples;
  }

  /** With one source more, whose certificates come last. */
  and(source: CertificateSource): CertificateStore {
    return new CertificateStore([...this.#sources, source], this.#hosts, this.#staples);
  }

  current(): readonly LoadedCertificate[] {
    return this.#sources.flatMap((source) => source.current());
  }

  findings(): readonly Finding[] {
    const current = this.current();
    return [
      ...this.#sources.flatMap((source) => source.findings()),
      ...(current.length === 0 ? [] : uncovered(this.#hosts, current)),
      ...(this.#staples ? [] : unstapled(current)),
    ];
  }

  /** Of the one source that has certificates issued. */
  answers(): AcmeAnswers | undefined {
    return this.#sources.find((source) => source.answers !== undefined)?.answers?.();
  }

  /** Of the one source that has some. */
  clientTrusts(): ReadonlyMap<string, ClientTrust> | undefined {
    return this.#sources.find((source) => source.clientTrusts !== undefined)?.clientTrusts?.();
  }

  start(changed: () => Promise<void>): void {
    for (const source of this.#sources) source.start(changed);
  }

  stop(): void {
    for (const source of this.#sources) source.stop();
  }
}

/** The files of a configuration. Throws a ConfigError with every problem found. */
export function openCertificates(configuration: Configuration, now: Date): CertificateStore {
  const issued = configuration.issuance.flatMap(({ names }) => names);
  const hosts = hostsOf(configuration).filter((name) => !issued.includes(name));
  const origin = configuration.demo ? 'local' : 'file';
  const files = new CertificateFiles(configuration.certificates, hosts, now, origin);
  return new CertificateStore([files], hosts, configuration.ocspStapling);
}

/** Those that demand what was switched off. */
function unstapled(current: readonly LoadedCertificate[]): Finding[] {
  const demanding = current.filter(({ certificate }) => demandsStaple(new X509Certificate(certificate.chain)));
  const message =
    'demands a stapled OCSP answer (must-staple), and OCSP_STAPLING=off (ocspStapling: false) leaves it without: clients that heed it refuse it';
  const hint = 'switch stapling on, or have the certificate issued without must-staple';
  return demanding.map(({ place }) => ({ code: 'ocsp-off', severity: 'error', about: place, place, message, hint }));
}

/** One word for each certificate that a host would need: they belong to the configuration as a whole. */
function uncovered(hosts: readonly string[], current: readonly LoadedCertificate[]): Finding[] {
  const leaves = current.map(({ certificate }) => new X509Certificate(certificate.chain));
  const missing = hosts.filter((host) => !leaves.some((leaf) => coversName(leaf, host)));
  const [leaf, ...others] = leaves;
  const [only] = current;
  return missing.map((host) => ({
    code: 'names',
    severity: 'warning',
    place: host,
    message:
      others.length > 0
        ? 'is covered by no certificate: clients refuse it there'
        : `is not covered by ${only!.place}, which is for ${coveredBy(leaf!)}: clients refuse it there`,
    hint: 'have a certificate issued for this name, too',
  }));
}

/** The common name counts for nothing. */
function coveredBy(leaf: X509Certificate): string {
  const names = leaf.subjectAltName === undefined ? [] : namesOf(leaf);
  if (names.length === 0) return 'no name at all (it has no subjectAltName)';
  return `${names.slice(0, 10).join(', ')}${names.length > 10 ? ` and ${names.length - 10} more` : ''}`;
}
