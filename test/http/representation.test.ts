// Representations: conditions in their order, dates, ranges, codings; each also against seeded random input.

import fc from 'fast-check';
import t from 'tap';
import type { Headers } from '../../src/http/headers.ts';
import {
  CODINGS,
  chooseCoding,
  contentRange,
  evaluateConditions,
  isStrongMatch,
  isTextType,
  isWeakMatch,
  mayApplyRange,
  partHead,
  partsEnd,
  readDate,
  readRanges,
  writeDate,
} from '../../src/http/representation.ts';

const SEED = 20_261_122;
const MODIFIED = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
const DATE = 'Fri, 02 Jan 2026 03:04:05 GMT';
const EARLIER = 'Fri, 02 Jan 2026 03:04:04 GMT';
const LATER = 'Fri, 02 Jan 2026 03:04:06 GMT';
const VALIDATORS = { etag: '"a,b"', lastModified: MODIFIED };

t.test('entity-tags are compared strongly and weakly', async (t) => {
  // The table of RFC 9110 §8.8.3.2.
  for (const [one, other, strong, weak] of [
    ['W/"1"', 'W/"1"', false, true],
    ['W/"1"', 'W/"2"', false, false],
    ['W/"1"', '"1"', false, true],
    ['"1"', '"1"', true, true],
  ] as const) {
    t.equal(isStrongMatch(one, other), strong, `${one} ${other}`);
    t.equal(isWeakMatch(one, other), weak, `${one} ${other}`);
  }
});

t.test('conditions, in the order of RFC 9110 §13.2.2', async (t) => {
  const cases: readonly (readonly [string, Headers, string])[] = [
    ['GET', [], 'proceed'],
    ['GET', ['If-None-Match', '"a,b"'], 'unmodified'],
    ['HEAD', ['If-None-Match', 'W/"a,b"'], 'unmodified'],
    ['PUT', ['If-None-Match', '"a,b"'], 'failed'],
    ['GET', ['If-None-Match', '*'], 'unmodified'],
    ['GET', ['If-None-Match', '"x", "y" ,, "a,b"'], 'unmodified'],
    ['GET', ['If-None-Match', '"x"', 'If-None-Match', '"a,b"'], 'unmodified'],
    ['GET', ['If-None-Match', '"a"'], 'proceed'],
    ['GET', ['If-None-Match', 'a,b'], 'proceed'],
    ['GET', ['If-None-Match', '"x"', 'If-Modified-Since', DATE], 'proceed'],
    ['GET', ['If-Modified-Since', DATE], 'unmodified'],
    ['GET', ['If-Modified-Since', LATER], 'unmodified'],
    ['GET', ['If-Modified-Since', EARLIER], 'proceed'],
    ['GET', ['If-Modified-Since', 'yesterday'], 'proceed'],
    ['GET', ['If-Modified-Since', DATE, 'If-Modified-Since', DATE], 'proceed'],
    ['POST', ['If-Modified-Since', DATE], 'proceed'],
    ['GET', ['If-Match', '"a,b"'], 'proceed'],
    ['GET', ['If-Match', '*'], 'proceed'],
    ['GET', ['If-Match', 'W/"a,b"'], 'failed'],
    ['GET', ['If-Match', '"z"', 'If-Unmodified-Since', DATE], 'failed'],
    ['GET', ['If-Match', '"a,b"', 'If-Unmodified-Since', EARLIER], 'proceed'],
    ['GET', ['If-Unmodified-Since', EARLIER], 'failed'],
    ['GET', ['If-Unmodified-Since', DATE], 'proceed'],
    ['GET', ['If-Unmodified-Since', 'x'], 'proceed'],
    ['GET', ['If-Match', '"a,b"', 'If-None-Match', '"a,b"'], 'unmodified'],
    ['GET', ['If-Match', '"z"', 'If-None-Match', '"a,b"'], 'failed'],
  ];
  for (const [method, headers, outcome] of cases) {
    t.equal(evaluateConditions(method, headers, VALIDATORS), outcome, `${method} ${headers.join(' ')}`);
  }
});

t.test('If-Range: only what is strong lets a part be sent', async (t) => {
  const now = MODIFIED + 60_000;
  const may = (value: string, at = now) => mayApplyRange(['If-Range', value], VALIDATORS, at);
  t.equal(mayApplyRange([], VALIDATORS, now), true);
  t.equal(may('"a,b"'), true);
  t.equal(may('W/"a,b"'), false);
  t.equal(may('"z"'), false);
  t.equal(may(DATE), true);
  t.equal(may(LATER), false);
  t.equal(may(EARLIER), false);
  t.equal(may(DATE, MODIFIED + 500), false, 'a file that has just changed may change again within its second');
  t.equal(may('nonsense'), false);
});

t.test('dates in three forms', async (t) => {
  const wanted = Date.UTC(1994, 10, 6, 8, 49, 37);
  t.equal(readDate('Sun, 06 Nov 1994 08:49:37 GMT'), wanted);
  t.equal(readDate('Sunday, 06-Nov-94 08:49:37 GMT'), wanted);
  t.equal(readDate('Sun Nov  6 08:49:37 1994'), wanted);
  for (const bad of [
    '',
    '0',
    'Sun, 06 Nov 1994 08:49:37',
    'Sun, 06 Foo 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 25:49:37 GMT',
  ]) {
    t.equal(readDate(bad), undefined, bad);
  }
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4_000_000_000 }), (s) => readDate(writeDate(s * 1_000)) === s * 1_000),
    { seed: SEED },
  );
});

