// Every difference between the vendor's Caddy and Portico that the parity test may meet, each with its reason.

import { ABSENT } from '../support/facts.ts';

export interface KnownDifference {
  /** The fact that differs (test/support/facts.ts names them). */
  readonly place: string;
  readonly caddy: string | RegExp;
  readonly portico: string | RegExp;
  /** It may occur in these cases only (their names start like this), and must in each; undefined: in any, and at least once. */
  readonly cases?: readonly string[];
  readonly mode?: 'two domains' | 'one domain';
  readonly protocol?: 'HTTP/1.1' | 'HTTP/2';
  /** Caddy does so in some runs only: it need not occur. */
  readonly byChance?: true;
  readonly reason: string;
}

/** What is different about nearly every exchange. */
const EVERYWHERE: readonly KnownDifference[] = [
  {
    place: 'client field server',
    caddy: 'Caddy | recorder',
    portico: 'recorder',
    reason: 'Caddy names itself before the upstream does; Portico passes the field as it came',
  },
  {
    place: 'client field server',
    caddy: 'Caddy',
    portico: /^(?:recorder|\(none\))$/,
    reason: 'Portico does not tell strangers what it is made of; Caddy does, in its own answers too',
  },
  {
    place: 'client field alt-svc',
    caddy: /^h3=/,
    portico: ABSENT,
    reason: 'Caddy offers HTTP/3; Portico does not speak it',
  },
  {
    place: 'client field x-request-id',
    caddy: ABSENT,
    portico: '{id}',
    reason: 'every exchange has an id that client, upstream and log share',
  },
  {
    place: 'upstream field x-request-id',
    caddy: ABSENT,
    portico: '{id}',
    reason: 'every exchange has an id that client, upstream and log share',
  },
  {
    place: 'upstream field traceparent',
    caddy: ABSENT,
    portico: /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/,
    reason: 'a trace begins at the front door, where there is none yet; Caddy has that as an option',
  },
  {
    place: 'upstream field x-forwarded-port',
    caddy: ABSENT,
    portico: '443',
    reason: 'applications that build URLs need the public port; Caddy does not tell it',
  },
  {
    place: 'upstream field x-forwarded-prefix',
    caddy: ABSENT,
    portico: '/_api',
    mode: 'one domain',
    reason: 'applications that build URLs need the prefix that was stripped; Caddy does not tell it',
  },
  {
    place: 'client order',
    caddy: 'changed',
    portico: 'as sent',
    reason: 'Caddy sorts fields by name (or by chance), Portico keeps their order',
  },
  {
    place: 'upstream order',
    caddy: 'changed',
    portico: 'as sent',
    reason: 'Caddy sorts fields by name, Portico keeps their order',
  },
  {
    place: 'client spelling',
    caddy: 'changed',
    portico: 'as sent',
    protocol: 'HTTP/1.1',
    reason: 'Caddy writes names in its own capitals (Etag, X-Mixed), Portico as they were sent',
  },
  {
    place: 'upstream spelling',
    caddy: 'changed',
    portico: 'as sent',
    protocol: 'HTTP/1.1',
    reason: 'Caddy writes names in its own capitals, Portico as they were sent',
  },
  {
    place: 'upstream field connection',
    caddy: ABSENT,
    portico: 'keep-alive',
    reason: 'what HTTP/1.1 means anyway; an upstream that speaks HTTP/1.0 keeps the connection by it',
  },
  {
    place: 'upstream field connection',
    caddy: ABSENT,
    portico: 'keep-alive, TE',
    reason: 'whoever sends TE nominates it (RFC 9110 section 10.1.4); Caddy does not',
  },
  {
    place: 'upstream field accept-encoding',
    caddy: 'gzip',
    portico: ABSENT,
    reason:
      'Caddy asks for gzip on behalf of clients that did not, and unpacks it; Portico lets upstream and client agree',
  },
];

