// PKCS#12 stores (.pfx, .p12; RFC 7292): opened by their password, and taken apart into certificates and keys.

import { createDecipheriv, createHash, createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto';
import { type AsnType, Constructed, fromBER, Integer, ObjectIdentifier, OctetString, Sequence } from 'asn1js';
import { decryptRc2 } from './rc2.ts';

export interface Store {
  /** DER. */
  readonly certificates: readonly Uint8Array[];
  /** PKCS#8, DER, not encrypted. */
  readonly keys: readonly Uint8Array[];
}

/** Why it cannot be opened. */
export type Refusal = 'password' | 'damaged' | { readonly unsupported: string };

/** True for bytes that begin as a store does: a sequence whose first member is the version 3. */
export function looksLikeStore(bytes: Uint8Array): boolean {
  if (bytes[0] !== 0x30) return false;
  const at = bytes[1]! < 0x81 ? 2 : 2 + (bytes[1]! & 0x7f);
  return bytes[at] === 0x02 && bytes[at + 1] === 0x01 && bytes[at + 2] === 0x03;
}

/** Opens a store. `password` undefined: one without a password. */
export function openStore(bytes: Uint8Array, password: string | undefined): Store | Refusal {
  try {
    return new StoreReader(password).read(bytes);
  } catch (error) {
    if (error instanceof Refused) return error.why;
    // Whatever is not as the RFC has it makes some step above fail.
    return 'damaged';
  }
}

class Refused extends Error {
  readonly why: Refusal;

  constructor(why: Refusal) {
    super('refused');
    this.why = why;
  }
}

const OID = {
  data: '1.2.840.113549.1.7.1',
  encryptedData: '1.2.840.113549.1.7.6',
  keyBag: '1.2.840.113549.1.12.10.1.1',
  shroudedKeyBag: '1.2.840.113549.1.12.10.1.2',
  certBag: '1.2.840.113549.1.12.10.1.3',
  safeContentsBag: '1.2.840.113549.1.12.10.1.6',
  x509Certificate: '1.2.840.113549.1.9.22.1',
  pbes2: '1.2.840.113549.1.5.13',
  pbkdf2: '1.2.840.113549.1.5.12',
  pbmac1: '1.2.840.113549.1.5.14',
} as const;

const HASHES: Readonly<Record<string, string>> = {
  '1.3.14.3.2.26': 'sha1',
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
  '1.2.840.113549.2.7': 'sha1',
  '1.2.840.113549.2.9': 'sha256',
  '1.2.840.113549.2.10': 'sha384',
  '1.2.840.113549.2.11': 'sha512',
};

/** Of PBES2. */
const CIPHERS: Readonly<Record<string, { readonly name: string; readonly keyBytes: number }>> = {
  '2.16.840.1.101.3.4.1.2': { name: 'aes-128-cbc', keyBytes: 16 },
  '2.16.840.1.101.3.4.1.22': { name: 'aes-192-cbc', keyBytes: 24 },
  '2.16.840.1.101.3.4.1.42': { name: 'aes-256-cbc', keyBytes: 32 },
  '1.2.840.113549.3.7': { name: 'des-ede3-cbc', keyBytes: 24 },
};

/** Of PKCS#12 itself, all with SHA-1 (RFC 7292 appendix C). */
const OLD_CIPHERS: Readonly<Record<string, { readonly keyBytes: number; readonly rc2: boolean }>> = {
  '1.2.840.113549.1.12.1.3': { keyBytes: 24, rc2: false },
  '1.2.840.113549.1.12.1.5': { keyBytes: 16, rc2: true },
  '1.2.840.113549.1.12.1.6': { keyBytes: 5, rc2: true },
};

/** A few hundred thousand are usual; more than this would hold us for minutes. */
const MAX_ITERATIONS = 10_000_000;
const MAX_DEPTH = 4;

class StoreReader {
  readonly #certificates: Uint8Array[] = [];
  readonly #keys: Uint8Array[] = [];
  /** As PKCS#12 has it: UTF-16 with two zero bytes behind. */
  #old: Uint8Array;
  readonly #new: Uint8Array;

  constructor(password: string | undefined) {
    const text = password ?? '';
    this.#old = Buffer.from(`${text}\0`, 'utf16le').swap16();
    this.#new = Buffer.from(text);
  }

  read(bytes: Uint8Array): Store {
    const [, authSafe, macData] = members(parse(bytes));
    const [type, content] = members(authSafe);
    if (oid(type) !== OID.data) throw new Refused({ unsupported: 'a signature in place of a password' });
    const safe = octets(inner(content));
    if (macData !== undefined) this.#checkMac(members(macData), safe);
    for (const info of members(parse(safe))) this.#readInfo(info);
    return { certificates: this.#certificates, keys: this.#keys };
  }

  #checkMac([digestInfo, salt, iterations]: readonly AsnType[], safe: Uint8Array): void {
    const [algorithm, digest] = members(digestInfo);
    const [type, parameters] = members(algorithm);
    const expected = octets(digest);
    if (oid(type) === OID.pbmac1) {
      const [derivation, scheme] = members(parameters);
      const hash = hashOf(members(scheme)[0]);
      const key = this.#pbkdf2(derivation, undefined);
      return confirm(createHmac(hash, key).update(safe).digest(), expected);
    }
    const hash = hashOf(type);
    const count = iterations === undefined ? 1 : whole(iterations);
    const size = createHash(hash).digest().length;
    const mac = () =>
      createHmac(hash, this.#derive(3, hash, octets(salt), count, size))
        .update(safe)
        .digest();
    // Some write "no password" as no bytes at all.
    if (this.#new.length === 0 && !equal(mac(), expected)) this.#old = new Uint8Array(0);
    confirm(mac(), expected);
  }

  /** A part of the store: as it is, or encrypted. */
  #readInfo(info: AsnType): void {
    const [type, content] = members(info);
    switch (oid(type)) {
      case OID.data:
        return this.#readBags(octets(inner(content)), 0);
      case OID.encryptedData: {
        const [, algorithm, encrypted] = members(members(inner(content))[1]);
        return this.#readBags(this.#decrypt(algorithm, octets(encrypted)), 0);
      }
      default:
        throw new Refused({ unsupported: 'encryption for the holder of another key' });
    }
  }

  #readBags(bytes: Uint8Array, depth: number): void {
    for (const bag of members(parse(bytes))) {
      const [type, content] = members(bag);
      const value = inner(content);
      switch (oid(type)) {
        case OID.keyBag:
          this.#keys.push(der(value));
          break;
        case OID.shroudedKeyBag: {
          const [algorithm, encrypted] = members(value);
          this.#keys.push(this.#decrypt(algorithm, octets(encrypted)));
          break;
        }
        case OID.certBag: {
          const [kind, certificate] = members(value);
          if (oid(kind) === OID.x509Certificate) this.#certificates.push(octets(inner(certificate)));
          break;
        }
        case OID.safeContentsBag:
          if (depth === MAX_DEPTH) throw new Refused('damaged');
          this.#readBags(der(value), depth + 1);
          break;
        // Revocation lists and secrets are nothing to us.
      }
    }
  }

  #decrypt(algorithm: AsnType | undefined, bytes: Uint8Array): Uint8Array {
    const [type, parameters] = members(algorithm);
    const name = oid(type);
    if (name === OID.pbes2) {
      const [derivation, scheme] = members(parameters);
      const [cipherType, iv] = members(scheme);
      const cipher = CIPHERS[oid(cipherType)];
      if (cipher === undefined) throw new Refused({ unsupported: `the cipher ${oid(cipherType)}` });
      return decipher(cipher.name, this.#pbkdf2(derivation, cipher.keyBytes), octets(iv), bytes);
    }
    const old = OLD_CIPHERS[name];
    if (old === undefined) throw new Refused({ unsupported: `the cipher ${name}` });
    const [salt, iterations] = members(parameters);
    const key = this.#derive(1, 'sha1', octets(salt), whole(iterations), old.keyBytes);
    const iv = this.#derive(2, 'sha1', octets(salt), whole(iterations), 8);
    if (!old.rc2) return decipher('des-ede3-cbc', key, iv, bytes);
    const plain = decryptRc2(key, iv, bytes, old.keyBytes * 8);
    if (plain === undefined) throw new Refused('password');
    return plain;
  }

  #pbkdf2(derivation: AsnType | undefined, keyBytes: number | undefined): Uint8Array {
    const [type, parameters] = members(derivation);
    if (oid(type) !== OID.pbkdf2) throw new Refused({ unsupported: `the key derivation ${oid(type)}` });
    const [salt, iterations, ...rest] = members(parameters);
    const given = rest.find((each) => each instanceof Integer);
    const hash = rest.find((each) => each instanceof Sequence);
    const length = keyBytes ?? (given === undefined ? 0 : whole(given));
    if (length < 1 || length > 64) throw new Refused('damaged');
    return pbkdf2Sync(
      this.#new,
      octets(salt),
      whole(iterations),
      length,
      hash === undefined ? 'sha1' : hashOf(members(hash)[0]),
    );
  }

  /** RFC 7292 appendix B.2. `id`: 1 for a key, 2 for an IV, 3 for a MAC. */
  #derive(id: number, hash: string, salt: Uint8Array, iterations: number, length: number): Uint8Array {
    const v = hash === 'sha384' || hash === 'sha512' ? 128 : 64;
    const input = Buffer.concat([fill(salt, v), fill(this.#old, v)]);
    const made: Buffer[] = [];
    for (let size = 0; size < length; size += made.at(-1)!.length) {
      let a = createHash(hash).update(Buffer.alloc(v, id)).update(input).digest();
      for (let i = 1; i < iterations; i++) a = createHash(hash).update(a).digest();
      made.push(a);
      const b = fill(a, v).subarray(0, v);
      for (let at = 0; at < input.length; at += v) addOne(input.subarray(at, at + v), b);
    }
    return Buffer.concat(made).subarray(0, length);
  }
}

/** Again and again, up to a whole number of blocks. */
function fill(bytes: Uint8Array, v: number): Uint8Array {
  const length = v * Math.ceil(bytes.length / v);
  return Uint8Array.from({ length }, (_, i) => bytes[i % bytes.length]!);
}

/** block = block + b + 1, as numbers of so many bytes. */
function addOne(block: Uint8Array, b: Uint8Array): void {
  let carry = 1;
  for (let i = block.length - 1; i >= 0; i--) {
    carry += block[i]! + b[i]!;
    block[i] = carry & 0xff;
    carry >>= 8;
  }
}

function decipher(name: string, key: Uint8Array, iv: Uint8Array, bytes: Uint8Array): Uint8Array {
  const opened = createDecipheriv(name, key, iv);
  try {
    return Buffer.concat([opened.update(bytes), opened.final()]);
  } catch {
    // The padding does not come out.
    throw new Refused('password');
  }
}

function confirm(made: Uint8Array, expected: Uint8Array): void {
  if (!equal(made, expected)) throw new Refused('password');
}

const equal = (one: Uint8Array, other: Uint8Array) => one.length === other.length && timingSafeEqual(one, other);

/** One element; what stands behind it is left out. */
function parse(bytes: Uint8Array): AsnType {
  const { offset, result } = fromBER(bytes);
  if (offset === -1) throw new Refused('damaged');
  return result;
}

function members(element: AsnType | undefined): AsnType[] {
  if (!(element instanceof Constructed)) throw new Refused('damaged');
  return element.valueBlock.value as AsnType[];
}

/** What an explicit tag holds. */
const inner = (element: AsnType | undefined) => members(element)[0]!;

/** Of an OCTET STRING, with its tag or with another one in its place, whole or in pieces. */
function octets(element: AsnType | undefined): Uint8Array {
  if (element instanceof OctetString) return new Uint8Array(element.getValue());
  if (element instanceof Constructed) return Buffer.concat(members(element).map(octets));
  const bytes = (element?.valueBlock as { valueHexView?: Uint8Array } | undefined)?.valueHexView;
  if (bytes === undefined) throw new Refused('damaged');
  return bytes;
}

const der = (element: AsnType): Uint8Array => element.valueBeforeDecodeView;

function oid(element: AsnType | undefined): string {
  if (!(element instanceof ObjectIdentifier)) throw new Refused('damaged');
  return element.getValue();
}

function hashOf(element: AsnType | undefined): string {
  const hash = HASHES[oid(element)];
  if (hash === undefined) throw new Refused({ unsupported: `the hash ${oid(element)}` });
  return hash;
}

/** A number of iterations or bytes. */
function whole(element: AsnType | undefined): number {
  if (!(element instanceof Integer)) throw new Refused('damaged');
  const value = element.valueBlock.valueDec;
  if (!(value >= 1 && value <= MAX_ITERATIONS)) throw new Refused('damaged');
  return value;
}
