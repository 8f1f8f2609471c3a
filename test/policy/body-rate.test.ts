// Body rate: the line between a slow upload and one that only holds a connection.

import t from 'tap';
import { LIMITS } from '../../src/model/snapshot.ts';
import { isTooSlow, underRate } from '../../src/policy/body-rate.ts';

const limits = { ...LIMITS, bodyRate: 500, bodyRateGrace: 30_000 };

t.test('too slow is what stays below the rate once the grace is over', async (t) => {
  const cases: [bytes: number, time: number, slow: boolean][] = [
    [0, 0, false],
    [0, 30_000, false],
    [0, 30_001, true],
    [15_000, 30_001, true],
    [15_001, 30_001, false],
    [1, 29_999, false],
    [1_000_000, 3_600_000, true],
    [1_800_000, 3_600_000, false],
    [5 * 2 ** 40, 24 * 3_600_000, false],
  ];
  for (const [bytes, time, slow] of cases) t.equal(isTooSlow(bytes, time, limits), slow, `${bytes} in ${time} ms`);
});

t.test('without a rate nothing is too slow', async (t) => {
  t.notOk(isTooSlow(0, 10 ** 9, { ...limits, bodyRate: 0 }));
});

t.test('the words name both limits and their values', async (t) => {
  t.match(underRate(limits), /500 bytes a second after 30 s .*downstream\.bodyRate .*downstream\.bodyRateGrace/);
});
