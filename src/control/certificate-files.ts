// Reads a certificate and its key from files, repairs what is safe to repair, and says in plain words what is wrong with the rest.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { isIP, SocketAddress } from 'node:net';
import { resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import type { Certificate } from '../model/snapshot.ts';
import { type Block, readBlocks, report, type Source } from './pem.ts';
import { ConfigError, type Problem } from './problem.ts';

export interface LoadedCertificate {
  readonly certificate: Certificate;
  /** Sentences for the log: it is served all the same. */
  readonly warnings: string[];
  readonly notAfter: Date;
  /** In one line. */
  readonly issuer: string;
}

export interface LoadOptions {
  /** What names the files: `SSL_CRT` and `SSL_KEY`. */
  readonly certPlace: string;
  readonly keyPlace: string;
  /** What to set them by; their places, when they are not given. */
  readonly certName?: string;
  readonly keyName?: string;
  readonly now: Date;
  /** The host names that the configuration serves. */
  readonly wantedNames: readonly string[];
}

/** The issuer's organization in certificates that we made ourselves: such an issuer never has an intermediate. */
export const LOCAL_AUTHORITY = 'Portico local authority';

const DAY = 86_400_000;
const EXPIRES_SOON = 14 * DAY;
const MIN_RSA_BITS = 2048;

/** Reads and checks a pair. Throws ConfigError with every problem found. */
export function loadCertificate(certFile: string, keyFile: string, options: LoadOptions): LoadedCertificate {
  const problems: Problem[] = [];
  const certSource: Source = {
    place: options.certPlace,
    name: options.certName ?? options.certPlace,
    file: resolve(certFile),
  };
  const keySource: Source = {
    place: options.keyPlace,
    name: options.keyName ?? options.keyPlace,
    file: resolve(keyFile),
  };

  const certBlocks = readBlocks(certSource, problems);
  const keyBlocks = readBlocks(keySource, problems);
  if (certBlocks && keyBlocks && areSwapped(certBlocks, keyBlocks)) {
    const what = `holds a private key, and ${keySource.place} ${keySource.file} holds a certificate: the two are swapped`;
    report(problems, certSource, what, `exchange ${certSource.name} and ${keySource.name}`);
    throw new ConfigError(problems);
  }
  const certificates = certBlocks ? parseCertificates(certBlocks, certSource, problems) : [];
  const keys = keyBlocks ? parseKeys(keyBlocks, keySource, problems) : [];
  if (problems.length > 0) throw new ConfigError(problems);

  const pair = findPair(certificates, keys, options.now);
  if (pair === undefined) throw mismatch(certificates[0]!, certSource, keySource);
  const { leaf, key } = pair;

  const warnings: string[] = [];
  const warn = (what: string) => warnings.push(`${certSource.place} ${certSource.file} ${what}`);
  const chain = orderChain(leaf, certificates, options.now, warn);
  for (const certificate of chain) checkDates(certificate, leaf, options.now, warn);
  checkNames(leaf, options.wantedNames, warn);
  checkIssuer(leaf, certificates, warn);
  checkStrength(chain, warn);

  const certificate: Certificate = {
    names: namesOf(leaf),
    chain: chain.map(String).join(''),
    key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
  tryToServe(certificate, leaf, certSource);
  return { certificate, warnings, notAfter: leaf.validToDate, issuer: oneLine(leaf.issuer) };
}

/** The names that a leaf is for, in lower case; the common name counts only where there is no subjectAltName. */
export function namesOf(certificate: X509Certificate): string[] {
  const names = new Set<string>();
  if (certificate.subjectAltName === undefined) {
    const match = /^CN=(.+)$/m.exec(certificate.subject);
    return match ? [match[1]!.toLowerCase()] : [];
  }
  // A value in quotes holds characters that no host name has: `DNS:"a.example, DNS:b.example"` (CVE-2021-44532). It is left out.
  for (const [, kind, value] of certificate.subjectAltName.matchAll(/([^:,]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?:, |$)/g)) {
    if (value!.startsWith('"')) continue;
    if (kind === 'DNS') names.add(value!.toLowerCase());
    if (kind === 'IP Address') names.add(shortAddress(value!));
  }
  return [...names];
}

/** True when clients that ask for `name` accept the certificate; the common name does not count, browsers ignore it. */
export function coversName(certificate: X509Certificate, name: string): boolean {
  if (isIP(name)) return certificate.checkIP(name) !== undefined;
  return certificate.checkHost(name, { subject: 'never', partialWildcards: false }) !== undefined;
}

const CERTIFICATE_LABELS = ['CERTIFICATE', 'X509 CERTIFICATE', 'TRUSTED CERTIFICATE'];
const isCertificate = (block: Block) => CERTIFICATE_LABELS.includes(block.label);
const isKey = (block: Block) => block.label.endsWith('PRIVATE KEY');

function areSwapped(certBlocks: readonly Block[], keyBlocks: readonly Block[]): boolean {
  const onlyKey = certBlocks.some(isKey) && !certBlocks.some(isCertificate);
  return onlyKey && keyBlocks.some(isCertificate) && !keyBlocks.some(isKey);
}

/** Without duplicates, in the order of the file. */
function parseCertificates(blocks: readonly Block[], source: Source, problems: Problem[]): X509Certificate[] {
  const found = new Map<string, X509Certificate>();
  const wanted = blocks.filter(isCertificate);
  if (wanted.length === 0) {
    const hint = WRONG_BLOCK_HINTS[blocks[0]!.label] ?? `let ${source.name} name the certificate, leaf first`;
    report(problems, source, `holds ${labelsOf(blocks)} where a certificate should be`, hint);
  }
  for (const { where, pem } of wanted) {
    try {
      const certificate = new X509Certificate(pem);
      found.set(certificate.fingerprint256, found.get(certificate.fingerprint256) ?? certificate);
    } catch {
      report(problems, source, `has a damaged certificate in ${where}`, 'copy the file again');
    }
  }
  return [...found.values()];
}

/** The keys that can be used without a passphrase. */
function parseKeys(blocks: readonly Block[], source: Source, problems: Problem[]): KeyObject[] {
  const keys: KeyObject[] = [];
  const wanted = blocks.filter(isKey);
  if (wanted.length === 0) {
    const hint = `let ${source.name} name the private key that belongs to the certificate`;
    report(problems, source, `holds ${labelsOf(blocks)} where a private key should be`, hint);
  } else if (wanted.every((block) => block.encrypted)) {
    const hint = `decrypt it: openssl pkey -in ${source.file} -out decrypted.key; then chmod 600 decrypted.key`;
    report(problems, source, 'holds a key that is encrypted with a passphrase, which is not supported yet', hint);
  }
  for (const { where, label, pem, encrypted } of wanted) {
    if (encrypted) continue;
    try {
      keys.push(createPrivateKey(pem));
    } catch {
      // The library's own words are not repeated: nothing that it read from a key may reach a log.
      const hint = 'copy the file again; it must be an RSA or EC key in PKCS#8, PKCS#1 or SEC1 form';
      report(problems, source, `has a damaged or unknown ${label} in ${where}`, hint);
    }
  }
  return keys;
}

const WRONG_BLOCK_HINTS: Readonly<Record<string, string>> = {
  'CERTIFICATE REQUEST':
    'that is what a certificate authority is asked with; use the certificate that it answered with',
  'NEW CERTIFICATE REQUEST':
    'that is what a certificate authority is asked with; use the certificate that it answered with',
  PKCS7: 'convert it: openssl pkcs7 -print_certs',
};

function labelsOf(blocks: readonly Block[]): string {
  if (blocks.some(isCertificate)) return 'a certificate';
  if (blocks.some(isKey)) return 'a private key';
  return `only ${[...new Set(blocks.map((block) => block.label))].slice(0, 3).join(', ')}`;
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

function mismatch(leaf: X509Certificate, certSource: Source, keySource: Source): ConfigError {
  const problems: Problem[] = [];
  const what = `does not belong to the certificate in ${certSource.place} ${certSource.file} (${describe(leaf)})`;
  const hint =
    'use the key that this certificate was asked for with: openssl x509 -pubkey and openssl pkey -pubout agree';
  report(problems, keySource, what, hint);
  return new ConfigError(problems);
}

type Warn = (what: string) => void;

/** Leaf first, each followed by its issuer, without the root: clients believe their own copy only. */
function orderChain(leaf: X509Certificate, certificates: readonly X509Certificate[], now: Date, warn: Warn) {
  const chain = [leaf];
  const rest = new Set(certificates.filter((certificate) => certificate !== leaf));
  let root: X509Certificate | undefined;
  for (let last = leaf; root === undefined; ) {
    const issuers = isSelfSigned(last) ? [] : [...rest].filter((other) => isIssuedBy(last, other));
    // A cross-signed intermediate comes before a root of the same name: it leads on to a root that older clients know.
    const issuer =
      issuers.find((other) => isCurrent(other, now) && !isSelfSigned(other)) ??
      issuers.find((other) => isCurrent(other, now)) ??
      issuers[0];
    if (issuer === undefined) break;
    rest.delete(issuer);
    if (isSelfSigned(issuer)) root = issuer;
    else chain.push(issuer);
    last = issuer;
  }

  const positions = chain.map((certificate) => certificates.indexOf(certificate));
  if (positions.some((position, i) => i > 0 && position < positions[i - 1]!)) {
    warn(`has its chain in the wrong order; served as ${chain.map(describe).join(', then ')}`);
  }
  if (root) warn(`holds the root ${describe(root)}, which is left out: clients use their own copy`);
  if (rest.size > 0) {
    const some = [...rest].slice(0, 3).map(describe).join('; ');
    const more = rest.size > 3 ? ` and ${rest.size - 3} more` : '';
    warn(`holds certificates that are no part of the leaf's chain and are left out: ${some}${more}`);
  }
  return chain;
}

const isSelfSigned = (certificate: X509Certificate) => isIssuedBy(certificate, certificate);

/** By name and key identifier, and by signature too: authorities are made anew under the same name. */
function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function isCurrent(certificate: X509Certificate, now: Date): boolean {
  return certificate.validFromDate <= now && now <= certificate.validToDate;
}

/** Only warnings: a site with an old certificate can be looked into, one that does not start cannot. */
function checkDates(certificate: X509Certificate, leaf: X509Certificate, now: Date, warn: Warn): void {
  const { validFromDate: from, validToDate: to } = certificate;
  const subject = certificate === leaf ? '' : `holds the intermediate ${describe(certificate)}, which `;
  const left = to.getTime() - now.getTime();
  // A certificate of six days is not "soon" all its life.
  const soon = Math.min(EXPIRES_SOON, (to.getTime() - from.getTime()) / 3);
  if (left < 0) {
    warn(`${subject}expired at ${formatDate(to)}, ${formatDays(-left)} ago: clients refuse it; renew it`);
  } else if (now < from) {
    warn(`${subject}is not valid before ${formatDate(from)}: clients refuse it; is the clock here right?`);
  } else if (left <= soon) {
    warn(`${subject}expires at ${formatDate(to)}, in ${formatDays(left)}: renew it`);
  }
}

function checkNames(leaf: X509Certificate, wantedNames: readonly string[], warn: Warn): void {
  const missing = wantedNames.filter((name) => !coversName(leaf, name));
  if (missing.length === 0) return;
  const names = leaf.subjectAltName === undefined ? [] : namesOf(leaf);
  const more = names.length > 10 ? ` and ${names.length - 10} more` : '';
  const covered =
    names.length === 0 ? 'no name at all (it has no subjectAltName)' : `${names.slice(0, 10).join(', ')}${more}`;
  warn(`does not cover ${missing.join(', ')}: clients refuse it there; it covers ${covered}`);
}

/** Many clients do not fetch a missing intermediate; with a private authority there may be none. */
function checkIssuer(leaf: X509Certificate, certificates: readonly X509Certificate[], warn: Warn): void {
  if (certificates.length > 1 || isSelfSigned(leaf) || leaf.issuer.split('\n').includes(`O=${LOCAL_AUTHORITY}`)) return;
  const issuer = oneLine(leaf.issuer);
  warn(`holds no certificate of its issuer (${issuer}): if that is a public authority, append its intermediate`);
}

function checkStrength(chain: readonly X509Certificate[], warn: Warn): void {
  for (const certificate of chain) {
    const bits = rsaBits(certificate);
    if (bits < MIN_RSA_BITS) {
      warn(`has an RSA key of ${bits} bits (${describe(certificate)}): clients want 2048 or more`);
    }
    if (!isSelfSigned(certificate) && /sha1|sha-1|md5/i.test(certificate.signatureAlgorithm ?? '')) {
      warn(`is signed with ${certificate.signatureAlgorithm} (${describe(certificate)}): clients refuse it`);
    }
  }
}

/** Infinity for a key of another kind. */
function rsaBits(certificate: X509Certificate): number {
  return certificate.publicKey.asymmetricKeyDetails?.modulusLength ?? Infinity;
}

/** What the TLS library will not take is better said here, with the file's name, than by a worker. */
function tryToServe(certificate: Certificate, leaf: X509Certificate, source: Source): void {
  try {
    createSecureContext({ cert: certificate.chain, key: certificate.key });
  } catch (error) {
    const bits = rsaBits(leaf);
    const words = error instanceof Error ? error.message.split('::').at(-1) : 'unknown reason';
    const reason = bits < MIN_RSA_BITS ? `its RSA key of ${bits} bits is too short` : words;
    const problems: Problem[] = [];
    const hint = 'have it issued anew with an ECDSA P-256 key, or with an RSA key of 2048 bits or more';
    report(problems, source, `cannot be used for TLS (${describe(leaf)}): ${reason}`, hint);
    throw new ConfigError(problems);
  }
}

/** `CN=toucan.example`; a leaf may have no subject, only names. */
function describe(certificate: X509Certificate): string {
  return oneLine(certificate.subject) || namesOf(certificate)[0] || `serial ${certificate.serialNumber}`;
}

/** Node gives one attribute a line, and undefined for an empty name. */
const oneLine = (name: string | undefined) => (name ?? '').split('\n').join(', ');
const formatDate = (date: Date) => date.toISOString().replace('.000Z', 'Z');

function formatDays(ms: number): string {
  const days = Math.floor(ms / DAY);
  if (days === 0) return 'less than a day';
  return days === 1 ? '1 day' : `${days} days`;
}

/** `::1` for `0:0:0:0:0:0:0:1`. */
function shortAddress(text: string): string {
  return isIP(text) === 6 ? new SocketAddress({ address: text, family: 'ipv6' }).address : text;
}
