// The metrics of a worker: what is counted is what is published, with labels that stay few.

import t from 'tap';
import type { Family } from '../../src/model/measures.ts';
import { DURATION_BUCKETS, Histogram, increment, Metrics } from '../../src/telemetry/metrics.ts';

function family(families: readonly Family[], name: string): Family {
  const found = families.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no family ${name}`);
  return found;
}

t.test('requests are counted by listener, route, method and code; odd methods share one label', async (t) => {
  const metrics = new Metrics();
  const route = metrics.route('https', 'backend');
  t.equal(metrics.route('https', 'backend'), route, 'the same counters for the same names');
  route.count('GET', 200, 0.1);
  route.count('GET', 200, 0.1);
  route.count('POST', 502, 0.1);
  for (let i = 0; i < 50; i++) route.count(`METHOD-${i}`, 405, 0.1);
  const { values } = family(metrics.publish(), 'portico_http_requests_total');
  const labels = { listener: 'https', route: 'backend' };
  t.same(values, [
    { labels: { ...labels, method: 'GET', code: '200' }, value: 2 },
    { labels: { ...labels, method: 'POST', code: '502' }, value: 1 },
    { labels: { ...labels, method: 'other', code: '405' }, value: 50 },
  ]);
});

t.test('buckets are cumulative, bounds included, and end at +Inf with all of them', async (t) => {
  const histogram = new Histogram(DURATION_BUCKETS);
  for (const seconds of [0, 0.005, 0.0051, 300, 301]) histogram.observe(seconds);
  const values = histogram.publish('x', { pool: 'p' });
  const bucket = (le: number | string) => values.find((each) => each.labels.le === le)?.value;
  t.equal(bucket(0.005), 2);
  t.equal(bucket(0.01), 3);
  t.equal(bucket(300), 4);
  t.equal(bucket('+Inf'), 5);
  t.equal(values.find((each) => each.metricName === 'x_count')?.value, 5);
  t.equal(values.find((each) => each.metricName === 'x_sum')?.value, 0 + 0.005 + 0.0051 + 300 + 301);
});

t.test('pools, aborts and handshakes', async (t) => {
  const metrics = new Metrics();
  increment(metrics.pool('backend').errors, 'connection_refused');
  increment(metrics.pool('backend').retries, 'connection_lost');
  increment(metrics.pool('backend').retries, 'connection_lost');
  metrics.abort('waiting');
  metrics.handshake('TLSv1.3', true);
  metrics.handshake('TLSv1.3', false);
  metrics.handshake('TLSv1.3', true);
  const families = metrics.publish();
  t.same(family(families, 'portico_upstream_errors_total').values, [
    { labels: { pool: 'backend', reason: 'connection_refused' }, value: 1 },
  ]);
  t.same(family(families, 'portico_upstream_retries_total').values, [
    { labels: { pool: 'backend', reason: 'connection_lost' }, value: 2 },
  ]);
  t.same(family(families, 'portico_client_aborts_total').values, [{ labels: { phase: 'waiting' }, value: 1 }]);
  t.same(family(families, 'portico_tls_handshakes_total').values, [
    { labels: { version: 'TLSv1.3', resumed: 'false' }, value: 1 },
    { labels: { version: 'TLSv1.3', resumed: 'true' }, value: 2 },
  ]);
});
