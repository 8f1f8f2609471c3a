// Screen: bodies above the limit are refused by what they announce, and counted where they announce nothing.

import t from 'tap';
import { NO_BODY, type RequestHead, UNTIL_END } from '../../src/model/exchange.ts';
import { FAILURES } from '../../src/model/failure.ts';
import { LIMITS } from '../../src/model/snapshot.ts';
import { isTooLarge, screen } from '../../src/policy/screen.ts';

function head(bodyLength: number): RequestHead {
  return {
    method: 'POST',
    target: '/',
    authority: 'door.test',
    protocol: 'HTTP/1.1',
    headers: [],
    bodyLength,
    upgrade: false,
    problem: undefined,
  };
}

t.test('without a limit nothing is too large', async (t) => {
  t.equal(screen(head(Number.MAX_SAFE_INTEGER), LIMITS), undefined);
  t.notOk(isTooLarge(Number.MAX_SAFE_INTEGER, LIMITS));
});

t.test('the limit itself passes, one byte more does not, and the refusal names the limit', async (t) => {
  const limits = { ...LIMITS, bodyBytes: 1_000 };
  for (const length of [NO_BODY, UNTIL_END, 0, 1_000]) t.equal(screen(head(length), limits), undefined, `${length}`);
  const refused = screen(head(1_001), limits);
  t.equal(refused?.failure, FAILURES.bodyTooLarge);
  t.match(refused?.detail, /1001 bytes.*1000.*downstream\.bodyBytes.*BODY_LIMIT/);
  t.ok(isTooLarge(1_001, limits));
});
