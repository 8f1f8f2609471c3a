// The status: what stands in it, and in which words.

import t from 'tap';
import { History } from '../../../src/control/status/history.ts';
import { type Facts, overviewOf } from '../../../src/control/status/overview.ts';
import type { FailedExchange, Family } from '../../../src/model/measures.ts';
import { gauge, Metrics } from '../../../src/telemetry/metrics.ts';

const FAILED: FailedExchange = {
  time: Date.UTC(2030, 0, 2, 3, 4, 5),
  requestId: 'id-1',
  method: 'GET',
  host: 'api.example',
  path: '/me',
  status: 502,
  upstream: 'backend:80',
  failure: 'connection_refused',
  detail: 'the backend (backend:80) refused the connection',
};

function worker(metrics: Metrics, up: number): Family[] {
  const endpoint = (name: string, value: number) => ({ labels: { pool: 'backend', endpoint: name }, value });
  return [
    ...metrics.publish(),
    gauge('portico_http_requests_in_flight', '', [{ labels: {}, value: 2 }]),
    gauge('portico_websocket_connections', '', [{ labels: {}, value: 1 }]),
    gauge('portico_upstream_up', '', [endpoint('backend:80', up), endpoint('other:80', 1)], 'min'),
  ];
}

function factsWith(more: Partial<Facts> = {}): Facts {
  const metrics = new Metrics();
  const history = new History();
  history.note(0, [metrics.publish()]);
  for (let i = 0; i < 50; i++) metrics.route('https', 'backend').count('GET', i < 45 ? 200 : 502, 0.02);
  metrics.pool('backend').request.observe(2);
  metrics.pool('backend').errors.set('connection_refused', 5);
  const groups = [worker(metrics, 1), worker(new Metrics(), 0)];
  history.note(10_000, groups);
  return {
    ...{ version: '1.2.3', uptime: 26 * 3_600_000, checks: [{ name: 'listeners', ok: true }], groups, history },
    ...{ certificates: [['names', 'days left']], failed: [] },
    ...more,
  };
}

t.test('the summary', async (t) => {
  t.strictSame(overviewOf(factsWith()).summary, [
    'Portico 1.2.3',
    'ready',
    'up 1 d 2 h',
    '5.0 requests/s',
    '4 in flight',
    '2 websockets',
  ]);
  const starting = overviewOf(factsWith({ history: new History(), checks: [{ name: 'listeners', ok: false }] }));
  t.match([starting.ready, ...starting.summary], [false, 'Portico 1.2.3', 'not ready', String, '0.0 requests/s']);
  for (const [uptime, words] of [
    [59_999, 'up 59 s'],
    [60_000, 'up 1 min'],
    [3_600_000 * 3 + 60_000 * 4, 'up 3 h 4 min'],
  ] as const)
    t.equal(overviewOf(factsWith({ uptime })).summary[2], words);
});

t.test('routes and pools', async (t) => {
  const [routes, pools] = overviewOf(factsWith()).tables;
  const [listener, route, rate, drawn, ...rest] = routes!.rows[0]!;
  t.strictSame([listener, route, rate, drawn], ['https', 'backend', '5.0', [5]]);
  t.strictSame(rest.slice(0, 4), ['45', '0', '0', '5'], '2xx to 5xx');
  t.match(rest.slice(4), [/^\d+ ms$/, /^\d+ ms$/]);
  t.match(pools!.rows, [
    ['backend', 'backend:80 DOWN, other:80 up', '1', /^\d\.\d s$/, /^\d\.\d s$/, '5 connection_refused'],
  ]);
});

t.test('nothing came yet: dashes, and no failure', async (t) => {
  const groups = [worker(new Metrics(), 1)];
  const [routes, pools] = overviewOf(factsWith({ history: new History(), groups })).tables;
  t.strictSame(routes!.rows, []);
  t.strictSame(pools!.rows, [['backend', 'backend:80 up, other:80 up', '0', '-', '-', 'none']]);
});

t.test('certificates: what is given, without the head', async (t) => {
  const certificates = [
    ['names', 'days left'],
    ['a.example', '3'],
  ];
  const table = overviewOf(factsWith({ certificates })).tables[2]!;
  t.strictSame([table.head, table.rows], [certificates[0], [certificates[1]]]);
});

t.test('what failed, the newest first; an answer of the upstream is told as its own', async (t) => {
  const own = { ...FAILED, time: FAILED.time + 1_000, status: 500, failure: '', detail: '', requestId: 'id-2' };
  t.strictSame(overviewOf(factsWith({ failed: [FAILED, own] })).tables[3]!.rows, [
    ['2030-01-02T03:04:06.000Z', '500', 'id-2', 'GET api.example/me', 'backend:80 answered so'],
    [
      ...['2030-01-02T03:04:05.000Z', '502', 'id-1', 'GET api.example/me'],
      'connection_refused: the backend (backend:80) refused the connection',
    ],
  ]);
});
