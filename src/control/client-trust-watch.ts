// The files of those who vouch for clients: read, and looked after from then on as certificates are. What is worse than what is in force is not taken.

import type { ClientTrust } from '../model/snapshot.ts';
import type { CertificateSource, Finding } from './certificate-source.ts';
import { GRACE } from './certificate-watch.ts';
import { type LoadedTrust, loadClientTrust } from './client-trust.ts';
import { type ClientTrustFiles, trustKey } from './configuration.ts';
import { FileWatch, WatchedFiles } from './file-watch.ts';
import { ConfigError, type Problem } from './problem.ts';
import { ToldFindings } from './told-findings.ts';

interface Watched {
  readonly named: ClientTrustFiles;
  readonly files: WatchedFiles;
  inForce: LoadedTrust;
  /** What is in the files now cannot take its place. */
  rejected:
    | { readonly since: number; told: boolean; readonly problems: readonly Problem[]; isEarly: boolean }
    | undefined;
}

export class ClientTrustSource implements CertificateSource {
  readonly #all: ReadonlyMap<string, Watched>;
  readonly #watch = new FileWatch((now) => this.look(now));
  #trusts: ReadonlyMap<string, ClientTrust>;
  readonly #told = new ToldFindings();
  #now: Date;

  /** Reads all of them. Throws a ConfigError with every problem found. */
  constructor(wanted: readonly ClientTrustFiles[], now: Date) {
    const problems: Problem[] = [];
    const all = new Map<string, Watched>();
    this.#now = now;
    for (const named of wanted) {
      if (all.has(trustKey(named))) continue;
      try {
        const files = new WatchedFiles([named.ca.file, ...(named.crl === undefined ? [] : [named.crl.file])]);
        all.set(trustKey(named), { named, files, inForce: loadClientTrust(named), rejected: undefined });
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        problems.push(...error.problems);
      }
    }
    if (problems.length > 0) throw new ConfigError(problems);
    this.#all = all;
    this.#trusts = this.#collect();
  }

  current(): readonly [] {
    return [];
  }

  clientTrusts(): ReadonlyMap<string, ClientTrust> {
    return this.#trusts;
  }

  findings(): readonly Finding[] {
    return [...this.#all.values()].flatMap(({ named, inForce, rejected, files: { detached } }) => [
      ...(rejected?.told === true ? rejected.problems.map(notUsed) : []),
      ...(detached === undefined ? [] : [detachedFinding(named, detached)]),
      ...inForce.findings(this.#now),
    ]);
  }

  start(changed: () => void): void {
    this.listen(changed);
    this.#watch.start([...this.#all.values()].flatMap(({ files }) => files.files));
  }

  /** Calls back after a look that found something, without looking by itself. */
  listen(changed: () => void): void {
    this.#told.begin(changed, this.findings());
  }

  stop(): void {
    this.#watch.stop();
    this.#told.end();
  }

  /** Looks at all files once. Resolves to true when there is a change that is to be looked at again soon. */
  async look(now: Date): Promise<boolean> {
    this.#now = now;
    let isMoving = false;
    let isNew = false;
    for (const each of this.#all.values()) {
      const seen = await each.files.look();
      if (seen === 'moving') isMoving = true;
      // A list that the authority made this minute may be of the next one by our clock.
      const isDue = seen === 'changed' || each.rejected?.isEarly === true;
      if (isDue && this.#judge(each, now)) isNew = true;
      if (each.rejected !== undefined && now.getTime() - each.rejected.since >= GRACE) each.rejected.told = true;
    }
    if (isNew) this.#trusts = this.#collect();
    this.#told.tell(this.findings(), isNew);
    return isMoving;
  }

  /** True when something else came into force. */
  #judge(each: Watched, now: Date): boolean {
    let isEarly = false;
    try {
      const next = loadClientTrust(each.named);
      const known = each.inForce
        .findings(now)
        .filter(isError)
        .map(({ code }) => code);
      const worse = next.findings(now).filter((finding) => isError(finding) && !known.includes(finding.code));
      isEarly = worse.some(({ code }) => code.endsWith('-early'));
      if (worse.length > 0) throw new ConfigError(worse);
      const isNew = next.trust.id !== each.inForce.trust.id;
      each.inForce = next;
      each.rejected = undefined;
      return isNew;
    } catch (error) {
      const { since = now.getTime(), told = false } = each.rejected ?? {};
      each.rejected = { since, told, isEarly, problems: problemsOf(error, each.named) };
      return false;
    }
  }

  #collect(): ReadonlyMap<string, ClientTrust> {
    return new Map([...this.#all].map(([key, { inForce }]) => [key, inForce.trust]));
  }
}

const isError = ({ severity }: Finding) => severity === 'error';

/** Whatever happens while a file is read, what is in force stays. */
function problemsOf(error: unknown, { ca }: ClientTrustFiles): readonly Problem[] {
  if (error instanceof ConfigError) return error.problems;
  const message = `${ca.file} cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  return [{ place: ca.setting.place, message, hint: 'copy the file again' }];
}

function notUsed({ place, message, hint }: Problem): Finding {
  const said = `${message}: it is not used, what was in force before stays`;
  return { code: 'not-used', severity: 'error', place, message: said, ...(hint === undefined ? {} : { hint }) };
}

function detachedFinding({ ca }: ClientTrustFiles, file: string): Finding {
  const message = `${file} was replaced where it is mounted from, and the mount still shows the old one`;
  const hint = 'mount the folder instead of the single file, then create the container anew';
  return { code: 'detached', severity: 'error', place: ca.setting.place, message, hint };
}
