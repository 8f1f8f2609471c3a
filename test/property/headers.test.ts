// Invariants of the fields that go up and down, and of who the client is said to be, over seeded random input.

import { isIP } from 'node:net';
import fc from 'fast-check';
import t from 'tap';
import { plainAddress, readChain } from '../../src/http/forwarded.ts';
import {
  allValues,
  countOf,
  FRAMING,
  fieldFlags,
  type Headers,
  HOP_BY_HOP,
  IDENTITY,
  isGuardedAlias,
  PROTECTED,
} from '../../src/http/headers.ts';
import { type Mapping, mapLocation } from '../../src/http/location.ts';
import { NO_BODY, type RequestHead, UNTIL_END } from '../../src/model/exchange.ts';
import { requestHeaders } from '../../src/policy/request-headers.ts';
import { responseHeaders, trailers } from '../../src/policy/response-headers.ts';

const SEED = 20_260_102;
const RUNS = { seed: SEED, numRuns: 3_000 };
t.comment(`seed ${SEED}`);

const KNOWN = [
  ...[
    'Connection',
    'Keep-Alive',
    'Proxy-Connection',
    'Proxy',
    'TE',
    'Transfer-Encoding',
    'Upgrade',
    'HTTP2-Settings',
    'Content-Length',
  ],
  ...[
    'Authorization',
    'Cookie',
    'Host',
    'X-Forwarded-For',
    'X-Forwarded-Proto',
    'X-Forwarded-Host',
    'X-Forwarded-Port',
    'X-Real-IP',
  ],
  ...[
    'X-Forwarded-Prefix',
    'Forwarded',
    'X-Request-Id',
    'Client-Cert',
    'Proxy-Authorization',
    'Trailer',
    'Expect',
    'Set-Cookie',
    'Location',
  ],
  ...[
    'Content-Location',
    'Content-Type',
    'X-Custom',
    'Vary',
    'Origin',
    'X_Custom',
    'Access-Control-Allow-Origin',
    'Sec-WebSocket-Key',
  ],
];

/** A known name in any letter case, with some of its hyphens as `_` or `.`. */
const name = fc.tuple(fc.constantFrom(...KNOWN), fc.infiniteStream(fc.nat(9))).map(([known, dice]) => {
  const next = () => dice.next().value as number;
  const disguised = next() < 3;
  return [...known]
    .map((char) =>
      char === '-' && disguised
        ? '-_.-_.-_.-'[next()]!
        : next() < 5
          ? char.toLowerCase()
          : next() < 2
            ? char.toUpperCase()
            : char,
    )
    .join('');
});
const value = fc.constantFrom(
  '',
  'a',
  'Bearer s3cr3t',
  'close',
  'keep-alive',
  'trailers',
  '6.6.6.6',
  'a=b; Path=/',
  '/x',
  'chunked',
  '5',
);
const nomination = fc.array(name, { maxLength: 4 }).map((names) => names.join(', '));
const field = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(name, value) },
  { weight: 2, arbitrary: fc.tuple(fc.constantFrom('Connection', 'connection'), nomination) },
);
const headers = fc.array(field, { maxLength: 14 }).map((fields): Headers => fields.flat());

const CHAIN = '203.0.113.9, 10.0.0.1';

function up(incoming: Headers, trusted: boolean, prefix: string, bodyLength: number): Headers {
  const head: RequestHead = {
    method: 'GET',
    target: '/',
    authority: 'toucan.example',
    protocol: 'HTTP/1.1',
    headers: incoming,
    bodyLength,
    upgrade: false,
    problem: undefined,
  };
  const { authority } = { authority: 'toucan.example' };
  return requestHeaders(head, {
    trusted,
    chain: CHAIN,
    scheme: 'https',
    authority,
    host: undefined,
    traceparent: undefined,
    clientFields: undefined,
    publicPort: 443,
    prefix,
    requestId: 'id-1',
  });
}

/** The fields of some names, as pairs in order. */
function pairs(list: Headers, wanted: (name: string) => boolean): [string, string][] {
  const out: [string, string][] = [];
  for (let i = 0; i < list.length; i += 2) if (wanted(list[i]!.toLowerCase())) out.push([list[i]!, list[i + 1]!]);
  return out;
}
const names = (list: Headers) => list.filter((_, i) => i % 2 === 0);
const nominatedBy = (list: Headers) =>
  new Set(
    allValues(list, 'connection').flatMap((each) => each.split(',').map((member) => member.trim().toLowerCase())),
  );

const upstreamInput = fc.tuple(
  headers,
  fc.boolean(),
  fc.constantFrom('', '/_api'),
  fc.constantFrom(NO_BODY, UNTIL_END, 5),
);

