// The doctor's look at certificates that are issued to us: what the store has of each name.

import { join } from 'node:path';
import { DirectoryStorage } from './acme/directory-storage.ts';
import { problemOfChain } from './acme/issue.ts';
import { loadCertificate } from './acme/records.ts';
import { toLoaded } from './acme/stored.ts';
import type { LoadedCertificate } from './certificate-source.ts';
import type { Configuration } from './configuration.ts';
import { type Diagnosis, fail, ok, warn } from './diagnosis.ts';

const DAY = 86_400_000;

export interface Issued {
  readonly diagnoses: readonly Diagnosis[];
  /** Those that can be served. */
  readonly certificates: readonly LoadedCertificate[];
}

export async function examineIssued({ issuance, certsDirectory }: Configuration, now: Date): Promise<Issued> {
  const storage = new DirectoryStorage(join(certsDirectory, 'acme'));
  const diagnoses: Diagnosis[] = [];
  const certificates: LoadedCertificate[] = [];
  for (const name of issuance.flatMap(({ names }) => names)) {
    try {
      const stored = await loadCertificate(storage, name);
      const problem = stored === undefined ? 'is not issued yet' : problemOfChain(stored.chain, name, stored.key, +now);
      if (stored === undefined || problem !== undefined) {
        const todo = 'Portico does so when it runs: /readyz?verbose on the admin listener says what stands against it';
        diagnoses.push(warn('certificate', `that of ${name} ${problem}`, todo));
        continue;
      }
      const loaded = toLoaded(name, stored)!;
      const days = Math.floor((loaded.notAfter.getTime() - now.getTime()) / DAY);
      certificates.push(loaded);
      diagnoses.push(ok('certificate', `${name}, issued by ${new URL(stored.directory).host}, ${days} days left`));
    } catch (error) {
      diagnoses.push(fail('certificate', (error as Error).message, 'run this as the user that Portico runs as'));
    }
  }
  return { diagnoses, certificates };
}
