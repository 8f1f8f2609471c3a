// A responder's answer, believed only when the issuer (or whom it appointed) signed it, for this certificate, for now.

import { createHash, type KeyObject, verify, X509Certificate } from 'node:crypto';
import { type Der, DerError, expect, parts, readDer, readTime, TAG, wholeBits } from './der.ts';
import { type Question, SHA1, SHA256 } from './question.ts';

/** What the issuer says of a certificate. */
export type Status =
  | { readonly kind: 'good' }
  | { readonly kind: 'revoked'; readonly at: number; readonly why: string };

export interface OcspAnswer {
  /** As it came, to be stapled. */
  readonly bytes: Buffer;
  readonly status: Status;
  /** Valid from and until, in ms of the wall clock. */
  readonly thisUpdate: number;
  readonly nextUpdate: number;
}

/** There is no answer that can be used; the message is for people and continues the responder's name. */
export class OcspError extends Error {
  override readonly name = 'OcspError';
  /** When the responder wants to be asked again: its Retry-After, as it came. */
  readonly retryAfter: string | undefined;

  constructor(message: string, retryAfter?: string) {
    super(message);
    this.retryAfter = retryAfter;
  }
}

/** Clocks may differ so much, in ms. */
const SKEW = 5 * 60_000;
/** RFC 6960 §4.2.1. */
const REFUSALS = [
  '',
  'does not understand the request',
  'has an internal error',
  'is busy',
  '',
  'wants signed requests',
  'does not know this issuer or certificate',
];
const REASONS = [
  'unspecified',
  'keyCompromise',
  'cACompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'certificateHold',
  '',
  'removeFromCRL',
  'privilegeWithdrawn',
  'aACompromise',
];
const BASIC_ANSWER = '2b0601050507300101';
/** RFC 6960 §4.2.2.2: id-kp-OCSPSigning. */
const OCSP_SIGNING = '1.3.6.1.5.5.7.3.9';
/** By the OID of the signature: its hash, and the kind of key. SHA-1 is not among them, it can be forged. */
const SIGNATURES: Readonly<Record<string, readonly [hash: string | null, kind: string]>> = Object.freeze({
  '2a864886f70d01010b': ['sha256', 'rsa'],
  '2a864886f70d01010c': ['sha384', 'rsa'],
  '2a864886f70d01010d': ['sha512', 'rsa'],
  '2a8648ce3d040302': ['sha256', 'ec'],
  '2a8648ce3d040303': ['sha384', 'ec'],
  '2a8648ce3d040304': ['sha512', 'ec'],
  // They have a hash of their own.
  '2b6570': [null, 'ed25519'],
  '2b6571': [null, 'ed448'],
});

/** Throws an OcspError when it cannot be used. `now`: in ms of the wall clock. */
export function readAnswer(bytes: Buffer, question: Question, now: number): OcspAnswer {
  try {
    return read(bytes, question, now);
  } catch (error) {
    if (error instanceof DerError)
      throw new OcspError(`answered with something that is no OCSP answer: ${error.message}`);
    throw error;
  }
}

function read(bytes: Buffer, question: Question, now: number): OcspAnswer {
  const [code, body] = parts(readDer(bytes, TAG.sequence));
  const refusal = expect(code, TAG.enumerated).content;
  if (refusal.length !== 1 || refusal[0] !== 0)
    throw new OcspError(REFUSALS[refusal[0] ?? 0] || 'refuses for an unknown reason');
  const [type, basic] = parts(readDer(expect(body, 0xa0).content, TAG.sequence));
  if (hexOf(type) !== BASIC_ANSWER) throw new OcspError('answered in a form that is not known');
  const [signed, algorithm, signature, certificates] = parts(readDer(expect(basic, TAG.octets).content, TAG.sequence));
  checkSignature(expect(signed, TAG.sequence), algorithm, wholeBits(signature), signersOf(certificates, question, now));
  const single = ours(signed!, question);
  return { bytes, ...readSingle(single, now) };
}

