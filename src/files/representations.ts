// Representations: what is sent of a file in one of its codings: type, size, validators, and what caches may do with it.

import type { Headers } from '../http/headers.ts';
import { type Coding, isTextType, MIN_COMPRESSED, type Validators, writeDate } from '../http/representation.ts';
import { hasHashedName } from './hashed-name.ts';
import type { Clocks, FileFacts } from './lookup.ts';
import { mediaType } from './media-type.ts';
import { etagOfBytes, type Rewrite } from './rewrite.ts';

/** What is sent, whichever part of it. */
export interface Representation {
  readonly validators: WrittenValidators;
  readonly type: string;
  readonly size: number;
  /** Of caching. */
  readonly fields: Headers;
  readonly coding: Coding | 'identity';
}

/** Validators with the fields that say them. */
interface WrittenValidators extends Validators {
  readonly fields: Headers;
}

/** What is the same for each request of a file. */
interface Described {
  readonly type: string;
  /** Worth compressing. */
  readonly isText: boolean;
  /** By coding and Vary. */
  readonly representations: Map<string, Representation & { readonly source: FileFacts }>;
}

const IMMUTABLE = 'public, max-age=31536000, immutable';
/** Above, compressing would hold too much memory and time. */
const MAX_COMPRESSED = 8 * 1024 * 1024;

/** Those of files as they are on disk; kept for as long as a file is the same. */
export class Representations {
  readonly #clocks: Clocks;
  readonly #described = new WeakMap<FileFacts, Described>();

  constructor(clocks: Clocks) {
    this.#clocks = clocks;
  }

  describe(facts: FileFacts): Described {
    let described = this.#described.get(facts);
    if (described === undefined) {
      const type = mediaType(facts.path);
      const isText = isTextType(type) && facts.size >= MIN_COMPRESSED && facts.size <= MAX_COMPRESSED;
      described = { type, isText, representations: new Map() };
      this.#described.set(facts, described);
    }
    return described;
  }

  /** `source` holds the bytes of this coding, or what is compressed to it. */
  of(facts: FileFacts, source: FileFacts, coding: Coding | 'identity', varies: boolean): Representation {
    const { type, representations } = this.describe(facts);
    const key = `${coding} ${varies}`;
    const before = representations.get(key);
    if (before?.source === source) return before;
    // RFC 9110 §8.8.2.1: a date in the future is replaced by that of the answer.
    const lastModified = Math.min(facts.modified, this.#clocks.wallNow());
    const representation = {
      source,
      validators: validatorsOf(etagOf(source, coding), lastModified),
      type,
      size: source.size,
      fields: fieldsOf(cacheControl(facts.path), varies),
      coding,
    };
    representations.set(key, representation);
    return representation;
  }
}

/** Of a file that something is written into. Without Last-Modified: what is written changes without the file. */
export function representRewritten(path: string, rewrite: Rewrite, bytes: Buffer): Representation {
  return {
    validators: validatorsOf(etagOfBytes(bytes), undefined),
    type: mediaType(path),
    size: bytes.length,
    fields: fieldsOf(rewrite.kind === 'base' ? cacheControl(path) : 'no-store', false),
    coding: 'identity',
  };
}

function validatorsOf(etag: string, lastModified: number | undefined): WrittenValidators {
  const fields: Headers = ['ETag', etag];
  if (lastModified !== undefined) fields.push('Last-Modified', writeDate(lastModified));
  return { etag, lastModified, fields };
}

function fieldsOf(cache: string, varies: boolean): Headers {
  const fields = ['Cache-Control', cache];
  if (varies) fields.push('Vary', 'Accept-Encoding');
  return fields;
}

/**
 * Strong: each change of the file changes one of them, and each coding of it is a representation of its own (RFC 9110 §8.8.3.3).
 * Builds give all files one date, and what is copied over keeps its inode: only the time of the change tells those apart. It is
 * another on each machine, which costs a download more; a wrong 304 would mix two releases.
 */
function etagOf({ size, modified, changed, inode }: FileFacts, coding: Coding | 'identity'): string {
  const numbers = [size, Math.round(modified * 1_000), Math.round(changed * 1_000), inode];
  const suffix = coding === 'identity' ? '' : `-${coding}`;
  return `"${numbers.map((each) => each.toString(36)).join('-')}${suffix}"`;
}

function cacheControl(path: string): string {
  return hasHashedName(path.slice(path.lastIndexOf('/') + 1)) ? IMMUTABLE : 'no-cache';
}