t.test('upstream: nothing of one hop, no framing, no alias', async (t) => {
  fc.assert(
    fc.property(upstreamInput, ([incoming, trusted, prefix, bodyLength]) => {
      for (const [field, sent] of pairs(up(incoming, trusted, prefix, bodyLength), () => true)) {
        // The one that we make ourselves: it says that we understand trailers.
        if (field === 'TE' && sent === 'trailers') continue;
        if ((fieldFlags(field) & (HOP_BY_HOP | FRAMING)) !== 0 || isGuardedAlias(field))
          throw new Error(`${field} was sent`);
      }
    }),
    RUNS,
  );
  t.pass('held');
});

t.test('upstream: exactly one X-Forwarded-For and X-Request-Id, and they are ours', async (t) => {
  fc.assert(
    fc.property(upstreamInput, ([incoming, trusted, prefix, bodyLength]) => {
      const out = up(incoming, trusted, prefix, bodyLength);
      return (
        allValues(out, 'x-forwarded-for').join('|') === CHAIN &&
        allValues(out, 'x-request-id').join('|') === 'id-1' &&
        countOf(out, 'x-forwarded-proto') >= 1 &&
        countOf(out, 'x-forwarded-host') >= 1
      );
    }),
    RUNS,
  );
  t.pass('held');
});

t.test('upstream: credentials and cookies are untouched, whatever Connection nominates', async (t) => {
  const mine = (field: string) =>
    ['authorization', 'cookie', 'host', 'origin', 'content-type', 'expect'].includes(field);
  fc.assert(
    fc.property(upstreamInput, ([incoming, trusted, prefix, bodyLength]) => {
      const out = up(incoming, trusted, prefix, bodyLength);
      return JSON.stringify(pairs(out, mine)) === JSON.stringify(pairs(incoming, mine));
    }),
    RUNS,
  );
  t.pass('held');
});

t.test('upstream: what is nominated and not protected goes, in whichever line it was nominated', async (t) => {
  fc.assert(
    fc.property(upstreamInput, ([incoming, trusted, prefix, bodyLength]) => {
      const nominated = nominatedBy(incoming);
      const sent = names(up(incoming, trusted, prefix, bodyLength)).filter((each) => each !== 'TE');
      return sent.every((each) => (fieldFlags(each) & PROTECTED) !== 0 || !nominated.has(each.toLowerCase()));
    }),
    RUNS,
  );
  t.pass('held');
});

t.test('upstream: from an untrusted peer no value of an identity field comes through', async (t) => {
  fc.assert(
    fc.property(headers, (incoming) => {
      const marked = incoming.map((text, i) =>
        i % 2 === 1 && (fieldFlags(incoming[i - 1]!) & IDENTITY) !== 0 ? 'forged' : text,
      );
      return !up(marked, false, '/_api', NO_BODY).includes('forged');
    }),
    RUNS,
  );
  t.pass('held');
});

const mapping: Mapping = {
  prefix: '/_api',
  publicAuthority: 'toucan.example',
  publicHost: 'toucan.example',
  publicPort: 443,
  innerAuthorities: ['backend:80'],
  isKnownHost: (host) => host === 'toucan.example' || host === 'api.example',
};

t.test('downstream: Set-Cookie keeps its number and order, and all else its bytes', async (t) => {
  const cookies = (list: Headers) => pairs(list, (field) => field === 'set-cookie');
  const others = (field: string) =>
    ['content-type', 'vary', 'access-control-allow-origin', 'authorization'].includes(field);
  fc.assert(
    fc.property(headers, fc.constantFrom('', '/_api'), (incoming, prefix) => {
      const nominated = nominatedBy(incoming);
      const out = responseHeaders(200, incoming, { ...mapping, prefix }, 'id-1');
      const expected = cookies(incoming).map(([field, text]) => [
        field,
        prefix === '' ? text : text.replace('Path=/', `Path=${prefix}`),
      ]);
      const kept = (field: string) => others(field) && ((fieldFlags(field) & PROTECTED) !== 0 || !nominated.has(field));
      return (
        JSON.stringify(cookies(out)) === JSON.stringify(expected) &&
        JSON.stringify(pairs(out, others)) === JSON.stringify(pairs(incoming, kept)) &&
        allValues(out, 'x-request-id').join('|') === 'id-1'
      );
    }),
    RUNS,
  );
  t.pass('held');
});

t.test('downstream: nothing of one hop, neither in heads nor in trailers', async (t) => {
  fc.assert(
    fc.property(headers, fc.constantFrom(101, 103, 200, 204, 304, 502), (incoming, status) => {
      const out = responseHeaders(status, incoming, mapping, 'id-1');
      const lengths = countOf(out, 'content-length');
      return (
        pairs(out, (field) => field !== 'content-length' && (fieldFlags(field) & (HOP_BY_HOP | FRAMING)) !== 0)
          .length === 0 &&
        lengths <= (status < 200 || status === 204 ? 0 : 1) &&
        pairs(trailers(incoming), (field) => (fieldFlags(field) & (HOP_BY_HOP | FRAMING | IDENTITY)) !== 0).length === 0
      );
    }),
    RUNS,
  );
  t.pass('held');
});

