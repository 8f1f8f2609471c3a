// Balance: in turn, passing by what refused lately, and never giving up on all.

import t from 'tap';
import { avoidFor, pickEndpoint } from '../../src/policy/balance.ts';

const states = (...avoidUntil: number[]) => avoidUntil.map((until) => ({ avoidUntil: until, failures: 0 }));

t.test('in turn, from the cursor on and around', async (t) => {
  const three = states(0, 0, 0);
  t.strictSame(
    [0, 1, 2].map((cursor) => pickEndpoint(three, cursor, 0, 100)),
    [0, 1, 2],
  );
  t.equal(pickEndpoint(three, 2, 0b100, 100), 0);
  t.equal(pickEndpoint(three, 1, 0b110, 100), 0);
});

t.test('what refused lately is passed by until its time is over', async (t) => {
  const three = states(0, 500, 0);
  t.equal(pickEndpoint(three, 1, 0, 499), 2);
  t.equal(pickEndpoint(three, 1, 0, 500), 1);
  t.equal(pickEndpoint(three, 1, 0b101, 100), 1, 'but asked when the others were');
});

t.test('when all are avoided the first in turn is asked all the same', async (t) => {
  const three = states(900, 900, 900);
  t.equal(pickEndpoint(three, 1, 0, 100), 1);
  t.equal(pickEndpoint(three, 1, 0b010, 100), 2);
});

t.test('when each was tried there is none', async (t) => {
  t.equal(pickEndpoint(states(0, 0), 0, 0b11, 100), -1);
  t.equal(pickEndpoint(states(0), 0, 1, 100), -1);
  t.equal(pickEndpoint([], 0, 0, 100), -1);
});

t.test('31 endpoints are told apart', async (t) => {
  const many = states(...Array.from({ length: 31 }, () => 0));
  let tried = 0;
  const seen = new Set<number>();
  for (let i = 0; i < 31; i++) {
    const index = pickEndpoint(many, 7, tried, 1);
    seen.add(index);
    tried |= 1 << index;
  }
  t.equal(seen.size, 31);
  t.equal(pickEndpoint(many, 7, tried, 1), -1);
});

t.test('an endpoint that goes on failing is passed by for longer, to a limit', async (t) => {
  t.strictSame([1, 2, 3, 4, 5].map(avoidFor), [1_000, 2_000, 4_000, 8_000, 16_000]);
  for (const failures of [6, 10, 100, 1e9]) t.equal(avoidFor(failures), 30_000, String(failures));
});
