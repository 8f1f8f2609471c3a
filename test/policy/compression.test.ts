// Compression: which answers are compressed, for whom, and what their fields are then.

import t from 'tap';
import type { Headers } from '../../src/http/headers.ts';
import { NO_BODY, type RequestHead } from '../../src/model/exchange.ts';
import { chooseCompression, compressedHeaders, unmodifiedHeaders, varying } from '../../src/policy/compression.ts';

function head(headers: Headers, more: Partial<RequestHead> = {}): RequestHead {
  return {
    method: 'GET',
    target: '/',
    authority: 'toucan.example',
    protocol: 'HTTP/1.1',
    headers,
    bodyLength: NO_BODY,
    upgrade: false,
    problem: undefined,
    ...more,
  };
}

const ALL = head(['Accept-Encoding', 'gzip, deflate, br, zstd']);
const JS = ['Content-Type', 'application/javascript'];

t.test('what the client likes best of br, zstd and gzip', async (t) => {
  const cases: [accept: string, coding: string][] = [
    ['gzip, deflate, br, zstd', 'br'],
    ['gzip, zstd', 'zstd'],
    ['gzip', 'gzip'],
    ['x-gzip', 'gzip'],
    ['br;q=0, gzip;q=0.5', 'gzip'],
    ['gzip;q=0.2, identity;q=0.5', 'identity'],
    ['deflate', 'identity'],
    ['identity;q=0, *;q=0', 'identity'],
    ['', 'identity'],
    ['*', 'br'],
  ];
  for (const [accept, coding] of cases)
    t.equal(chooseCompression(head(['accept-encoding', accept]), 200, JS), coding, accept);
  t.equal(chooseCompression(head([]), 200, JS), 'identity', 'no field');
});

t.test('answers that nobody gets compressed', async (t) => {
  const cases: [what: string, status: number, headers: Headers][] = [
    ['no type', 200, []],
    ['a picture', 200, ['Content-Type', 'image/png']],
    ['an event stream', 200, ['Content-Type', 'text/event-stream; charset=utf-8']],
    ['encoded already', 200, [...JS, 'content-encoding', 'gzip']],
    ['encoded by what nobody knows', 200, [...JS, 'Content-Encoding', 'x-own']],
    ['small', 200, [...JS, 'Content-Length', '255']],
    ['empty', 200, [...JS, 'Content-Length', '0']],
    ['no-transform', 200, [...JS, 'Cache-Control', 'public, No-Transform']],
    ['a digest', 200, [...JS, 'Content-Digest', 'sha-256=:x:']],
    ['interim', 103, JS],
    ['no content', 204, JS],
    ['unmodified', 304, JS],
  ];
  for (const [what, status, headers] of cases) t.equal(chooseCompression(ALL, status, headers), undefined, what);
});

t.test('answers that others get compressed', async (t) => {
  t.equal(chooseCompression(ALL, 206, [...JS, 'Content-Length', '10']), 'identity', 'a part');
  const accept = ['Accept-Encoding', 'gzip'];
  t.equal(chooseCompression(head([...accept, 'Range', 'bytes=0-9']), 200, JS), 'identity', 'asked for a part');
  t.equal(
    chooseCompression(head([...accept, 'Cache-Control', 'no-transform']), 200, JS),
    'identity',
    'asked for no change',
  );
  t.equal(chooseCompression(head(accept, { protocol: 'HTTP/1.0' }), 200, JS), 'identity', 'no chunks to frame it');
  t.equal(chooseCompression(ALL, 404, ['content-type', 'text/html']), 'br', 'an error page is text too');
  t.equal(chooseCompression(head(accept, { method: 'POST' }), 200, [...JS, 'Content-Length', '256']), 'gzip');
});

t.test('fields of a compressed answer', async (t) => {
  t.strictSame(
    compressedHeaders(
      ['ETag', '"a"', 'Accept-Ranges', 'bytes', 'Set-Cookie', 'a=b', 'Set-Cookie', 'c=d', 'Content-Length', '999'],
      'br',
    ),
    ['Vary', 'Accept-Encoding', 'ETag', 'W/"a"', 'Set-Cookie', 'a=b', 'Set-Cookie', 'c=d', 'Content-Encoding', 'br'],
  );
  t.strictSame(compressedHeaders(['etag', 'W/"a"', 'vary', 'Origin, accept-encoding'], 'gzip'), [
    ...['etag', 'W/"a"', 'vary', 'Origin, accept-encoding', 'Content-Encoding', 'gzip'],
  ]);
  t.strictSame(varying(['Vary', '*']), ['Vary', '*']);
  t.strictSame(varying(['Vary', 'Origin']), ['Vary', 'Accept-Encoding', 'Vary', 'Origin']);
});

t.test('a 304 names the tag that the client holds', async (t) => {
  const answer = ['ETag', '"a,b"', 'Date', 'x'];
  const weak = ['Vary', 'Accept-Encoding', 'ETag', 'W/"a,b"', 'Date', 'x'];
  t.strictSame(unmodifiedHeaders(head(['If-None-Match', '"z", W/"a,b"']), answer), weak);
  t.strictSame(unmodifiedHeaders(head(['If-None-Match', '"a,b"']), answer), answer, 'it holds the original');
  t.strictSame(unmodifiedHeaders(head([]), answer), answer);
  t.strictSame(unmodifiedHeaders(head(['If-None-Match', 'W/"x"']), ['ETag', 'W/"x"']), ['ETag', 'W/"x"']);
});
