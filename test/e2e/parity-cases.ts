// The requests that Caddy and Portico are both asked: each is sent through either, over HTTP/1.1 and HTTP/2, with two domains and with one.

import type { Headers } from '../../src/http/headers.ts';
import type { ClientRequest } from '../support/exchange.ts';
import { sampleBytes } from '../support/recorder-answers.ts';

export const FRONTEND = 'toucan.test';
export const BACKEND = 'api-toucan.test';
export const PREFIX = '/_api';

export type Mode = 'two domains' | 'one domain';
export type Protocol = 'HTTP/1.1' | 'HTTP/2';

export interface Case {
  readonly name: string;
  readonly modes: readonly Mode[];
  readonly protocols: readonly Protocol[];
  readonly listener: 'https' | 'http';
  request(mode: Mode): ClientRequest;
}

const BOTH_MODES: readonly Mode[] = ['two domains', 'one domain'];
const BOTH_PROTOCOLS: readonly Protocol[] = ['HTTP/1.1', 'HTTP/2'];

type More = Partial<Pick<Case, 'modes' | 'protocols'>> & Partial<Omit<ClientRequest, 'method' | 'target'>>;

/** Asks the frontend; with one domain too, because the prefix must not change anything for it. */
function frontend(name: string, method: string, target: string, more: More = {}): Case {
  return makeCase(`frontend: ${name}`, 'https', more, (_mode) => ({
    method,
    target,
    authority: FRONTEND,
    headers: [],
  }));
}

/** Asks the backend, on its own domain or behind the prefix. */
function backend(name: string, method: string, target: string, more: More = {}): Case {
  return makeCase(`backend: ${name}`, 'https', more, (mode) => {
    if (mode === 'two domains') return { method, target, authority: BACKEND, headers: [] };
    return { method, target: PREFIX + target, authority: FRONTEND, headers: [] };
  });
}

/** Asks the plain listener. */
function plain(name: string, method: string, target: string, more: More = {}): Case {
  const once: More = { modes: ['two domains'], protocols: ['HTTP/1.1'], ...more };
  return makeCase(`plain: ${name}`, 'http', once, () => ({ method, target, authority: FRONTEND, headers: [] }));
}

function makeCase(name: string, listener: Case['listener'], more: More, request: (mode: Mode) => ClientRequest): Case {
  const { modes = BOTH_MODES, protocols = BOTH_PROTOCOLS, ...own } = more;
  return { name, modes, protocols, listener, request: (mode) => ({ ...request(mode), ...own }) };
}

const JSON_TYPE: Headers = ['Content-Type', 'application/json'];
const BEARER = 'Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJqb2UifQ.c2lnbmF0dXJl';
const BROWSER: Headers = [
  'User-Agent',
  'Mozilla/5.0 (X11; Linux x86_64)',
  'Accept',
  'text/html,application/xhtml+xml,*/*;q=0.8',
  'Accept-Encoding',
  'gzip, deflate, br, zstd',
  'Accept-Language',
  'fr-FR,fr;q=0.9',
];

