// Serve: the answer for a file on disk, or why there is none: found, read, compressed or written into, and kept.

import { createHash } from 'node:crypto';
import { prefersPage } from '../http/accept.ts';
import { asksForRange, CODINGS, type Coding, chooseCoding } from '../http/representation.ts';
import type { FilesAction, Parameters } from '../model/snapshot.ts';
import {
  answerWith,
  answerWithoutBody,
  type FileAnswer,
  type FileRequest,
  type Remarked,
  redirectToFolder,
} from './answer.ts';
import { Compressor } from './compress.ts';
import { Kept } from './kept.ts';
import { type Clocks, type FileFacts, type Found, type Lookup, Root } from './lookup.ts';
import { type OpenFile, readWhole } from './open-file.ts';
import { type Representation, Representations, representRewritten } from './representations.ts';
import { LARGE_PAGE, MAX_REWRITTEN, type Rewrite, rewriteOfFile, rewriteWhole, TOO_LARGE } from './rewrite.ts';

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

/** Of the files beside a file that hold it compressed. */
const ENDINGS: Readonly<Record<Coding, string>> = Object.freeze({ br: '.br', zstd: '.zst', gzip: '.gz' });
const DEFAULT_KEPT_BYTES = 64 * 1024 * 1024;
/** Up to here files are read whole and kept in memory. */
const SMALL = 64 * 1024;
/** A file that changes between being found and being read is found again, a few times. */
const MAX_TRIES = 3;

/** The folders that a worker serves, and what it keeps of them. It outlives snapshots: roots and bytes are found again by name. */
export class Files {
  readonly #clocks: Clocks;
  readonly #roots = new Map<string, Root>();
  readonly #kept: Kept;
  readonly #compressor = new Compressor();
  readonly #parameterKeys = new WeakMap<Parameters, string>();
  readonly #representations: Representations;

  constructor(options: FilesOptions) {
    this.#clocks = options;
    this.#representations = new Representations(options);
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
      root = new Root(folder, Object.values(ENDINGS), this.#clocks);
      this.#roots.set(folder, root);
    }
    return root;
  }

  #serve(root: Root, action: FilesAction, request: FileRequest, found: Found): Served | Promise<Served> {
    const { facts } = found;
    const rewrite = rewriteOfFile(action, request.prefix, facts.path, this.#representations.describe(facts).type);
    if (rewrite === undefined) return this.#serveUnchanged(root, request, found);
    if (facts.size <= MAX_REWRITTEN) return this.#serveRewritten(root, rewrite, request, found);
    // A frontend without its parameters is worse than none; most pages that are so large have no base.
    if (rewrite.kind !== 'base') return { kind: 'broken', detail: `/${facts.path} ${TOO_LARGE}` };
    return remarkOn(this.#serveUnchanged(root, request, found), { path: facts.path, remarks: [LARGE_PAGE] });
  }

  #serveUnchanged(root: Root, request: FileRequest, found: Found): Served | Promise<Served> {
    const { facts } = found;
    const { isText } = this.#representations.describe(facts);
    const varies = found.siblings.size > 0 || isText;
    const coding = varies ? this.#chooseCoding(request, found, isText) : 'identity';
    const sibling = coding === 'identity' ? undefined : found.siblings.get(ENDINGS[coding]);
    const source = sibling ?? facts;
    const representation = this.#representations.of(facts, source, coding, varies);
    const early = answerWithoutBody(request, representation, this.#clocks);
    if (early !== undefined) return early;
    if (coding === 'identity' || sibling !== undefined)
      return this.#serveStored(root, request, found, source, representation);
    return this.#serveCompressed(root, request, found, coding, representation);
  }

  /** A part of what was compressed on the fly would be a part of nothing that lasts: ranges are of files only. */
  #chooseCoding(request: FileRequest, found: Found, isText: boolean): Coding | 'identity' {
    const mayCompress = isText && !asksForRange(request.method, request.headers);
    const isHere = (coding: Coding) => {
      const key = compressedKey(found.facts, coding);
      return this.#compressor.hasRoom || this.#kept.get(key) !== undefined || this.#compressor.job(key) !== undefined;
    };
    const available = CODINGS.filter(
      (coding) => found.siblings.has(ENDINGS[coding]) || (mayCompress && isHere(coding)),
    );
    return chooseCoding(request.headers, available);
  }

  #serveStored(
    root: Root,
    request: FileRequest,
    found: Found,
    source: FileFacts,
    representation: Representation,
  ): Served | Promise<Served> {
    if (request.method === 'HEAD' || source.size === 0) return this.#answerWith(undefined, request, representation);
    if (source.size <= SMALL) {
      const kept = this.#kept.get(source.identity);
      if (kept !== undefined) return this.#answerWith(kept, request, representation);
    }
    const descriptor = root.open(found, source);
    if (descriptor === undefined) return undefined;
    const file = { descriptor, facts: source };
    if (source.size > SMALL) return this.#answerWith(file, request, representation);
    return readWhole(file).then(
      (bytes) => {
        if (bytes === undefined) return undefined;
        this.#kept.put(source.identity, bytes);
        return this.#answerWith(bytes, request, representation);
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
    if (kept !== undefined) return this.#answerWith(kept, request, { ...representation, size: kept.length });
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
        return this.#answerWith(bytes, request, { ...representation, size: bytes.length });
      },
      (error: Error) => broken(facts, error),
    );
  }

  #serveRewritten(root: Root, rewrite: Rewrite, request: FileRequest, found: Found): Served | Promise<Served> {
    const { facts } = found;
    const what = rewrite.kind === 'base' ? `base ${rewrite.prefix}` : this.#keyOf(rewrite.parameters);
    const key = `${facts.identity}:${what}`;
    const kept = this.#kept.get(key);
    if (kept !== undefined) return this.#answerRewritten(request, facts, rewrite, kept);
    const descriptor = root.open(found);
    if (descriptor === undefined) return undefined;
    return readWhole({ descriptor, facts }).then(
      (read) => {
        if (read === undefined) return undefined;
        const { bytes, remarks } = rewriteWhole(read, rewrite);
        const written = Buffer.from(bytes);
        this.#kept.put(key, written);
        const answer = this.#answerRewritten(request, facts, rewrite, written);
        return { ...answer, remarked: { path: facts.path, remarks } };
      },
      (error: Error) => broken(facts, error),
    );
  }

  #answerRewritten(request: FileRequest, facts: FileFacts, rewrite: Rewrite, bytes: Buffer): FileAnswer {
    const representation = representRewritten(facts.path, rewrite, bytes);
    return answerWithoutBody(request, representation, this.#clocks) ?? this.#answerWith(bytes, request, representation);
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

  #answerWith(
    source: Uint8Array | OpenFile | undefined,
    request: FileRequest,
    representation: Representation,
  ): FileAnswer {
    return answerWith(source, request, representation, this.#clocks);
  }
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

function broken(facts: FileFacts, error: Error): FileRefusal {
  const code = (error as NodeJS.ErrnoException).code ?? error.message;
  return { kind: 'broken', detail: `/${facts.path} cannot be read (${code})` };
}

function remarkOn(served: Served | Promise<Served>, remarked: Remarked): Served | Promise<Served> {
  if (served instanceof Promise) return served.then((each) => remarkOn(each, remarked));
  return served?.kind === 'answer' ? { ...served, remarked } : served;
}

function compressedKey(facts: FileFacts, coding: Coding): string {
  return `${facts.identity}:${coding}`;
}
