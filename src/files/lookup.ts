// Lookup: the path of a request becomes a file inside of the root, opened and checked, or nothing.

import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readlinkSync,
  realpathSync,
  type Stats,
  statSync,
} from 'node:fs';
import { join, sep } from 'node:path';
import { readPath, type Wanted } from './path.ts';

/** What is known of a file that was found. */
export interface FileFacts {
  /** Inside of the root, decoded: `scripts/tc-params.js`. */
  readonly path: string;
  readonly size: number;
  /** In ms, with fractions. */
  readonly modified: number;
  /** When anything of it was changed last, in ms with fractions: nobody can set it, as `modified` can be. */
  readonly changed: number;
  readonly inode: number;
  /** How many names it has. */
  readonly links: number;
  /** The same for as long as the file is: device, inode, size and both times. */
  readonly identity: string;
}

/** A file with what may stand beside it, all of one generation of the root. */
export interface Found {
  readonly kind: 'file';
  readonly facts: FileFacts;
  /** `path` with each ending that was asked for, where there is such a file that is not older, and complete as far as can be told. */
  readonly siblings: ReadonlyMap<string, FileFacts>;
}

export type Lookup =
  | Found
  /** A folder with an index, asked for without its last slash. */
  | { readonly kind: 'folder' }
  /** There is no such file. `hidden`: and whatever is there would not be served. */
  | { readonly kind: 'nothing'; readonly hidden: boolean }
  /** It cannot be told what is there, or it may not be read: for people. */
  | { readonly kind: 'broken'; readonly detail: string };

const NOTHING: Lookup = Object.freeze({ kind: 'nothing', hidden: false });
const HIDDEN: Lookup = Object.freeze({ kind: 'nothing', hidden: true });
const FOLDER: Lookup = Object.freeze({ kind: 'folder' });

const INDEX = 'index.html';
/** How often the root itself and siblings are looked at again, in ms. */
const LOOK_EVERY = 1_000;
/** A sibling that was changed less than this ago, in ms, may still be written to: a part of it would be taken for the whole. */
const SETTLED = 2_000;
/** A file that was just looked at is not looked at again: a change is seen that much later at most, in ms. */
const FRESH = 50;
/** Paths that are remembered for a generation; a client chooses only among those that exist. */
const MAX_KNOWN = 4_096;
const MAX_REMEMBERED = 256;
/** How often it is asked whether a file is inside, before it is not. */
const MAX_LOOKS = 8;
/** Where the kernel tells what a descriptor really is, and opens below it whatever its folder is called by now. */
const DESCRIPTORS = '/proc/self/fd';
const TELLS_DESCRIPTORS = existsSync(DESCRIPTORS);
/** A FIFO would block on opening. */
const OPEN_FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);
const OPEN_FOLDER_FLAGS = constants.O_RDONLY | (constants.O_DIRECTORY ?? 0);

/** The root as it was at one time: a release. Replaced when another folder stands in its place. */
interface Generation {
  /** Held open, so that its inode cannot be taken by another folder; -1 where that is of no use. */
  readonly descriptor: number;
  /** What paths are put behind: the descriptor, so that a rename of the folder changes nothing for it. */
  readonly base: string;
  readonly identity: string;
  readonly known: Map<string, Known>;
}

/** In ms. */
export interface Clocks {
  /** Steady. */
  readonly now: () => number;
  /** That of the wall, which dates of files are compared with. */
  readonly wallNow: () => number;
}

interface Known {
  found: Found;
  lookedAt: number;
  siblingsLookedAt: number;
}

/**
 * A folder that is served. System calls are synchronous, as in nginx: on a local disk they take microseconds, of which a trip
 * through the thread pool would make many. All that one call finds is of one generation.
 */
export class Root {
  readonly folder: string;
  readonly #now: () => number;
  readonly #wallNow: () => number;
  readonly #endings: readonly string[];
  #generation: Generation | undefined;
  #lookedAt = 0;
  /** Paths as sent that led to a file, and how they read. */
  readonly #read = new Map<string, Wanted>();

  /** `endings`, like `.gz`, are those of siblings to look for. */
  constructor(folder: string, endings: readonly string[], clocks: Clocks) {
    this.folder = folder;
    this.#endings = endings;
    this.#now = clocks.now;
    this.#wallNow = clocks.wallNow;
  }