const METHODS: readonly Case[] = [
  frontend('GET the page', 'GET', '/', { headers: BROWSER }),
  frontend('HEAD the page', 'HEAD', '/', { headers: BROWSER }),
  frontend('GET a file', 'GET', '/main.0f3a.js'),
  backend('GET', 'GET', '/status/200', { headers: ['Accept', 'application/json'] }),
  backend('GET without User-Agent', 'GET', '/status/200'),
  backend('GET the root', 'GET', '/'),
  backend('HEAD', 'HEAD', '/status/200'),
  backend('POST with a length', 'POST', '/login', { headers: JSON_TYPE, body: Buffer.from('{"user":"joe"}') }),
  backend('POST in chunks', 'POST', '/echo', { headers: JSON_TYPE, body: sampleBytes(5000), chunked: true }),
  backend('POST of nothing', 'POST', '/echo', { body: Buffer.alloc(0) }),
  backend('POST without any body', 'POST', '/upload'),
  backend('POST of 2 MB', 'POST', '/upload', { body: sampleBytes(2_000_000) }),
  backend('PUT', 'PUT', '/echo', { headers: JSON_TYPE, body: Buffer.from('[1]') }),
  backend('PATCH', 'PATCH', '/echo', { headers: JSON_TYPE, body: Buffer.from('[2]') }),
  backend('DELETE', 'DELETE', '/thing'),
  backend('DELETE with a body', 'DELETE', '/echo', { body: Buffer.from('which') }),
  backend('DELETE with a chunked body', 'DELETE', '/echo', { body: Buffer.from('which'), chunked: true }),
  backend('OPTIONS', 'OPTIONS', '/status/200'),
  backend('OPTIONS with a chunked body', 'OPTIONS', '/echo', { body: Buffer.from('which'), chunked: true }),
  backend('GET with a body', 'GET', '/echo', { body: Buffer.from('{"query":{}}'), headers: JSON_TYPE }),
  backend('PROPFIND', 'PROPFIND', '/status/200'),
];

const FIELDS: readonly Case[] = [
  backend('Authorization', 'GET', '/status/200', { headers: ['Authorization', BEARER] }),
  backend('Basic Authorization', 'GET', '/status/200', { headers: ['authorization', 'Basic am9lOnNlY3JldA=='] }),
  backend('Connection nominates Authorization', 'GET', '/status/200', {
    protocols: ['HTTP/1.1'],
    headers: ['Authorization', BEARER, 'Connection', 'close, Authorization'],
  }),
  backend('Cookie', 'GET', '/status/200', { headers: ['Cookie', 'session=abc; theme="dark blue"; a=1'] }),
  backend('two Cookie fields', 'GET', '/status/200', { headers: ['Cookie', 'a=1', 'Cookie', 'b=2'] }),
  backend('duplicates and order', 'GET', '/status/200', {
    headers: ['X-Zulu', '1', 'X-Alpha', '2', 'X-Zulu', '3', 'x-mIxEd', '4', 'X-Empty', '', 'X-Alpha', '5'],
  }),
  backend('what a single-page application sends', 'POST', '/echo', {
    headers: [...BROWSER.slice(0, 2), 'Authorization', BEARER, 'x-json-flavor', 'compact', ...JSON_TYPE],
    body: Buffer.from('{"a":1}'),
  }),
  backend('spoofed forwarding fields', 'GET', '/status/200', {
    headers: ['X-Forwarded-For', '6.6.6.6', 'X-Forwarded-Proto', 'http', 'X-Forwarded-Host', 'evil.example'],
  }),
  backend('other spoofed identities', 'GET', '/status/200', {
    headers: [
      'Forwarded',
      'for=6.6.6.6',
      'X-Real-IP',
      '6.6.6.6',
      'X-Request-Id',
      'mine',
      'X-Forwarded-Prefix',
      '/evil',
    ],
  }),
  backend('aliases of forwarding fields', 'GET', '/status/200', {
    headers: ['X_Forwarded_For', '6.6.6.6', 'X.Forwarded.For', '6.6.6.6', 'X_Other', 'stays'],
  }),
  backend('hop-by-hop fields', 'GET', '/status/200', {
    protocols: ['HTTP/1.1'],
    headers: [
      ...['Connection', 'keep-alive, X-Hop', 'X-Hop', '1', 'Keep-Alive', 'timeout=3', 'Proxy-Connection', 'keep-alive'],
      ...['Proxy-Authorization', 'Basic eDp5', 'TE', 'trailers, deflate', 'X-End', '2'],
    ],
  }),
  backend('Upgrade: h2c', 'GET', '/status/200', {
    protocols: ['HTTP/1.1'],
    headers: ['Connection', 'Upgrade, HTTP2-Settings', 'Upgrade', 'h2c', 'HTTP2-Settings', 'AAMAAABkAAQAAP__'],
  }),
  backend('httpoxy', 'GET', '/status/200', { headers: ['Proxy', 'http://evil.example/'] }),
  backend('a field of 15 KB', 'GET', '/status/200', { headers: ['SAMLResponse', 'x'.repeat(15_000)] }),
  backend('conditional and range', 'GET', '/status/304', {
    headers: ['If-None-Match', '"z"', 'If-Modified-Since', 'Tue, 15 Nov 1994 08:12:31 GMT', 'Range', 'bytes=0-9'],
  }),
  backend('bytes above ASCII', 'GET', '/status/200', { protocols: ['HTTP/1.1'], headers: ['X-Name', 'caf\xc3\xa9'] }),
];

