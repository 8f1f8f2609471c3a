// What is kept of a name: its certificate with its key, and how its orders went. Read strictly, for a store may be shared or damaged.

import type { ChallengeType } from '../configuration.ts';
import { type DnsRecord, isDnsRecord } from './dns-answers.ts';
import type { PlacedOrder } from './issue.ts';
import type { Pauses } from './renewal.ts';
import type { Storage } from './storage.ts';
import { plain } from './transport.ts';

/** Of a problem, in characters: several issuers may have one each. */
const MOST_TOLD = 4_000;

/** In one file, so that a pair is never half of one and half of another. */
export interface StoredCertificate {
  /** The URL of the issuer's directory. */
  readonly directory: string;
  /** PEM. */
  readonly chain: string;
  readonly key: string;
}

/** Outlives the process: a crash loop must not become a loop of orders. */
export interface Course extends Pauses {
  /** In a row. */
  failures: number;
  /** Why the last attempt that was not cut off brought no certificate, in words. */
  problem?: string;
  /** What worked last. */
  challenge?: ChallengeType;
  /** Under way, or cut off. */
  order?: PlacedOrder & { readonly directory: string; readonly resumed: number };
  /** What was set in DNS and is not removed yet. */
  records: readonly DnsRecord[];
}

const certificateName = (name: string) => `certificates/${fileName(name)}.json`;
const courseName = (name: string) => `courses/${fileName(name)}.json`;

/** All that the store has of a name. */
export function storedNames(name: string): readonly string[] {
  return [certificateName(name), courseName(name)];
}

/** `_` is no label of a name that anybody could ask for. */
export function fileName(name: string): string {
  return name.replace(/^\*/, '_');
}

export async function loadCertificate(storage: Storage, name: string): Promise<StoredCertificate | undefined> {
  const { directory, chain, key } = await readJson(storage, certificateName(name));
  if (typeof directory !== 'string' || typeof chain !== 'string' || typeof key !== 'string') return undefined;
  return { directory, chain, key };
}

export async function storeCertificate(storage: Storage, name: string, certificate: StoredCertificate): Promise<void> {
  await storage.store(certificateName(name), writeJson(certificate));
}

export async function loadCourse(storage: Storage, name: string): Promise<Course> {
  const { problem, ...read } = await readJson(storage, courseName(name));
  const { failures, notBefore, pauses, records } = read;
  const isWhole = Number.isSafeInteger(failures) && Number.isFinite(notBefore) && typeof pauses === 'object';
  if (!isWhole || pauses === null) return { failures: 0, notBefore: 0, pauses: {}, records: [] };
  return {
    ...(read as unknown as Course),
    ...(typeof problem === 'string' ? { problem: plain(problem, MOST_TOLD) } : {}),
    records: Array.isArray(records) ? records.filter(isDnsRecord) : [],
  };
}

export async function storeCourse(storage: Storage, name: string, course: Course): Promise<void> {
  await storage.store(courseName(name), writeJson(course));
}

/** What is damaged counts as missing: it is written anew. */
async function readJson(storage: Storage, name: string): Promise<Record<string, unknown>> {
  const bytes = await storage.load(name);
  if (bytes === undefined) return {};
  try {
    const value: unknown = JSON.parse(bytes.toString());
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function writeJson(value: object): Buffer {
  return Buffer.from(`${JSON.stringify(value, undefined, 2)}\n`);
}
