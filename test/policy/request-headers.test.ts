// The fields that an upstream gets: the client's, less what belongs to one hop or was forged, and what we vouch for.

import t from 'tap';
import { allValues, type Headers } from '../../src/http/headers.ts';
import { NO_BODY, type RequestHead, UNTIL_END } from '../../src/model/exchange.ts';
import { largeField, requestHeaders, type Vouched } from '../../src/policy/request-headers.ts';

const vouched = (more: Partial<Vouched> = {}): Vouched => ({
  trusted: false,
  chain: '203.0.113.9',
  scheme: 'https',
  authority: 'toucan.example',
  host: undefined,
  traceparent: undefined,
  clientFields: undefined,
  publicPort: 443,
  prefix: '',
  requestId: 'id-1',
  ...more,
});

const OURS = [
  ...['X-Forwarded-For', '203.0.113.9', 'X-Forwarded-Proto', 'https', 'X-Forwarded-Host', 'toucan.example'],
  ...['X-Forwarded-Port', '443', 'X-Request-Id', 'id-1'],
];

function make(headers: Headers, more: Partial<Vouched> = {}, bodyLength = NO_BODY): Headers {
  const head: RequestHead = {
    method: 'GET',
    target: '/',
    authority: 'toucan.example',
    protocol: 'HTTP/1.1',
    headers,
    bodyLength,
    upgrade: false,
    problem: undefined,
  };
  return requestHeaders(head, vouched(more));
}

t.test('end-to-end fields pass in order, with their case and duplicates; ours come last', async (t) => {
  const fields = [
    'hOsT',
    'toucan.example',
    'X-B',
    '1',
    'authorization',
    'Bearer a',
    'x-b',
    '2',
    'Cookie',
    'a=b',
    'Cookie',
    'c=d',
  ];
  t.strictSame(make([...fields]), [...fields, ...OURS]);
});

t.test('the list that came in is not changed', async (t) => {
  const fields = Object.freeze(['Host', 'a', 'Connection', 'close']) as string[];
  t.doesNotThrow(() => make(fields));
});

t.test('what belongs to one hop, and framing, stays here', async (t) => {
  const fields = [
    'Connection',
    'keep-alive',
    'Keep-Alive',
    'timeout=5',
    'Proxy-Connection',
    'x',
    'TE',
    'gzip',
    'Upgrade',
    'h2c',
  ];
  fields.push(
    'HTTP2-Settings',
    'AAA',
    'Transfer-Encoding',
    'chunked',
    'Content-Length',
    '5',
    'Proxy-Authorization',
    'x',
  );
  fields.push('Proxy', 'http://evil.example', 'Trailer', 'X-T');
  t.strictSame(make(fields), OURS);
});

t.test('what Connection nominates goes, but for protected fields', async (t) => {
  const nominating = (...connections: string[]) =>
    make([
      ...connections.flatMap((value) => ['Connection', value]),
      'X-Hop',
      '1',
      'Authorization',
      'Bearer a',
      'X-Stays',
      '2',
    ]);
  const rest = ['Authorization', 'Bearer a', 'X-Stays', '2', ...OURS];
  t.strictSame(nominating('close, x-HOP, Authorization, Host, Cookie'), rest);
  t.strictSame(nominating('x-hop,authorization'), rest);
  t.strictSame(nominating('keep-alive', 'X-Hop'), rest, 'in a second line, behind keep-alive');
  t.strictSame(nominating('close', 'X-Hop'), rest, 'in a second line, behind close');
  t.strictSame(nominating('close'), ['X-Hop', '1', ...rest]);
});

t.test('Connection cannot take away what we vouch for', async (t) => {
  const names = 'X-Forwarded-For, X-Forwarded-Proto, X-Request-Id, X-Forwarded-Host';
  t.strictSame(make(['Connection', names]), OURS);
  t.strictSame(make(['Connection', names, 'X-Forwarded-Proto', 'http'], { trusted: true }).includes('http'), true);
});

t.test('from an untrusted peer nothing that says who the client is passes', async (t) => {
  const fields = ['X-Forwarded-For', '6.6.6.6', 'x-forwarded-proto', 'http', 'X-Forwarded-Host', 'evil.example'];
  fields.push(
    'X-Forwarded-Port',
    '1',
    'X-Forwarded-Prefix',
    '/evil',
    'X-Forwarded-Anything',
    'x',
    'Forwarded',
    'for=6.6.6.6',
  );
  fields.push('X-Real-IP', '6.6.6.6', 'X-Request-Id', 'evil', 'Client-Cert', 'x', 'Client-Cert-Chain', 'x');
  t.strictSame(make(fields), OURS);
});

t.test('from a trusted hop its own word stands, but the chain and the id are ours', async (t) => {
  const fields = ['X-Forwarded-For', '198.51.100.7', 'X-Forwarded-Proto', 'http', 'X-Forwarded-Host', 'public.example'];
  const out = make([...fields, 'X-Forwarded-Port', '8443', 'X-Real-IP', '198.51.100.7', 'X-Request-Id', 'theirs'], {
    trusted: true,
    chain: '198.51.100.7, 10.0.0.1',
    requestId: 'theirs',
  });
  t.strictSame(out, [
    ...['X-Forwarded-Proto', 'http', 'X-Forwarded-Host', 'public.example', 'X-Forwarded-Port', '8443'],
    ...['X-Real-IP', '198.51.100.7', 'X-Forwarded-For', '198.51.100.7, 10.0.0.1', 'X-Request-Id', 'theirs'],
  ]);
});