/** Where an upstream gets less or more than from Caddy, for safety. */
const FIELDS: readonly KnownDifference[] = [
  {
    place: 'upstream field content-length',
    caddy: ABSENT,
    portico: '0',
    cases: ['backend: PROPFIND'],
    reason: 'a method that may have a body says that it has none; Caddy does so for POST, PUT and PATCH only',
  },
  ...['forwarded', 'x-real-ip'].map((name) => ({
    place: `upstream field ${name}`,
    caddy: /6\.6\.6\.6/,
    portico: ABSENT,
    cases: ['backend: other spoofed identities'],
    reason: 'fields that say who the client is are believed from trusted hops only',
  })),
  {
    place: 'upstream field x-forwarded-prefix',
    caddy: '/evil',
    portico: /^(?:\/_api|\(none\))$/,
    cases: ['backend: other spoofed identities'],
    reason: 'a prefix told by a client would end in links that the application builds',
  },
  {
    place: 'upstream field x-request-id',
    caddy: 'mine',
    portico: '{id}',
    cases: ['backend: other spoofed identities'],
    reason: 'a client must not choose what it is called in the logs',
  },
  ...['x_forwarded_for', 'x.forwarded.for'].map((name) => ({
    place: `upstream field ${name}`,
    caddy: '6.6.6.6',
    portico: ABSENT,
    cases: ['backend: aliases of forwarding fields'],
    reason: 'WSGI reads them as X-Forwarded-For',
  })),
  {
    place: 'upstream field proxy',
    caddy: 'http://evil.example/',
    portico: ABSENT,
    cases: ['backend: httpoxy'],
    reason: 'CGI and WSGI read it as the variable HTTP_PROXY (CVE-2016-5385)',
  },
  {
    place: 'upstream field authorization',
    caddy: ABSENT,
    portico: /^Bearer /,
    cases: ['backend: Connection nominates Authorization'],
    reason: 'Connection may not nominate Authorization: its loss is the first cause of "I can\'t log in"',
  },
  {
    place: 'upstream order',
    caddy: 'as sent',
    portico: 'changed',
    cases: ['backend: hop-by-hop fields'],
    reason: 'TE belongs to the connection: Portico writes its own, behind the others',
  },
  {
    place: 'upstream field expect',
    caddy: ABSENT,
    portico: '100-continue',
    cases: ['backend: 100-continue'],
    protocol: 'HTTP/2',
    reason: 'the upstream decides whether it wants the body, over HTTP/2 too; Caddy says 100 by itself there',
  },
  {
    place: 'upstream trailer x-sum',
    caddy: ABSENT,
    portico: 'abc',
    cases: ['backend: trailers of a request'],
    reason: 'Caddy drops the trailers of a request',
  },
  {
    place: 'client field x-request-id',
    caddy: 'theirs',
    portico: '{id}',
    cases: ['backend: a request id of the upstream'],
    reason: 'the id is the one that the log has',
  },
  {
    place: 'client inform 103',
    caddy: /link <\/style\.css>/,
    portico: /^link <\/style\.css>; rel=preload; as=style x-request-id \{id\}$/,
    cases: ['backend: 103 before the answer'],
    reason: 'Caddy names itself and HTTP/3 in interim answers too, Portico the request id',
  },
  {
    place: 'client inform 100',
    caddy: /server caddy/,
    portico: 'x-request-id {id}',
    cases: ['backend: 100-continue'],
    protocol: 'HTTP/1.1',
    reason:
      'Caddy names itself and HTTP/3 in interim answers too, Portico the request id (RFC 9110 §15.2 lets them have fields)',
  },
];

/** What Caddy unpacks. */
const GZIP: readonly KnownDifference[] = [
  ['client body', /^gzipped/, /^\x1f/],
  ['client field content-encoding', ABSENT, 'gzip'],
  ['client field content-length', ABSENT, '28'],
].map(([place, caddy, portico]) => ({
  place: place as string,
  caddy: caddy!,
  portico: portico!,
  cases: ['backend: gzip for whom did not ask'],
  reason: 'an upstream that packs without being asked: Caddy unpacks, Portico passes it on as it is',
}));

/** Upgrade: h2c is passed on by Caddy, which lets a client speak to the upstream behind the proxy's back. */
const H2C: readonly KnownDifference[] = [
  ['client status', '403', '200'],
  ['client body', /does not switch/, /^status 200/],
  ['client field content-length', '30', '11'],
  ['upstream body', '0 bytes ', /^0 bytes [0-9a-f]{64}$/],
  ['upstream field connection', 'Upgrade', 'keep-alive'],
  ['upstream field upgrade', 'h2c', ABSENT],
  ['upstream messages', /closed undefined/, ABSENT],
].map(([place, caddy, portico]) => ({
  place: place as string,
  caddy: caddy!,
  portico: portico!,
  cases: ['backend: Upgrade: h2c'],
  protocol: 'HTTP/1.1',
  reason: 'only websockets are upgraded: behind an h2c upgrade no request would be seen by the door',
}));

