// The header of the PROXY protocol, versions 1 and 2 (haproxy.org, doc/proxy-protocol.txt): who stands behind a load balancer that passes on bytes.

import { isIP, SocketAddress } from 'node:net';
import { plainAddress } from '../http/forwarded.ts';

/** Whom a header names. */
export interface ProxySource {
  /** As it is compared and logged: IPv6 in its short form. */
  readonly address: string;
  readonly port: number;
}

export interface ProxyHeader {
  /** What lies behind so many bytes is the client's. */
  readonly length: number;
  /** undefined: nobody (LOCAL, UNKNOWN, what is not of the internet); then the peer speaks for itself. */
  readonly source: ProxySource | undefined;
}

/** Why it is no header, and may never be read on as something else. */
export interface BrokenHeader {
  readonly broken: string;
}

/** `PROXY `. */
const V1_SIGNATURE = Buffer.of(0x50, 0x52, 0x4f, 0x58, 0x59, 0x20);
/** CR LF CR LF NUL CR LF `QUIT` LF: no HTTP begins so. */
const V2_SIGNATURE = Buffer.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
/** With its line end; the longest there can be, by the specification. */
const MAX_V1 = 107;
const V2_HEAD = 16;
/** Extensions included. Senders write some hundred bytes; nginx reads as much. */
const MAX_V2 = 4_096;

/** `more`: it is not whole yet. Keeps nothing: ask again with all bytes. */
export function readProxyHeader(bytes: Buffer): ProxyHeader | BrokenHeader | 'more' {
  if (startsAlike(bytes, V2_SIGNATURE)) return readBinary(bytes);
  if (startsAlike(bytes, V1_SIGNATURE)) return readText(bytes.toString('latin1', 0, MAX_V1));
  return broken('it does not begin with the signature of version 1 or 2');
}

/** True for what is likely a header: for whoever did not expect one. */
export function looksLikeProxyHeader(bytes: Buffer): boolean {
  return [V1_SIGNATURE, V2_SIGNATURE].some((each) => bytes.length >= each.length && startsAlike(bytes, each));
}

/** As far as both go. */
function startsAlike(bytes: Buffer, signature: Buffer): boolean {
  const length = Math.min(bytes.length, signature.length);
  return bytes.compare(signature, 0, length, 0, length) === 0;
}

const broken = (why: string): BrokenHeader => ({ broken: why });

/** `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n`; single spaces, numbers without leading zeros. */
function readText(text: string): ProxyHeader | BrokenHeader | 'more' {
  const end = text.indexOf('\n');
  if (end === -1) return text.length < MAX_V1 ? 'more' : broken('its line has no end within 107 bytes');
  if (text[end - 1] !== '\r') return broken('its line does not end with CR LF');
  const length = end + 1;
  const [, family, from, to, fromPort, toPort, ...others] = text.slice(0, end - 1).split(' ');
  // What follows is not to be looked at.
  if (family === 'UNKNOWN') return { length, source: undefined };
  if (family !== 'TCP4' && family !== 'TCP6') return broken('its family is none of TCP4, TCP6 and UNKNOWN');
  if (toPort === undefined || others.length > 0) return broken('it has not two addresses and two ports');
  const kind = family === 'TCP4' ? 4 : 6;
  if (!isAddress(from!, kind) || !isAddress(to!, kind)) return broken(`an address is none of ${family}`);
  if (!isPort(fromPort!) || !isPort(toPort)) return broken('a port is none');
  return { length, source: { address: shortAddress(from!, kind), port: Number(fromPort) } };
}

/** Node takes a zone behind `%`, too, which has no meaning but on the sender's own machine. */
const isAddress = (text: string, kind: 4 | 6) => isIP(text) === kind && !text.includes('%');

const isPort = (text: string) => /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;

const LOCAL = 0;
const PROXY = 1;
const UNSPECIFIED = 0;
const INET = 1;
const INET6 = 2;
const UNIX = 3;
const STREAM = 1;
const DATAGRAM = 2;
/** Of both addresses and ports. */
const ADDRESS_BYTES: Readonly<Record<number, number>> = { [UNSPECIFIED]: 0, [INET]: 12, [INET6]: 36, [UNIX]: 216 };

function readBinary(bytes: Buffer): ProxyHeader | BrokenHeader | 'more' {
  if (bytes.length < V2_HEAD) return 'more';
  const [version, command] = [bytes[12]! >> 4, bytes[12]! & 15];
  const [family, protocol] = [bytes[13]! >> 4, bytes[13]! & 15];
  const length = V2_HEAD + bytes.readUInt16BE(14);
  if (version !== 2) return broken(`its version is ${version}`);
  if (command !== LOCAL && command !== PROXY) return broken(`its command is ${command}`);
  if (length > MAX_V2) return broken(`it has ${length} bytes, more than ${MAX_V2}`);
  if (bytes.length < length) return 'more';
  // A health check of the sender itself: whatever else it says is not to be looked at.
  if (command === LOCAL) return { length, source: undefined };
  if (family > UNIX || protocol > DATAGRAM) return broken('its family or its protocol is not known');
  const extensions = V2_HEAD + ADDRESS_BYTES[family]!;
  if (length < extensions) return broken('it is too short for its addresses');
  const isNamed = (family === INET || family === INET6) && protocol === STREAM;
  if (!isNamed) return { length, source: undefined };
  const problem = problemOfExtensions(bytes.subarray(0, length), extensions);
  if (problem !== undefined) return broken(problem);
  const size = family === INET ? 4 : 16;
  const address = binaryAddress(bytes.subarray(V2_HEAD, V2_HEAD + size));
  return { length, source: { address, port: bytes.readUInt16BE(V2_HEAD + 2 * size) } };
}

const CHECKSUM = 3;

/** Each a type, a length and a value. Only the checksum over the whole header is looked into. */
function problemOfExtensions(header: Buffer, start: number): string | undefined {
  for (let at = start; at < header.length; ) {
    if (header.length - at < 3) return 'its extensions are cut off';
    const size = header.readUInt16BE(at + 1);
    const value = at + 3;
    if (header.length - value < size) return 'its extensions are cut off';
    if (header[at] === CHECKSUM && (size !== 4 || header.readUInt32BE(value) !== checksum(header, value))) {
      return 'its checksum does not fit';
    }
    at = value + size;
  }
  return undefined;
}

/** CRC32c (RFC 4960, appendix B), by bits: a header is short. The checksum's own four bytes, at `own`, count as zero. */
function checksum(bytes: Buffer, own: number): number {
  let sum = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) {
    sum ^= i >= own && i < own + 4 ? 0 : bytes[i]!;
    for (let bit = 0; bit < 8; bit++) sum = (sum & 1) === 1 ? (sum >>> 1) ^ 0x82f63b78 : sum >>> 1;
  }
  return (sum ^ 0xffffffff) >>> 0;
}

function binaryAddress(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16));
  return shortAddress(groups.join(':'), 6);
}

/** One address, one spelling: limits and trust go by it. */
function shortAddress(text: string, kind: 4 | 6): string {
  if (kind === 4) return text;
  return plainAddress(new SocketAddress({ address: text, family: 'ipv6' }).address);
}