t.test('a stripped prefix is told, behind that of a trusted hop', async (t) => {
  const told = (headers: Headers, more: Partial<Vouched>) => allValues(make(headers, more), 'x-forwarded-prefix');
  t.strictSame(told([], {}), []);
  t.strictSame(told([], { prefix: '/_api' }), ['/_api']);
  t.strictSame(told(['X-Forwarded-Prefix', '/evil'], { prefix: '/_api' }), ['/_api']);
  t.strictSame(told(['X-Forwarded-Prefix', '/outer/'], { prefix: '/_api', trusted: true }), ['/outer/_api']);
  t.strictSame(told(['X-Forwarded-Prefix', '/outer'], { trusted: true }), ['/outer']);
});

t.test('aliases of fields that matter are dropped, from trusted hops as well', async (t) => {
  const aliases = [
    'X_Forwarded_For',
    '6.6.6.6',
    'X.Forwarded.For',
    '6.6.6.6',
    'x-real_ip',
    '6.6.6.6',
    'Content_Length',
    '0',
  ];
  aliases.push('Proxy_Authorization', 'x', 'Transfer_Encoding', 'chunked', 'X_Request_Id', 'x', 'Client_Cert', 'x');
  for (const trusted of [false, true]) {
    t.strictSame(make([...aliases, 'X_Custom', 'kept', 'a.b', 'kept'], { trusted }), [
      'X_Custom',
      'kept',
      'a.b',
      'kept',
      ...OURS,
    ]);
  }
});

t.test('trailers are announced where there can be some', async (t) => {
  t.strictSame(make(['Trailer', 'X-T'], {}, UNTIL_END), ['Trailer', 'X-T', ...OURS]);
  t.strictSame(make(['Trailer', 'X-T'], {}, 5), OURS);
  t.strictSame(make(['TE', 'gzip;q=1, Trailers']), ['TE', 'trailers', ...OURS]);
});

t.test('a trace goes on, or begins here and takes the place of what was no trace', async (t) => {
  const sent = ['Traceparent', 'given', 'a', 'b', 'tracestate', 's=1'];
  t.strictSame(make(sent).slice(0, 6), sent, 'in their places');
  const made = make(sent, { traceparent: 'ours' });
  t.strictSame(allValues(made, 'traceparent'), ['ours']);
  t.strictSame(allValues(made, 'tracestate'), []);
  t.strictSame(allValues(make(['Connection', 'traceparent', ...sent]), 'traceparent'), ['given'], 'not by Connection');
});

t.test('what is said of a client certificate is ours alone where the host asks for one', async (t) => {
  const sent = ['Client-Cert', 'theirs', 'X-SSL-Client-Verify', 'SUCCESS', 'X-Forwarded-Client-Cert', 'theirs'];
  t.strictSame(make(sent), OURS, 'never from a client');
  t.strictSame(make(sent, { clientFields: [] }), OURS);
  t.strictSame(make(sent, { clientFields: ['Client-Cert', 'ours'] }), [...OURS, 'Client-Cert', 'ours']);
  t.strictSame(make(sent, { trusted: true }).slice(0, 6), sent, 'a trusted hop may have asked itself');
  t.strictSame(make(sent, { trusted: true, clientFields: [] }), OURS, 'but not where we do');
  const rules = { remove: [], set: ['X-Set', 'x'], add: [] };
  t.strictSame(make(sent, { clientFields: ['Client-Cert', 'ours'], rules }).slice(-4), [
    'Client-Cert',
    'ours',
    'X-Set',
    'x',
  ]);
});

t.test('a field that many upstreams refuse for its size', async (t) => {
  t.equal(largeField(['A', 'x', 'Cookie', 'x'.repeat(8_186)]), undefined);
  t.equal(largeField(['A', 'x', 'Cookie', 'x'.repeat(8_187), 'B', 'x'.repeat(9_000)]), 'Cookie');
  t.equal(largeField(['N'.repeat(9_000), '']), 'N'.repeat(100));
});

t.test(
  "a pool's own Host takes the place of the client's, once and where it stood; what was asked for is told beside",
  async (t) => {
    const out = make(['A', '1', 'hOsT', 'toucan.example', 'B', '2'], { host: 'bucket.example' });
    t.strictSame(out.slice(0, 6), ['A', '1', 'hOsT', 'bucket.example', 'B', '2']);
    t.strictSame(allValues(out, 'x-forwarded-host'), ['toucan.example']);
  },
);

t.test('the rules of the route come last', async (t) => {
  const rules = { remove: ['accept-encoding'], set: ['X-Set', 'ours'], add: ['X-Add', 'more'] };
  const out = make(['x-set', 'a', 'Accept-Encoding', 'gzip', 'X-Set', 'b', 'X-Add', 'one'], { rules });
  t.strictSame(out, ['X-Add', 'one', ...OURS, 'X-Set', 'ours', 'X-Add', 'more']);
});