/** The cases in which Portico answers by itself where Caddy passes on, or says nothing. */
const DOTS = ['backend: target "/a/%2e%2e/b"', 'backend: target "/a/../b"', 'backend: target "/./a"'];
const BYTES_IN_TARGET = 'backend: target "/caf';
const UNKNOWN_HOST = 'backend: a Host that nobody knows';
const DROPPED = 'backend: dropped before the head';
const REDIRECTS = ['GET', 'POST', 'HEAD', 'path and query', 'two slashes', 'the backend', 'Host with its port'].map(
  (name) => `plain: ${name}`,
);
const PLAIN_UNKNOWN_HOST = 'plain: a Host that nobody knows';
const PLAIN_BAD_HOST = 'plain: a Host that is none';
const PLAIN_DOTS = 'plain: two slashes and dots';
const FAILED = [...DOTS, UNKNOWN_HOST, DROPPED, PLAIN_UNKNOWN_HOST, PLAIN_BAD_HOST, PLAIN_DOTS];

const REPLIES: readonly KnownDifference[] = [
  {
    place: 'client status',
    caddy: '200',
    portico: '400',
    cases: DOTS,
    reason: 'a path with dot segments can be read in two ways; Caddy routes by one and sends the other',
  },
  { place: 'upstream asked', caddy: 'backend', portico: 'nobody', cases: DOTS, reason: 'refused, as said above' },
  {
    place: 'client field date',
    caddy: /1994/,
    portico: '{now}',
    cases: DOTS,
    reason: 'refused, as said above: the answer is our own',
  },
  {
    place: 'client field server',
    caddy: 'Caddy | recorder',
    portico: ABSENT,
    cases: DOTS,
    reason: 'refused, as said above: the answer is our own',
  },
  {
    place: 'client status',
    caddy: '200',
    portico: '421',
    cases: [UNKNOWN_HOST],
    reason: 'Caddy answers an empty 200 for a site that it does not have; Portico says that there is none',
  },
  {
    place: 'client status',
    caddy: '302',
    portico: '301',
    cases: REDIRECTS.filter((name) => name !== 'plain: POST'),
    reason: 'a permanent redirect is remembered by browsers; the sample\'s "redir" is a temporary one',
  },
  {
    place: 'client status',
    caddy: '302',
    portico: '308',
    cases: ['plain: POST'],
    reason: 'after a 302 a browser repeats a POST as a GET, without its body',
  },
  {
    place: 'client status',
    caddy: '302',
    portico: '404',
    cases: [PLAIN_UNKNOWN_HOST],
    reason: 'Caddy sends a client to whatever host it names; Portico redirects to its own sites only',
  },
  {
    place: 'client status',
    caddy: '302',
    portico: '400',
    cases: [PLAIN_DOTS],
    reason: 'a path with dot segments is refused on the plain listener too',
  },
  {
    place: 'client field location',
    caddy: /^https:/,
    portico: ABSENT,
    cases: [PLAIN_UNKNOWN_HOST, PLAIN_DOTS],
    reason: 'no redirect, as said above',
  },
  {
    place: 'client body',
    caddy: /^(?:|here\n|400 Bad Request: malformed Host header)$/,
    portico: /Portico|served over HTTPS/,
    cases: [...FAILED, ...REDIRECTS.filter((name) => name !== 'plain: HEAD'), BYTES_IN_TARGET],
    reason: 'our own answers say who gave them, and why',
  },
  {
    place: 'client field content-length',
    caddy: /^(?:\d+|\(none\))$/,
    portico: /^\d+$/,
    cases: [...FAILED, ...REDIRECTS, BYTES_IN_TARGET],
    reason: 'our own answers say who gave them, and why',
  },
  {
    place: 'client field content-type',
    caddy: ABSENT,
    portico: 'text/plain; charset=utf-8',
    cases: [UNKNOWN_HOST, ...REDIRECTS, PLAIN_UNKNOWN_HOST, BYTES_IN_TARGET],
    reason: 'our own answers have a body, those of Caddy are empty',
  },
  {
    place: 'client field content-type',
    caddy: ABSENT,
    portico: 'application/json',
    cases: [DROPPED],
    reason: 'our own answers on the routes of the backend are JSON, as the frontend expects of an error',
  },
  {
    place: 'client field cache-control',
    caddy: ABSENT,
    portico: 'no-store',
    cases: [...FAILED, ...REDIRECTS, BYTES_IN_TARGET],
    reason: 'an answer that explains an outage or a mistake must not outlive it in a cache',
  },
  {
    place: 'client field proxy-status',
    caddy: ABSENT,
    portico: /^portico; error=\w+; details="\w+"$/,
    cases: [...FAILED, BYTES_IN_TARGET],
    reason: 'RFC 9209: which hop failed, and how',
  },
  {
    place: 'client field connection',
    caddy: ABSENT,
    portico: 'close',
    cases: ['plain: POST', 'websocket: refused', BYTES_IN_TARGET],
    protocol: 'HTTP/1.1',
    reason: 'after a body that was not read, a refused upgrade and an unreadable head the connection is not used again',
  },
  {
    place: 'client field connection',
    caddy: 'close',
    portico: ABSENT,
    cases: [PLAIN_BAD_HOST],
    reason:
      'the head was framed well, so what follows it can be read: the connection stays open (RFC 9112 §9.3), which needs no word',
  },
  {
    place: 'client field date',
    caddy: ABSENT,
    portico: '{now}',
    cases: [PLAIN_BAD_HOST],
    reason: 'RFC 9110 §6.6.1: an origin with a clock says the time',
  },
  {
    place: 'client field transfer-encoding',
    caddy: 'chunked',
    portico: ABSENT,
    cases: [BYTES_IN_TARGET],
    protocol: 'HTTP/1.1',
    reason: 'our own answers have a length',
  },
  {
    place: 'client field date',
    caddy: '{now}',
    portico: ABSENT,
    cases: [BYTES_IN_TARGET],
    protocol: 'HTTP/1.1',
    reason: 'the answer to an unreadable head is written before there is an exchange',
  },
  {
    place: 'client end',
    caddy: 'complete',
    portico: 'cut',
    cases: ['backend: cut within its chunks'],
    reason: 'Caddy ends an answer that broke off as if it were whole; a client must not take it for that',
  },
];

