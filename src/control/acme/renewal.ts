// When: to renew a certificate, by its issuer's word (ARI, RFC 9773) or by its age, and to try again after a failure. Pure.

const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 86_400_000;

/** Certificates below this lifetime are renewed at half of it, so that a failure leaves time for the next try. */
const SHORT_LIVED = 10 * DAY;
/** How far renewals are spread, as a part of the lifetime: many that were issued at once are not renewed at once. */
const SPREAD = 0.05;

/** RFC 9773 §4.3.1 and §4.3.2: what a server that says nothing means, and the bounds that a client should keep. */
const ARI_PAUSE = 6 * HOUR;
const SHORTEST_ARI_PAUSE = MINUTE;
const LONGEST_ARI_PAUSE = DAY;

/** Failures that follow each other: 1, 4, 16, 64 minutes and so on, to a day. */
const FIRST_BACKOFF = MINUTE;
const LONGEST_BACKOFF = DAY;
const BACKOFF_FACTOR = 4;
/** How much longer a pause may be by chance, as a part of it. */
const BACKOFF_SPREAD = 1 / 4;
/** Near the end of a certificate no pause is longer than this part of the time to it. */
const BACKOFF_PART = 1 / 4;

/** What an issuer that asks for a pause gets at most. */
export const LONGEST_RETRY_AFTER = 7 * DAY;

/** Times in ms of the wall clock. */
export interface Lifetime {
  readonly notBefore: number;
  readonly notAfter: number;
}

/** What an issuer suggests, and the moment in it that was drawn for us. */
export interface RenewalWindow {
  readonly start: number;
  readonly end: number;
  readonly at: number;
}

/** Times in ms of the wall clock. */
export interface Pauses {
  /** No attempt before; written ahead of each, as if it had failed already. */
  notBefore: number;
  /** By directory: until when an issuer is left alone, because it asked for that or has just issued. */
  pauses: Record<string, number>;
}

/** `chance` from 0 to 1, the same each time for one certificate. */
export function renewalByAge({ notBefore, notAfter }: Lifetime, chance: number): number {
  const lifetime = notAfter - notBefore;
  const part = lifetime < SHORT_LIVED ? 1 / 2 : 2 / 3;
  return notBefore + lifetime * (part - SPREAD * chance);
}

/** Reads an issuer's answer; undefined: it makes no sense. `before`: the window that was drawn from last. */
export function readWindow(
  answer: Readonly<Record<string, unknown>>,
  before: RenewalWindow | undefined,
  chance: number,
): RenewalWindow | undefined {
  const { start, end } = (answer.suggestedWindow ?? {}) as Record<string, unknown>;
  const [from, to] = [start, end].map((each) => (typeof each === 'string' ? Date.parse(each) : Number.NaN));
  if (!(from! < to!)) return undefined;
  if (before?.start === from && before?.end === to) return before;
  return { start: from!, end: to!, at: from! + (to! - from!) * chance };
}

/** How long an answer of ARI holds, in ms. */
export function ariPause(retryAfter: number | undefined): number {
  return Math.min(LONGEST_ARI_PAUSE, Math.max(SHORTEST_ARI_PAUSE, retryAfter ?? ARI_PAUSE));
}

/**
 * The pause after so many failures in a row, in ms. `left`: until the certificate ends that is to be renewed; below 0 since it
 * has ended, undefined when there is none. Attempts come closer together towards its end, and go apart again behind it: an
 * issuer that is back has time to issue, and one that never comes back is not asked each minute for ever.
 */
export function backoff(failures: number, left: number | undefined, chance: number): number {
  const pause = Math.min(LONGEST_BACKOFF, FIRST_BACKOFF * BACKOFF_FACTOR ** (failures - 1));
  const longest = left === undefined ? Number.POSITIVE_INFINITY : Math.abs(left) * BACKOFF_PART;
  return Math.max(FIRST_BACKOFF, Math.floor(Math.min(pause * (1 + chance * BACKOFF_SPREAD), longest)));
}

/** When an attempt may begin, in ms of the wall clock: as soon as one of the issuers may be asked. */
export function nextAttempt({ notBefore, pauses }: Pauses, issuers: readonly string[]): number {
  return Math.max(notBefore, Math.min(...issuers.map((directory) => pauses[directory] ?? 0)));
}

/** In words. What went wrong is not known of an attempt that was cut off. */
export function describeWait(problem: string | undefined, next: number): string {
  return `${problem ?? 'the last attempt brought no certificate'}; the next attempt is at ${new Date(next).toISOString()}`;
}

/** Without times that are further away than any that is written: a clock was wrong then. */
export function believable<T extends Pauses>(course: T, now: number): T {
  const isNear = (until: number, longest: number) => until - now <= longest;
  return {
    ...course,
    notBefore: isNear(course.notBefore, backoff(Number.POSITIVE_INFINITY, undefined, 1)) ? course.notBefore : 0,
    pauses: Object.fromEntries(Object.entries(course.pauses).filter(([, until]) => isNear(until, LONGEST_RETRY_AFTER))),
  };
}

/** How long an issuer is left alone after it has issued, in ms: should its ARI always say "now", or our clock be wrong. */
export function restAfterIssue(lifetime: number): number {
  return Math.min(DAY, lifetime / 10);
}
