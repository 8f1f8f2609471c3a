// DER read strictly and written: as much of it as certificates and OCSP need.

/** One value, with its tag byte. */
export interface Der {
  readonly tag: number;
  readonly content: Buffer;
  /** With tag and length. */
  readonly whole: Buffer;
}

export const TAG = Object.freeze({
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  generalizedTime: 0x18,
  sequence: 0x30,
});

/** What was read is no DER, or another thing than it should be. */
export class DerError extends Error {
  override readonly name = 'DerError';
}

/** Exactly one value, to the last byte. */
export function readDer(bytes: Buffer, tag?: number): Der {
  const read = readNext(bytes);
  if (read.whole.length !== bytes.length) throw new DerError('there is something behind the value');
  return expect(read, tag);
}

/** The values in one. */
export function parts({ content }: Der): Der[] {
  const found: Der[] = [];
  for (let rest = content; rest.length > 0; ) {
    const next = readNext(rest);
    found.push(next);
    rest = rest.subarray(next.whole.length);
  }
  return found;
}

/** The value, when it is what is wanted. */
export function expect(value: Der | undefined, tag: number | undefined): Der {
  if (value === undefined) throw new DerError('a value is missing');
  if (tag !== undefined && value.tag !== tag) throw new DerError(`there is tag ${value.tag} in place of ${tag}`);
  return value;
}

/** The bytes of a bit string that has only whole bytes. */
export function wholeBits(value: Der | undefined): Buffer {
  const { content } = expect(value, TAG.bits);
  if (content[0] !== 0) throw new DerError('a bit string ends within a byte');
  return content.subarray(1);
}

/** `YYYYMMDDHHMMSSZ`, the one form that RFC 5280 §4.1.2.5.2 allows. In ms of the wall clock. */
export function readTime(value: Der | undefined): number {
  const text = expect(value, TAG.generalizedTime).content.toString('latin1');
  const read = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  const at =
    read === null ? Number.NaN : Date.parse(text.replace(/^(....)(..)(..)(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  if (Number.isNaN(at)) throw new DerError('a time is none');
  return at;
}

export function writeDer(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content]);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(length);
  const short = size.subarray(size.findIndex((byte) => byte !== 0));
  return Buffer.concat([Buffer.of(tag, 0x80 | short.length), short, content]);
}

function readNext(bytes: Buffer): Der {
  const [tag, first] = bytes;
  if (tag === undefined || first === undefined) throw new DerError('it is cut off');
  if ((tag & 0x1f) === 0x1f) throw new DerError('a tag has more than one byte');
  let length = first;
  let begin = 2;
  if (first >= 0x80) {
    const size = first & 0x7f;
    // No length without an end, none that is longer than it must be: DER has one way to say it.
    if (size === 0 || size > 4 || bytes.length < 2 + size) throw new DerError('a length is none');
    length = bytes.readUIntBE(2, size);
    begin += size;
    if (length < 0x80 || bytes[2] === 0) throw new DerError('a length is longer than it must be');
  }
  if (bytes.length < begin + length) throw new DerError('it is cut off');
  return { tag, content: bytes.subarray(begin, begin + length), whole: bytes.subarray(0, begin + length) };
}
