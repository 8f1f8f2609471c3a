// Checks: a line each, and what becomes of endpoints that are down.

import t from 'tap';
import { checkLine, upstreamChecks } from '../../src/control/checks.ts';
import type { Family } from '../../src/model/measures.ts';

t.test('a line says the state, and the rest in words', async (t) => {
  t.equal(checkLine({ name: 'listeners', ok: true }), '[+]listeners ok');
  t.equal(checkLine({ name: 'listeners', ok: true, detail: '2 of 2' }), '[+]listeners ok: 2 of 2');
  t.equal(checkLine({ name: 'upstream-a', ok: true, warns: true, detail: 'down' }), '[!]upstream-a warn: down');
  t.equal(checkLine({ name: 'certificate', ok: false, warns: true }), '[-]certificate failed');
});

t.test('upstreams are told by what any worker has measured', async (t) => {
  const up = (...values: [pool: string, endpoint: string, value: number][]): Family[] => [
    {
      name: 'portico_upstream_up',
      help: '',
      type: 'gauge',
      aggregator: 'min',
      values: values.map(([pool, endpoint, value]) => ({ labels: { pool, endpoint }, value })),
    },
  ];
  const groups = [[], up(['a', 'a:1', 1], ['b', 'b:1', 0]), up(['a', 'a:1', 1], ['b', 'b:1', 0], ['b', 'b:2', 0])];
  t.strictSame(upstreamChecks(groups), [
    { name: 'upstream-a', ok: true },
    { name: 'upstream-b', ok: true, warns: true, detail: 'the last connect failed to b:1, b:2' },
  ]);
  t.strictSame(upstreamChecks([]), []);
});
