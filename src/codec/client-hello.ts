// The ClientHello (RFC 8446 §4.1.2), read for what decides which certificate a client gets.

/** What a client wants, and says that it can do. */
export interface ClientOffer {
  /** The host name that it asks for, in lower case; undefined when it does not say. */
  readonly serverName: string | undefined;
  readonly cipherSuites: readonly number[];
  /** Of signatures; empty when it does not say. */
  readonly signatureSchemes: readonly number[];
  readonly tls13: boolean;
  /** Of ALPN, in its order. */
  readonly protocols: readonly string[];
  /** The name of the key of its (first) session ticket, in latin1 (RFC 5077 §4); '' without one. */
  readonly ticketKey: string;
}

/** The first byte of a TLS connection is that of a handshake record (RFC 8446 §5.1). */
export const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
/** Post-quantum key shares make it some kB; a longer one is for the library to answer. */
const MAX_HELLO = 16_384;
/** One or two are usual; it is looked at again with every piece that comes. */
const MAX_RECORDS = 8;
const SERVER_NAME = 0;
const SIGNATURE_ALGORITHMS = 13;
const APPLICATION_PROTOCOLS = 16;
const SESSION_TICKET = 35;
const PRE_SHARED_KEY = 41;
const SUPPORTED_VERSIONS = 43;
const TLS_1_3 = 0x0304;
const KEY_NAME_BYTES = 16;

/** `more`: what has come is only its beginning; undefined: this is none, which is for the TLS library to answer. */
export function readClientHello(bytes: Uint8Array): ClientOffer | 'more' | undefined {
  const message = joinRecords(bytes);
  if (message === 'more' || message === undefined) return message;
  const reader = new Reader(message);
  // Version, random, session id.
  reader.skip(2 + 32);
  reader.skip(reader.number(1));
  const cipherSuites = reader.numbers(reader.number(2));
  // Compression methods.
  reader.skip(reader.number(1));
  let signatureSchemes: readonly number[] = [];
  let protocols: readonly string[] = [];
  let serverName: string | undefined;
  let ticketKey = '';
  let tls13 = false;
  const end = reader.left >= 2 ? reader.number(2) : 0;
  if (reader.broken || end !== reader.left) return undefined;
  while (reader.left > 0) {
    const type = reader.number(2);
    const extension = new Reader(reader.bytes(reader.number(2)));
    if (reader.broken) return undefined;
    if (type === SERVER_NAME) serverName = hostName(extension);
    if (type === SIGNATURE_ALGORITHMS) signatureSchemes = extension.numbers(extension.number(2));
    if (type === APPLICATION_PROTOCOLS) protocols = extension.texts(extension.number(2));
    if (type === SESSION_TICKET) ticketKey = keyName(extension.bytes(extension.left));
    if (type === PRE_SHARED_KEY) ticketKey = keyName(firstIdentity(extension));
    if (type === SUPPORTED_VERSIONS) tls13 = extension.numbers(extension.number(1)).includes(TLS_1_3);
    if (extension.broken) return undefined;
  }
  return { serverName, cipherSuites, signatureSchemes, tls13, protocols, ticketKey };
}

/** The body of the first handshake message, which may lie in several records. Cheap as long as it is not whole. */
function joinRecords(bytes: Uint8Array): Uint8Array | 'more' | undefined {
  const parts: Uint8Array[] = [];
  let length = 0;
  for (let at = 0; parts.length < MAX_RECORDS; ) {
    if (bytes.length > at && bytes[at] !== HANDSHAKE) return undefined;
    if (bytes.length < at + 5) return 'more';
    const size = (bytes[at + 3]! << 8) | bytes[at + 4]!;
    if (size === 0 || length + size > MAX_HELLO) return undefined;
    if (bytes.length < at + 5 + size) return 'more';
    parts.push(bytes.subarray(at + 5, at + 5 + size));
    length += size;
    at += 5 + size;
    const message = length < 4 ? undefined : join(parts, length);
    if (message === undefined) continue;
    const body = (message[1]! << 16) | (message[2]! << 8) | message[3]!;
    if (message[0] !== CLIENT_HELLO || body > MAX_HELLO) return undefined;
    if (length >= 4 + body) return message.subarray(4, 4 + body);
  }
  return undefined;
}

function join(parts: readonly Uint8Array[], length: number): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** RFC 6066 §3: a list of names, each behind its kind; there is one kind, 0, and one name of it. */
function hostName(extension: Reader): string | undefined {
  extension.number(2);
  const kind = extension.number(1);
  const name = extension.bytes(extension.number(2));
  if (extension.broken || extension.left > 0 || kind !== 0 || name.length === 0) extension.broken = true;
  return extension.broken ? undefined : String.fromCharCode(...name).toLowerCase();
}

/** A ticket of the library begins with the name of its key. */
function keyName(ticket: Uint8Array): string {
  return ticket.length < KEY_NAME_BYTES ? '' : String.fromCharCode(...ticket.subarray(0, KEY_NAME_BYTES));
}

/** RFC 8446 §4.2.11: a list of identities, each behind its length and before its age. It is the last extension, so it wins over a ticket of TLS 1.2. */
function firstIdentity(extension: Reader): Uint8Array {
  extension.number(2);
  return extension.bytes(extension.number(2));
}

/** Numbers, most significant byte first. What lies behind the end is 0 and makes it broken. */
class Reader {
  broken = false;
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  number(length: 1 | 2): number {
    const [high = 0, low = 0] = this.bytes(length);
    return length === 1 ? high : (high << 8) | low;
  }

  /** Of two bytes each, in so many bytes. */
  numbers(length: number): number[] {
    const list = new Reader(this.bytes(length));
    const numbers: number[] = [];
    while (list.left >= 2) numbers.push(list.number(2));
    return numbers;
  }

  /** Each behind its length in one byte, in so many bytes (RFC 7301 §3.1). */
  texts(length: number): string[] {
    const list = new Reader(this.bytes(length));
    const texts: string[] = [];
    while (list.left > 0) texts.push(String.fromCharCode(...list.bytes(list.number(1))));
    if (list.broken) this.broken = true;
    return texts;
  }

  bytes(length: number): Uint8Array {
    if (this.left < length) this.broken = true;
    const start = this.#at;
    this.#at = Math.min(this.#bytes.length, start + length);
    return this.#bytes.subarray(start, this.#at);
  }

  skip(length: number): void {
    this.bytes(length);
  }
}
