// The fields that a client gets, and the trailers that may be passed on.

import t from 'tap';
import type { Headers } from '../../src/http/headers.ts';
import type { Mapping } from '../../src/http/location.ts';
import { responseHeaders, trailers } from '../../src/policy/response-headers.ts';

const mapping: Mapping = {
  prefix: '/_api',
  publicAuthority: 'toucan.example',
  publicHost: 'toucan.example',
  publicPort: 443,
  innerAuthorities: ['backend:80'],
  isKnownHost: () => false,
};
const ID = ['X-Request-Id', 'id-1'];
const make = (headers: Headers, status = 200) => responseHeaders(status, headers, mapping, 'id-1');

t.test('end-to-end fields pass in order, with their case and duplicates', async (t) => {
  const fields = [
    'date',
    'x',
    'Set-Cookie',
    'a=1',
    'VARY',
    'Origin',
    'Set-Cookie',
    'a=1',
    'Vary',
    'Accept',
    'set-cookie',
    'b=2',
  ];
  fields.push('Access-Control-Allow-Origin', '*', 'Content-Type', 'application/json', 'Trailer', 'X-T', 'X_Under', '1');
  t.strictSame(make([...fields]), [...fields, ...ID]);
});

t.test('what belongs to one hop stays here, with what Connection nominates', async (t) => {
  const fields = [
    'Connection',
    'close, X-Hop, Set-Cookie, Content-Type',
    'Keep-Alive',
    'timeout=5',
    'X-Hop',
    '1',
    'Set-Cookie',
    'a',
  ];
  fields.push(
    'Content-Type',
    'text/html',
    'Transfer-Encoding',
    'chunked',
    'Upgrade',
    'h2c',
    'Proxy-Authenticate',
    'Basic',
  );
  t.strictSame(make(fields), ['Set-Cookie', 'a', 'Content-Type', 'text/html', ...ID]);
  t.strictSame(make(['Connection', 'close', 'connection', 'x-hop', 'X-Hop', '1']), ID, 'nominated in a second line');
});

t.test('Content-Length comes last, and never with a status that has none', async (t) => {
  const fields = ['Content-Length', '5', 'Content-Disposition', 'attachment'];
  for (const status of [200, 304, 413, 500]) {
    t.strictSame(
      make(fields, status),
      ['Content-Disposition', 'attachment', ...ID, 'Content-Length', '5'],
      String(status),
    );
  }
  for (const status of [101, 103, 204]) {
    t.strictSame(make(fields, status), ['Content-Disposition', 'attachment', ...ID], String(status));
  }
});

t.test('places are given in public terms', async (t) => {
  const fields = [
    'Location',
    '/login',
    'CONTENT-LOCATION',
    'http://backend/x',
    'set-cookie',
    'a=b; Path=/; Secure',
    'X-Location',
    '/x',
  ];
  t.strictSame(make(fields, 302), [
    ...['Location', '/_api/login', 'CONTENT-LOCATION', 'https://toucan.example/_api/x'],
    ...['set-cookie', 'a=b; Path=/_api; Secure', 'X-Location', '/x', ...ID],
  ]);
});

t.test('the request id is ours, and once', async (t) => {
  t.strictSame(make(['X-Request-Id', 'theirs', 'X-A', '1', 'x-request-id', 'again']), ['X-A', '1', ...ID]);
});

t.test('trailers: no framing, routing, authentication, cookies or identity', async (t) => {
  const bad = [
    'Content-Length',
    'Transfer-Encoding',
    'Host',
    'Authorization',
    'Set-Cookie',
    'Cookie',
    'Connection',
    'TE',
    'Trailer',
  ];
  bad.push(
    'Content-Type',
    'Content-Encoding',
    'X-Forwarded-For',
    'Location',
    'Cache-Control',
    'Proxy-Authorization',
    'Range',
  );
  const fields = [
    'X-Checksum',
    '1',
    ...bad.flatMap((name) => [name.toLowerCase(), 'x']),
    'Server-Timing',
    'a',
    'x-checksum',
    '2',
  ];
  t.strictSame(trailers(fields), ['X-Checksum', '1', 'Server-Timing', 'a', 'x-checksum', '2']);
});

t.test('the rules of the route come after the mapping, and before the length', async (t) => {
  const rules = { remove: ['server'], set: ['Location', '/elsewhere'], add: ['Vary', 'Origin'] };
  const upstream = ['Server', 'x', 'Content-Length', '5', 'Location', '/a', 'Vary', 'Accept'];
  t.strictSame(responseHeaders(200, upstream, mapping, 'id-1', rules), [
    ...['Vary', 'Accept', ...ID, 'Location', '/elsewhere', 'Vary', 'Origin', 'Content-Length', '5'],
  ]);
});
