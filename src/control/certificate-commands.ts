// `portico cert lint` and `portico cert list`: what is wrong with files before they are used, and what is in force.

import type { X509Certificate } from 'node:crypto';
import { join, resolve } from 'node:path';
import { DirectoryStorage } from './acme/directory-storage.ts';
import { loadIssued } from './acme/stored.ts';
import { type Material, readMaterial } from './certificate-formats.ts';
import { arrangeChain, isCurrent, lintChain, lintDates, reasonToRefuse } from './certificate-lint.ts';
import { describe, namesOf, oneLine } from './certificate-names.ts';
import type { Finding, LoadedCertificate } from './certificate-source.ts';
import { certificateTable } from './certificate-table.ts';
import { ask } from './commands.ts';
import type { Configuration, Environment } from './configuration.ts';
import { loadFiles } from './materials.ts';
import { formatProblem, type Problem } from './problem.ts';
import { sourceOf } from './source.ts';

/** `portico cert lint FILE...`: 0 when nothing in them keeps clients or us from using them. */
export function lint(files: readonly string[], passwordFile: string | undefined): number {
  const { lines, ok } = lintFiles(files, passwordFile, new Date());
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
  return ok ? 0 : 1;
}

/** `portico cert list`: of the running instance, or else of the configuration. */
export async function list(file: string | undefined, environment: Environment): Promise<number> {
  const source = sourceOf(file, environment);
  try {
    const answer = await ask(source, environment, 'certificates');
    if (!answer.ok) throw new Error(answer.message);
    process.stdout.write(`${answer.message}\n`);
    return 0;
  } catch (notAsked) {
    process.stderr.write(`note: ${(notAsked as Error).message}; this is what the configuration names\n`);
  }
  try {
    const configuration = source.load();
    const now = new Date();
    if (configuration.demo) {
      process.stdout.write('no variable is set: the demo would make its own certificate\n');
      return 0;
    }
    const { certificates } = loadFiles(configuration, now);
    const issued = await readIssued(configuration);
    const all = [...certificates.current(), ...issued.certificates];
    process.stdout.write(`${certificateTable(all, [...certificates.findings(), ...issued.findings], now)}\n`);
    return 0;
  } catch (error) {
    process.stderr.write(
      `portico: the configuration is wrong:\n  ${(error as Error).message.split('\n').join('\n  ')}\n`,
    );
    return 1;
  }
}

/** What the store has of the names that are issued to us. */
async function readIssued({ issuance, certsDirectory }: Configuration) {
  const storage = new DirectoryStorage(join(certsDirectory, 'acme'));
  const certificates: LoadedCertificate[] = [];
  const findings: Finding[] = [];
  for (const place of issuance.flatMap(({ names }) => names)) {
    try {
      const loaded = await loadIssued(storage, place);
      if (loaded !== undefined) certificates.push(loaded);
      else {
        const message = 'has no certificate yet: one is issued when Portico runs';
        findings.push({ code: 'acme-pending', severity: 'note', place, message });
      }
    } catch (error) {
      const hint = 'run this as the user that Portico runs as';
      findings.push({ code: 'acme-failed', severity: 'error', place, message: (error as Error).message, hint });
    }
  }
  return { certificates, findings };
}

interface Linted {
  readonly lines: readonly string[];
  readonly ok: boolean;
}

/** Any number of files, which may belong together: a certificate and its key, or one with both. */
export function lintFiles(files: readonly string[], passwordFile: string | undefined, now: Date): Linted {
  const problems: Problem[] = [];
  const named = (file: string) => ({ place: 'error:', name: file, file: resolve(file) });
  const password = {
    name: '--password-file',
    file: passwordFile === undefined ? undefined : named(passwordFile),
  };
  const read = files.flatMap((file) => {
    const material = readMaterial(named(file), password, problems);
    return material === undefined ? [] : [{ file: resolve(file), material }];
  });
  const keys = read.flatMap(({ material }) => material.keys);
  const lines: string[] = [];
  let ok = problems.length === 0;
  for (const { file, material } of read) {
    const linted = lintOne(file, material, keys, now);
    lines.push(...linted.lines);
    ok &&= linted.ok;
  }
  return { lines: [...problems.map(formatProblem), ...lines], ok };
}

function lintOne(file: string, material: Material, keys: Material['keys'], now: Date): Linted {
  const { certificates } = material;
  if (certificates.length === 0) {
    const what = material.keys.length > 0 ? 'a private key' : material.words;
    return { lines: [`${file}: ${what}`], ok: material.keys.length > 0 };
  }
  const fitting = certificates.filter((each) => keys.some((key) => each.checkPrivateKey(key)));
  const leaf = fitting.find((each) => isCurrent(each, now)) ?? fitting[0] ?? firstLeaf(certificates);
  const chain = arrangeChain(leaf, certificates, now);
  const refusal = reasonToRefuse(chain);
  const remarks = [...lintDates(chain, now), ...lintChain(chain)];
  const found: string[] = remarks.map(({ severity, what, hint }) => `${severity}: ${file} ${what} (${hint})`);
  if (refusal !== undefined) found.unshift(`error: ${file} ${refusal.what} (${refusal.hint})`);
  const isKeyMissing = keys.length > 0 && fitting.length === 0;
  if (isKeyMissing)
    found.unshift(`error: ${file} has no private key among these files (give the one that belongs to it)`);
  const until = leaf.validToDate.toISOString();
  const head = `${file}: ${describe(leaf)}, for ${namesOf(leaf).join(' ') || 'no name'}, by ${oneLine(leaf.issuer)}, until ${until}`;
  const isBad = refusal !== undefined || isKeyMissing || remarks.some(({ severity }) => severity === 'error');
  return { lines: [head, ...found.map((each) => `  ${each}`)], ok: !isBad };
}

/** Without a key to tell: the first that is no authority. */
function firstLeaf(certificates: readonly X509Certificate[]): X509Certificate {
  return certificates.find(({ ca }) => !ca) ?? certificates[0]!;
}
