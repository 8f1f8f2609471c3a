// Media types: what a file is, by its name.

import { lookup } from 'mime-types';

const UNKNOWN = 'application/octet-stream';

/** The Content-Type of a file. Text is UTF-8; other types have no such parameter (RFC 8259 §11 for JSON). */
export function mediaType(path: string): string {
  // Without a slash, a name would itself be taken for an extension.
  const type = lookup(`/${path}`) || UNKNOWN;
  return type.startsWith('text/') ? `${type}; charset=utf-8` : type;
}
