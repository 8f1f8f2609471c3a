// Settle: once for each exchange, whoever says that it is over; what is counted, and the reason that stays.

import t from 'tap';
import { type Downstream, Exchange, NO_BODY } from '../../src/model/exchange.ts';
import { FAILURES } from '../../src/model/failure.ts';
import type { Family } from '../../src/model/measures.ts';
import { freeze, LIMITS, type Route } from '../../src/model/snapshot.ts';
import { Turn } from '../../src/model/turn.ts';
import { blame } from '../../src/proxy/blame.ts';
import { Door } from '../../src/proxy/door.ts';
import { settle } from '../../src/proxy/settle.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { Http1Transport } from '../../src/upstream/http1.ts';
import { ORIGIN } from '../support/origin.ts';

function setUp() {
  const snapshot = freeze({
    generation: 1,
    ...{ listeners: [], hosts: [], pools: [], certificates: [], trustedProxies: [] },
    ...{ ticketKeys: new Uint8Array(48), publicPort: 443, limits: LIMITS },
    ...{ logLevel: 'info' as const, logFormat: 'json' as const },
  });
  const lines: string[] = [];
  const turn = new Turn((run) => setImmediate(run));
  const log = createLog('info', { put: (line) => void lines.push(line), flush: () => Promise.resolve() });
  const door = new Door(
    snapshot,
    new Http1Transport(LIMITS, () => 0, turn),
    log,
    () => 0,
    turn,
    () => 'id',
  );
  const begin = (more: Partial<Exchange> = {}) => {
    const head = {
      ...{ method: 'GET', target: '/', authority: 'a.example', protocol: 'HTTP/1.1' as const, headers: [] },
      ...{ bodyLength: NO_BODY, upgrade: false, problem: undefined },
    };
    const exchange = Object.assign(new Exchange(ORIGIN, {} as Downstream, head, 0, 0), { status: 200 }, more);
    exchange.place = door.exchanges.add(exchange);
    return exchange;
  };
  return { door, lines, begin };
}

const valuesOf = (door: Door, name: string) =>
  door.metrics.publish().find((each: Family) => each.name === name)?.values ?? [];

t.test('an exchange is let go, counted and logged once', async (t) => {
  const { door, lines, begin } = setUp();
  let released = 0;
  const acting = { deadline: 0, release: () => void released++ } as unknown as Exchange['acting'];
  const exchange = begin({ acting, bytesIn: 3, bytesOut: 5, route: { name: 'api' } as Route });
  settle(door, exchange);
  settle(door, exchange);
  t.equal(released, 1);
  t.equal(lines.length, 1);
  t.strictSame([...door.exchanges], []);
  const labels = { listener: 'https', route: 'api' };
  t.match(valuesOf(door, 'portico_http_requests_total'), [
    { labels: { ...labels, method: 'GET', code: '200' }, value: 1 },
  ]);
  t.strictSame(valuesOf(door, 'portico_http_request_body_bytes_total'), [{ labels, value: 3 }]);
  t.strictSame(valuesOf(door, 'portico_http_response_body_bytes_total'), [{ labels, value: 5 }]);
});

t.test('without a route it is counted for none', async (t) => {
  const { door, begin } = setUp();
  settle(door, begin());
  t.match(valuesOf(door, 'portico_http_requests_total'), [{ labels: { route: 'none' } }]);
});

t.test('a client that left is counted by how far its exchange was, and nothing else is', async (t) => {
  for (const [more, phase] of [
    [{ requestEnded: false }, 'request'],
    [{}, 'waiting'],
    [{ responded: true }, 'response'],
    [{ responded: true, upstreamStatus: 101 }, 'websocket'],
  ] as const) {
    const { door, begin } = setUp();
    settle(door, begin({ ...more, failure: FAILURES.clientGone }));
    settle(door, begin({ ...more, failure: FAILURES.clientStalled }));
    settle(door, begin(more));
    const counted = valuesOf(door, 'portico_client_aborts_total').filter(({ value }) => value !== 0);
    t.match(counted, [{ labels: { phase }, value: 1 }], phase);
    t.equal(counted.length, 1);
  }
});

t.test('the first reason of a failure stays', async (t) => {
  const exchange = setUp().begin();
  blame(exchange, FAILURES.clientStalled, 'first');
  blame(exchange, FAILURES.clientGone, 'second');
  t.equal(exchange.failure, FAILURES.clientStalled);
  t.equal(exchange.detail, 'first');
});

t.test('what failed here or upstream is kept for the status; what clients did is not', async (t) => {
  const { door, begin } = setUp();
  settle(door, begin({ id: 'refused', status: 502, failure: FAILURES.refused }));
  settle(door, begin({ id: 'their own', status: 500 }));
  settle(door, begin({ id: 'cut', status: 200, failure: FAILURES.truncated }));
  settle(door, begin({ id: 'left', status: 499, failure: FAILURES.clientGone }));
  settle(door, begin({ id: 'no route', status: 404, failure: FAILURES.noRoute }));
  settle(door, begin({ id: 'answered' }));
  t.strictSame(
    door.failed.take().map(({ requestId }) => requestId),
    ['refused', 'their own', 'cut'],
  );
});
