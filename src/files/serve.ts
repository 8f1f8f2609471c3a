// Serve: the answer for a file on disk, or why there is none: conditions, ranges, codings, caching and parameters.

import { createHash, randomBytes } from 'node:crypto';
import { prefersPage } from '../http/accept.ts';
import type { Headers } from '../http/headers.ts';
import {
  asksForRange,
  CODINGS,
  type Coding,
  chooseCoding,
  contentRange,
  evaluateConditions,
  isTextType,
  MIN_COMPRESSED,
  mayApplyRange,
  partHead,
  partsEnd,
  readRanges,
  type Span,
  type Validators,
  writeDate,
} from '../http/representation.ts';
import type { FilesAction, Parameters } from '../model/snapshot.ts';
import { Compressor } from './compress.ts';
import { hasHashedName } from './hashed-name.ts';
import { Kept } from './kept.ts';
import { type Clocks, type FileFacts, type Found, type Lookup, Root } from './lookup.ts';
import { mediaType } from './media-type.ts';
import { type OpenFile, readWhole } from './open-file.ts';
import {
  etagOfBytes,
  LARGE_PAGE,
  MAX_REWRITTEN,
  type Rewrite,
  rewriteOfFile,
  rewriteWhole,
  TOO_LARGE,
} from './rewrite.ts';

export interface FileRequest {
  readonly method: string;
  /** Path and query as sent, without the route's prefix: without any path when only that was sent. */
  readonly path: string;
  readonly prefix: string;
  readonly headers: Headers;
}

/** A piece of a body: bytes that are here, or a span of the open file. */
export type Piece = Uint8Array | Span;

/** A head, and the pieces that its Content-Length counts. Whoever gets it closes the file, if there is one. */
export interface FileAnswer {
  readonly kind: 'answer';
  readonly status: number;
  readonly headers: Headers;
  readonly pieces: readonly Piece[];
  readonly file: OpenFile | undefined;
  /** Of a file that something is written into. */
  readonly remarked?: Remarked;
}

/** What people should know of a file as it is served now: each remark continues its path. None: there is nothing to say any more. */
export interface Remarked {
  readonly path: string;
  readonly remarks: readonly string[];
}

/** Why there is no file to answer with, in words for people. */
export interface FileRefusal {
  readonly kind: 'missing' | 'method' | 'broken';
  readonly detail: string;
}

export type Outcome = FileAnswer | FileRefusal;

/** Undefined when the file was not what was found any more. */
type Served = Outcome | undefined;

export interface FilesOptions extends Clocks {
  /** Of all that is kept in memory. */
  readonly maxKeptBytes?: number;
}

const ENDINGS: Readonly<Record<string, Coding>> = Object.freeze({ '.br': 'br', '.zst': 'zstd', '.gz': 'gzip' });
const DEFAULT_KEPT_BYTES = 64 * 1024 * 1024;
/** Up to here files are read whole and kept in memory. */
const SMALL = 64 * 1024;
/** Above, compressing would hold too much memory and time. */
const MAX_COMPRESSED = 8 * 1024 * 1024;
/** A file that changes between being found and being read is found again, a few times. */
const MAX_TRIES = 3;

const IMMUTABLE = 'public, max-age=31536000, immutable';

/** The folders that a worker serves, and what it keeps of them. It outlives snapshots: roots and bytes are found again by name. */
export class Files {
  readonly #clocks: Clocks;
  readonly #roots = new Map<string, Root>();
  readonly #kept: Kept;
  readonly #compressor = new Compressor();
  readonly #parameterKeys = new WeakMap<Parameters, string>();
  /** What is the same for each request of a file, for as long as the file is the same. */
  readonly #described = new WeakMap<FileFacts, Described>();

  constructor(options: FilesOptions) {
    this.#clocks = options;
    this.#kept = new Kept(options.maxKeptBytes ?? DEFAULT_KEPT_BYTES);
  }