const TARGETS: readonly Case[] = [
  ...[
    '/a%20b%2Fc?x=%2F&y=a+b&z=%e2%82%ac',
    '/%7Eu/~u/@x/:y',
    "/!$&'()*+,;=",
    '/a//b///c/',
    '/x?',
    '/x?a=b?c=/d//e',
    '/x?q={"a":[1]}|^`',
    '/caf\xc3\xa9?caf\xc3\xa9',
    '/a/%2e%2e/b',
    '/a/../b',
    '/./a',
    '/a%00b',
  ].map((target) => backend(`target ${JSON.stringify(target)}`, 'GET', target)),
  frontend('target "/file with%20space~@1.js"', 'GET', '/file%20with%20space~@1.js?v=~@'),
  frontend('target "//evil.example/x"', 'GET', '//evil.example/x'),
  backend('absolute-form', 'GET', `https://${BACKEND}/status/200?x=1`, {
    modes: ['two domains'],
    protocols: ['HTTP/1.1'],
  }),
  backend('OPTIONS *', 'OPTIONS', '*', { modes: ['two domains'], protocols: ['HTTP/1.1'] }),
  backend('Host with the port', 'GET', '/status/200', { modes: ['two domains'], authority: `${BACKEND}:443` }),
  backend('Host in capitals', 'GET', '/status/200', { modes: ['two domains'], authority: BACKEND.toUpperCase() }),
  backend('a Host that nobody knows', 'GET', '/status/200', { modes: ['two domains'], authority: 'evil.example' }),
];

const ANSWERS: readonly Case[] = [
  ...[201, 204, 304, 400, 401, 403, 404, 409, 418, 500, 502, 503, 504].map((status) =>
    backend(`status ${status}`, 'GET', `/status/${status}`),
  ),
  backend('401 with a challenge', 'GET', '/status/401?WWW-Authenticate=Basic%20realm%3D%22x%22'),
  backend('cookies', 'GET', '/cookies'),
  backend(
    'fields, duplicated and in order',
    'GET',
    '/headers?X-Zulu=1&X-Alpha=2&X-Zulu=3&x-mIxEd=4&X-Frame-Options=DENY',
  ),
  backend('hop-by-hop fields of an answer', 'GET', '/headers?Keep-Alive=timeout%3D9&Proxy-Authenticate=Basic&X-Stay=1'),
  backend('nominated fields of an answer', 'GET', '/headers?Connection=X-Gone&X-Gone=1&X-Stay=2'),
  backend('a request id of the upstream', 'GET', '/headers?X-Request-Id=theirs'),
  backend(
    'cache and security fields',
    'GET',
    '/headers?Cache-Control=no-store&ETag=%22a%22&Vary=Origin&Via=1.1%20inner',
  ),
  backend('gzip', 'GET', '/gzip', { headers: ['Accept-Encoding', 'gzip'] }),
  backend('gzip for whom did not ask', 'GET', '/gzip'),
  backend('CORS preflight', 'OPTIONS', '/cors', {
    headers: ['Origin', `https://${FRONTEND}`, 'Access-Control-Request-Method', 'POST', ...PREFLIGHT()],
  }),
  backend('CORS answer', 'POST', '/cors', {
    headers: ['Origin', `https://${FRONTEND}`, ...JSON_TYPE],
    body: Buffer.from('{}'),
  }),
  backend('2 MB with a length', 'GET', '/big?bytes=2000000'),
  backend('2 MB in chunks', 'GET', '/big?bytes=2000000&chunked=1'),
  backend('HEAD of 2 MB', 'HEAD', '/big?bytes=2000000'),
  backend('server-sent events', 'GET', '/sse?count=3', { headers: ['Accept', 'text/event-stream'] }),
  backend('trailers of an answer', 'GET', '/trailers', { headers: ['TE', 'trailers'] }),
  backend('trailers of a request', 'POST', '/echo', {
    headers: ['Trailer', 'X-Sum'],
    body: Buffer.from('body'),
    chunked: true,
    trailers: ['X-Sum', 'abc'],
  }),
  backend('103 before the answer', 'GET', '/hints'),
  backend('100-continue', 'POST', '/echo', { body: Buffer.from('patient'), waitForContinue: true }),
  backend('413 before the body was read', 'POST', '/early?status=413', { body: sampleBytes(100_000) }),
  backend('cut within its length', 'GET', '/cut?bytes=1000'),
  backend('cut within its chunks', 'GET', '/cut?bytes=1000&chunked=1'),
  backend('dropped before the head', 'POST', '/drop', { headers: JSON_TYPE, body: Buffer.from('{}') }),
];

