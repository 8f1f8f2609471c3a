// What OCSP is asked about a certificate: by which number of which issuer it is known, at which responder, and whether it demands the answer.

import { createHash, type X509Certificate } from 'node:crypto';
import { type Der, DerError, expect, parts, readDer, TAG, wholeBits, writeDer } from './der.ts';

/** OIDs by the bytes of their value, as hex. */
export const SHA1 = '2b0e03021a';
export const SHA256 = '608648016503040201';
/** 1.3.6.1.5.5.7.1.24, with status_request (5) as its one feature (RFC 7633 §4.2.3.1). */
const TLS_FEATURE = '2b06010505070118';
const STATUS_REQUEST = 5;

/** A certificate as its issuer knows it (RFC 6960 §4.1.1). */
export interface Question {
  readonly leaf: X509Certificate;
  readonly issuer: X509Certificate;
  /** DER of the issuer's name. */
  readonly issuerName: Buffer;
  /** The issuer's public key, without its algorithm. */
  readonly issuerKey: Buffer;
  /** DER of the integer. */
  readonly serial: Buffer;
}

/** The first http:// URL at which the issuer has a responder; undefined: there is none. */
export function responderOf(leaf: X509Certificate): URL | undefined {
  for (const [, url] of (leaf.infoAccess ?? '').matchAll(/^OCSP - URI:(\S+)$/gm)) {
    const read = URL.canParse(url!) ? new URL(url!) : undefined;
    if (read?.protocol === 'http:' && read.username === '' && read.password === '') return read;
  }
  return undefined;
}

/** Clients that heed the demand refuse it without a stapled answer (RFC 7633). */
export function demandsStaple(leaf: X509Certificate): boolean {
  // Quick, for nearly none has it.
  if (!leaf.raw.includes(TLS_FEATURE, 0, 'hex')) return false;
  try {
    return readDemand(leaf);
  } catch (error) {
    if (error instanceof DerError) return false;
    throw error;
  }
}

function readDemand(leaf: X509Certificate): boolean {
  const extensions = fieldsOf(leaf).find(({ tag }) => tag === 0xa3);
  if (extensions === undefined) return false;
  return parts(readDer(extensions.content, TAG.sequence)).some((extension) => {
    const [id, ...rest] = parts(extension);
    if (id?.content.toString('hex') !== TLS_FEATURE) return false;
    const features = parts(readDer(expect(rest.at(-1), TAG.octets).content, TAG.sequence));
    return features.some(({ content }) => content.length === 1 && content[0] === STATUS_REQUEST);
  });
}

export function questionOf(leaf: X509Certificate, issuer: X509Certificate): Question {
  const [serial, , issuerName] = fieldsOf(leaf);
  const [, , , , , keyInfo] = fieldsOf(issuer);
  return {
    ...{ leaf, issuer, issuerName: issuerName!.whole, serial: expect(serial, TAG.integer).whole },
    issuerKey: wholeBits(parts(keyInfo!)[1]),
  };
}

/** DER of an OCSPRequest without a nonce: its answer may come from a cache, and is for everybody. */
export function writeRequest({ issuerName, issuerKey, serial }: Question): Buffer {
  const hash = (bytes: Buffer) => writeDer(TAG.octets, createHash('sha1').update(bytes).digest());
  const algorithm = writeDer(TAG.sequence, writeDer(TAG.oid, Buffer.from(SHA1, 'hex')), writeDer(TAG.null));
  const id = writeDer(TAG.sequence, algorithm, hash(issuerName), hash(issuerKey), serial);
  const list = writeDer(TAG.sequence, writeDer(TAG.sequence, id));
  return writeDer(TAG.sequence, writeDer(TAG.sequence, list));
}

/** Of the part that is signed (RFC 5280 §4.1), from the serial number on. */
function fieldsOf(certificate: X509Certificate): Der[] {
  const [signed] = parts(readDer(certificate.raw, TAG.sequence));
  const all = parts(expect(signed, TAG.sequence));
  return all[0]?.tag === 0xa0 ? all.slice(1) : all;
}