/** `OPTIONS *` asks the server as a whole: Caddy answers it, Portico passes it on like every other method. */
const OPTIONS_ALL: readonly KnownDifference[] = [
  ['upstream asked', 'nobody', 'backend'],
  ['client body', '', 'here\n'],
  ['client field content-length', '0', '5'],
  ['client field content-type', ABSENT, 'text/plain; charset=utf-8'],
  ['client field date', '{now}', /1994/],
  ['client field server', ABSENT, 'recorder'],
].map(([place, caddy, portico]) => ({
  place: place as string,
  caddy: caddy!,
  portico: portico!,
  cases: ['backend: OPTIONS *'],
  reason: 'the backend knows what it can do',
}));

/** Answers that name a place. */
const MAPPED: readonly KnownDifference[] = [
  {
    place: 'client field location',
    caddy: /^http:\/\/(?:api-)?toucan\.test\/next$/,
    portico: /^https:\/\/(?:api-)?toucan\.test\/next$/,
    cases: ['backend: Location http://api-toucan.test/next', 'backend: Location http://toucan.test/next'],
    mode: 'two domains',
    reason: 'an application that does not know the scheme sends browsers to the plain port',
  },
  {
    place: 'client field location',
    caddy: 'http://127.0.0.1:{backend}/next',
    portico: /^https:\/\/(?:api-toucan\.test|toucan\.test\/_api)\/next$/,
    cases: ['backend: Location on the inner authority'],
    reason: 'browsers cannot reach the inner authority',
  },
  {
    place: 'client field location',
    caddy: /^(?:\/next\?x=1|\/|https?:\/\/toucan\.test\/next)$/,
    portico: /^(?:\/_api\/next\?x=1|\/_api\/|https:\/\/toucan\.test\/_api\/next)$/,
    cases: [
      'backend: redirect 301',
      'backend: redirect 302',
      'backend: redirect 303',
      'backend: redirect 307',
      'backend: redirect 308',
      'backend: Location /',
      'backend: Location http://toucan.test/next',
      'backend: Location https://toucan.test/next',
    ],
    mode: 'one domain',
    reason: 'the backend does not know the prefix; without it the browser would ask the frontend',
  },
  {
    place: 'client field content-location',
    caddy: '/thing/1',
    portico: '/_api/thing/1',
    cases: ['backend: Content-Location'],
    mode: 'one domain',
    reason: 'the backend does not know the prefix',
  },
  {
    place: 'client field set-cookie',
    caddy: /^session=abc; Path=\/; .* Path=\/app \| plain=1 \| __Host-id=2; Path=\/; Secure$/,
    portico: /^session=abc; Path=\/_api; .* Path=\/_api\/app \| plain=1 \| __Host-id=2; Path=\/; Secure$/,
    cases: ['backend: cookies'],
    mode: 'one domain',
    reason: 'the backend does not know the prefix: a cookie for /app would never come back to it',
  },
];

