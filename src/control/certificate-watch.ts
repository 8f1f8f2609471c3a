// The certificate files of a configuration: read, and looked after from then on. A changed pair is taken when it is good; else the last good one stays.

import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type LoadedPair, loadPair } from './certificate-files.ts';
import { isCurrent } from './certificate-lint.ts';
import { coversName } from './certificate-names.ts';
import type { CertificateSource, Finding, LoadedCertificate, Origin } from './certificate-source.ts';
import type { CertificatePair } from './configuration.ts';
import { ConfigError, type Problem } from './problem.ts';

/** How often all files are looked at, in ms: what no event tells of (mounts, links further up, network disks) is seen then. */
const LOOK_EVERY = 2_000;
/** How long files have to stand still before they are read: whoever writes them may not be done. */
const SETTLE = 500;
/** How long a pair may be bad before that is said: a certificate may come well before its key. */
export const GRACE = 15_000;

interface Watched {
  readonly pair: CertificatePair;
  readonly files: readonly string[];
  served: LoadedPair;
  /** The state of the files when they were last read; undefined: not since this was made, so that the first look reads them again. */
  read: string | undefined;
  /** Another state, seen once. */
  settling: string | undefined;
  /** What is in the files now cannot take the place of what is served. */
  rejected: { readonly since: number; told: boolean; problems: readonly Problem[] } | undefined;
  /** The mount holds on to a file that was replaced. */
  detached: string | undefined;
}

export class CertificateFiles implements CertificateSource {
  readonly #all: readonly Watched[];
  readonly #wantedNames: readonly string[];
  readonly #origin: Origin;
  readonly #watchers: FSWatcher[] = [];
  #changed: () => void = () => {};
  #timer: NodeJS.Timeout | undefined;
  #soon: NodeJS.Timeout | undefined;
  #looking = false;
  #now: Date;
  #told = '';

  /** Reads all pairs. Throws a ConfigError with every problem found. */
  constructor(pairs: readonly CertificatePair[], wantedNames: readonly string[], now: Date, origin: Origin = 'file') {
    const problems: Problem[] = [];
    this.#wantedNames = wantedNames;
    this.#origin = origin;
    this.#now = now;
    this.#all = pairs.flatMap((pair) => {
      try {
        return { ...watched(pair), served: loadPair(pair, now, origin) };
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        problems.push(...error.problems);
        return [];
      }
    });
    if (problems.length > 0) throw new ConfigError(problems);
  }

  current(): readonly LoadedCertificate[] {
    return this.#all.map(({ served }) => served.loaded);
  }

  findings(): readonly Finding[] {
    return this.#all.flatMap(({ pair, served, rejected, detached }) => [
      ...(rejected?.told === true ? rejected.problems.map((problem) => notUsed(pair, problem)) : []),
      ...(detached === undefined ? [] : [detachedFinding(pair, detached)]),
      ...served.findings(this.#now),
    ]);
  }

  start(changed: () => void): void {
    this.listen(changed);
    for (const folder of new Set(this.#all.flatMap(({ files }) => files.map((file) => dirname(file))))) {
      this.#watch(folder);
    }
    this.#timer = setInterval(() => this.#lookNow(), LOOK_EVERY);
    this.#timer.unref();
    this.#lookSoon();
  }

  /** Calls back after a look that found something, without looking by itself. */
  listen(changed: () => void): void {
    this.#changed = changed;
    this.#told = this.#codes();
  }

  stop(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#soon);
    for (const each of this.#watchers) each.close();
    this.#changed = () => {};
  }

  /**
   * Looks at all files once; a change counts when it is seen a second time. Resolves to true when there is one that is to be
   * looked at again soon.
   */
  async look(now: Date): Promise<boolean> {
    this.#now = now;
    let swapped = false;
    let isMoving = false;
    for (const each of this.#all) {
      const state = await stateOf(each.files);
      each.detached = state.detached;
      if (state.text === each.settling) {
        each.read = state.text;
        each.settling = undefined;
        if (this.#judge(each, now)) swapped = true;
      } else if (state.text === each.read) {
        each.settling = undefined;
      } else {
        each.settling = state.text;
        isMoving = true;
      }
      const { rejected } = each;
      if (rejected !== undefined && now.getTime() - rejected.since >= GRACE) rejected.told = true;
    }
    this.#tell(swapped);
    return isMoving;
  }

  /** True when what is served became something else. */
  #judge(each: Watched, now: Date): boolean {
    try {
      const next = loadPair(each.pair, now, this.#origin);
      const problem = this.#whyWorse(next, each, now);
      if (problem !== undefined) throw new ConfigError([problem]);
      const { certificate } = each.served.loaded;
      const isNew =
        next.loaded.certificate.chain !== certificate.chain || next.loaded.certificate.key !== certificate.key;
      each.served = next;
      each.rejected = undefined;
      return isNew;
    } catch (error) {
      const { since = now.getTime(), told = false } = each.rejected ?? {};
      each.rejected = { since, told, problems: problemsOf(error, each.pair) };
      return false;
    }
  }

  /** A pair that can be served, but that clients would refuse where they take the one that is served. */
  #whyWorse(next: LoadedPair, each: Watched, now: Date): Problem | undefined {
    const { leaf } = each.served;
    const { place } = each.pair.certSetting;
    const file = each.pair.certFile;
    if (isCurrent(leaf, now) && !isCurrent(next.leaf, now)) {
      const date = (now < next.leaf.validFromDate ? next.leaf.validFromDate : next.leaf.validToDate).toISOString();
      const what = now < next.leaf.validFromDate ? `is not valid before ${date}` : `expired at ${date}`;
      return {
        place,
        message: `${file} ${what}`,
        hint: `put a current one there; the clock here says ${now.toISOString()}`,
      };
    }
    const others = this.#all.filter((other) => other !== each).map(({ served }) => served.leaf);
    const lost = this.#wantedNames.filter(
      (name) =>
        coversName(leaf, name) && !coversName(next.leaf, name) && !others.some((other) => coversName(other, name)),
    );
    if (lost.length === 0 || !isCurrent(leaf, now)) return undefined;
    const hint = 'put one with these names there; if it is meant so, portico reload takes it as it is';
    return { place, message: `${file} does not cover ${lost.join(', ')}, as the one in force does`, hint };
  }

  /** Calls back when certificates changed, or what there is to say. */
  #tell(swapped: boolean): void {
    const codes = this.#codes();
    if (!swapped && codes === this.#told) return;
    this.#told = codes;
    this.#changed();
  }

  /** What would be told; of a text that counts the days only the kind. */
  #codes(): string {
    return this.findings()
      .map(({ code, place, message }) => (code === 'not-used' ? `${code} ${place} ${message}` : `${code} ${place}`))
      .join('\n');
  }

  #watch(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#lookSoon());
      // Without it the look every few seconds is enough.
      watcher.on('error', () => watcher.close());
      this.#watchers.push(watcher);
    } catch {
      // The folder is not there, or the system watches enough already.
    }
  }

  #lookSoon(): void {
    if (this.#soon !== undefined) return;
    this.#soon = setTimeout(() => {
      this.#soon = undefined;
      this.#lookNow();
    }, SETTLE);
    this.#soon.unref();
  }

  /** One at a time. */
  #lookNow(): void {
    if (this.#looking) return;
    this.#looking = true;
    this.look(new Date())
      .then((isMoving) => {
        if (isMoving) this.#lookSoon();
      })
      .finally(() => {
        this.#looking = false;
      });
  }
}