  /** What to answer; at once when nothing has to be read or made first. */
  answer(action: FilesAction, request: FileRequest): Outcome | Promise<Outcome> {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return { kind: 'method', detail: `the method ${request.method} is not for files` };
    }
    return this.#find(action, request, MAX_TRIES);
  }

  /** Closes all other folders. What is under way has its file; a request that comes late opens its folder once more. */
  keepOnly(folders: ReadonlySet<string>): void {
    for (const [folder, root] of this.#roots) {
      if (folders.has(folder)) continue;
      root.close();
      this.#roots.delete(folder);
    }
  }

  close(): void {
    this.keepOnly(new Set());
  }

  #find(action: FilesAction, request: FileRequest, tries: number): Outcome | Promise<Outcome> {
    const root = this.#root(action.root);
    for (let left = tries - 1; left >= 0; left--) {
      const found = findFor(root, action, request);
      if (found.kind === 'broken') return found;
      if (found.kind === 'folder') return redirectToFolder(request);
      if (found.kind === 'nothing') return { kind: 'missing', detail: 'there is no file of this name' };
      const outcome = this.#serve(root, action, request, found);
      if (outcome instanceof Promise) return outcome.then((each) => each ?? this.#find(action, request, left));
      if (outcome !== undefined) return outcome;
    }
    return { kind: 'broken', detail: 'the file changes faster than it can be read' };
  }

  #root(folder: string): Root {
    let root = this.#roots.get(folder);
    if (root === undefined) {
      root = new Root(folder, Object.keys(ENDINGS), this.#clocks);
      this.#roots.set(folder, root);
    }
    return root;
  }

  #serve(root: Root, action: FilesAction, request: FileRequest, found: Found): Served | Promise<Served> {
    const { facts } = found;
    const rewrite = rewriteOfFile(action, request.prefix, facts.path, this.#describe(facts).type);
    if (rewrite === undefined) return this.#serveUnchanged(root, request, found);
    if (facts.size <= MAX_REWRITTEN) return this.#serveRewritten(root, rewrite, request, found);
    // A frontend without its parameters is worse than none; most pages that are so large have no base.
    if (rewrite.kind !== 'base') return { kind: 'broken', detail: `/${facts.path} ${TOO_LARGE}` };
    return remarkOn(this.#serveUnchanged(root, request, found), { path: facts.path, remarks: [LARGE_PAGE] });
  }

  #serveUnchanged(root: Root, request: FileRequest, found: Found): Served | Promise<Served> {
    const { facts } = found;
    const { isText } = this.#describe(facts);
    const varies = found.siblings.size > 0 || isText;
    const coding = varies ? this.#chooseCoding(request, found, isText) : 'identity';
    const sibling = coding === 'identity' ? undefined : found.siblings.get(endingOf(coding));
    const source = sibling ?? facts;
    const representation = this.#represent(facts, source, coding, varies);
    const early = this.#withoutBody(request, representation);
    if (early !== undefined) return early;
    if (coding === 'identity' || sibling !== undefined)
      return this.#serveStored(root, request, found, source, representation);
    return this.#serveCompressed(root, request, found, coding, representation);
  }

  #describe(facts: FileFacts): Described {
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
  #represent(facts: FileFacts, source: FileFacts, coding: Coding | 'identity', varies: boolean): Representation {
    const { type, representations } = this.#describe(facts);
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

  /** A part of what was compressed on the fly would be a part of nothing that lasts: ranges are of files only. */
  #chooseCoding(request: FileRequest, found: Found, isText: boolean): Coding | 'identity' {
    const mayCompress = isText && !asksForRange(request.method, request.headers);
    const isHere = (coding: Coding) => {
      const key = compressedKey(found.facts, coding);
      return this.#compressor.hasRoom || this.#kept.get(key) !== undefined || this.#compressor.job(key) !== undefined;
    };
    const available = CODINGS.filter(
      (coding) => found.siblings.has(endingOf(coding)) || (mayCompress && isHere(coding)),
    );
    return chooseCoding(request.headers, available);
  }

  /** The answers that need no byte of the file: 304, 412, 416. */
  #withoutBody(request: FileRequest, { validators, fields, size }: Representation): FileAnswer | undefined {
    const condition = evaluateConditions(request.method, request.headers, validators);
    if (condition === 'failed') return empty(412, ['Cache-Control', 'no-store']);
    // RFC 9110 §15.4.5: what a 200 would have said of caching, and no more.
    if (condition === 'unmodified') {
      return { ...empty(304, []), headers: [...fields, ...validators.fields] };
    }
    if (this.#rangesOf(request, validators, size) !== 'unsatisfiable') return undefined;
    return empty(416, ['Content-Range', `bytes */${size}`, 'Cache-Control', 'no-store']);
  }

  #rangesOf(request: FileRequest, validators: Validators, size: number) {
    if (!asksForRange(request.method, request.headers)) return 'whole';
    return mayApplyRange(request.headers, validators, this.#clocks.wallNow())
      ? readRanges(request.headers, size)
      : 'whole';
  }

  #serveStored(
    root: Root,
    request: FileRequest,
    found: Found,
    source: FileFacts,
    representation: Representation,
  ): Served | Promise<Served> {
    if (request.method === 'HEAD' || source.size === 0) return this.#compose(request, representation, [], undefined);
    if (source.size <= SMALL) {
      const kept = this.#kept.get(source.identity);
      if (kept !== undefined) return this.#compose(request, representation, kept, undefined);
    }
    const descriptor = root.open(found, source);
    if (descriptor === undefined) return undefined;
    const file = { descriptor, facts: source };
    if (source.size > SMALL) return this.#compose(request, representation, undefined, file);
    return readWhole(file).then(
      (bytes) => {
        if (bytes === undefined) return undefined;
        this.#kept.put(source.identity, bytes);
        return this.#compose(request, representation, bytes, undefined);
      },
      (error: Error) => broken(source, error),
    );
  }

  #serveCompressed(
    root: Root,
    request: FileRequest,
    found: Found,
    coding: Coding,
    representation: Representation,
  ): Served | Promise<Served> {
    const { facts } = found;
    const key = compressedKey(facts, coding);
    const kept = this.#kept.get(key);
    if (kept !== undefined) return this.#compose(request, { ...representation, size: kept.length }, kept, undefined);
    let job = this.#compressor.job(key);
    if (job === undefined) {
      const descriptor = root.open(found);
      if (descriptor === undefined) return undefined;
      job = this.#compressor.start(key, coding, () => readWhole({ descriptor, facts }));
    }
    return job.then(
      (bytes) => {
        if (bytes === undefined) return undefined;
        this.#kept.put(key, bytes);
        return this.#compose(request, { ...representation, size: bytes.length }, bytes, undefined);
      },
      (error: Error) => broken(facts, error),
    );
  }

  #serveRewritten(root: Root, rewrite: Rewrite, request: FileRequest, found: Found): Served | Promise<Served> {
    const { facts } = found;
    const what = rewrite.kind === 'base' ? `base ${rewrite.prefix}` : this.#keyOf(rewrite.parameters);
    const key = `${facts.identity}:${what}`;
    const cache = rewrite.kind === 'base' ? cacheControl(facts.path) : 'no-store';
    const kept = this.#kept.get(key);
    if (kept !== undefined) return this.#composeRewritten(request, facts, kept, cache);
    const descriptor = root.open(found);
    if (descriptor === undefined) return undefined;
    return readWhole({ descriptor, facts }).then(
      (read) => {
        if (read === undefined) return undefined;
        const { bytes, remarks } = rewriteWhole(read, rewrite);
        const written = Buffer.from(bytes);
        this.#kept.put(key, written);
        const answer = this.#composeRewritten(request, facts, written, cache);
        return { ...answer, remarked: { path: facts.path, remarks } };
      },
      (error: Error) => broken(facts, error),
    );
  }

  /** Without Last-Modified: what is written into a file changes without the file. */
  #composeRewritten(request: FileRequest, facts: FileFacts, bytes: Buffer, cache: string): FileAnswer {
    const representation: Representation = {
      validators: validatorsOf(etagOfBytes(bytes), undefined),
      type: mediaType(facts.path),
      size: bytes.length,
      fields: ['Cache-Control', cache],
      coding: 'identity',
    };
    return this.#withoutBody(request, representation) ?? this.#compose(request, representation, bytes, undefined);
  }

  /** Parameters as a key: of a snapshot they are frozen, so that it is made once. */
  #keyOf(parameters: Parameters): string {
    let key = this.#parameterKeys.get(parameters);
    if (key === undefined) {
      key = createHash('sha256').update(JSON.stringify(parameters)).digest('base64url');
      this.#parameterKeys.set(parameters, key);
    }
    return key;
  }

  /** The 200 or 206 of bytes that are here, or of a file. */
  #compose(
    request: FileRequest,
    representation: Representation,
    bytes: Uint8Array | readonly [] | undefined,
    file: OpenFile | undefined,
  ): FileAnswer {
    const { validators, type, size, fields, coding } = representation;
    const ranges = this.#rangesOf(request, validators, size);
    const part = (span: Span): Piece => (bytes instanceof Uint8Array ? bytes.subarray(span.start, span.end) : span);
    const headers = [...fields, 'Accept-Ranges', 'bytes', ...validators.fields];
    if (coding !== 'identity') headers.push('Content-Encoding', coding);
    const isHead = request.method === 'HEAD';
    if (typeof ranges === 'string') {
      headers.push('Content-Type', type, 'Content-Length', String(size));
      const pieces = isHead || size === 0 ? [] : [part({ start: 0, end: size })];
      return { kind: 'answer', status: 200, headers, pieces, file };
    }
    if (ranges.length === 1) {
      const span = ranges[0]!;
      headers.push('Content-Type', type, 'Content-Range', contentRange(span, size));
      headers.push('Content-Length', String(span.end - span.start));
      return { kind: 'answer', status: 206, headers, pieces: [part(span)], file };
    }
    // Random, so that nothing in a file can be taken for it.
    const boundary = randomBytes(15).toString('base64url');
    const end = Buffer.from(partsEnd(boundary), 'latin1');
    const pieces: Piece[] = [];
    let length = end.length;
    for (const span of ranges) {
      const head = Buffer.from(partHead(boundary, type, span, size), 'latin1');
      pieces.push(head, part(span));
      length += head.length + span.end - span.start;
    }
    pieces.push(end);
    headers.push('Content-Type', `multipart/byteranges; boundary=${boundary}`, 'Content-Length', String(length));
    return { kind: 'answer', status: 206, headers, pieces, file };
  }
}

