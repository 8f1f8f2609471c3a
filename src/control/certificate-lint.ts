// What is wrong with a certificate and its chain, each in one sentence with what to do; and the chain put into the order that clients want.

import { X509Certificate } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import { describe, oneLine } from './certificate-names.ts';
import type { Finding } from './certificate-source.ts';
import { demandsStaple, responderOf } from './ocsp/question.ts';

/** The issuer's organization in certificates that we made ourselves: such an issuer never has an intermediate. */
export const LOCAL_AUTHORITY = 'Portico local authority';

const DAY = 86_400_000;
const MIN_RSA_BITS = 2048;
/** RFC 8446 knows them, and every client of today takes them. */
const GOOD_CURVES = ['prime256v1', 'secp384r1'];
/** Some clients take them, browsers do not all. */
const RARE_CURVES = ['secp521r1'];
/** RFC 5280 §4.2.1.12. */
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const ANY_PURPOSE = '2.5.29.37.0';
/** 1.3.6.1.4.1.11129.2.4.2: stamps of public logs (RFC 6962). Only public authorities put them in. */
const LOG_STAMPS = Buffer.of(0x2b, 0x06, 0x01, 0x04, 0x01, 0xd6, 0x79, 0x02, 0x04, 0x02);

/** A leaf with what a file holds beside it, in order. */
export interface Chain {
  /** Leaf first, each followed by its issuer, without the root: clients believe their own copy only. */
  readonly sent: readonly X509Certificate[];
  readonly root: X509Certificate | undefined;
  /** No part of the leaf's chain. */
  readonly unrelated: readonly X509Certificate[];
  /** The file had them in another order. */
  readonly reordered: boolean;
}

export function arrangeChain(leaf: X509Certificate, certificates: readonly X509Certificate[], now: Date): Chain {
  const sent = [leaf];
  const rest = new Set(certificates.filter((certificate) => certificate !== leaf));
  let root: X509Certificate | undefined;
  for (let last = leaf; root === undefined; ) {
    const issuers = isSelfSigned(last) ? [] : [...rest].filter((other) => isIssuedBy(last, other));
    // A cross-signed intermediate comes before a root of the same name: it leads on to a root that older clients know.
    const issuer =
      issuers.find((other) => isCurrent(other, now) && !isSelfSigned(other)) ??
      issuers.find((other) => isCurrent(other, now)) ??
      issuers[0];
    if (issuer === undefined) break;
    rest.delete(issuer);
    if (isSelfSigned(issuer)) root = issuer;
    else sent.push(issuer);
    last = issuer;
  }
  const positions = sent.map((certificate) => certificates.indexOf(certificate));
  const reordered = positions.some((position, i) => i > 0 && position < positions[i - 1]!);
  return { sent, root, unrelated: [...rest], reordered };
}

/** Why it must not be served, whatever else is right: with what to do. */
export function reasonToRefuse(chain: Chain): { readonly what: string; readonly hint: string } | undefined {
  const anew = 'have it issued anew with an ECDSA P-256 key, or with an RSA key of 2048 bits or more';
  for (const certificate of chain.sent) {
    const { asymmetricKeyType: type, asymmetricKeyDetails: details } = certificate.publicKey;
    const bits = details?.modulusLength ?? Number.POSITIVE_INFINITY;
    const unfit = (why: string) => ({ what: `cannot be used for TLS (${describe(certificate)}): ${why}`, hint: anew });
    if (type === 'dsa') return unfit('no client takes DSA keys');
    if (bits < MIN_RSA_BITS) return unfit(`its RSA key of ${bits} bits is too short`);
    const curve = details?.namedCurve;
    if (type === 'ec' && curve !== undefined && ![...GOOD_CURVES, ...RARE_CURVES].includes(curve)) {
      return unfit(`its key is on the curve ${curve}, which clients do not take`);
    }
    if (!isSelfSigned(certificate) && /md5|md2/i.test(certificate.signatureAlgorithm ?? '')) {
      return unfit(`it is signed with ${certificate.signatureAlgorithm}, which can be forged`);
    }
  }
  return undefined;
}

/** A finding without the place and the file, which whoever asked puts before it. */
export type Remark = Omit<Finding, 'place' | 'message'> & { readonly what: string };

/** All that is worth a word, whatever names it is needed for, but the dates. */
export function lintChain(chain: Chain): Remark[] {
  return [
    ...purpose(chain.sent[0]!),
    ...mustStaple(chain.sent[0]!),
    ...completeness(chain),
    ...strength(chain),
    ...order(chain),
  ];
}

/** They come near while it is served. */
export function lintDates({ sent }: Chain, now: Date): Remark[] {
  return sent.flatMap((certificate) => dates(certificate, sent[0]!, now));
}

export const isSelfSigned = (certificate: X509Certificate) => isIssuedBy(certificate, certificate);

/** By name and key identifier, and by signature too: authorities are made anew under the same name. */
function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

export function isCurrent(certificate: X509Certificate, now: Date): boolean {
  return certificate.validFromDate <= now && now <= certificate.validToDate;
}

