// Invariants of what reaches a log: no secret by any encoding, and always one valid line, over seeded random input.

import fc from 'fast-check';
import t from 'tap';
import type { Headers } from '../../src/http/headers.ts';
import { type Downstream, Exchange, NO_BODY } from '../../src/model/exchange.ts';
import { FAILURES } from '../../src/model/failure.ts';
import { LIMITS, type Route } from '../../src/model/snapshot.ts';
import { fail, redirectToHttps } from '../../src/proxy/reply.ts';
import { accessLine } from '../../src/telemetry/access-log.ts';
import { combinedLine } from '../../src/telemetry/combined.ts';
import { redactPath, redactQuery } from '../../src/telemetry/redact.ts';
import { ORIGIN } from '../support/origin.ts';

const SEED = 20_260_103;
const RUNS = { seed: SEED, numRuns: 3_000 };
t.comment(`seed ${SEED}`);

/** Letters that occur in no parameter name and no mask, so that any trace of the secret is seen. */
const SECRET = 'QxZvQxZv';
const secretName = fc.constantFrom(
  ...[
    'token',
    'access_token',
    'id_token',
    'code',
    'password',
    'state',
    'SAMLResponse',
    'RelayState',
    'client_secret',
    'api_key',
  ],
  ...['X-Amz-Signature', 'sig', 'jwt', 'session_id', 'user[password]', 'authorization', 'apiKey', 'nonce'],
);
const plainName = fc.constantFrom('page', 'filename', 'a', 'q', 'next', '', 'x[y]');
const junk = fc.constantFrom('', 'x', '1', '%ff', '%zz', '%', '+', 'a=b', '=', ';', '#', 'https://a.example/b');