/** Which paths are the backend's, and what is left of them. */
const PREFIXES: readonly KnownDifference[] = [
  {
    place: 'upstream asked',
    caddy: 'frontend',
    portico: 'backend',
    cases: ['frontend: prefix /_api'],
    mode: 'one domain',
    reason:
      'the matcher /_api/* of the sample leaves out /_api itself, which a client without a trailing slash asks for',
  },
  {
    place: 'upstream asked',
    caddy: 'backend',
    portico: 'frontend',
    cases: ['frontend: prefix /_API/x', 'frontend: prefix /%5Fapi/x', 'frontend: prefix //_api/x'],
    mode: 'one domain',
    reason: 'Caddy routes by a path that it has unpacked, folded and cleaned; Portico by the bytes as they were sent',
  },
  {
    place: 'upstream request line',
    caddy: /^GET \/(?:a\/b\/c\/|a\/b) HTTP\/1\.1$/,
    portico: /^GET \/(?:a\/\/b\/\/\/c\/|a\/\/b) HTTP\/1\.1$/,
    cases: ['backend: target "/a//b///c/"', 'frontend: prefix /_api/a//b'],
    mode: 'one domain',
    reason: 'Caddy folds all slashes of a path that it has stripped; Portico takes those behind the prefix only',
  },
  {
    place: 'upstream request line',
    caddy: 'GET /%21$&%27%28%29%2A+,;= HTTP/1.1',
    portico: "GET /!$&'()*+,;= HTTP/1.1",
    cases: ['backend: target "/!$'],
    mode: 'one domain',
    reason: 'Caddy writes a path anew when it strips a prefix; Portico leaves the rest as it was sent',
  },
  ...(
    [
      ['client status', '400', '200'],
      ['upstream asked', 'nobody', 'frontend'],
      ['client body', '', 'here\n'],
      ['client field content-length', /^(?:0|\(none\))$/, '5'],
      ['client field content-type', ABSENT, 'text/plain; charset=utf-8'],
      ['client field date', '{now}', /1994/],
    ] as const
  ).map(([place, caddy, portico]) => ({
    place,
    caddy,
    portico,
    cases: ['frontend: prefix /_api%2Fx'],
    mode: 'one domain' as const,
    reason:
      'Caddy strips the prefix to "%2Fx", which is no target, and answers 400; for Portico it is a name of the frontend',
  })),
  {
    place: 'client field transfer-encoding',
    caddy: 'chunked',
    portico: ABSENT,
    cases: ['backend: gzip for whom did not ask'],
    protocol: 'HTTP/1.1',
    reason: 'as said above: Caddy unpacks',
  },
  {
    place: 'client field transfer-encoding',
    caddy: 'chunked',
    portico: ABSENT,
    cases: ['frontend: prefix /_api%2Fx'],
    protocol: 'HTTP/1.1',
    byChance: true,
    reason: 'as said above: Caddy answers by itself, in chunks or with a length of 0',
  },
];

export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  ...EVERYWHERE,
  ...FIELDS,
  ...GZIP,
  ...H2C,
  ...REPLIES,
  ...OPTIONS_ALL,
  ...MAPPED,
  ...PREFIXES,
];