function PREFLIGHT(): Headers {
  return ['Access-Control-Request-Headers', 'authorization,content-type,x-json-flavor'];
}

const REDIRECTS: readonly Case[] = [
  ...[301, 302, 303, 307, 308].map((status) =>
    backend(`redirect ${status}`, 'GET', `/status/${status}?Location=/next?x=1`),
  ),
  ...[
    '/',
    '/_api/next',
    'next',
    '?page=2',
    '//other.example/x',
    'https://idp.example/sso?RelayState=%2F',
    `http://${BACKEND}/next`,
    `https://${BACKEND}/next`,
    `http://${FRONTEND}/next`,
    `https://${FRONTEND}/next`,
  ].map((location) => backend(`Location ${location}`, 'GET', `/status/302?Location=${encodeURIComponent(location)}`)),
  backend('Location on the inner authority', 'GET', '/status/302?Location=http%3A%2F%2F{backend}%2Fnext'),
  backend('Content-Location', 'POST', '/status/201?Content-Location=/thing/1', { body: Buffer.from('{}') }),
  frontend('Location', 'GET', '/status/301?Location=/docs/'),
];

const PREFIXES: readonly Case[] = [
  '/_api',
  '/_api?x=1',
  '/_api/',
  '/_api//login',
  '/_api///login',
  '/_api/a//b',
  '/_apix/y',
  '/_API/x',
  '/%5Fapi/x',
  '//_api/x',
  '/_api%2Fx',
  '/x/_api/y',
].map((target) => frontend(`prefix ${target}`, 'GET', target, { modes: ['one domain'] }));

const PLAIN: readonly Case[] = [
  plain('GET', 'GET', '/'),
  plain('HEAD', 'HEAD', '/x'),
  plain('POST', 'POST', '/login', { body: Buffer.from('{}') }),
  plain('path and query', 'GET', '/a%20b//c~@?x=%2F&next=https://a/?b'),
  plain('two slashes', 'GET', '//evil.example/%2f'),
  plain('two slashes and dots', 'GET', '//evil.example/%2f..'),
  plain('the backend', 'GET', '/x', { authority: BACKEND }),
  plain('Host with its port', 'GET', '/x', { authority: `${FRONTEND}:80` }),
  plain('a Host that nobody knows', 'GET', '/x', { authority: 'evil.example' }),
  plain('a Host that is none', 'GET', '/x', { authority: 'a"b<c' }),
];

export const CASES: readonly Case[] = [
  ...METHODS,
  ...FIELDS,
  ...TARGETS,
  ...ANSWERS,
  ...REDIRECTS,
  ...PREFIXES,
  ...PLAIN,
];