/** Any of the characters as escapes, `times` times over. */
const encoded = (text: fc.Arbitrary<string>) =>
  fc.tuple(text, fc.nat(3), fc.infiniteStream(fc.nat(9))).map(([plain, times, dice]) => {
    let out = plain;
    for (let i = 0; i < times; i++) {
      out = [...out]
        .map((char) => {
          const hex = char.charCodeAt(0).toString(16).padStart(2, '0');
          const roll = dice.next().value as number;
          return /[%&=?#;\s]/.test(char) || roll < 3 ? `%${roll % 2 === 0 ? hex : hex.toUpperCase()}` : char;
        })
        .join('');
    }
    return out;
  });

const around = fc.array(
  fc.tuple(plainName, junk).map((parts) => parts.join('=')),
  { maxLength: 3 },
);
const secretValue = fc.tuple(junk, junk).map(([before, after]) => before + SECRET + after);
/** `name=secret` itself with an encoded name, or wholly encoded inside of another value. */
const secretParameter = fc.oneof(
  fc.tuple(encoded(secretName), secretValue).map(([name, value]) => `${name}=${value}`),
  fc
    .tuple(
      plainName,
      fc.constantFrom('https://a.example/cb?', '/cb?x=1&', '', '1;', '{"', 'a#'),
      encoded(fc.tuple(secretName, secretValue).map((parts) => parts.join('='))),
    )
    .map(([name, start, nested]) => `${name}=${start}${nested}`),
  fc
    .tuple(
      plainName,
      encoded(
        fc
          .tuple(fc.constantFrom('https://a.example/cb?', '/cb?x=1&', '1;', ''), secretName, secretValue)
          .map(([start, name, value]) => `${start}${name}=${value}`),
      ),
    )
    .map((parts) => parts.join('=')),
  fc
    .tuple(
      plainName,
      encoded(fc.tuple(secretName, secretValue).map(([name, value]) => JSON.stringify({ [name]: value }))),
    )
    .map((parts) => parts.join('=')),
);
const query = fc
  .tuple(around, secretParameter, around)
  .map(([before, secret, after]) => [...before, secret, ...after].join('&'));

/** Decoded as often as anybody might. */
function decodedWholly(text: string): string {
  let out = text;
  for (let i = 0; i < 6; i++)
    out = out.replace(/%([0-9a-f]{2})/gi, (_whole, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return out;
}

const ROUTE: Route = {
  name: 'backend',
  path: '',
  prefix: '',
  action: { kind: 'proxy', pool: 'backend', base: false },
  answers: 'json',
  compress: false,
  limits: LIMITS,
};

t.test('no value of a secret parameter survives, whatever its encoding', async (t) => {
  fc.assert(
    fc.property(query, (given) => {
      const shown = redactQuery(given);
      if (/[QZv]x?[QZ]/.test(decodedWholly(shown))) throw new Error(`${given} is shown as ${shown}`);
    }),
    { ...RUNS, numRuns: 20_000 },
  );
  t.pass('held');
});

t.test('what is shown of a query is what came, parameter by parameter, or a mask', async (t) => {
  fc.assert(
    fc.property(fc.oneof(query, fc.string({ unit: 'binary-ascii' })), (given) => {
      const [before, after] = [given.split('&'), redactQuery(given).split('&')];
      return before.length === after.length && after.every((each, i) => each === before[i] || each.endsWith('***'));
    }),
    RUNS,
  );
  t.pass('held');
});

const latin1 = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  maxLength: 300,
});
const anything = fc.oneof(
  latin1,
  fc.string({ unit: 'binary' }),
  latin1.map((text) => text.repeat(200)),
);
t.test('an access line is one line of valid JSON that fits one write, and shows no header', async (t) => {
  const header = fc.constantFrom('Authorization', 'Cookie', 'Set-Cookie', 'Sec-WebSocket-Protocol', 'X-Custom');
  fc.assert(
    fc.property(
      anything,
      anything,
      anything,
      anything,
      header,
      query,
      (target, authority, method, detail, name, secrets) => {
        const head = {
          method,
          target: `${target}?${secrets}`,
          authority,
          protocol: 'HTTP/2.0' as const,
          headers: [name, `Bearer ${SECRET}`],
          bodyLength: NO_BODY,
          upgrade: false,
          problem: undefined,
        };
        const exchange = new Exchange(ORIGIN, {} as Downstream, head, Date.UTC(2030, 0), 0);
        exchange.id = 'id';
        exchange.detail = detail;
        const line = accessLine(exchange, 12.345);
        const parsed = JSON.parse(line);
        if (!/^\{[\x20-\x7e]*\}$/.test(line) || line.length >= 4_096) throw new Error(line);
        if (parsed.msg !== 'access' || parsed.request_id !== 'id' || parsed.duration_ms !== 12.35)
          throw new Error(line);
        if (line.includes(SECRET)) throw new Error(line);
      },
    ),
    { ...RUNS, numRuns: 1_500 },
  );
  t.pass('held');
});

t.test('a path is shown with no secret parameter in it', async (t) => {
  const start = fc.constantFrom('/x', '/a;b=c', '/x%2fy', 'https://u:p@a.example/x', '/');
  const separator = fc.constantFrom(';', '#', '%3f', '%3F', '%3b', '%23');
  fc.assert(
    fc.property(start, separator, secretParameter, (path, sign, secret) => {
      const shown = redactPath(path + sign + secret);
      if (/[QZv]x?[QZ]/.test(decodedWholly(shown))) throw new Error(`${path}${sign}${secret} is shown as ${shown}`);
    }),
    RUNS,
  );
  t.pass('held');
});

/** Fields whose values are secrets, whole or in part, as clients send them. */
const secretField = fc.oneof(
  fc
    .tuple(
      fc.constantFrom(
        'Authorization',
        'Cookie',
        'Proxy-Authorization',
        'Sec-WebSocket-Protocol',
        'X-Api-Key',
        'Origin',
      ),
      secretValue,
    )
    .map(([name, value]): [string, string] => [name, value]),
  fc
    .tuple(fc.constantFrom('https://a.example/?', 'https://a.example/x?', 'https://a.example?y=1&', '/x?', ''), query)
    .map(([start, secrets]): [string, string] => ['Referer', start + secrets]),
  secretValue.map((value): [string, string] => ['Referer', `https://u:${value}@a.example/`]),
  secretParameter.map((value): [string, string] => ['User-Agent', `tool/1.0 (${value})`]),
);
const wants = fc.constantFrom<Headers>(
  [],
  ['Accept', 'text/html'],
  ['Accept', 'application/json'],
  ['Sec-Fetch-Mode', 'navigate'],
);
const failures = fc.constantFrom(...Object.values(FAILURES));

/** Any trace of the secret, however it is encoded. */
function shows(text: string): boolean {
  return /[QZv]x?[QZ]/.test(decodedWholly(text));
}

/** Everything that would go to the client, as one text. */
function recorder(): { downstream: Downstream; sent: () => string } {
  const sent: string[] = [];
  const downstream = {
    respond: (status: number, headers: Headers) => sent.push(String(status), ...headers),
    write: (chunk: Uint8Array) => sent.push(Buffer.from(chunk).toString()) > 0,
    end: () => {},
    abort: () => {},
  } as unknown as Downstream;
  return { downstream, sent: () => sent.join('\n') };
}

t.test('no secret of a query or a field leaves by a line of either format, or by an answer of ours', async (t) => {
  fc.assert(
    fc.property(
      query,
      fc.array(secretField, { minLength: 1, maxLength: 4 }),
      wants,
      failures,
      fc.constantFrom<'json' | 'page'>('json', 'page'),
      (secrets, fields, accept, failure, answers) => {
        const { downstream, sent } = recorder();
        const head = {
          method: 'GET',
          target: `/some/path?${secrets}`,
          authority: 'toucan.example',
          protocol: 'HTTP/1.1' as const,
          headers: [...fields.flat(), ...accept],
          bodyLength: NO_BODY,
          upgrade: false,
          problem: undefined,
        };
        const exchange = new Exchange(ORIGIN, downstream, head, Date.UTC(2030, 0), 0);
        exchange.id = 'id';
        exchange.route = { ...ROUTE, answers };
        fail(exchange, failure, 'the backend (backend:80) has a reason');
        for (const text of [sent(), accessLine(exchange, 1), combinedLine(exchange)]) {
          if (shows(text)) throw new Error(text);
        }
        if (!sent().includes('has a reason') || !accessLine(exchange, 1).includes(failure.code))
          throw new Error(sent());
      },
    ),
    { ...RUNS, numRuns: 6_000 },
  );
  t.pass('held');
});

t.test('only a redirect repeats what it was asked, and only to the client itself', async (t) => {
  const { downstream, sent } = recorder();
  const head = {
    method: 'GET',
    target: `/x?token=${SECRET}`,
    authority: 'toucan.example',
    protocol: 'HTTP/1.1' as const,
    headers: [],
    bodyLength: NO_BODY,
    upgrade: false,
    problem: undefined,
  };
  const exchange = new Exchange(ORIGIN, downstream, head, 0, 0);
  redirectToHttps(exchange, `https://toucan.example/x?token=${SECRET}`);
  t.match(sent(), SECRET, 'byte for byte, or a login that comes over HTTP would be lost');
  t.notOk(shows(accessLine(exchange, 1)));
  t.notOk(shows(combinedLine(exchange)));
});
