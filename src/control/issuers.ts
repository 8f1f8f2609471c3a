// Which issuers give us certificates, for which names, and how they may look whether those are ours: read from variables, and the values of both ways.

import { isIP } from 'node:net';
import { CHALLENGE_TYPES, type ChallengeType, type DnsProof, type Issuance, type Issuer } from './configuration.ts';
import { DNS_PROOF_MISSING, DNS_VARIABLES, readDnsProof } from './dns-proof.ts';
import { Wrong, withoutUser } from './values.ts';
import type { VariableReader } from './variable-reader.ts';

/** Directories that have a name of their own here. */
const DIRECTORIES: Readonly<Record<string, string>> = {
  letsencrypt: 'https://acme-v02.api.letsencrypt.org/directory',
  'letsencrypt-staging': 'https://acme-staging-v02.api.letsencrypt.org/directory',
};
export const DEFAULT_DIRECTORY = 'letsencrypt';

/** Where an issue may be tried out that must not fail often at the directory itself. */
export function rehearsalOf(directory: string): string | undefined {
  return directory === DIRECTORIES.letsencrypt ? DIRECTORIES['letsencrypt-staging'] : undefined;
}

export const ACME_VARIABLES: readonly string[] = [
  ...['ACME_DIRECTORY', 'ACME_EMAIL', 'ACME_CA_FILE', 'ACME_CHALLENGES', 'ACME_PROFILE'],
  ...['ACME_EAB_KID', 'ACME_EAB_HMAC', 'ACME_EAB_HMAC_FILE'],
  ...DNS_VARIABLES,
];

/** Either of these means that certificates are to be issued. */
export const ACME_SWITCHES: readonly string[] = ['ACME_DIRECTORY', 'ACME_EMAIL'];

/** undefined: nothing is to be issued. */
export function readIssuance(reader: VariableReader, hostNames: readonly string[]): Issuance | undefined {
  const set = ACME_VARIABLES.filter((name) => reader.text(name) !== undefined);
  const first = ACME_SWITCHES.find((name) => set.includes(name));
  if (first === undefined) {
    for (const name of set) {
      const hint = 'set ACME_DIRECTORY or ACME_EMAIL to have certificates issued, or leave it out';
      reader.problem(name, 'is set, and nothing is to be issued', hint);
    }
    return undefined;
  }
  for (const name of ['SSL_CRT', 'SSL_KEY', 'SSL_KEY_PASSWORD_FILE']) {
    if (reader.text(name) === undefined) continue;
    const hint = `leave out ${name} to have certificates issued, or ACME_DIRECTORY and ACME_EMAIL to serve the file`;
    reader.problem(name, `is set, and ${first} too`, hint);
  }
  const names = [...new Set(hostNames)];
  const dns = readDnsProof(reader);
  const challenges = readChallenges(reader, dns);
  for (const name of names) {
    const problem = problemOfName(name, challenges);
    if (problem !== undefined) reader.problem(first, `is set, but ${problem}`, 'set SSL_CRT and SSL_KEY instead');
  }
  return {
    names,
    issuers: [readIssuer(reader)],
    ...{ challenges, dns },
    setting: { place: first, name: first },
  };
}

function readIssuer(reader: VariableReader): Issuer {
  const directory = reader.value('ACME_DIRECTORY', readDirectory) ?? DIRECTORIES[DEFAULT_DIRECTORY]!;
  const kid = reader.text('ACME_EAB_KID');
  const hmac = reader.secret('ACME_EAB_HMAC', readHmac);
  const hasHmac = reader.text('ACME_EAB_HMAC') !== undefined || reader.text('ACME_EAB_HMAC_FILE') !== undefined;
  if (kid !== undefined && !hasHmac) {
    reader.problem('ACME_EAB_HMAC', 'is not set, but ACME_EAB_KID is', 'set both to what your issuer gave you');
  }
  if (hasHmac && kid === undefined) {
    reader.problem('ACME_EAB_KID', 'is not set, but ACME_EAB_HMAC is', 'set both to what your issuer gave you');
  }
  const file = reader.file('ACME_CA_FILE');
  return {
    directory,
    email: reader.value('ACME_EMAIL', readEmail),
    ca: file === undefined ? undefined : { file, setting: { place: 'ACME_CA_FILE', name: 'ACME_CA_FILE' } },
    eab: kid === undefined || hmac === undefined ? undefined : { kid, hmac },
    profile: reader.text('ACME_PROFILE'),
    rehearsal: rehearsalOf(directory),
    preferredChain: undefined,
  };
}

/** Where DNS is changed for it that is the way, without a word on it: the others need a port that issuers reach. */
export function defaultChallenges(changesDns: boolean): readonly ChallengeType[] {
  return changesDns ? ['dns-01'] : ['http-01', 'tls-alpn-01'];
}

function readChallenges(reader: VariableReader, dns: DnsProof | undefined): readonly ChallengeType[] {
  const given = reader.list('ACME_CHALLENGES');
  const known = given.flatMap((each) => CHALLENGE_TYPES.find((type) => type === each) ?? []);
  if (known.length < given.length || new Set(given).size < given.length) {
    const hint = `list one or more of ${CHALLENGE_TYPES.join(', ')}, separated by commas, the preferred one first`;
    reader.problem('ACME_CHALLENGES', `is "${reader.text('ACME_CHALLENGES')}"`, hint);
  }
  // Whether or not what it says is right.
  const changesDns = DNS_VARIABLES.some((name) => reader.text(name) !== undefined);
  if (known.includes('dns-01') && !changesDns) {
    reader.problem('ACME_CHALLENGES', DNS_PROOF_MISSING.what, DNS_PROOF_MISSING.hint);
  }
  if (known.length > 0 && !known.includes('dns-01') && dns !== undefined) {
    reader.problem(
      dns.setting.place,
      'is set, and ACME_CHALLENGES does not list dns-01',
      'add dns-01, or leave it out',
    );
  }
  return known.length === 0 ? defaultChallenges(changesDns) : known;
}

/** Why no issuer can give a certificate for it by what is allowed here. */
export function problemOfName(name: string, challenges: readonly ChallengeType[]): string | undefined {
  if (isIP(name.replace(/^\[|\]$/g, '')) !== 0) return `${name} is an address, and certificates are issued for names`;
  if (name.startsWith('*') && !challenges.includes('dns-01'))
    return `${name} is a wildcard, which only dns-01 can prove`;
  return undefined;
}

export function readDirectory(text: string): string | Wrong {
  const url = DIRECTORIES[text.toLowerCase()] ?? text;
  const read = URL.canParse(url) ? new URL(url) : undefined;
  if (read?.protocol === 'https:' && read.username === '' && read.hash === '') return read.href;
  const names = Object.keys(DIRECTORIES).join(', ');
  return new Wrong(`is "${withoutUser(text)}"`, `give the https:// URL of an ACME directory, or one of ${names}`);
}

export function readEmail(text: string): string | Wrong {
  if (/^[^\s@,?&%"<>]+@[^\s@,?&%"<>]+$/.test(text) && text.length <= 254) return text;
  return new Wrong(`is "${text}"`, 'give one mail address, without a name or mailto:');
}

/** What it is is not repeated: it is a secret. */
export function readHmac(text: string): string | Wrong {
  if (/^[\w+/-]{16,}={0,2}$/.test(text)) return text;
  return new Wrong('is no key in base64url of 12 bytes or more', 'give the HMAC key as your issuer printed it');
}
