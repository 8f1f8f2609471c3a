// Who vouches for clients (mutual TLS): authorities and revocation lists read from their files, with a sentence for all that would let in nobody, or everybody.

import { createHash, type X509Certificate } from 'node:crypto';
import { createSecureContext, rootCertificates } from 'node:tls';
import type { ClientTrust } from '../model/snapshot.ts';
import { readMaterial } from './certificate-formats.ts';
import { isSelfSigned } from './certificate-lint.ts';
import { describe } from './certificate-names.ts';
import type { Finding } from './certificate-source.ts';
import type { ClientTrustFiles } from './configuration.ts';
import { ConfigError, type Problem } from './problem.ts';
import { type RevocationList, readRevocationLists } from './revocation-list.ts';
import { type NamedFile, report } from './source-file.ts';

export interface LoadedTrust {
  readonly trust: ClientTrust;
  /** Dates come near: asked anew each time. */
  findings(now: Date): Finding[];
}

const DAY = 86_400_000;
const HOUR = 3_600_000;
/** Of an authority, in ms. */
const ENDS_SOON = 30 * DAY;

/** Throws a ConfigError with every problem found. */
export function loadClientTrust({ ca, crl }: ClientTrustFiles): LoadedTrust {
  const problems: Problem[] = [];
  const source: NamedFile = { ...ca.setting, file: ca.file };
  const listSource: NamedFile | undefined = crl === undefined ? undefined : { ...crl.setting, file: crl.file };
  const authorities = readAuthorities(source, problems);
  const lists = listSource === undefined ? [] : readRevocationLists(listSource, problems);
  if (problems.length > 0 || authorities === undefined || lists === undefined) throw new ConfigError(problems);
  if (lists.length > 0 && !authorities.some(isSelfSigned)) {
    const what = 'holds no root, and with a revocation list all of the way up to the root is looked at';
    report(problems, source, what, 'add the root to it, and its revocation list to the others');
  }
  const trust = makeTrust(authorities, lists);
  const why = tryToUse(trust);
  if (why !== undefined) report(problems, source, `cannot be used for TLS: ${why}`, 'copy the files again');
  if (problems.length > 0) throw new ConfigError(problems);
  return {
    trust,
    findings: (now) => [
      ...authorities.flatMap((authority) => lintAuthority(authority, source, now)),
      ...(listSource === undefined ? [] : lintLists(lists, authorities, listSource, now)),
    ],
  };
}

function readAuthorities(source: NamedFile, problems: Problem[]): readonly X509Certificate[] | undefined {
  const material = readMaterial(source, { file: undefined, name: `${source.name} (without a passphrase)` }, problems);
  if (material === undefined) return undefined;
  const { certificates, words } = material;
  const hint = `let ${source.name} name the certificates of the authorities that issue to your clients`;
  if (certificates.length === 0) {
    report(problems, source, `holds ${words} where certificates of authorities should be`, hint);
  }
  for (const each of certificates.filter(({ ca }) => !ca)) {
    report(problems, source, `holds ${describe(each)}, which is no authority and can vouch for nobody`, hint);
  }
  return certificates;
}

function makeTrust(authorities: readonly X509Certificate[], lists: readonly RevocationList[]): ClientTrust {
  const content = { authorities: authorities.map(String).join(''), revocations: lists.map(({ pem }) => pem) };
  const id = createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 32);
  const revocationEnds = lists.flatMap(({ until }) => (until === undefined ? [] : [until.getTime()]));
  return { id, ...content, revocationEnds };
}

/** What the TLS library will not take is better said here than by a worker. */
function tryToUse({ authorities, revocations }: ClientTrust): string | undefined {
  try {
    createSecureContext({ ca: authorities, crl: [...revocations] });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message.split('::').at(-1) : 'unknown reason';
  }
}

type Remark = Pick<Finding, 'code' | 'severity' | 'hint'> & { readonly what: string };

function lintAuthority(authority: X509Certificate, { place, file }: NamedFile, now: Date): Finding[] {
  const remarks: Remark[] = [];
  const { validFromDate: from, validToDate: to } = authority;
  const name = describe(authority);
  const hint = 'get its current certificate, and have your clients get theirs';
  const left = to.getTime() - now.getTime();
  if (left < 0 || now < from) {
    const code = left < 0 ? 'client-authority-expired' : 'client-authority-early';
    const when = left < 0 ? `expired at ${to.toISOString()}` : `is not valid before ${from.toISOString()}`;
    const what = `holds ${name}, which ${when}: clients that it vouches for are refused`;
    remarks.push({ code, severity: 'error', what, hint });
  } else if (left < ENDS_SOON) {
    const what = `holds ${name}, which expires in ${Math.floor(left / DAY)} days: clients that it vouches for are refused then`;
    remarks.push({ code: 'client-authority-ends', severity: 'warning', what, hint });
  }
  if (PUBLIC.has(withoutSpace(authority.toString()))) {
    const what = `holds the public authority ${name}: whoever gets a certificate from it comes in`;
    remarks.push({ code: 'client-authority-public', severity: 'warning', what, hint: 'name an authority of your own' });
  }
  return remarks.map(({ what, ...rest }) => ({ ...rest, place, message: `${file} ${what}` }) as Finding);
}

const withoutSpace = (pem: string) => pem.replace(/\s/g, '');
const PUBLIC: ReadonlySet<string> = new Set(rootCertificates.map(withoutSpace));

function lintLists(
  lists: readonly RevocationList[],
  authorities: readonly X509Certificate[],
  { place, file }: NamedFile,
  now: Date,
): Finding[] {
  const remarks = lists.flatMap((list) => lintList(list, authorities, now));
  for (const authority of authorities) {
    if (lists.some((list) => list.isOf(authority) !== false)) continue;
    const what = `holds no list of ${describe(authority)}: clients that it vouches for are refused`;
    remarks.push({ code: 'revocations-missing', severity: 'error', what, hint: 'add the list of that authority, too' });
  }
  return remarks.map(({ what, ...rest }) => ({ ...rest, place, message: `${file} ${what}` }) as Finding);
}

function lintList(list: RevocationList, authorities: readonly X509Certificate[], now: Date): Remark[] {
  const { from, until, where } = list;
  const owner = authorities.find((authority) => list.isOf(authority) === true);
  const name = owner === undefined ? where || 'its list' : `the list of ${describe(owner)}`;
  const renew = 'fetch the current one from the authority, and have that done regularly';
  const remarks: Remark[] = [];
  if (owner === undefined && authorities.every((authority) => list.isOf(authority) === false)) {
    const what = `${where === '' ? '' : `has a list in ${where} that `}is of none of the authorities, and has no effect`;
    remarks.push({
      code: 'revocations-unrelated',
      severity: 'warning',
      what,
      hint: 'leave it out, or name its authority',
    });
  }
  if (now < from) {
    const what = `is not valid before ${from.toISOString()} (${name}): clients are refused until then`;
    remarks.push({
      code: 'revocations-early',
      severity: 'error',
      what,
      hint: `the clock here says ${now.toISOString()}`,
    });
  }
  if (until === undefined) return remarks;
  const left = until.getTime() - now.getTime();
  if (left < 0) {
    const what = `is out of date since ${until.toISOString()} (${name}): clients are refused`;
    remarks.push({ code: 'revocations-expired', severity: 'error', what, hint: renew });
  } else if (left < (until.getTime() - from.getTime()) / 10) {
    const what = `is out of date in ${Math.ceil(left / HOUR)} hours (${name}): clients are refused then`;
    remarks.push({ code: 'revocations-end', severity: 'warning', what, hint: renew });
  }
  return remarks;
}
