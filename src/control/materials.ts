// What a configuration names but does not hold: certificates, authorities and who vouches for clients, read from their files and checked.

import { X509Certificate } from 'node:crypto';
import { saying } from './certificate-source.ts';
import type { CertificateStore } from './certificate-store.ts';
import { openCertificates } from './certificate-store.ts';
import { ClientTrustSource } from './client-trust-watch.ts';
import type { Configuration, ConfiguredPool } from './configuration.ts';
import { checkDnsProof } from './dns-proof.ts';
import { readBlocks } from './pem.ts';
import { ConfigError, type Problem } from './problem.ts';
import { type NamedFile, readNamedFile, report } from './source-file.ts';

export interface LoadedFiles {
  readonly certificates: CertificateStore;
  /** PEM by the name of its file. */
  readonly authorities: ReadonlyMap<string, string>;
}

/** Reads all of them. Throws a ConfigError with every problem found. */
export function loadFiles(configuration: Configuration, now: Date): LoadedFiles {
  const problems: Problem[] = [];
  const files = collect(() => openCertificates(configuration, now), problems);
  const trusting = configuration.hosts.flatMap(({ clientAuth }) => clientAuth?.files ?? []);
  const trusts = collect(() => new ClientTrustSource(trusting, now), problems);
  const issuers = configuration.issuance.flatMap((each) => each.issuers);
  const authorities = loadAuthorities([...configuration.pools, ...issuers], problems);
  const findings = configuration.issuance.flatMap(({ dns }) => (dns === undefined ? [] : checkDnsProof(dns, problems)));
  if (problems.length > 0 || files === undefined || trusts === undefined) throw new ConfigError(problems);
  const certificates = trusting.length === 0 ? files : files.and(trusts);
  return { certificates: findings.length === 0 ? certificates : certificates.and(saying(findings)), authorities };
}

/** What is wrong with one kind of files is told beside what is wrong with the others. */
function collect<T>(load: () => T, problems: Problem[]): T | undefined {
  try {
    return load();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    problems.push(...error.problems);
    return undefined;
  }
}

function loadAuthorities(trusting: readonly Pick<ConfiguredPool, 'ca'>[], problems: Problem[]): Map<string, string> {
  const authorities = new Map<string, string>();
  for (const { ca } of trusting) {
    if (ca === undefined || authorities.has(ca.file)) continue;
    const pem = loadAuthority({ place: ca.setting.place, name: ca.setting.name, file: ca.file }, problems);
    if (pem !== undefined) authorities.set(ca.file, pem);
  }
  return authorities;
}

function loadAuthority(named: NamedFile, problems: Problem[]): string | undefined {
  const content = readNamedFile(named, problems);
  const blocks = content === undefined ? undefined : readBlocks(content.bytes, named, problems);
  if (blocks === undefined) return undefined;
  const certificates = blocks.filter(({ label }) => label === 'CERTIFICATE');
  const broken = certificates.find(({ pem }) => !isCertificate(pem));
  if (certificates.length > 0 && broken === undefined) return certificates.map(({ pem }) => pem).join('');
  const what = broken === undefined ? 'holds no certificate' : `has a damaged certificate in ${broken.where}`;
  report(problems, named, what, `let ${named.name} name the authority's certificate (PEM)`);
  return undefined;
}

function isCertificate(pem: string): boolean {
  try {
    new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}
