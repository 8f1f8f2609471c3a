// The certificate files of a configuration: read, and looked after from then on. A changed pair is taken when it is good; else the last good one stays.

import { type LoadedPair, loadPair } from './certificate-files.ts';
import { isCurrent } from './certificate-lint.ts';
import { coversName } from './certificate-names.ts';
import type { CertificateSource, Finding, LoadedCertificate, Origin } from './certificate-source.ts';
import type { CertificatePair } from './configuration.ts';
import { FileWatch, WatchedFiles } from './file-watch.ts';
import { ConfigError, type Problem } from './problem.ts';
import { ToldFindings } from './told-findings.ts';

/** How long a pair may be bad before that is said: a certificate may come well before its key. */
export const GRACE = 15_000;

interface Watched {
  readonly pair: CertificatePair;
  readonly files: WatchedFiles;
  served: LoadedPair;
  rejected: Rejected | undefined;
}

/** What is in the files now cannot take the place of what is served. */
interface Rejected {
  readonly since: number;
  told: boolean;
  readonly problems: readonly Problem[];
  /** It is whole, but worse than what is served: for now. */
  readonly next: LoadedPair | undefined;
}

export class CertificateFiles implements CertificateSource {
  readonly #all: readonly Watched[];
  readonly #wantedNames: readonly string[];
  readonly #origin: Origin;
  readonly #watch = new FileWatch((now) => this.look(now));
  readonly #told = new ToldFindings();
  #now: Date;

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
    return this.#all.flatMap(({ pair, served, rejected, files: { detached } }) => [
      ...(rejected?.told === true ? rejected.problems.map((problem) => notUsed(pair, problem)) : []),
      ...(detached === undefined ? [] : [detachedFinding(pair, detached)]),
      ...served.findings(this.#now),
    ]);
  }

  start(changed: () => void): void {
    this.listen(changed);
    this.#watch.start(this.#all.flatMap(({ files }) => files.files));
  }

  /** Calls back after a look that found something, without looking by itself. */
  listen(changed: () => void): void {
    this.#told.begin(changed, this.findings());
  }

  stop(): void {
    this.#watch.stop();
    this.#told.end();
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
      const seen = await each.files.look();
      const isDue = seen === 'changed' || (seen === 'same' && this.#isOutdated(each, now));
      if (isDue && this.#judge(each, now)) swapped = true;
      if (seen === 'moving') isMoving = true;
      const { rejected } = each;
      if (rejected !== undefined && now.getTime() - rejected.since >= GRACE) rejected.told = true;
    }
    this.#told.tell(this.findings(), swapped);
    return isMoving;
  }

  /** What was refused would now be taken, or be refused for another reason: dates pass, and other pairs change. */
  #isOutdated(each: Watched, now: Date): boolean {
    if (each.rejected?.next === undefined) return false;
    const { next, problems } = each.rejected;
    return this.#whyWorse(next, each, now)?.message !== problems[0]?.message;
  }

  /** True when what is served became something else. */
  #judge(each: Watched, now: Date): boolean {
    let next: LoadedPair | undefined;
    try {
      next = loadPair(each.pair, now, this.#origin);
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
      each.rejected = { since, told, problems: problemsOf(error, each.pair), next };
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
}

/** Whatever happens while a file is read, what is served stays. */
function problemsOf(error: unknown, { certSetting, certFile }: CertificatePair): readonly Problem[] {
  if (error instanceof ConfigError) return error.problems;
  const message = `${certFile} cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  return [{ place: certSetting.place, message, hint: 'copy the file again' }];
}

function watched(pair: CertificatePair): Omit<Watched, 'served'> {
  const files = [pair.certFile, pair.keyFile, pair.passwordFile].filter((file) => file !== undefined);
  return { pair, files: new WatchedFiles(files), rejected: undefined };
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