  /** Finds what a path (as sent, its query is left out) names. */
  find(path: string): Lookup {
    const known = this.#read.get(path);
    const read = known ?? readPath(path);
    if (read === undefined) return NOTHING;
    if (read === 'hidden') return HIDDEN;
    try {
      const generation = this.#current(this.#now() - this.#lookedAt >= LOOK_EVERY);
      const found = this.#look(generation, read);
      if (known === undefined && found.kind === 'file') this.#remember(path, read);
      if (found.kind !== 'nothing') return found;
      // What is not there may be in a newer release.
      const newer = this.#current(true);
      return newer === generation ? found : this.#look(newer, read);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
      return { kind: 'broken', detail: `/${read.names.join('/')} cannot be read (${code})` };
    }
  }

  /** Opens what was found just now, or a sibling of it; the caller closes it. Undefined when it is not that file any more. */
  open(found: Found, facts = found.facts): number | undefined {
    if (this.#generation === undefined) return undefined;
    try {
      const opened = openInside(this.#generation, facts.path);
      if (opened !== undefined) {
        if (opened.facts.identity === facts.identity) return opened.descriptor;
        closeSync(opened.descriptor);
      }
    } catch {
      // Found again, it will be told what is wrong with it.
    }
    this.#generation.known.delete(found.facts.path);
    return undefined;
  }

  #remember(path: string, read: Wanted): void {
    // Queries are without end, and long paths are rare.
    if (path.length > MAX_REMEMBERED || path.includes('?')) return;
    if (this.#read.size >= MAX_KNOWN) this.#read.clear();
    // A copy: what was cut out of a head would keep all of that head.
    this.#read.set(Buffer.from(path, 'latin1').toString('latin1'), read);
  }

  close(): void {
    closeGeneration(this.#generation);
    this.#generation = undefined;
  }

  /** The release that is served now. While none stands in its place (between two renames), the one before is. */
  #current(look: boolean): Generation {
    const before = this.#generation;
    if (before !== undefined && !look) return before;
    this.#lookedAt = this.#now();
    const stats = statSync(this.folder, { throwIfNoEntry: false });
    if (before !== undefined && (stats === undefined || folderIdentity(stats) === before.identity)) return before;
    let next: Generation;
    try {
      next = openGeneration(this.folder);
    } catch (error) {
      // It was renamed just now.
      if (before !== undefined && isAbsence(error)) return before;
      throw error;
    }
    closeGeneration(before);
    this.#generation = next;
    return next;
  }

  #look(generation: Generation, wanted: Wanted): Lookup {
    const name = wanted.names.join('/');
    if (!wanted.folder && name !== '') {
      const found = this.#lookAtFile(generation, name);
      if (found !== undefined) return found;
    }
    const index = name === '' ? INDEX : `${name}/${INDEX}`;
    const found = this.#lookAtFile(generation, index);
    if (found === undefined) return NOTHING;
    return wanted.folder ? found : FOLDER;
  }

  #lookAtFile(generation: Generation, path: string): Found | undefined {
    const now = this.#now();
    let known = generation.known.get(path);
    if (known !== undefined && now - known.lookedAt < FRESH) return known.found;
    const stats = statBelow(generation, path);
    if (stats === undefined || !stats.isFile()) {
      generation.known.delete(path);
      return undefined;
    }
    const facts = factsOf(path, stats);
    // Another file than the one that was checked: it is opened and checked anew.
    if (known === undefined || known.found.facts.identity !== facts.identity) {
      const checked = check(generation, path);
      if (checked === undefined) return undefined;
      if (generation.known.size >= MAX_KNOWN) generation.known.clear();
      const found: Found = { kind: 'file', facts: checked, siblings: new Map() };
      known = { found, lookedAt: now, siblingsLookedAt: Number.NEGATIVE_INFINITY };
      generation.known.set(path, known);
    }
    known.lookedAt = now;
    if (now - known.siblingsLookedAt >= LOOK_EVERY) {
      const siblings = findSiblings(generation, known.found.facts, this.#endings, this.#wallNow() - SETTLED);
      known.found = { ...known.found, siblings };
      known.siblingsLookedAt = now;
    }
    return known.found;
  }
}

function openGeneration(folder: string): Generation {
  if (!TELLS_DESCRIPTORS) {
    const base = realpathSync(folder);
    return { descriptor: -1, base, identity: folderIdentity(statSync(base)), known: new Map() };
  }
  const descriptor = openSync(folder, OPEN_FOLDER_FLAGS);
  const identity = folderIdentity(fstatSync(descriptor));
  return { descriptor, base: `${DESCRIPTORS}/${descriptor}`, identity, known: new Map() };
}

function closeGeneration(generation: Generation | undefined): void {
  if (generation !== undefined && generation.descriptor !== -1) closeSync(generation.descriptor);
}

/** Where no descriptor holds the inode, it could be given to the next release: so the birth of the folder counts too. */
function folderIdentity(stats: Stats): string {
  return TELLS_DESCRIPTORS ? `${stats.dev}:${stats.ino}` : `${stats.dev}:${stats.ino}:${stats.birthtimeMs}`;
}

function statBelow(generation: Generation, path: string): Stats | undefined {
  try {
    return statSync(join(generation.base, path), { throwIfNoEntry: false });
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}

function factsOf(path: string, stats: Stats): FileFacts {
  const { dev, ino, size, mtimeMs, ctimeMs, nlink } = stats;
  const identity = `${dev}:${ino}:${size}:${mtimeMs}:${ctimeMs}`;
  return { path, size, modified: mtimeMs, changed: ctimeMs, inode: ino, links: nlink, identity };
}

/** The facts of a file that is inside of the root. */
function check(generation: Generation, path: string): FileFacts | undefined {
  const opened = openInside(generation, path);
  if (opened === undefined) return undefined;
  closeSync(opened.descriptor);
  return opened.facts;
}

/**
 * Opens first, and then asks what was opened: a symlink that is changed between a check and an opening leads nowhere. Symlinks
 * inside of the root are the operator's own, also those that go through a folder with a dot (mounted ConfigMaps are made so).
 */
function openInside(generation: Generation, path: string): { descriptor: number; facts: FileFacts } | undefined {
  const place = join(generation.base, path);
  let descriptor: number;
  try {
    descriptor = openSync(place, OPEN_FLAGS);
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
  let inside = false;
  try {
    const stats = fstatSync(descriptor);
    inside = stats.isFile() && isInside(generation, descriptor, place, stats);
    return inside ? { descriptor, facts: factsOf(path, stats) } : undefined;
  } finally {
    if (!inside) closeSync(descriptor);
  }
}

function isInside(generation: Generation, descriptor: number, place: string, stats: Stats): boolean {
  if (TELLS_DESCRIPTORS) return isNamedInside(generation, descriptor);
  const real = realpathSync(place);
  const there = statSync(real);
  const root = generation.base.endsWith(sep) ? generation.base : generation.base + sep;
  return real.startsWith(root) && there.ino === stats.ino && there.dev === stats.dev;
}

/** By the names that both have now. A rename of the root between the two answers looks like a file outside: that counts when it lasts. */
function isNamedInside(generation: Generation, descriptor: number): boolean {
  for (let tries = 0; tries < MAX_LOOKS; tries++) {
    const root = readlinkSync(generation.base);
    if (readlinkSync(`${DESCRIPTORS}/${descriptor}`).startsWith(root === '/' ? root : `${root}/`)) return true;
  }
  return false;
}

/** `settled` is when, by the wall clock, one must have been left alone. */
function findSiblings(
  generation: Generation,
  facts: FileFacts,
  endings: readonly string[],
  settled: number,
): Map<string, FileFacts> {
  const siblings = new Map<string, FileFacts>();
  for (const ending of endings) {
    const sibling = findSibling(generation, facts, ending, settled);
    if (sibling !== undefined) siblings.set(ending, sibling);
  }
  return siblings;
}

function findSibling(generation: Generation, facts: FileFacts, ending: string, settled: number): FileFacts | undefined {
  const path = facts.path + ending;
  try {
    const stats = statBelow(generation, path);
    // One that is older was made of another content.
    if (stats === undefined || !stats.isFile() || stats.mtimeMs < facts.modified) return undefined;
    const sibling = check(generation, path);
    return sibling !== undefined && sibling.size > 0 && sibling.changed <= settled ? sibling : undefined;
  } catch {
    // One that cannot be read is none: the file itself can be.
    return undefined;
  }
}

/** That there is nothing of this name, in the system's words. */
function isAbsence(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP', 'EINVAL', 'ENXIO', 'ENODEV'].includes(code);
}
