// The last minutes: what happened between two looks at counters that only grow.

import t from 'tap';
import { History, quantile } from '../../../src/control/status/history.ts';
import type { Family } from '../../../src/model/measures.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';

/** What a worker has counted: `[route, status, seconds]` of each request. */
function counted(...requests: readonly [string, number, number][]): Family[] {
  const metrics = new Metrics();
  for (const [route, status, seconds] of requests) metrics.route('https', route).count('GET', status, seconds);
  return metrics.publish();
}

t.test('nothing was looked at yet', async (t) => {
  const history = new History();
  t.strictSame(history.routes, []);
  t.strictSame(history.rates(), []);
  t.match(history.routeSince(60_000), { seconds: 0, tally: { requests: 0 } });
  t.equal(quantile(history.routeSince(60_000).tally, 0.5), undefined);
});

t.test('counts of all workers, between the first and the last look of the time asked for', async (t) => {
  const history = new History();
  const before = counted(['a', 200, 0.001]);
  history.note(0, [before]);
  history.note(5_000, [before, counted(['a', 200, 0.001], ['a', 502, 2], ['b', 404, 0.001])]);
  history.note(10_000, [
    counted(['a', 200, 0.001], ['a', 304, 0.02]),
    counted(['a', 200, 0.001], ['a', 502, 2], ['b', 404, 0.001]),
  ]);
  t.strictSame(history.routes, ['https a', 'https b']);
  t.match(history.routeSince(60_000, 'https a'), { seconds: 10, tally: { requests: 3, classes: [0, 0, 1, 1, 0, 1] } });
  t.match(history.routeSince(5_000, 'https a'), { seconds: 5, tally: { requests: 1, classes: [0, 0, 0, 1, 0, 0] } });
  t.match(history.routeSince(60_000), { tally: { requests: 4, classes: [0, 0, 1, 1, 1, 1] } });
  t.match(history.routeSince(60_000, 'https none'), { tally: { requests: 0 } });
  t.strictSame(history.rates('https a'), [0.4, 0.2]);
  t.strictSame(history.rates(), [0.6, 0.2]);
});

t.test('a counter that went back counts as none', async (t) => {
  const history = new History();
  history.note(0, [counted(['a', 200, 1], ['a', 200, 1])]);
  history.note(5_000, [counted(['a', 200, 1])]);
  t.match(history.routeSince(60_000, 'https a'), { tally: { requests: 0, classes: [0, 0, 0, 0, 0, 0] } });
  t.strictSame(history.rates('https a'), [0]);
});

t.test('five minutes are kept, no more', async (t) => {
  const history = new History();
  for (let i = 0; i <= 100; i++) history.note(i * 5_000, []);
  t.equal(history.rates().length, 60);
  t.equal(history.routeSince(Number.POSITIVE_INFINITY).seconds, 300);
});

t.test('pools: durations, and failed attempts by reason', async (t) => {
  const history = new History();
  const metrics = new Metrics();
  history.note(0, [metrics.publish()]);
  const pool = metrics.pool('backend');
  pool.request.observe(0.2);
  pool.errors.set('connection_refused', 2);
  history.note(5_000, [metrics.publish()]);
  const { tally } = history.poolSince(60_000, 'backend');
  t.strictSame([...tally.errors], [['connection_refused', 2]]);
  t.equal(tally.buckets.at(-1), 1);
});

t.test('quantiles lie within the bucket that they fall into', async (t) => {
  const history = new History();
  history.note(0, []);
  const requests = Array.from({ length: 100 }, (_, i): [string, number, number] => ['a', 200, i < 98 ? 0.02 : 1_000]);
  history.note(1_000, [counted(...requests)]);
  const { tally } = history.routeSince(60_000);
  const half = quantile(tally, 0.5)!;
  t.ok(half > 0.01 && half <= 0.025, String(half));
  t.equal(quantile(tally, 0.99), 300, 'above the last bound: at least that');
});
