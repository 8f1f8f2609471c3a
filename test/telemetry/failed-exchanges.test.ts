// The exchanges that failed, for people: what is told of one, what is not, and how many are kept.

import t from 'tap';
import { type Downstream, Exchange, NO_BODY, type RequestHead } from '../../src/model/exchange.ts';
import { FAILURES } from '../../src/model/failure.ts';
import { FailedExchanges } from '../../src/telemetry/failed-exchanges.ts';
import { ORIGIN } from '../support/origin.ts';

const STARTED = Date.UTC(2030, 0, 2);

function exchange(more: Partial<RequestHead> = {}): Exchange {
  const head: RequestHead = {
    ...{ method: 'GET', target: '/data?token=s3cr3t', authority: 'api.example', protocol: 'HTTP/1.1' },
    ...{ headers: [], bodyLength: NO_BODY, upgrade: false, problem: undefined },
    ...more,
  };
  const made = new Exchange(ORIGIN, {} as Downstream, head, STARTED, 1_000);
  made.id = 'id-1';
  made.status = 502;
  return made;
}

t.test('one that failed, whole', async (t) => {
  const failed = new FailedExchanges();
  const made = exchange();
  made.failure = FAILURES.refused;
  made.detail = 'the backend refused the connection';
  made.upstream = 'backend:80';
  failed.note(made, 1_250);
  t.strictSame(failed.take(), [
    {
      ...{ time: STARTED + 250, requestId: 'id-1', method: 'GET', host: 'api.example', path: '/data' },
      ...{ status: 502, upstream: 'backend:80', failure: 'connection_refused' },
      detail: 'the backend refused the connection',
    },
  ]);
  t.strictSame(failed.take(), [], 'each is told once');
});

t.test('no query, no secret of a path, and nothing without end', async (t) => {
  const failed = new FailedExchanges();
  const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl';
  failed.note(exchange({ target: `/embed/${jwt}/x;token=abc`, authority: 'user:pw@api.example' }), 1_000);
  failed.note(exchange({ target: `/${'a'.repeat(5_000)}`, method: 'M'.repeat(5_000) }), 1_000);
  const text = JSON.stringify(failed.take());
  t.notMatch(text, /eyJ|abc|pw|s3cr3t/);
  t.ok(text.length < 1_500, `${text.length} characters`);
});

t.test('of a flood only so many are kept until the next look', async (t) => {
  const failed = new FailedExchanges();
  for (let i = 0; i < 1_000; i++) failed.note(exchange(), 1_000);
  t.equal(failed.take().length, 20);
  failed.note(exchange(), 1_000);
  t.equal(failed.take().length, 1);
});
