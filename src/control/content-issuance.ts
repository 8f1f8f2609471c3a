// Certificates that a configuration file has issued: by whom, for which names, and how they are proved.

import type { DnsProof, Issuance, Issuer } from './configuration.ts';
import { type Acme, type AcmeIssuer, type Reading, settingOf } from './content-reading.ts';
import { DEFAULT_DIRECTORY, defaultChallenges, problemOfName, readDirectory, rehearsalOf } from './issuers.ts';

export function readIssuance(reading: Reading): Issuance[] {
  const seen = new Set<string>();
  const hostNames = [...reading.content.hosts.keys()];
  return (reading.content.acme ?? []).map(({ value: { names, issuers, ...rest }, at }) => {
    const { challenges, dns } = readProofs(reading, rest);
    // Of hosts that are not named here a wildcard may have its certificate as a file.
    const issuable = hostNames.filter((name) => !name.startsWith('*') || challenges.includes('dns-01'));
    const wanted = names?.value ?? issuable.map((value) => ({ value, at }));
    for (const { value, at } of wanted) {
      const problem = problemOfName(value, challenges);
      if (problem !== undefined) {
        const asFile = 'leave it out here and give its certificate as a file';
        at.problem(problem, value.startsWith('*') ? `add dns:, or ${asFile}` : asFile);
      }
      if (seen.has(value)) at.problem(`${value} is to be issued already`, 'keep one of them');
      seen.add(value);
    }
    return {
      names: wanted.map(({ value }) => value),
      issuers: (issuers ?? [{} as AcmeIssuer]).map((issuer) => readIssuer(reading, issuer)),
      ...{ challenges, dns, setting: settingOf(at) },
    };
  });
}

function readProofs(
  reading: Reading,
  { challenges: given, dns: placed }: Pick<Acme, 'challenges' | 'dns'>,
): Pick<Issuance, 'challenges' | 'dns'> {
  const dns = placed === undefined ? undefined : readDnsProof(reading, placed);
  const challenges = given === undefined ? defaultChallenges(placed !== undefined) : [...new Set(given.value)];
  if (given !== undefined && challenges.includes('dns-01') && placed === undefined) {
    given.at.problem('lists dns-01, and nothing says how DNS is changed', 'add dns: with hook or update beside it');
  }
  if (placed !== undefined && given !== undefined && !challenges.includes('dns-01')) {
    placed.at.problem('is given, and challenges does not list dns-01', 'add dns-01 there, or leave this out');
  }
  return { challenges, dns };
}

function readDnsProof(
  reading: Reading,
  { value: { hook, update, resolvers = [] }, at }: NonNullable<Acme['dns']>,
): DnsProof | undefined {
  if ((hook === undefined) === (update === undefined)) {
    return at.problem(hook === undefined ? 'says not how' : 'says it in two ways', 'give hook or update');
  }
  if (hook !== undefined) return { kind: 'hook', ...reading.fileAt(hook), resolvers };
  const { server, keyFile } = update!;
  const { file, setting } = reading.fileAt(keyFile);
  return { kind: 'update', ...server, keyFile: file, resolvers, setting };
}

function readIssuer(reading: Reading, { directory, email, ca, eab, profile, preferredChain }: AcmeIssuer): Issuer {
  const url = directory ?? (readDirectory(DEFAULT_DIRECTORY) as string);
  return {
    ...{ directory: url, email, eab, profile, preferredChain, rehearsal: rehearsalOf(url) },
    ca: ca === undefined ? undefined : reading.fileAt(ca),
  };
}
