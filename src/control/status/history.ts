// The last minutes: what was counted at one moment after another. What differs between two of them happened in between.

import type { Family, Value } from '../../model/measures.ts';
import { DURATION_BUCKETS } from '../../telemetry/metrics.ts';

/** In ms. */
export const SAMPLE_EVERY = 5_000;
const SAMPLES = 61;
/** That of `+Inf`. */
const LAST_BUCKET = DURATION_BUCKETS.length;

/** What a route or a pool has counted. */
export interface Tally {
  requests: number;
  /** By the first digit of the status. */
  readonly classes: number[];
  /** Durations, cumulative as in the scrape. */
  readonly buckets: number[];
  /** Failed attempts by reason. */
  readonly errors: Map<string, number>;
}

interface Sample {
  /** Of the steady clock, in ms. */
  readonly at: number;
  readonly routes: ReadonlyMap<string, Tally>;
  readonly pools: ReadonlyMap<string, Tally>;
}

/** What happened in some time. */
export interface Change {
  readonly seconds: number;
  readonly tally: Tally;
}

export class History {
  #samples: Sample[] = [];

  /** `at` is of the steady clock, in ms; `groups` is what each worker has counted by then. */
  note(at: number, groups: readonly (readonly Family[])[]): void {
    this.#samples = [...this.#samples.slice(1 - SAMPLES), read(at, groups)];
  }

  /** The names that something was counted for, as `listener route`. */
  get routes(): readonly string[] {
    return [...(this.#samples.at(-1)?.routes.keys() ?? [])].sort();
  }

  /** Of all routes when none is named. */
  routeSince(milliseconds: number, route?: string): Change {
    return this.#change(milliseconds, ({ routes }) => pick(routes, route));
  }

  poolSince(milliseconds: number, pool: string): Change {
    return this.#change(milliseconds, ({ pools }) => pick(pools, pool));
  }

  /** Requests a second between each two samples, the oldest first; of all routes when none is named. */
  rates(route?: string): number[] {
    const samples = this.#samples.map(({ at, routes }) => ({ at, requests: pick(routes, route).requests }));
    return samples.slice(1).map(({ at, requests }, i) => {
      const before = samples[i]!;
      return (Math.max(0, requests - before.requests) * 1_000) / Math.max(1, at - before.at);
    });
  }

  #change(milliseconds: number, of: (sample: Sample) => Tally): Change {
    const last = this.#samples.at(-1);
    if (last === undefined) return { seconds: 0, tally: empty() };
    const first = this.#samples.find(({ at }) => at >= last.at - milliseconds) ?? last;
    return { seconds: (last.at - first.at) / 1_000, tally: difference(of(last), of(first)) };
  }
}

/** The duration (in seconds) that this share of requests did not exceed, as Prometheus reckons it; undefined: there were none. */
export function quantile({ buckets }: Tally, share: number): number | undefined {
  const all = buckets[LAST_BUCKET]!;
  if (all === 0) return undefined;
  const rank = share * all;
  const i = buckets.findIndex((count) => count >= rank);
  if (i === LAST_BUCKET) return DURATION_BUCKETS[LAST_BUCKET - 1];
  const [from, below] = i === 0 ? [0, 0] : [DURATION_BUCKETS[i - 1]!, buckets[i - 1]!];
  return from + ((DURATION_BUCKETS[i]! - from) * (rank - below)) / (buckets[i]! - below);
}

function read(at: number, groups: readonly (readonly Family[])[]): Sample {
  const routes = new Map<string, Tally>();
  const pools = new Map<string, Tally>();
  for (const { name, values } of groups.flat()) {
    switch (name) {
      case 'portico_http_requests_total':
        for (const value of values) countCode(tallyOf(routes, routeOf(value)), value);
        break;
      case 'portico_http_request_duration_seconds':
        for (const value of values) countDuration(tallyOf(routes, routeOf(value)), value);
        break;
      case 'portico_upstream_request_duration_seconds':
        for (const value of values) countDuration(tallyOf(pools, poolOf(value)), value);
        break;
      case 'portico_upstream_errors_total':
        for (const value of values) countError(tallyOf(pools, poolOf(value)), value);
        break;
    }
  }
  return { at, routes, pools };
}

const routeOf = ({ labels }: Value) => `${labels.listener} ${labels.route}`;
const poolOf = ({ labels }: Value) => String(labels.pool);

function countCode(tally: Tally, { labels, value }: Value): void {
  const digit = Math.floor(Number(labels.code) / 100);
  tally.requests += value;
  tally.classes[digit] = (tally.classes[digit] ?? 0) + value;
}

function countDuration({ buckets }: Tally, { metricName, labels, value }: Value): void {
  if (metricName?.endsWith('_bucket') !== true) return;
  const i = labels.le === '+Inf' ? LAST_BUCKET : DURATION_BUCKETS.indexOf(Number(labels.le));
  buckets[i] = buckets[i]! + value;
}

function countError({ errors }: Tally, { labels, value }: Value): void {
  const reason = String(labels.reason);
  errors.set(reason, (errors.get(reason) ?? 0) + value);
}

function tallyOf(tallies: Map<string, Tally>, name: string): Tally {
  const tally = tallies.get(name) ?? empty();
  tallies.set(name, tally);
  return tally;
}

function empty(): Tally {
  return {
    requests: 0,
    classes: new Array<number>(6).fill(0),
    buckets: new Array<number>(LAST_BUCKET + 1).fill(0),
    errors: new Map(),
  };
}

function pick(tallies: ReadonlyMap<string, Tally>, name: string | undefined): Tally {
  if (name !== undefined) return tallies.get(name) ?? empty();
  const all = empty();
  for (const tally of tallies.values()) {
    all.requests += tally.requests;
    addTo(all.classes, tally.classes);
    addTo(all.buckets, tally.buckets);
  }
  return all;
}

function addTo(sums: number[], values: readonly number[]): void {
  for (let i = 0; i < sums.length; i++) sums[i] = sums[i]! + values[i]!;
}

/** A worker that ended may have counted a little more than it had told: nothing is ever less than none. */
function difference(later: Tally, earlier: Tally): Tally {
  const less = (one: readonly number[], other: readonly number[]) =>
    one.map((value, i) => Math.max(0, value - other[i]!));
  return {
    requests: Math.max(0, later.requests - earlier.requests),
    classes: less(later.classes, earlier.classes),
    buckets: less(later.buckets, earlier.buckets),
    errors: new Map([...later.errors].map(([reason, count]) => [reason, count - (earlier.errors.get(reason) ?? 0)])),
  };
}
