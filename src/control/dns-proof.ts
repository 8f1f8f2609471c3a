// How DNS is changed for dns-01: read from variables, and the values of both ways.

import { accessSync, constants, type Stats, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { delimiter, join } from 'node:path';
import type { Finding } from './certificate-source.ts';
import type { DnsProof } from './configuration.ts';
import type { Problem } from './problem.ts';
import { closeIt, openTo, readNamedFile, report } from './source-file.ts';
import { readPlace, Wrong } from './values.ts';
import type { VariableReader } from './variable-reader.ts';

export const DNS_VARIABLES: readonly string[] = [
  ...['ACME_DNS_HOOK', 'ACME_DNS_SERVER', 'ACME_DNS_KEY_FILE', 'ACME_DNS_RESOLVERS'],
];
const DNS_PORT = 53;

export interface Server {
  readonly host: string;
  readonly port: number;
}

/** undefined: DNS is not to be changed, or what says how is wrong. */
export function readDnsProof(reader: VariableReader): DnsProof | undefined {
  const hook = reader.file('ACME_DNS_HOOK');
  const server = reader.value('ACME_DNS_SERVER', readServer);
  const keyFile = reader.file('ACME_DNS_KEY_FILE');
  const resolvers = reader.list('ACME_DNS_RESOLVERS').flatMap((each) => {
    const read = readResolver(each);
    if (!(read instanceof Wrong)) return [read];
    reader.problem('ACME_DNS_RESOLVERS', `lists "${each}", which is no address`, read.hint);
    return [];
  });
  const isSet = (name: string) => reader.text(name) !== undefined;
  if (hook !== undefined) {
    for (const name of ['ACME_DNS_SERVER', 'ACME_DNS_KEY_FILE'].filter(isSet)) {
      reader.problem(name, 'is set, and ACME_DNS_HOOK too', 'leave out one of them');
    }
    const setting = { place: 'ACME_DNS_HOOK', name: 'ACME_DNS_HOOK' };
    return { kind: 'hook', file: hook, resolvers, setting };
  }
  if (isSet('ACME_DNS_SERVER') !== isSet('ACME_DNS_KEY_FILE')) {
    const [there, missing] = isSet('ACME_DNS_SERVER')
      ? ['ACME_DNS_SERVER', 'ACME_DNS_KEY_FILE']
      : ['ACME_DNS_KEY_FILE', 'ACME_DNS_SERVER'];
    reader.problem(
      missing,
      `is not set, but ${there} is`,
      'set both: the server that takes updates, and the key for them',
    );
  }
  if (!isSet('ACME_DNS_SERVER') && !isSet('ACME_DNS_KEY_FILE') && isSet('ACME_DNS_RESOLVERS')) {
    reader.problem('ACME_DNS_RESOLVERS', 'is set, and nothing changes DNS', HINT);
  }
  if (server === undefined || keyFile === undefined) return undefined;
  const setting = { place: 'ACME_DNS_KEY_FILE', name: 'ACME_DNS_KEY_FILE' };
  return { kind: 'update', ...server, keyFile, resolvers, setting };
}

const HINT = 'set ACME_DNS_HOOK, or ACME_DNS_SERVER and ACME_DNS_KEY_FILE';

/** That variables list dns-01, and nothing says how DNS is changed. */
export const DNS_PROOF_MISSING = { what: 'lists dns-01, and nothing says how DNS is changed', hint: HINT };

/** A name or an address, with a port where it is not 53. */
export function readServer(text: string): Server | Wrong {
  const read = isIP(text) === 6 ? { host: text, port: undefined } : readPlace(text);
  if (read === undefined || read.port === 0) {
    return new Wrong(
      `is "${text}", which is no server`,
      'give its name or address, or with a port: ns1.example.com:53',
    );
  }
  return { host: read.host.replace(/^\[|\]$/g, ''), port: read.port ?? DNS_PORT };
}

/** An address with its port, as node:dns takes it. */
export function readResolver(text: string): string | Wrong {
  const server = readServer(text);
  if (server instanceof Wrong || isIP(server.host) === 0) {
    return new Wrong(
      `is "${text}", which is no address`,
      'give addresses of name servers: 10.0.0.53, or 10.0.0.53:5353',
    );
  }
  return `${server.host.includes(':') ? `[${server.host}]` : server.host}:${server.port}`;
}

/** What it needs on this machine: what stands against it becomes a problem, and the answer is what is worth a word. */
export function checkDnsProof(proof: DnsProof, problems: Problem[]): Finding[] {
  if (proof.kind === 'hook') {
    const named = { ...proof.setting, file: proof.file };
    const program = findProgram(proof.file);
    if (program === undefined) {
      const hint = `let ${named.name} name a program, with the right to execute it; in a container it must be mounted`;
      report(problems, named, 'is no program that this user may execute', hint);
      return [];
    }
    if (openTo(program.mode) !== 'write') return [];
    const message = `${proof.file} is run with the rights of Portico, and every user of this machine may write it`;
    const hint = `chmod o-w ${proof.file}`;
    return [{ code: 'permissions', severity: 'warning', place: named.place, message, hint }];
  }
  const { keyFile, setting } = proof;
  const content = readNamedFile({ ...setting, file: keyFile }, problems);
  const folders = (process.env.PATH ?? '').split(delimiter);
  if (!folders.some((folder) => folder !== '' && findProgram(join(folder, 'nsupdate')) !== undefined)) {
    const hint = 'install it (on Debian: bind9-dnsutils), or have a hook change DNS';
    problems.push({ place: setting.place, message: 'needs the program nsupdate, which is not on the PATH', hint });
  }
  const may = content === undefined ? undefined : openTo(content.stats.mode);
  if (may === undefined) return [];
  const message = `${keyFile} holds a key that changes DNS, which every user of this machine may ${may}`;
  return [{ code: 'permissions', severity: 'warning', place: setting.place, message, hint: closeIt(keyFile) }];
}

/** undefined: there is none that this user may execute. */
function findProgram(path: string): Stats | undefined {
  try {
    accessSync(path, constants.X_OK);
    const stats = statSync(path);
    return stats.isFile() ? stats : undefined;
  } catch {
    return undefined;
  }
}
