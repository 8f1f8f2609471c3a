// A certificate authority of this installation only, and a certificate by it for local names: so that a first run has HTTPS.

import { createPrivateKey, KeyObject, randomBytes, X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isIP, isIPv4 } from 'node:net';
import { join, resolve } from 'node:path';
import { domainToASCII } from 'node:url';
import type * as X509 from '@peculiar/x509';
import { LOCAL_AUTHORITY } from './certificate-lint.ts';
import { coversName } from './certificate-names.ts';
import { ConfigError } from './problem.ts';

export interface LocalCertificate {
  /** The leaf alone: clients have the authority's certificate, or refuse. */
  readonly certFile: string;
  readonly keyFile: string;
  /** What people import into a browser, or give to `curl --cacert`. */
  readonly authorityFile: string;
  /** True when the leaf was made just now. */
  readonly created: boolean;
  /** True when the authority was made just now: whoever imported the one before must import this one. */
  readonly authorityCreated: boolean;
}

const DAY = 86_400_000;
const AUTHORITY_LIFETIME = 3650 * DAY;
/** Apple's clients refuse a longer one, 398 days, even under an authority that was imported. */
const LEAF_LIFETIME = 397 * DAY;
const RENEW_BEFORE = 30 * DAY;
/** A container's clock and its host's may differ. */
const BACKDATE = 3_600_000;

const ALWAYS = ['localhost', '127.0.0.1', '::1'];

/** Keeps what is in the directory and still good, and makes the rest. A damaged file counts as missing. */
export async function ensureLocalCertificate(
  directory: string,
  names: readonly string[],
  now: Date,
): Promise<LocalCertificate> {
  const wanted = [...new Set([...names.map(canonicalName), ...ALWAYS])];
  const inDirectory = (name: string) => join(resolve(directory), name);
  const certFile = inDirectory('local.crt');
  const keyFile = inDirectory('local.key');
  const authorityFile = inDirectory('local-ca.crt');
  const authorityKeyFile = inDirectory('local-ca.key');

  // The authority's key is only looked at when there is something to sign: it may be kept elsewhere until then.
  const authority = readCertificate(authorityFile);
  const isUsable = authority !== undefined && isGoodAuthority(authority, wanted, now);
  if (isUsable && isGoodLeaf(readCertificate(certFile), keyFile, authority, wanted, now)) {
    return { certFile, keyFile, authorityFile, created: false, authorityCreated: false };
  }

  const x509 = await loadX509();
  const key = isUsable ? readKeyOf(authority, authorityKeyFile) : undefined;
  const issuer = isUsable && key ? { certificate: authority, key } : await makeAuthority(x509, wanted, now);
  const leaf = await makeLeaf(x509, issuer, wanted, now);
  const authorityCreated = issuer.certificate !== authority;
  writeAll(resolve(directory), [
    ...(authorityCreated ? filesOf(issuer, authorityFile, authorityKeyFile) : []),
    ...filesOf(leaf, certFile, keyFile),
  ]);
  return { certFile, keyFile, authorityFile, created: true, authorityCreated };
}

/** The library is loaded by those only who make certificates: it and what it brings are large. */
export async function loadX509(): Promise<typeof X509> {
  // Its dependency container refuses to load without this polyfill.
  await import('reflect-metadata');
  return import('@peculiar/x509');
}

interface Pair {
  readonly certificate: X509Certificate;
  readonly key: KeyObject;
}

function readCertificate(file: string): X509Certificate | undefined {
  try {
    return new X509Certificate(readFileSync(file));
  } catch {
    return undefined;
  }
}

function readKeyOf(certificate: X509Certificate, file: string): KeyObject | undefined {
  try {
    const key = createPrivateKey(readFileSync(file));
    return certificate.checkPrivateKey(key) ? key : undefined;
  } catch {
    return undefined;
  }
}

function isGoodAuthority(certificate: X509Certificate, wanted: readonly string[], now: Date): boolean {
  if (!certificate.ca || !isIssuedBy(certificate, certificate) || !isFresh(certificate, now)) return false;
  // Made for other names, it would not be believed for these.
  return permittedSubtrees(wanted).every((subtree) => certificate.raw.includes(subtree));
}

function isGoodLeaf(
  certificate: X509Certificate | undefined,
  keyFile: string,
  authority: X509Certificate,
  wanted: readonly string[],
  now: Date,
): boolean {
  if (certificate === undefined || readKeyOf(certificate, keyFile) === undefined) return false;
  if (certificate.ca || !isIssuedBy(certificate, authority) || !isFresh(certificate, now)) return false;
  return wanted.every((name) => coversName(certificate, name));
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function isFresh({ validFromDate, validToDate }: X509Certificate, now: Date): boolean {
  return validFromDate <= now && validToDate.getTime() - now.getTime() > RENEW_BEFORE;
}

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

async function makeAuthority(x509: typeof X509, wanted: readonly string[], now: Date): Promise<Pair> {
  const keys = await crypto.subtle.generateKey(ECDSA, true, ['sign', 'verify']);
  const { keyCertSign, cRLSign } = x509.KeyUsageFlags;
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    // The date tells apart, in a browser's list, the one that was imported from the one that took its place.
    name: [{ O: [LOCAL_AUTHORITY] }, { CN: [`${LOCAL_AUTHORITY} of ${now.toISOString().slice(0, 10)}`] }],
    serialNumber: randomSerial(),
    keys,
    signingAlgorithm: ECDSA,
    ...validity(now, AUTHORITY_LIFETIME),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(keyCertSign | cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      // Whoever steals this key cannot pose as any other site to those who imported the authority (RFC 5280 §4.2.1.10).
      new x509.Extension(NAME_CONSTRAINTS, true, nameConstraints(wanted)),
    ],
  });
  return { certificate: new X509Certificate(made.toString('pem')), key: KeyObject.from(keys.privateKey) };
}

