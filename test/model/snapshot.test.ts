// The snapshot's own means: freezing all the way down, and limits that agree with each other.

import t from 'tap';
import { freeze, LIMITS } from '../../src/model/snapshot.ts';

t.test('everything inside is frozen, and the bytes stay usable', async (t) => {
  const bytes = new Uint8Array([1, 2, 3]);
  const value = freeze({ list: [{ deep: { deeper: [1] } }], bytes, none: null, text: 'x', missing: undefined });
  t.equal(value.bytes, bytes);
  t.throws(() => value.list.push({ deep: { deeper: [] } }), TypeError);
  t.throws(() => value.list[0]!.deep.deeper.push(2), TypeError);
  t.throws(() => {
    value.list[0]!.deep = { deeper: [] };
  }, TypeError);
  t.throws(() => {
    value.text = 'y';
  }, TypeError);
});

t.test('what is no object is given back', async (t) => {
  for (const value of [1, 'x', true, null, undefined]) t.equal(freeze(value), value);
});

t.test('a frozen value can be cloned for a worker, and is the same there', async (t) => {
  const value = freeze({ limits: LIMITS, keys: new Uint8Array(48).fill(7), list: [undefined, 'a'] });
  const clone = structuredClone(value);
  t.strictSame(clone, value);
  t.strictSame(freeze(clone), value);
});

t.test('the default limits', async (t) => {
  const { bodyBytes, requestsPerConnection, ...finite } = LIMITS;
  t.equal(bodyBytes, 0, 'bodies have no limit');
  t.equal(requestsPerConnection, 0, 'nor has a connection a number of requests');
  for (const [name, value] of Object.entries(finite)) t.ok(Number.isSafeInteger(value) && value > 0, name);
  t.ok(LIMITS.tunnelIdleTimeout >= 3_600_000, 'a websocket is not cut below an hour');
  t.ok(LIMITS.tunnelIdleTimeout < 2 ** 31 && LIMITS.responseTimeout < 2 ** 31, 'timers can be set to them');
  t.ok(LIMITS.responseTimeout >= 300_000, 'long queries are let run');
  t.ok(LIMITS.connectTimeout < LIMITS.responseTimeout);
});
