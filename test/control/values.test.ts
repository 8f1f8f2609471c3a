// Single values: what is written is read back the same, at the edges too.

import fc from 'fast-check';
import t from 'tap';
import { groupLimits, LIMIT_SETTINGS, readLimit, writeLimit } from '../../src/control/limits.ts';
import {
  readBytes,
  readDuration,
  readEndpoint,
  readPath,
  Wrong,
  writeBytes,
  writeDuration,
  writeEndpoint,
} from '../../src/control/values.ts';
import { LIMITS } from '../../src/model/snapshot.ts';

const RUNS = { seed: 20_261, numRuns: 500 };

t.test('durations and sizes are written in the largest unit that is exact', async (t) => {
  for (const [ms, text] of [
    [0, '0s'],
    [1_000, '1s'],
    [60_000, '1m'],
    [90_000, '90s'],
    [86_400_000, '24h'],
  ] as const)
    t.equal(writeDuration(ms), text);
  for (const [bytes, text] of [
    [0, 0],
    [500, 500],
    [1_024, '1k'],
    [1_536, 1_536],
    [2 ** 31, '2g'],
  ] as const)
    t.equal(writeBytes(bytes), text);
});

t.test('durations, sizes and endpoints: written and read they are the same', async (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 86_400 }),
      (seconds) => readDuration(writeDuration(seconds * 1_000), 0) === seconds * 1_000,
    ),
    RUNS,
  );
  fc.assert(
    fc.property(fc.nat(2 ** 31 - 1), fc.constantFrom(1, 1_024, 1_048_576), (count, unit) => {
      const bytes = count * unit;
      return readBytes(String(writeBytes(bytes)), 0, Number.MAX_SAFE_INTEGER) === bytes;
    }),
    RUNS,
  );
  const host = fc.constantFrom('backend', 'b.internal', '10.0.0.7', '::1', 'fe80::1');
  fc.assert(
    fc.property(host, fc.integer({ min: 1, max: 65_535 }), fc.boolean(), (name, port, tls) => {
      const endpoint = { host: name, port, tls };
      t.strictSame(readEndpoint(writeEndpoint(endpoint)), endpoint);
    }),
    { ...RUNS, numRuns: 50 },
  );
});

t.test('paths', async (t) => {
  t.equal(readPath('/', true), '');
  t.ok(readPath('/', false) instanceof Wrong);
  t.equal(readPath('/a/b/', true), '/a/b');
  for (const path of ['', 'a', '//', '/a//b', '/..', '/a/./b', '/a b', '/a%2fb', '/a?b']) {
    t.ok(readPath(path, true) instanceof Wrong, path);
  }
});

t.test('every limit has one row, whose default is within its bounds and can be written', async (t) => {
  t.strictSame(LIMIT_SETTINGS.map(({ field }) => field).sort(), Object.keys(LIMITS).sort());
  t.equal(new Set(LIMIT_SETTINGS.map(({ key }) => key)).size, LIMIT_SETTINGS.length);
  for (const setting of LIMIT_SETTINGS) {
    const value = LIMITS[setting.field];
    t.equal(readLimit(setting, String(writeLimit(setting, value))), value, setting.key);
  }
  t.match(groupLimits(LIMITS), {
    downstream: { headBytes: '64k' },
    tunnel: { idleTimeout: '24h' },
    drainTimeout: '30s',
  });
  t.strictSame(groupLimits({}), {});
});
