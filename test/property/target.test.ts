// Invariants of targets, prefixes and authorities, against a slow reference and seeded random input.

import fc from 'fast-check';
import t from 'tap';
import { hasDotSegment, hasPrefix, readAuthority, readTarget, stripPrefix } from '../../src/http/target.ts';

const SEED = 20_260_101;
const RUNS = { seed: SEED, numRuns: 4_000 };
t.comment(`seed ${SEED}`);

/** Pieces of which hostile paths are made. */
const piece = fc.constantFrom(
  ...[
    '/',
    '\\',
    '.',
    '..',
    '%2e',
    '%2E',
    '%2f',
    '%2F',
    '%5c',
    '%5C',
    ';',
    '%3b',
    '%3B',
    '%25',
    '%',
    '2',
    'e',
    '?',
    '#',
    '%00',
  ],
  ...[
    'a',
    '_api',
    '/_api',
    '%5Fapi',
    ' ',
    '\t',
    '\r',
    '\n',
    '\x00',
    '\x7f',
    '\xe9',
    '~',
    '@',
    ':',
    '*',
    '//',
    '/./',
    '/../',
    '%252e',
  ],
);
const anyPath = fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`);
const prefix = fc
  .array(fc.stringMatching(/^[a-z0-9_.~-]{1,6}$/), { minLength: 1, maxLength: 3 })
  .map((segments) => `/${segments.join('/')}`)
  .filter((made) => !hasDotSegment(made));

/** All readings by one decoding: each escape decoded or not, `/` and `\` as separators, parameters behind `;` left out or not. */
function* readings(path: string): Generator<string[]> {
  const escapes = [...path.matchAll(/%([0-9a-f]{2})/gi)];
  // All, none, and each single one alone or left out: a server decodes all or some kinds of them.
  const kinds = [...new Set(escapes.map((found) => found[1]!.toLowerCase()))];
  for (let set = 0; set < 2 ** Math.min(kinds.length, 8); set++) {
    const chosen = new Set(kinds.filter((_, i) => (set & (1 << i)) !== 0));
    const decoded = path.replace(/%([0-9a-f]{2})/gi, (whole, hex: string) =>
      chosen.has(hex.toLowerCase()) ? String.fromCharCode(Number.parseInt(hex, 16)) : whole,
    );
    const segments = decoded.split(/[/\\]/);
    yield segments;
    yield segments.map((segment) => segment.split(';', 1)[0]!);
  }
}

const isDot = (segment: string) => segment === '.' || segment === '..';

t.test('no accepted target has a dot segment by any single decoding', async (t) => {
  let accepted = 0;
  fc.assert(
    fc.property(anyPath, (path) => {
      const read = readTarget('GET', path);
      if (typeof read === 'string') return;
      accepted++;
      for (const segments of readings(path.split('?', 1)[0]!)) {
        if (segments.some(isDot)) throw new Error(`${path} was accepted, and is read as ${segments.join(' / ')}`);
      }
    }),
    RUNS,
  );
  t.ok(accepted > 200, `${accepted} were accepted`);
});

t.test('nothing is refused for dots that has none by any decoding', async (t) => {
  fc.assert(
    fc.property(anyPath, (path) => {
      if (!hasDotSegment(path)) return true;
      return [...readings(path.split('?', 1)[0]!)].some((segments) => segments.some(isDot));
    }),
    RUNS,
  );
  t.pass('held');
});

t.test('what is accepted comes through byte for byte, or is refused in words', async (t) => {
  fc.assert(
    fc.property(fc.constantFrom('', 'http://a.example', 'HTTPS://a.example:8000'), anyPath, (start, path) => {
      const read = readTarget('GET', start + path);
      if (typeof read === 'string') return read.length > 10;
      return (
        read.path === path &&
        !/[\x00-\x20\x7f#]/.test(read.path) &&
        (read.authority ?? '') === start.replace(/^\w*:\/\//, '')
      );
    }),
    RUNS,
  );
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 20 }), (text) => {
      const read = readTarget('GET', text);
      return typeof read === 'string' || read.path.startsWith('/');
    }),
    RUNS,
  );
  t.pass('held');
});

t.test('a prefix that fits is one of whole segments, and stripping leaves one slash and the rest', async (t) => {
  let fitted = 0;
  const rest = anyPath.map((made) => made.slice(1));
  const path = fc.oneof(
    anyPath,
    fc.tuple(prefix, fc.oneof(anyPath, rest)).map((parts) => parts.join('')),
    prefix,
  );
  fc.assert(
    fc.property(prefix, fc.oneof(path, rest), fc.boolean(), (given, end, joined) => {
      const whole = joined ? given + end : end;
      const fits = hasPrefix(whole, given);
      const before = whole.split('?', 1)[0]!.split('/');
      const segments = given.split('/');
      if (fits !== segments.every((segment, i) => before[i] === segment))
        throw new Error(`${whole} under ${given}: ${fits}`);
      if (!fits) return;
      fitted++;
      const stripped = stripPrefix(whole, given);
      const tail = whole.slice(given.length);
      if (!/^\/(?!\/)/.test(stripped)) throw new Error(`${whole} became ${stripped}`);
      if (stripped.slice(1) !== tail.replace(/^\/+/, '')) throw new Error(`${whole} became ${stripped}`);
      if (!hasDotSegment(whole) && hasDotSegment(stripped))
        throw new Error(`${whole} gained a dot segment: ${stripped}`);
    }),
    RUNS,
  );
  t.ok(fitted > 500, `${fitted} fitted`);
});

t.test('an authority never holds what could split, hide or redirect', async (t) => {
  const character = fc.constantFrom(...'aZ09.-_:[]@/\\ \t\r\n\x00\x7f,%?#;<>"\'*+\xe9\x85\xa0'.split(''));
  const text = fc.oneof(
    fc.array(character, { maxLength: 12 }).map((parts) => parts.join('')),
    fc
      .tuple(fc.stringMatching(/^[a-zA-Z0-9.-]{1,20}$/), fc.integer({ min: 0, max: 99_999 }))
      .map(([host, port]) => `${host}:${port}`),
    fc.ipV6().map((address) => `[${address}]`),
    fc.domain(),
  );
  let accepted = 0;
  fc.assert(
    fc.property(text, (value) => {
      const read = readAuthority(value);
      if (read === undefined) return true;
      accepted++;
      if (/[^a-z0-9.\-_:[\]]/.test(read.host) || (read.port !== undefined && read.port > 65_535)) return false;
      // Given back, it is what it was, but for letter case and leading zeros of the port.
      const again = `${read.host}${read.port === undefined ? '' : `:${read.port}`}`;
      return (
        again ===
        value.toLowerCase().replace(/:0*(\d+)$/, (whole, digits) => (value.endsWith(']') ? whole : `:${digits}`))
      );
    }),
    RUNS,
  );
  t.ok(accepted > 500, `${accepted} were accepted`);
  fc.assert(
    fc.property(fc.domain(), (domain) => readAuthority(domain)?.host === domain.toLowerCase()),
    RUNS,
  );
  fc.assert(
    fc.property(
      fc.ipV4(),
      fc.integer({ min: 0, max: 65_535 }),
      (host, port) => readAuthority(`${host}:${port}`)?.port === port,
    ),
    RUNS,
  );
});
