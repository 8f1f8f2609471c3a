// Revocation lists (RFC 5280 §5): read as far as it takes to say whose they are and how long they hold; who stands on one the TLS library looks up.

import { verify, type X509Certificate } from 'node:crypto';
import { readBlocks } from './pem.ts';
import type { Problem } from './problem.ts';
import { type NamedFile, readNamedFile, report } from './source-file.ts';

export interface RevocationList {
  /** `block 2 (line 31)`, or '' where the file is one list in DER. */
  readonly where: string;
  readonly pem: string;
  readonly from: Date;
  /** When the next one is due; undefined: it does not say. */
  readonly until: Date | undefined;
  /** Whether this authority signed it; undefined: by an algorithm that is not known here. */
  isOf(authority: X509Certificate): boolean | undefined;
}

/** Every worker holds it: some 100,000 entries. */
const MAX_LIST_BYTES = 4 * 1024 * 1024;
const LABELS = ['X509 CRL', 'CRL'];

/** PEM with any number of them, or one in DER. undefined: they cannot be read, and problems were reported. */
export function readRevocationLists(source: NamedFile, problems: Problem[]): RevocationList[] | undefined {
  const content = readNamedFile(source, problems, MAX_LIST_BYTES);
  const blocks = content === undefined ? undefined : readBlocks(content.bytes, source, problems);
  if (content === undefined || blocks === undefined) return undefined;
  const found =
    blocks.length === 0
      ? [{ where: '', der: content.bytes }]
      : blocks
          .filter(({ label }) => LABELS.includes(label))
          .map(({ where, pem }) => ({ where, der: Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64') }));
  const lists = found.map(({ where, der }) => readList(where, der));
  if (lists.length > 0 && lists.every((each) => each !== undefined)) return lists;
  const broken = lists.indexOf(undefined);
  const place = broken === -1 ? '' : found[broken]!.where;
  const what = broken === -1 || place === '' ? 'holds no revocation list' : `has a damaged revocation list in ${place}`;
  report(problems, source, what, `let ${source.name} name the list of the authority (PEM or DER), or copy it again`);
  return undefined;
}

const SEQUENCE = 0x30;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;

/** undefined: it is damaged, or something else. */
function readList(where: string, der: Buffer): RevocationList | undefined {
  const [whole, ...behind] = valuesIn(der) ?? [];
  const [signed, algorithm, signature, ...others] = inside(whole, SEQUENCE) ?? [];
  const fields = inside(signed, SEQUENCE);
  const [oid] = inside(algorithm, SEQUENCE) ?? [];
  if (behind.length > 0 || others.length > 0 || fields === undefined || oid === undefined) return undefined;
  if (signature?.tag !== BIT_STRING) return undefined;
  // Version (there since version 2), algorithm, issuer, this update, next update.
  const at = fields[0]?.tag === INTEGER ? 3 : 2;
  const from = timeOf(fields[at]);
  if (from === undefined) return undefined;
  const next = fields[at + 1];
  const isDated = next?.tag === UTC_TIME || next?.tag === GENERALIZED_TIME;
  const until = isDated ? timeOf(next) : undefined;
  if (isDated && until === undefined) return undefined;
  const digest = DIGESTS[oid.content.toString('hex')];
  return {
    where,
    pem: `-----BEGIN X509 CRL-----\n${der
      .toString('base64')
      .match(/.{1,64}/g)!
      .join('\n')}\n-----END X509 CRL-----\n`,
    ...{ from, until },
    isOf: ({ publicKey }) => {
      if (digest === undefined) return undefined;
      try {
        return verify(digest, signed!.whole, publicKey, signature.content.subarray(1));
      } catch {
        // A key of another kind.
        return false;
      }
    },
  };
}

/** By the object identifier of the signature: RSA (PKCS#1), ECDSA and EdDSA; null: the key says it all. */
const DIGESTS: Readonly<Record<string, string | null>> = {
  '2a864886f70d010105': 'sha1',
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2a8648ce3d0401': 'sha1',
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
  '2b6570': null,
  '2b6571': null,
};

interface Value {
  readonly tag: number;
  readonly content: Buffer;
  readonly whole: Buffer;
}

function inside(value: Value | undefined, tag: number): Value[] | undefined {
  return value?.tag === tag ? valuesIn(value.content) : undefined;
}

/** DER values one behind the other; undefined: they are cut off. What is in them is not looked at. */
function valuesIn(bytes: Buffer): Value[] | undefined {
  const values: Value[] = [];
  for (let at = 0; at < bytes.length; ) {
    const short = bytes[at + 1] ?? 0x80;
    const more = short < 0x80 ? 0 : short - 0x80;
    // No definite length, or one that nothing here can have.
    if (short === 0x80 || more > 4 || at + 2 + more > bytes.length) return undefined;
    const length = more === 0 ? short : bytes.readUIntBE(at + 2, more);
    const start = at + 2 + more;
    if (start + length > bytes.length) return undefined;
    const end = start + length;
    values.push({ tag: bytes[at]!, content: bytes.subarray(start, end), whole: bytes.subarray(at, end) });
    at = end;
  }
  return values;
}

/** RFC 5280 §4.1.2.5: in UTC, to the second; two digits of a year are of 1950 to 2049. */
function timeOf(value: Value | undefined): Date | undefined {
  const text = value?.content.toString('latin1') ?? '';
  const parts = /^(\d{4}|\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/.exec(text);
  if (parts === null || parts[1]!.length !== (value!.tag === UTC_TIME ? 2 : 4)) return undefined;
  const [year, month, day, hour, minute, second] = parts.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const full = year >= 100 ? year : year < 50 ? 2000 + year : 1900 + year;
  return new Date(Date.UTC(full, month - 1, day, hour, minute, second));
}