t.test('ranges', async (t) => {
  const read = (value: string, size = 100) => readRanges(['Range', value], size);
  t.strictSame(read('bytes=0-9'), [{ start: 0, end: 10 }]);
  t.strictSame(read('BYTES = 5-'), [{ start: 5, end: 100 }]);
  t.strictSame(read('bytes=-10'), [{ start: 90, end: 100 }]);
  t.strictSame(read('bytes=-1000'), [{ start: 0, end: 100 }]);
  t.strictSame(read('bytes=0-99999999999999999999'), [{ start: 0, end: 100 }]);
  t.equal(read('bytes=90-, 0-9,, -1'), 'whole', 'two of them overlap');
  t.strictSame(read('bytes=50-59, 0-9'), [
    { start: 50, end: 60 },
    { start: 0, end: 10 },
  ]);
  t.strictSame(read('bytes=0-0,200-300'), [{ start: 0, end: 1 }], 'what is not there is left out');
  for (const none of ['bytes=100-', 'bytes=100-200,300-', 'bytes=-0', 'bytes=99999999999999999999-']) {
    t.equal(read(none), 'unsatisfiable', none);
  }
  for (const whole of [
    '',
    'bytes=',
    'bytes=,',
    'bytes=a-b',
    'bytes=5-1',
    'bytes',
    'items=0-1',
    'bytes=-',
    'bytes=1-2-3',
    'bytes=0x1-2',
  ]) {
    t.equal(read(whole), 'whole', whole);
  }
  t.equal(readRanges(['Range', 'bytes=0-1', 'Range', 'bytes=2-3'], 100), 'whole');
  t.equal(readRanges([], 100), 'whole');
  t.equal(read('bytes=0-', 0), 'unsatisfiable');
  t.equal(read('bytes=-5', 0), 'whole');
});

t.test('many or overlapping ranges cost no more than the whole (CVE-2011-3192)', async (t) => {
  const many = Array.from({ length: 1300 }, (_, i) => `5-${i + 5}`).join(',');
  t.equal(readRanges(['Range', `bytes=0-,${many}`], 1_000_000), 'whole');
  const tiny = Array.from({ length: 33 }, (_, i) => `${i * 2}-${i * 2}`).join(',');
  t.equal(readRanges(['Range', `bytes=${tiny}`], 1_000_000), 'whole');
  t.equal(readRanges(['Range', `bytes=0-1,${','.repeat(60_000)}3-4`], 1_000_000), 'whole');
});

t.test('whatever is asked: spans are inside, apart from each other, and few', async () => {
  const number = fc.oneof(fc.nat(30), fc.constantFrom('', '0', '99999999999999999999'), fc.constantFrom(' ', 'x', '-'));
  const spec = fc.tuple(number, number).map(([a, b]) => `${a}-${b}`);
  fc.assert(
    fc.property(fc.array(spec, { maxLength: 40 }), fc.nat(20), (specs, size) => {
      const ranges = readRanges(['Range', `bytes=${specs.join(',')}`], size);
      if (typeof ranges === 'string') return true;
      const sum = ranges.reduce((total, span) => total + span.end - span.start, 0);
      const areInside = ranges.every(({ start, end }) => start >= 0 && start < end && end <= size);
      return ranges.length > 0 && ranges.length <= 32 && areInside && sum <= size;
    }),
    { seed: SEED, numRuns: 5_000 },
  );
});

t.test('parts are framed as RFC 9110 §14.6 says', async (t) => {
  t.equal(contentRange({ start: 0, end: 10 }, 100), 'bytes 0-9/100');
  t.equal(
    partHead('B', 'text/plain', { start: 1, end: 3 }, 9),
    '\r\n--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 1-2/9\r\n\r\n',
  );
  t.equal(partsEnd('B'), '\r\n--B--\r\n');
});

t.test('codings: the most welcome, of equals the smallest, and nothing that is refused', async (t) => {
  const choose = (accept: string | undefined, available = CODINGS) =>
    chooseCoding(accept === undefined ? [] : ['Accept-Encoding', accept], available);
  t.equal(choose(undefined), 'identity');
  t.equal(choose(''), 'identity');
  t.equal(choose('gzip, deflate, br, zstd'), 'br');
  t.equal(choose('gzip, deflate'), 'gzip');
  t.equal(choose('x-gzip'), 'gzip');
  t.equal(choose('GZIP;Q=0.5, zstd;q=0.4'), 'gzip');
  t.equal(choose('br;q=0, *'), 'zstd');
  t.equal(choose('*;q=0'), 'identity');
  t.equal(choose('identity;q=0, *;q=0'), 'identity', 'better than nothing');
  t.equal(choose('identity, gzip;q=0.5'), 'identity');
  t.equal(choose('identity;q=0.5, gzip;q=0.5'), 'gzip');
  t.equal(choose('br;q=nonsense, gzip'), 'gzip');
  t.equal(choose('br', ['gzip']), 'identity');
  t.equal(choose('br', []), 'identity');
});

t.test('types that are worth compressing', async (t) => {
  for (const type of [
    'text/html',
    'TEXT/CSS; charset=utf-8',
    'application/json',
    'image/svg+xml',
    'application/ld+json',
    'application/wasm',
  ]) {
    t.equal(isTextType(type), true, type);
  }
  for (const type of [
    'image/png',
    'font/woff2',
    'text/event-stream',
    'application/octet-stream',
    'application/zip',
    '',
  ]) {
    t.equal(isTextType(type), false, type);
  }
});