/** Whatever happens while a file is read, what is served stays. */
function problemsOf(error: unknown, { certSetting, certFile }: CertificatePair): readonly Problem[] {
  if (error instanceof ConfigError) return error.problems;
  const message = `${certFile} cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  return [{ place: certSetting.place, message, hint: 'copy the file again' }];
}

function watched(pair: CertificatePair): Omit<Watched, 'served'> {
  const files = [pair.certFile, pair.keyFile, pair.passwordFile].filter((file) => file !== undefined);
  return {
    ...{ pair, files: [...new Set(files)] },
    ...{ read: undefined, settling: undefined, rejected: undefined, detached: undefined },
  };
}

interface State {
  /** Differs when any of the files may have changed, links and folders on the way to them included. */
  readonly text: string;
  /** A file that has no name any more. */
  readonly detached: string | undefined;
}

async function stateOf(files: readonly string[]): Promise<State> {
  let detached: string | undefined;
  const states = await Promise.all(
    files.map(async (file) => {
      try {
        const { dev, ino, size, mtimeNs, ctimeNs, nlink } = await stat(file, { bigint: true });
        if (nlink === 0n) detached = file;
        return [dev, ino, size, mtimeNs, ctimeNs].join(':');
      } catch (error) {
        return (error as NodeJS.ErrnoException).code ?? 'unknown error';
      }
    }),
  );
  return { text: states.join(' '), detached };
}

function notUsed({ certFile: about }: CertificatePair, { place, message, hint }: Problem): Finding {
  const said = `${message}: it is not used, what was served before stays`;
  return { code: 'not-used', severity: 'error', about, place, message: said, ...(hint === undefined ? {} : { hint }) };
}

/** A file that is mounted by itself is held by its inode: one that is put in its place on the host is never seen here. */
function detachedFinding({ certSetting: { place }, certFile: about }: CertificatePair, file: string): Finding {
  const message = `${file} was replaced where it is mounted from, and the mount still shows the old one`;
  const hint =
    'mount the folder instead of the single file, or write into the file in place; then create the container anew';
  return { code: 'detached', severity: 'error', about, place, message, hint };
}
