// The status of this instance for people: what stands, what passes, and what failed. How it looks is for page.ts and text.ts.

import type { FailedExchange, Family } from '../../model/measures.ts';
import type { Check } from '../checks.ts';
import { type History, quantile, type Tally } from './history.ts';

const MINUTE = 60_000;
const FIVE_MINUTES = 5 * MINUTE;

/** Text, or values over the last five minutes that are to be drawn. */
export type Cell = string | readonly number[];

export interface Table {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  /** Said in place of a table without rows. */
  readonly empty: string;
}

export interface Overview {
  readonly ready: boolean;
  /** What is most wanted, in a few words each. */
  readonly summary: readonly string[];
  readonly checks: readonly Check[];
  readonly tables: readonly Table[];
}

/** What is known of the instance now. */
export interface Facts {
  readonly version: string;
  /** How long it has run, in ms. */
  readonly uptime: number;
  readonly checks: readonly Check[];
  /** What each worker has counted. */
  readonly groups: readonly (readonly Family[])[];
  readonly history: History;
  /** Of the certificates in force: the head, and a row each. */
  readonly certificates: readonly (readonly string[])[];
  readonly failed: readonly FailedExchange[];
}

export function overviewOf(facts: Facts): Overview {
  const { version, uptime, checks, groups, history, certificates, failed } = facts;
  const ready = checks.every(({ ok }) => ok);
  const all = history.routeSince(MINUTE);
  return {
    ready,
    summary: [
      `Portico ${version}`,
      ready ? 'ready' : 'not ready',
      `up ${spanOf(uptime)}`,
      `${rateOf(all.tally.requests, all.seconds)} requests/s`,
      `${sumOf(groups, 'portico_http_requests_in_flight')} in flight`,
      `${sumOf(groups, 'portico_websocket_connections')} websockets`,
    ],
    checks,
    tables: [
      routeTable(history),
      poolTable(history, groups),
      {
        title: 'Certificates in force',
        head: certificates[0] ?? [],
        rows: certificates.slice(1),
        empty: 'there are none',
      },
      failedTable(failed),
    ],
  };
}

function routeTable(history: History): Table {
  return {
    title: 'Routes, in the last minute',
    head: ['listener', 'route', 'requests/s', 'five minutes', '2xx', '3xx', '4xx', '5xx', 'half within', '99% within'],
    rows: history.routes.map((name) => {
      const space = name.indexOf(' ');
      const { tally, seconds } = history.routeSince(MINUTE, name);
      const codes = tally.classes.slice(2).map(String);
      return [
        name.slice(0, space),
        name.slice(space + 1),
        rateOf(tally.requests, seconds),
        history.rates(name),
        ...codes,
        ...durations(tally),
      ];
    }),
    empty: 'there was no request yet',
  };
}

function poolTable(history: History, groups: readonly (readonly Family[])[]): Table {
  return {
    title: 'Upstreams, in the last five minutes',
    head: ['pool', 'endpoints', 'answers', 'half within', '99% within', 'failed attempts'],
    rows: [...endpointsOf(groups)].map(([pool, endpoints]) => {
      const { tally } = history.poolSince(FIVE_MINUTES, pool);
      const states = [...endpoints].map(([name, isUp]) => (isUp ? `${name} up` : `${name} DOWN`));
      const errors = [...tally.errors].filter(([, count]) => count > 0).map(([reason, count]) => `${count} ${reason}`);
      const answers = String(tally.buckets.at(-1));
      return [pool, states.join(', '), answers, ...durations(tally), errors.length === 0 ? 'none' : errors.join(', ')];
    }),
    empty: 'there is no pool',
  };
}

function failedTable(failed: readonly FailedExchange[]): Table {
  return {
    title: 'What failed last',
    head: ['time', 'status', 'request id', 'request', 'why'],
    rows: failed
      .toSorted((one, other) => other.time - one.time)
      .map((each) => [
        new Date(each.time).toISOString(),
        String(each.status),
        each.requestId,
        `${each.method} ${each.host}${each.path}`,
        each.failure === '' ? `${each.upstream} answered so` : `${each.failure}: ${each.detail}`,
      ]),
    empty: 'nothing, since the start',
  };
}

/** The endpoints of each pool; one is down when the last connect of any worker failed. */
function endpointsOf(groups: readonly (readonly Family[])[]): Map<string, Map<string, boolean>> {
  const pools = new Map<string, Map<string, boolean>>();
  for (const { name, values } of groups.flat()) {
    if (name !== 'portico_upstream_up') continue;
    for (const { labels, value } of values) {
      const endpoints = pools.get(String(labels.pool)) ?? new Map<string, boolean>();
      pools.set(String(labels.pool), endpoints);
      const endpoint = String(labels.endpoint);
      endpoints.set(endpoint, value === 1 && endpoints.get(endpoint) !== false);
    }
  }
  return pools;
}

function sumOf(groups: readonly (readonly Family[])[], family: string): number {
  const values = groups.flat().flatMap(({ name, values }) => (name === family ? values : []));
  return values.reduce((sum, { value }) => sum + value, 0);
}

function rateOf(count: number, seconds: number): string {
  const rate = seconds === 0 ? 0 : count / seconds;
  return rate < 10 ? rate.toFixed(1) : rate.toFixed(0);
}

function durations(tally: Tally): [string, string] {
  return [durationOf(quantile(tally, 0.5)), durationOf(quantile(tally, 0.99))];
}

function durationOf(seconds: number | undefined): string {
  if (seconds === undefined) return '-';
  return seconds < 1 ? `${Math.ceil(seconds * 1_000)} ms` : `${seconds.toFixed(1)} s`;
}

function spanOf(milliseconds: number): string {
  if (milliseconds < MINUTE) return `${Math.floor(milliseconds / 1_000)} s`;
  const minutes = Math.floor(milliseconds / MINUTE);
  const [days, hours] = [Math.floor(minutes / 1_440), Math.floor(minutes / 60) % 24];
  if (days > 0) return `${days} d ${hours} h`;
  return hours > 0 ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
}
