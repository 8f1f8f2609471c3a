// The scrape: several processes as one page, in both formats.

import t from 'tap';
import type { Family } from '../../src/model/measures.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { ownFamilies, renderScrape, sumFamilies } from '../../src/telemetry/scrape.ts';

function worker(times: number, up: number): Family[] {
  const metrics = new Metrics();
  for (let i = 0; i < times; i++) metrics.route('https', 'backend').count('GET', 200, 0.02);
  const labels = { pool: 'backend', endpoint: 'backend:80' };
  return [
    ...metrics.publish(),
    { name: 'portico_upstream_up', help: 'up', type: 'gauge', aggregator: 'min', values: [{ labels, value: up }] },
  ];
}

t.test('counters and buckets are summed over workers, and an endpoint that is down for one is down', async (t) => {
  const { contentType, text } = await renderScrape([worker(2, 1), worker(3, 0)], '');
  t.match(contentType, 'text/plain; version=0.0.4');
  t.match(text, 'portico_http_requests_total{listener="https",route="backend",method="GET",code="200"} 5\n');
  t.match(text, 'portico_http_request_duration_seconds_bucket{listener="https",route="backend",le="0.025"} 5\n');
  t.match(text, 'portico_http_request_duration_seconds_count{listener="https",route="backend"} 5\n');
  t.match(text, 'portico_upstream_up{pool="backend",endpoint="backend:80"} 0\n');
  t.match(text, '# TYPE portico_http_requests_total counter\n');
});

t.test('OpenMetrics when asked for: families without _total, series with it, and an end', async (t) => {
  const { contentType, text } = await renderScrape(
    [worker(2, 1)],
    'application/openmetrics-text;version=1.0.0,text/plain;q=0.5',
  );
  t.match(contentType, 'application/openmetrics-text');
  t.match(text, '# TYPE portico_http_requests counter\n');
  t.match(text, 'portico_http_requests_total{listener="https",route="backend",method="GET",code="200"} 2\n');
  t.notMatch(text, '_total_total');
  t.ok(text.endsWith('# EOF\n'));
});

t.test('what ended workers had counted is kept as one list', async (t) => {
  const once = await sumFamilies([worker(2, 1), worker(3, 1)]);
  const { text } = await renderScrape([once, worker(1, 1)], '');
  t.match(text, 'code="200"} 6\n');
});

t.test('each process tells of itself, under its name', async (t) => {
  const own = ownFamilies('7');
  const { text } = await renderScrape([await own()], '');
  t.match(text, /process_resident_memory_bytes\{worker="7"\} \d+/);
  t.match(text, /process_start_time_seconds\{worker="7"\} \d+/);
  t.match(text, /nodejs_heap_size_total_bytes\{worker="7"\} \d+/);
});
