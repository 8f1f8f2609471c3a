// What a configuration names but does not hold: certificates and authorities, read from their files and checked.

import { X509Certificate } from 'node:crypto';
import { coversName, type LoadedCertificate, loadCertificate } from './certificate-files.ts';
import { namesOf } from './compile.ts';
import type { Configuration, ConfiguredPool } from './configuration.ts';
import { readBlocks } from './pem.ts';
import { ConfigError, type Problem } from './problem.ts';

export interface LoadedFiles {
  readonly certificates: readonly LoadedCertificate[];
  /** PEM by the name of its file. */
  readonly authorities: ReadonlyMap<string, string>;
  /** Sentences for the log: it is served all the same. */
  readonly warnings: readonly string[];
}

/** Reads all of them. Throws a ConfigError with every problem found. */
export function loadFiles(configuration: Configuration, now: Date): LoadedFiles {
  const problems: Problem[] = [];
  const certificates = loadCertificates(configuration, now, problems);
  const authorities = loadAuthorities(configuration.pools, problems);
  if (problems.length > 0) throw new ConfigError(problems);
  const warnings = certificates.flatMap((each) => each.warnings);
  if (certificates.length > 0) warnings.push(...uncovered(configuration, certificates));
  return { certificates, authorities, warnings };
}

function loadCertificates(configuration: Configuration, now: Date, problems: Problem[]): LoadedCertificate[] {
  const pairs = configuration.certificates;
  // One certificate has to fit all names; of several, uncovered() looks whether each name has one.
  const wantedNames = pairs.length === 1 ? namesOf(configuration).filter((name) => !name.startsWith('*')) : [];
  return pairs.flatMap(({ certFile, keyFile, certSetting, keySetting }) => {
    try {
      return loadCertificate(certFile, keyFile, {
        certPlace: certSetting.place,
        certName: certSetting.name,
        keyPlace: keySetting.place,
        keyName: keySetting.name,
        now,
        wantedNames,
      });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      problems.push(...error.problems);
      return [];
    }
  });
}

function uncovered(configuration: Configuration, certificates: readonly LoadedCertificate[]): string[] {
  const leaves = certificates.map(({ certificate }) => new X509Certificate(certificate.chain));
  const isCovered = (name: string) =>
    name.startsWith('*')
      ? certificates.some(({ certificate }) => certificate.names.includes(name))
      : certificates.length === 1 || leaves.some((leaf) => coversName(leaf, name));
  return namesOf(configuration)
    .filter((name) => !isCovered(name))
    .map((name) => `no certificate covers the host ${name}: clients refuse it there`);
}

function loadAuthorities(pools: readonly ConfiguredPool[], problems: Problem[]): Map<string, string> {
  const authorities = new Map<string, string>();
  for (const { ca } of pools) {
    if (ca === undefined || authorities.has(ca.file)) continue;
    const { place, name } = ca.setting;
    const blocks = readBlocks({ place, name, file: ca.file }, problems);
    if (blocks === undefined) continue;
    const certificates = blocks.filter(({ label }) => label === 'CERTIFICATE');
    const broken = certificates.find(({ pem }) => !isCertificate(pem));
    if (certificates.length === 0 || broken !== undefined) {
      const what = broken === undefined ? 'holds no certificate' : `has a damaged certificate in ${broken.where}`;
      problems.push({
        place,
        message: `${ca.file} ${what}`,
        hint: `let ${name} name the authority's certificate (PEM)`,
      });
      continue;
    }
    authorities.set(ca.file, certificates.map(({ pem }) => pem).join(''));
  }
  return authorities;
}

function isCertificate(pem: string): boolean {
  try {
    new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}
