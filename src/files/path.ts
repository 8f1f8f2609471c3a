// Path: the names below the root that a path as sent stands for.

/** A path that was read: the names below the root, and whether it ends with a slash. */
export interface Wanted {
  readonly names: readonly string[];
  readonly folder: boolean;
}

/** The root itself, asked for without its slash: by the prefix that it is mounted under, and nothing else. */
const ROOT: Wanted = Object.freeze({ names: [], folder: false });
/** A name that begins with a dot, also behind a slash that is encoded: `.git`, `.env`, `..`. */
const DOT_NAME = /(?:[/\\]|%2f|%5c)(?:\.|%2e)/i;
/** RFC 8615. */
const WELL_KNOWN = /^\/+\.well-known(?=\/)/;

/**
 * Reads a path strictly and decodes it once. Undefined when no file can have it: a bad escape, an encoded slash, a backslash, a
 * control byte, no UTF-8. `hidden`: it names something behind a dot.
 */
export function readPath(path: string): Wanted | 'hidden' | undefined {
  const question = path.indexOf('?');
  const only = question === -1 ? path : path.slice(0, question);
  if (only === '') return ROOT;
  if (only.charCodeAt(0) !== 0x2f) return undefined;
  if (DOT_NAME.test(only.replace(WELL_KNOWN, ''))) return 'hidden';
  if (/[\\\x00-\x1f\x7f]|%(?:2f|5c|[01][0-9a-f]|7f|(?![0-9a-f]{2}))/i.test(only)) return undefined;
  const decoded = decodeOnce(only);
  if (decoded === undefined) return undefined;
  const names = decoded.split('/').filter((name) => name !== '');
  // Not by any decoding that was not thought of: these are the names that the file system is asked for.
  const isSafe = (name: string, i: number) =>
    !/[/\\\x00]/.test(name) && (!name.startsWith('.') || (i === 0 && name === '.well-known'));
  return names.every(isSafe) ? { names, folder: decoded.endsWith('/') } : 'hidden';
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A path is latin1 as sent, bytes beyond ASCII included; the names on disk are UTF-8. */
function decodeOnce(path: string): string | undefined {
  if (!/[%\x80-\uffff]/.test(path)) return path;
  const bytes = path.replace(/%([0-9a-f]{2})/gi, (_whole, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  try {
    return utf8.decode(Buffer.from(bytes, 'latin1'));
  } catch {
    return undefined;
  }
}