async function makeLeaf(x509: typeof X509, authority: Pair, wanted: readonly string[], now: Date): Promise<Pair> {
  const keys = await crypto.subtle.generateKey(ECDSA, true, ['sign', 'verify']);
  const issuer = new x509.X509Certificate(authority.certificate.raw);
  const { notBefore, notAfter } = validity(now, LEAF_LIFETIME);
  const made = await x509.X509CertificateGenerator.create({
    subject: [{ O: ['Portico local certificate'] }],
    issuer: issuer.subjectName,
    serialNumber: randomSerial(),
    publicKey: keys.publicKey,
    signingKey: authority.key.toCryptoKey(ECDSA, false, ['sign']),
    signingAlgorithm: ECDSA,
    notBefore,
    notAfter: new Date(Math.min(notAfter.getTime(), issuer.notAfter.getTime())),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        wanted.map((name) => ({ type: isIP(name) ? 'ip' : 'dns', value: name }) as const),
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { certificate: new X509Certificate(made.toString('pem')), key: KeyObject.from(keys.privateKey) };
}

/** In whole seconds: X.509 knows no smaller part. */
function validity(now: Date, lifetime: number): { notBefore: Date; notAfter: Date } {
  const start = Math.floor((now.getTime() - BACKDATE) / 1000) * 1000;
  return { notBefore: new Date(start), notAfter: new Date(start + lifetime) };
}

/** Firefox refuses two certificates of one issuer with the same number. The first byte keeps it positive and whole. */
function randomSerial(): string {
  return `4f${randomBytes(15).toString('hex')}`;
}

const NAME_CONSTRAINTS = '2.5.29.30';

/** DER of NameConstraints: permittedSubtrees [0] only. The library has no class for it. */
function nameConstraints(wanted: readonly string[]): Buffer<ArrayBuffer> {
  return tlv(0x30, tlv(0xa0, ...permittedSubtrees(wanted)));
}

/**
 * One GeneralSubtree for each name, with all below it; what is under `localhost` goes with that. There is always an address
 * among them, because a kind of name that is not listed at all would be permitted altogether.
 */
function permittedSubtrees(wanted: readonly string[]): Buffer<ArrayBuffer>[] {
  const bases = wanted.map((name) => name.replace(/^\*\./, '')).filter((name) => !name.endsWith('.localhost'));
  return [...new Set(bases)].map((name) => {
    if (isIP(name)) return tlv(0x30, tlv(0x87, addressBytes(name), Buffer.alloc(isIPv4(name) ? 4 : 16, 0xff)));
    return tlv(0x30, tlv(0x82, Buffer.from(name, 'latin1')));
  });
}

/** DER: tag, length, content. */
function tlv(tag: number, ...content: readonly Uint8Array[]): Buffer<ArrayBuffer> {
  const { length } = Buffer.concat(content);
  const long = length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...(length < 128 ? [length] : long)]), ...content]);
}

/** As it stands in a certificate: lower case, international names as `xn--`, IPv6 addresses in their shortest form. */
function canonicalName(name: string): string {
  if (isIP(name) === 6) return new URL(`http://[${name}]`).hostname.slice(1, -1);
  return domainToASCII(name) || name.toLowerCase();
}

/** Takes a canonical name. */
function addressBytes(address: string): Buffer<ArrayBuffer> {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  const [left = [], right] = address.split('::').map((half) => half.split(':').filter((group) => group !== ''));
  const zeros = right ? Array<string>(8 - left.length - right.length).fill('0') : [];
  const groups = [...left, ...zeros, ...(right ?? [])];
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

interface NewFile {
  readonly path: string;
  readonly text: string;
  readonly mode: number;
}

function filesOf({ certificate, key }: Pair, certFile: string, keyFile: string): NewFile[] {
  return [
    { path: keyFile, text: key.export({ type: 'pkcs8', format: 'pem' }).toString(), mode: 0o600 },
    { path: certFile, text: certificate.toString(), mode: 0o644 },
  ];
}

/** Each file whole or not at all. If only some are renamed before a crash, they do not fit together, and the next start sees it. */
function writeAll(directory: string, files: readonly NewFile[]): void {
  const suffix = `${randomBytes(6).toString('hex')}.tmp`;
  const temporary = files.map(({ path }) => `${path}.${suffix}`);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const [i, { text, mode }] of files.entries()) {
      writeFileSync(temporary[i]!, text, { mode, flag: 'wx', flush: true });
    }
    for (const [i, { path }] of files.entries()) renameSync(temporary[i]!, path);
  } catch (error) {
    for (const path of temporary) removeQuietly(path);
    const who = process.geteuid === undefined ? 'this user' : `user ${process.geteuid()}`;
    const message = `cannot take the local certificate: ${error instanceof Error ? error.message : error}`;
    const hint = `set SSL_CRT and SSL_KEY to a certificate of your own, or make the directory writable for ${who}`;
    throw new ConfigError([{ place: directory, message, hint }]);
  }
}

function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // The directory itself is the trouble, and that is being reported.
  }
}
