// Single values as operators write them, read strictly: durations, sizes, addresses, names, paths, endpoints.

import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import { type Authority, hasDotSegment, readAuthority } from '../http/target.ts';
import type { Endpoint } from '../model/snapshot.ts';

/** Why a value is refused: continues its place (`is "x", which is no duration`), and what to give instead. */
export class Wrong {
  readonly message: string;
  readonly hint: string;

  constructor(message: string, hint: string) {
    this.message = message;
    this.hint = hint;
  }
}

/** In ms. Timers of more than 24 days would run out at once. */
const MAX_DURATION = 24 * 3_600_000;
/** So many are told apart by a bit set. */
export const MAX_ENDPOINTS = 31;

const UNITS = { s: 1_000, m: 60_000, h: 3_600_000 } as const;
const SIZES = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 } as const;

export function readWhole(text: string, least: number, most: number): number | Wrong {
  const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= least && number <= most) return number;
  return new Wrong(`is "${text}"`, `give a whole number from ${least} to ${most}`);
}

/** Seconds, or a number with s, m or h; in ms. */
export function readDuration(text: string, least: number): number | Wrong {
  const parts = /^(\d{1,6})\s*(s|m|h)?$/.exec(text);
  if (parts === null) {
    return new Wrong(`is "${text}", which is no duration`, 'give seconds, like 30 or 30s, or minutes, like 2m');
  }
  const duration = Number(parts[1]) * UNITS[(parts[2] ?? 's') as keyof typeof UNITS];
  if (duration < least) return new Wrong(`is "${text}", which is too short`, `give at least ${least / 1_000} s`);
  if (duration > MAX_DURATION) return new Wrong(`is "${text}", which is too long`, 'give at most 24h');
  return duration;
}

/** In the largest unit that says it exactly; all durations that can be read are whole seconds. */
export function writeDuration(ms: number): string {
  const unit = (['h', 'm'] as const).find((each) => ms % UNITS[each] === 0 && ms > 0) ?? 's';
  return `${ms / UNITS[unit]}${unit}`;
}

/** A number of bytes, or with k, m or g (powers of 1024). */
export function readBytes(text: string, least: number, most: number): number | Wrong {
  const parts = /^(\d{1,15})\s*([kmg])?(?:i?b)?$/i.exec(text);
  const unit = (parts?.[2] ?? '').toLowerCase() as keyof typeof SIZES;
  const bytes = parts === null ? Number.NaN : Number(parts[1]) * SIZES[unit];
  if (bytes >= least && bytes <= most) return bytes;
  return new Wrong(`is "${text}"`, `give bytes, or a number with k, m or g, like 64k; from ${least} to ${most} bytes`);
}

/** In the largest unit that says it exactly. */
export function writeBytes(bytes: number): string | number {
  const unit = (['g', 'm', 'k'] as const).find((each) => bytes % SIZES[each] === 0 && bytes > 0);
  return unit === undefined ? bytes : `${bytes / SIZES[unit]}${unit}`;
}

/** A host, or host:port, that can be asked for: an address, or a name that DNS can hold. */
export function readPlace(text: string): Authority | undefined {
  const authority = readAuthority(text);
  return authority === undefined || !isHost(authority.host) ? undefined : authority;
}

/** What looks like an address and is none, DNS does not know, and the system may read as another one (`010.0.0.1`, `127.1`). */
function isHost(host: string): boolean {
  if (host.startsWith('[')) return isIP(host.slice(1, -1)) === 6;
  const labels = host.split('.');
  if (/^(?:\d+|0x[0-9a-f]*)$/.test(labels.at(-1)!)) return isIP(host) === 4;
  return host.length <= 253 && labels.every((label) => label.length <= 63);
}

/** A host, or host:port, as it is written in a Host field. */
export function readHost(text: string): string | Wrong {
  if (readPlace(text) !== undefined) return text;
  return new Wrong(
    `is "${text}", which is no host name`,
    spellingHint(text) ?? 'give a host, or host:port, without https://',
  );
}