interface Described {
  readonly type: string;
  /** Worth compressing. */
  readonly isText: boolean;
  /** By coding and Vary. */
  readonly representations: Map<string, Representation & { readonly source: FileFacts }>;
}

/** What is sent, whichever part of it. */
interface Representation {
  readonly validators: Written;
  readonly type: string;
  readonly size: number;
  /** Of caching. */
  readonly fields: Headers;
  readonly coding: Coding | 'identity';
}

function findFor(root: Root, action: FilesAction, request: FileRequest): Lookup {
  const found = root.find(request.path);
  if (found.kind !== 'nothing' || found.hidden || !action.fallback || !isNavigation(request)) return found;
  return root.find('/index.html');
}

/** A path with a file extension is an asset: answered by index.html, a missing script would look like a broken one. */
function isNavigation(request: FileRequest): boolean {
  const path = request.path.split('?', 1)[0]!;
  const name = path.slice(path.lastIndexOf('/') + 1);
  return !/(?:\.|%2e)(?=[^.]*[a-z])[a-z0-9]{1,16}$/i.test(name) && prefersPage(request.headers);
}

/** With its slash, so that relative links of the index work. More than one leading slash would name a host. */
function redirectToFolder(request: FileRequest): FileAnswer {
  const question = request.path.indexOf('?');
  const path = question === -1 ? request.path : request.path.slice(0, question);
  const query = question === -1 ? '' : request.path.slice(question);
  const location = `${request.prefix}${path.replace(/^\/+/, '/')}/${query}`;
  return empty(301, ['Location', location, 'Cache-Control', 'no-cache']);
}

function empty(status: number, headers: Headers): FileAnswer {
  return { kind: 'answer', status, headers: [...headers, 'Content-Length', '0'], pieces: [], file: undefined };
}

function broken(facts: FileFacts, error: Error): FileRefusal {
  const code = (error as NodeJS.ErrnoException).code ?? error.message;
  return { kind: 'broken', detail: `/${facts.path} cannot be read (${code})` };
}

function remarkOn(served: Served | Promise<Served>, remarked: Remarked): Served | Promise<Served> {
  if (served instanceof Promise) return served.then((each) => remarkOn(each, remarked));
  return served?.kind === 'answer' ? { ...served, remarked } : served;
}

/** Validators with the fields that say them. */
interface Written extends Validators {
  readonly fields: Headers;
}

function validatorsOf(etag: string, lastModified: number | undefined): Written {
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

function endingOf(coding: Coding): string {
  return coding === 'br' ? '.br' : coding === 'zstd' ? '.zst' : '.gz';
}

function compressedKey(facts: FileFacts, coding: Coding): string {
  return `${facts.identity}:${coding}`;
}

function cacheControl(path: string): string {
  return hasHashedName(path.slice(path.lastIndexOf('/') + 1)) ? IMMUTABLE : 'no-cache';
}