/** At a start it is served all the same: a site with an old certificate can be looked into, one that does not start cannot. */
function dates(certificate: X509Certificate, leaf: X509Certificate, now: Date): Remark[] {
  const { validFromDate: from, validToDate: to } = certificate;
  const subject = certificate === leaf ? '' : `holds the intermediate ${describe(certificate)}, which `;
  const renew = certificate === leaf ? 'renew it' : 'get the current one from the issuer';
  const left = to.getTime() - now.getTime();
  if (left < 0) {
    const what = `${subject}expired at ${formatDate(to)}, ${formatDays(-left)} ago: clients refuse it`;
    return [{ code: 'expired', severity: 'error', what, hint: renew }];
  }
  if (now < from) {
    const what = `${subject}is not valid before ${formatDate(from)}: clients refuse it`;
    const hint = `is the clock here right? It says ${formatDate(now)}`;
    return [{ code: 'not-yet-valid', severity: 'error', what, hint }];
  }
  // A certificate of six days is not "soon" all its life.
  if (left > Math.min(30 * DAY, (to.getTime() - from.getTime()) / 3)) return [];
  // Each of the three is told anew.
  const stage = left <= 3 * DAY ? 3 : left <= 14 * DAY ? 14 : 30;
  const what = `${subject}expires at ${formatDate(to)}, in ${formatDays(left)}`;
  return [{ code: `expires-${stage}`, severity: 'warning', what, hint: renew }];
}

function purpose(leaf: X509Certificate): Remark[] {
  // What RFC 5280 calls the extended key usage.
  const purposes: readonly string[] | undefined = leaf.keyUsage;
  if (purposes === undefined || purposes.includes(SERVER_AUTH) || purposes.includes(ANY_PURPOSE)) return [];
  const hint = 'have one issued for server authentication';
  return [{ code: 'purpose', severity: 'error', what: 'is not meant for servers: clients refuse it', hint }];
}

/** RFC 7633: it is of use only with an OCSP answer beside it. */
function mustStaple(leaf: X509Certificate): Remark[] {
  if (!demandsStaple(leaf)) return [];
  const responder = responderOf(leaf);
  const demand = 'demands a stapled OCSP answer (must-staple)';
  if (responder === undefined) {
    const what = `${demand}, and names no responder that could give one: clients that heed it refuse it`;
    return [{ code: 'must-staple', severity: 'error', what, hint: 'have it issued without must-staple' }];
  }
  const what = `${demand}: clients that heed it refuse it whenever ${responder.origin} could not be asked in time`;
  return [
    {
      code: 'must-staple',
      severity: 'note',
      what,
      hint: 'have it issued without must-staple, if that is not meant so',
    },
  ];
}

/** Many clients do not fetch a missing intermediate; with a private authority there may be none. */
function completeness({ sent, root }: Chain): Remark[] {
  const leaf = sent[0]!;
  const last = sent.at(-1)!;
  const isOurs = leaf.issuer.split('\n').includes(`O=${LOCAL_AUTHORITY}`);
  if (root !== undefined || isSelfSigned(last) || isOurs || publicRoots().some((each) => isIssuedBy(last, each))) {
    return [];
  }
  const isPublic = leaf.raw.includes(LOG_STAMPS);
  // A private authority's root need not be in the file.
  if (last !== leaf && !isPublic) return [];
  const url = /^CA Issuers - URI:(https?:\S+)$/m.exec(last.infoAccess ?? '')?.[1];
  const what = `holds no certificate of the issuer of ${describe(last)}, ${oneLine(last.issuer)}`;
  const where = url === undefined ? '' : `, which is at ${url},`;
  const hint = isPublic
    ? `clients that do not have it refuse the site: append that intermediate${where} to the file`
    : `unless that is a root that clients know, append its certificate${where} to the file`;
  return [{ code: 'incomplete', severity: 'warning', what, hint }];
}

let roots: readonly X509Certificate[] | undefined;

/** Those that Node brings, which are Mozilla's. */
function publicRoots(): readonly X509Certificate[] {
  roots ??= rootCertificates.map((pem) => new X509Certificate(pem));
  return roots;
}

function strength({ sent }: Chain): Remark[] {
  const remarks: Remark[] = [];
  for (const certificate of sent) {
    const { asymmetricKeyType: type, asymmetricKeyDetails: details } = certificate.publicKey;
    const curve = details?.namedCurve ?? '';
    if (type === 'ed25519' || type === 'ed448' || RARE_CURVES.includes(curve)) {
      const kind = type === 'ec' ? `is on the curve ${curve}` : `is of the kind ${type}`;
      const what = `has a key that ${kind} (${describe(certificate)}): browsers refuse it`;
      remarks.push({ code: 'curve', severity: 'warning', what, hint: 'have it issued with an ECDSA P-256 key' });
    }
    if (!isSelfSigned(certificate) && /sha1|sha-1/i.test(certificate.signatureAlgorithm ?? '')) {
      const what = `is signed with ${certificate.signatureAlgorithm} (${describe(certificate)}): clients refuse it`;
      remarks.push({ code: 'signature', severity: 'error', what, hint: 'have it issued anew with SHA-256' });
    }
  }
  return remarks;
}

/** What was put right in memory. */
function order({ sent, root, unrelated, reordered }: Chain): Remark[] {
  const remarks: Remark[] = [];
  const note = (code: string, what: string, hint: string) => remarks.push({ code, severity: 'note', what, hint });
  if (reordered) {
    const order = sent.map(describe).join(', then ');
    note('order', `has its chain in the wrong order; served as ${order}`, 'put them into this order in the file, too');
  }
  if (root) {
    const what = `holds the root ${describe(root)}, which is left out of what is sent`;
    note('root', what, 'nothing has to be done: clients use their own copy');
  }
  if (unrelated.length > 0) {
    const some = unrelated.slice(0, 3).map(describe).join('; ');
    const more = unrelated.length > 3 ? ` and ${unrelated.length - 3} more` : '';
    const what = `holds certificates that are no part of the leaf's chain and are left out: ${some}${more}`;
    note('unrelated', what, 'take them out of the file');
  }
  return remarks;
}

const formatDate = (date: Date) => date.toISOString().replace(/\.\d+Z$/, 'Z');

function formatDays(ms: number): string {
  const days = Math.floor(ms / DAY);
  if (days === 0) return 'less than a day';
  return days === 1 ? '1 day' : `${days} days`;
}