/** Of a name that is right but for how it is written: letters beyond those of DNS are encoded there (RFC 5891). */
export function spellingHint(text: string): string | undefined {
  if (/[^.]\.$/.test(text)) return 'leave out the dot at its end';
  const ascii = /[^\x00-\x7f]/.test(text) ? domainToASCII(text) : '';
  return ascii === '' ? undefined : `write it as ${ascii}`;
}

export function readAddress(text: string): string | Wrong {
  if (isIP(text) !== 0) return text;
  const hint = 'give an address of this machine, like 0.0.0.0 or 127.0.0.1';
  return new Wrong(`is "${text}", which is no IP address`, hint);
}

/** True for an address, or a network like `172.16.0.0/12`. */
export function isNetwork(text: string): boolean {
  const [address, bits, more] = text.split('/');
  const family = isIP(address ?? '');
  // A zone behind `%` would not be heeded.
  if (family === 0 || more !== undefined || text.includes('%')) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}

/** True for a network that holds all addresses of its family. */
export const isEverybody = (network: string) => /\/0+$/.test(network);

/** In lower case. */
export function readHostName(text: string): string | Wrong {
  const place = readPlace(text);
  if (place !== undefined && place.port === undefined && !text.includes('/')) return place.host;
  const hint = spellingHint(text) ?? 'give the name alone, without https://, port or path';
  return new Wrong(`is "${text}", which is no host name`, hint);
}

/** A path of whole segments, without a slash at its end; '' for all paths where that is allowed. */
export function readPath(text: string, mayBeAll: boolean): string | Wrong {
  const trimmed = text.replace(/\/+$/, '');
  if (mayBeAll && text === '/') return '';
  if (trimmed.endsWith('/*')) {
    return new Wrong(`is "${text}"`, 'leave out the * at its end: a path is for all that is below it');
  }
  if (/^(?:\/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+$/.test(trimmed) && !hasDotSegment(trimmed)) {
    return trimmed;
  }
  return new Wrong(
    `is "${text}", which is no path prefix`,
    mayBeAll
      ? 'start it with a slash, like /_api; / is all paths'
      : 'start it with a slash and give at least one segment, like /_api',
  );
}

/** `host`, `host:port` or an http(s) URL without a path; a string is what is wrong with it. */
export function readEndpoint(text: string): Endpoint | string {
  const url = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)(.*)$/i.exec(text);
  const scheme = url?.[1]?.toLowerCase() ?? 'http';
  if (scheme !== 'http' && scheme !== 'https') return `the scheme ${scheme} is not http or https`;
  const rest = url?.[3] ?? '';
  if (rest !== '' && rest !== '/') return 'it has a path, and paths are passed on as they come';
  const authority = url?.[2] ?? text;
  if (authority.includes('@')) return 'it has a user name or password, which is not sent to upstreams';
  if (/^\d{1,5}$/.test(authority)) return 'this is a port, and the host before it is missing';
  // An IPv6 address without brackets would be read as host and port.
  const read = isIP(authority) === 6 ? { host: `[${authority}]`, port: undefined } : readPlace(authority);
  if (read === undefined || read.port === 0) return 'this is no valid host and port';
  const tls = scheme === 'https';
  return { host: read.host.replace(/^\[|\]$/g, '').toLowerCase(), port: read.port ?? (tls ? 443 : 80), tls };
}

/** For messages: without the name and the password that a URL may have. */
export function withoutUser(url: string): string {
  return url.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/i, '$1***@');
}

/** As a URL that reads back the same. */
export function writeEndpoint({ host, port, tls }: Endpoint): string {
  const scheme = tls ? 'https' : 'http';
  const authority = host.includes(':') ? `[${host}]` : host;
  return `${scheme}://${authority}${port === (tls ? 443 : 80) ? '' : `:${port}`}`;
}
