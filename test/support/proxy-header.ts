// Makes headers of the PROXY protocol, byte by byte.

import { isIP } from 'node:net';

export const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

export interface BinaryParts {
  /** Version and command, 0x21: PROXY. */
  readonly command?: number;
  /** Family and protocol, 0x11: TCP over IPv4. */
  readonly family?: number;
  readonly addresses?: Buffer;
  readonly extensions?: Buffer;
  /** In place of the true one. */
  readonly length?: number;
}

export function binaryHeader(parts: BinaryParts = {}): Buffer {
  const { command = 0x21, family = 0x11, addresses = ipv4(), extensions = Buffer.alloc(0), length } = parts;
  const head = Buffer.alloc(4);
  head[0] = command;
  head[1] = family;
  head.writeUInt16BE(length ?? addresses.length + extensions.length, 2);
  return Buffer.concat([SIGNATURE, head, addresses, extensions]);
}

/** Addresses and ports: from 192.0.2.1:56324 unless told. */
export function ipv4(from = '192.0.2.1', port = 56_324): Buffer {
  const bytes = Buffer.from([...from.split('.').map(Number), 198, 51, 100, 1, 0, 0, 1, 187]);
  bytes.writeUInt16BE(port, 8);
  return bytes;
}

export function textHeader(from = '192.0.2.1', port = 56_324): string {
  return isIP(from) === 6
    ? `PROXY TCP6 ${from} 2001:db8::ff ${port} 443\r\n`
    : `PROXY TCP4 ${from} 198.51.100.1 ${port} 443\r\n`;
}

export function extension(type: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.of(type, value.length >> 8, value.length & 0xff), value]);
}