/** The issuer itself, and whom it appointed by a certificate that comes with the answer (RFC 6960 §4.2.2.2). */
function signersOf(certificates: Der | undefined, { issuer }: Question, now: number): KeyObject[] {
  if (certificates === undefined) return [issuer.publicKey];
  const brought = parts(readDer(expect(certificates, 0xa0).content, TAG.sequence)).slice(0, 8);
  const appointed = brought.flatMap(({ whole }) => {
    const certificate = readCertificate(whole);
    const purposes: readonly string[] = certificate.keyUsage ?? [];
    const isCurrent = certificate.validFromDate.getTime() <= now + SKEW && now <= certificate.validToDate.getTime();
    const isAppointed = purposes.includes(OCSP_SIGNING) && certificate.checkIssued(issuer);
    return isCurrent && isAppointed && certificate.verify(issuer.publicKey) ? [certificate.publicKey] : [];
  });
  return [issuer.publicKey, ...appointed];
}

function readCertificate(der: Buffer): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch {
    throw new DerError('a certificate in it is none');
  }
}

function checkSignature(
  { whole }: Der,
  algorithm: Der | undefined,
  signature: Buffer,
  signers: readonly KeyObject[],
): void {
  const [oid] = parts(expect(algorithm, TAG.sequence));
  const known = SIGNATURES[hexOf(oid)];
  if (known === undefined) throw new OcspError('signs its answers in a way that is not trusted');
  const [hash, kind] = known;
  const fitting = signers.filter(({ asymmetricKeyType }) => asymmetricKeyType === kind);
  if (!fitting.some((key) => verify(hash, whole, key, signature))) {
    throw new OcspError('gave an answer that is not signed by the issuer, nor by whom it appointed');
  }
}

/** What is said of our certificate, among others perhaps. */
function ours(signed: Der, question: Question): Der[] {
  // The version, when it is said, and extensions are of no interest.
  const list = parts(signed).find(({ tag }, i, all) => tag === TAG.sequence && all[i - 1]?.tag === TAG.generalizedTime);
  for (const single of parts(expect(list, TAG.sequence)).slice(0, 64)) {
    const all = parts(expect(single, TAG.sequence));
    if (isAbout(expect(all[0], TAG.sequence), question)) return all;
  }
  throw new OcspError('gave an answer for another certificate');
}

function isAbout(id: Der, { issuerName, issuerKey, serial }: Question): boolean {
  const [algorithm, name, key, number] = parts(id);
  const oid = hexOf(parts(expect(algorithm, TAG.sequence))[0]);
  const hash = oid === SHA1 ? 'sha1' : oid === SHA256 ? 'sha256' : undefined;
  if (hash === undefined) return false;
  const isHashOf = (value: Der | undefined, of: Buffer) =>
    expect(value, TAG.octets).content.equals(createHash(hash).update(of).digest());
  return isHashOf(name, issuerName) && isHashOf(key, issuerKey) && expect(number, TAG.integer).whole.equals(serial);
}

function readSingle([, status, since, ...rest]: Der[], now: number): Omit<OcspAnswer, 'bytes'> {
  const thisUpdate = readTime(since);
  const until = rest.find(({ tag }) => tag === 0xa0);
  // Without an end it would have to be asked for with each handshake.
  if (until === undefined) throw new OcspError('does not say how long its answer is valid');
  const nextUpdate = readTime(readDer(until.content));
  if (thisUpdate > now + SKEW)
    throw new OcspError(`gave an answer that is valid from ${formatTime(thisUpdate)} on; is the clock here right?`);
  if (nextUpdate <= now) throw new OcspError(`gave an answer that was valid until ${formatTime(nextUpdate)}`);
  return { status: readStatus(status), thisUpdate, nextUpdate };
}

function readStatus(status: Der | undefined): Status {
  if (status?.tag === 0x80) return { kind: 'good' };
  if (status?.tag === 0x82) throw new OcspError('does not know this certificate');
  const [at, why] = parts(expect(status, 0xa1));
  const reason = why === undefined ? undefined : readDer(expect(why, 0xa0).content, TAG.enumerated).content[0];
  return { kind: 'revoked', at: readTime(at), why: REASONS[reason ?? 0] || 'unspecified' };
}

const hexOf = (oid: Der | undefined) => expect(oid, TAG.oid).content.toString('hex');

const formatTime = (ms: number) => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
