// Reads a certificate and its key from files, puts right what is safe to put right, and says in plain words what is wrong with the rest.

import type { KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { Certificate } from '../model/snapshot.ts';
import { type Material, type PasswordFile, readMaterial } from './certificate-formats.ts';
import {
  arrangeChain,
  type Chain,
  isCurrent,
  lintChain,
  lintDates,
  type Remark,
  reasonToRefuse,
} from './certificate-lint.ts';
import { describe, namesOf, oneLine } from './certificate-names.ts';
import type { Finding, LoadedCertificate, Origin } from './certificate-source.ts';
import type { CertificatePair } from './configuration.ts';
import { ConfigError, type Problem } from './problem.ts';
import { closeIt, type NamedFile, openTo, report } from './source-file.ts';

/** A certificate with what is behind it, so that it can be looked at again later: dates come near. */
export interface LoadedPair {
  readonly loaded: LoadedCertificate;
  readonly leaf: X509Certificate;
  findings(now: Date): Finding[];
}

/** Reads and checks a pair. Throws ConfigError with every problem found. */
export function loadPair(pair: CertificatePair, now: Date, origin: Origin = 'file'): LoadedPair {
  const problems: Problem[] = [];
  const certSource = named(pair.certSetting, pair.certFile);
  // Without a file of its own the key stands beside the certificate.
  const keySource = pair.keyFile === undefined ? certSource : named(pair.keySetting, pair.keyFile);
  const password: PasswordFile = {
    name: pair.passwordSetting.name,
    file: pair.passwordFile === undefined ? undefined : named(pair.passwordSetting, pair.passwordFile),
  };

  const certMaterial = readMaterial(certSource, password, problems);
  const keyMaterial = keySource.file === certSource.file ? certMaterial : readMaterial(keySource, password, problems);
  if (certMaterial !== undefined && keyMaterial !== undefined) {
    checkKinds(certMaterial, keyMaterial, certSource, keySource, pair, problems);
  }
  if (problems.length > 0 || certMaterial === undefined || keyMaterial === undefined) throw new ConfigError(problems);

  const { certificates } = certMaterial;
  const found = findPair(certificates, keyMaterial.keys, now);
  if (found === undefined) throw mismatch(certificates[0]!, certSource, keySource);
  const { leaf, key } = found;
  const chain = arrangeChain(leaf, certificates, now);
  const loaded = makeLoaded(chain, key, certSource, origin);
  const place = (remarks: Remark[]) =>
    remarks.map(({ what, ...rest }) => ({
      ...{ ...rest, about: certSource.file },
      ...{ place: certSource.place, message: `${certSource.file} ${what}` },
    }));
  const always = [...place(lintChain(chain)), ...describeOpenKey(keyMaterial.mode, keySource, certSource.file)];
  return { loaded, leaf, findings: (at) => [...place(lintDates(chain, at)), ...always] };
}

const named = ({ place, name }: { place: string; name: string }, file: string): NamedFile => ({ place, name, file });

/** Each file has to hold what its setting says. */
function checkKinds(
  certs: Material,
  keys: Material,
  certSource: NamedFile,
  keySource: NamedFile,
  pair: CertificatePair,
  problems: Problem[],
): void {
  const swapped = certs !== keys && certs.certificates.length === 0 && certs.keys.length > 0 && keys.keys.length === 0;
  if (swapped && keys.certificates.length > 0) {
    const what = `holds a private key, and ${keySource.place} ${keySource.file} holds a certificate: the two are swapped`;
    report(problems, certSource, what, `exchange ${certSource.name} and ${keySource.name}`);
    return;
  }
  if (certs.certificates.length === 0) {
    const hint = certs.hint ?? `let ${certSource.name} name the certificate, leaf first`;
    report(problems, certSource, `holds ${certs.words} where a certificate should be`, hint);
  }
  if (keys.keys.length > 0) return;
  if (pair.keyFile === undefined) {
    const hint = `set ${pair.keySetting.name} to the file of its private key`;
    report(problems, certSource, `holds no private key, and ${pair.keySetting.name} names none`, hint);
  } else {
    const hint = `let ${keySource.name} name the private key that belongs to the certificate`;
    report(problems, keySource, `holds ${keys.words} where a private key should be`, hint);
  }
}

/** The leaf is the certificate that the key belongs to, wherever in the file it stands. */
function findPair(certificates: readonly X509Certificate[], keys: readonly KeyObject[], now: Date) {
  for (const key of keys) {
    const fitting = certificates.filter((certificate) => certificate.checkPrivateKey(key));
    // More than one: renewed with the same key, and the old one kept in the file.
    const leaf = fitting.find((certificate) => isCurrent(certificate, now)) ?? fitting[0];
    if (leaf) return { leaf, key };
  }
  return undefined;
}

function mismatch(leaf: X509Certificate, certSource: NamedFile, keySource: NamedFile): ConfigError {
  const problems: Problem[] = [];
  const what = `does not belong to the certificate in ${certSource.place} ${certSource.file} (${describe(leaf)})`;
  const hint =
    'use the key that this certificate was asked for with: openssl x509 -pubkey and openssl pkey -pubout agree';
  report(problems, keySource, what, hint);
  return new ConfigError(problems);
}

function makeLoaded(chain: Chain, key: KeyObject, source: NamedFile, origin: Origin): LoadedCertificate {
  const refusal = reasonToRefuse(chain);
  const leaf = chain.sent[0]!;
  const certificate: Certificate = {
    names: namesOf(leaf),
    chain: chain.sent.map(String).join(''),
    key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
  const why = refusal ?? tryToServe(certificate, leaf);
  if (why !== undefined) {
    const problems: Problem[] = [];
    report(problems, source, why.what, why.hint);
    throw new ConfigError(problems);
  }
  const { validFromDate: notBefore, validToDate: notAfter } = leaf;
  const issuedBy = chain.sent[1] ?? chain.root;
  return {
    ...{ origin, place: source.file, certificate, issuer: oneLine(leaf.issuer), notBefore, notAfter },
    ...(issuedBy === undefined ? {} : { issuedBy }),
  };
}

/** What the TLS library will not take is better said here, with the file's name, than by a worker. */
function tryToServe(certificate: Certificate, leaf: X509Certificate): { what: string; hint: string } | undefined {
  try {
    createSecureContext({ cert: certificate.chain, key: certificate.key });
    return undefined;
  } catch (error) {
    const words = error instanceof Error ? error.message.split('::').at(-1) : 'unknown reason';
    const hint = 'have it issued anew with an ECDSA P-256 key, or with an RSA key of 2048 bits or more';
    return { what: `cannot be used for TLS (${describe(leaf)}): ${words}`, hint };
  }
}

/** Whoever can read the key can pose as the site. */
function describeOpenKey(mode: number, { place, file }: NamedFile, about: string): Finding[] {
  const may = openTo(mode);
  if (may === undefined) return [];
  const message = `${file} holds a private key that every user of this machine may ${may}`;
  return [{ code: 'permissions', severity: 'warning', about, place, message, hint: closeIt(file) }];
}