t.test('Location: a foreign host is never made ours, nor ours a foreign one', async (t) => {
  const host = fc.constantFrom(
    'toucan.example',
    'TOUCAN.example',
    'api.example',
    'backend',
    'backend.evil',
    'evil.example',
    'toucan.example.evil',
    '',
  );
  const noise = fc.constantFrom(
    '',
    '@',
    'u@',
    'u:p@',
    '\\',
    '%2f',
    ' ',
    '.',
    '..',
    '#',
    '?',
    '/',
    ':',
    'toucan.example@',
    'backend:80@',
  );
  const place = fc
    .tuple(
      fc.constantFrom('http://', 'https://', '//', 'HTTP://', '/', '', '\\\\', '/\\', 'ftp://', 'http:/', 'http:'),
      noise,
      host,
      fc.constantFrom('', ':80', ':443', ':8000', ':x', ':', ':080'),
      fc.constantFrom('', '/', '/x', '/_api', '/_api/x', '/_apix', '?q', '#f', '/_api#f', '//evil.example', '/../x'),
      noise,
    )
    .map((parts) => parts.join(''));
  /** Where a browser would go from a page of ours. */
  const goesTo = (text: string) => {
    try {
      return new URL(text, 'https://toucan.example/page');
    } catch {
      return undefined;
    }
  };
  const OURS = new Set(['toucan.example', 'backend', 'api.example']);
  fc.assert(
    fc.property(place, fc.constantFrom('', '/_api'), (text, prefix) => {
      const mapped = mapLocation(text, { ...mapping, prefix });
      const [before, after] = [goesTo(text), goesTo(mapped)];
      if (mapped === text) return;
      const say = `${text} became ${mapped}`;
      if (before === undefined || after === undefined) throw new Error(say);
      if (!OURS.has(before.hostname) && OURS.has(after.hostname)) throw new Error(say);
      if (OURS.has(before.hostname) && !OURS.has(after.hostname)) throw new Error(say);
      if (after.username !== '' || after.protocol !== 'https:') throw new Error(say);
      if (mapLocation(mapped, { ...mapping, prefix }) !== mapped) throw new Error(`${say}, and again something else`);
    }),
    { ...RUNS, numRuns: 20_000 },
  );
  t.pass('held');
});

t.test('the client is the nearest address that no trusted hop has, and nothing left of it counts', async (t) => {
  const trusted = new Set(['10.0.0.1', '10.0.0.2', '10.0.0.3', '::1']);
  const isTrusted = (address: string) => trusted.has(address);
  const hop = fc.oneof(
    fc.constantFrom('10.0.0.1', '10.0.0.2', '::1', '[::1]:80', '10.0.0.3:8080', '::ffff:10.0.0.2'),
    fc.ipV4(),
    fc.ipV6(),
  );
  const member = fc.oneof(
    { weight: 5, arbitrary: hop },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        '',
        'unknown',
        '_x',
        'evil',
        '1.2.3.4.5',
        '10.0.0.1;',
        '"10.0.0.1"',
        '10.0.0.1 10.0.0.2',
      ),
    },
  );
  const lines = fc.array(
    fc.array(member, { maxLength: 5 }).map((members) => members.join(', ')),
    { maxLength: 3 },
  );
  /** The slow reference: from the right, one at a time. */
  const reference = (values: readonly string[], peer: string): string => {
    const left = values
      .join(',')
      .split(',')
      .map((each) => each.trim());
    let client = peer;
    while (isTrusted(client)) {
      const next = left.pop();
      if (next === undefined) break;
      const bare = plainAddress(next.replace(/^\[(.*)\](:\d+)?$/, '$1').replace(/^([\d.]+):\d+$/, '$1'));
      if (isIP(bare) === 0) break;
      client = bare;
    }
    return client;
  };
  fc.assert(
    fc.property(lines, fc.oneof(fc.constantFrom(...trusted), fc.ipV4()), (values, peer) => {
      const { client, value: sent } = readChain(values, peer, isTrusted);
      if (client !== reference(values, peer)) throw new Error(`${values.join(' | ')} from ${peer}: ${client}`);
      if (!sent.endsWith(peer) || /[^0-9a-fA-F.:,[\] ]/.test(sent)) throw new Error(`sent ${sent}`);
      if (!isTrusted(peer) && sent !== peer) throw new Error(`sent ${sent}`);
      // Whoever reads our chain as we do comes to the same client.
      const [last, ...rest] = sent.split(', ').reverse();
      if (readChain([rest.reverse().join(', ')], last!, isTrusted).client !== client && rest.length > 0)
        throw new Error(`sent ${sent}`);
    }),
    RUNS,
  );
  t.pass('held');
});
