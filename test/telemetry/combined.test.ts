// The combined format: what it says, what it never says, and that nobody forges a line.

import t from 'tap';
import type { Headers } from '../../src/http/headers.ts';
import { type Downstream, Exchange, NO_BODY, type RequestHead } from '../../src/model/exchange.ts';
import { combinedLine } from '../../src/telemetry/combined.ts';
import { ORIGIN } from '../support/origin.ts';

function line(headers: Headers = [], more: Partial<RequestHead> = {}): string {
  const head: RequestHead = {
    method: 'GET',
    target: '/a%20b?page=2&token=s3cr3t',
    authority: 'toucan.example',
    protocol: 'HTTP/2.0',
    headers,
    bodyLength: NO_BODY,
    upgrade: false,
    problem: undefined,
    ...more,
  };
  const exchange = new Exchange(ORIGIN, {} as Downstream, head, Date.UTC(2030, 0, 2, 3, 4, 5, 6), 0);
  exchange.clientAddress = '198.51.100.7';
  exchange.status = 200;
  exchange.bytesOut = 123;
  return combinedLine(exchange);
}

/** As log tools read it. */
const COMBINED =
  /^(\S+) (\S+) (\S+) \[([^\]]+)\] "((?:[^"\\]|\\.)*)" (\d{3}) (\d+|-) "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"$/;

t.test('a request', async (t) => {
  t.equal(
    line(['User-Agent', 'Mozilla/5.0 (X11; Linux x86_64)', 'Referer', 'https://toucan.example/x?a=1&token=s3cr3t']),
    '198.51.100.7 - - [02/Jan/2030:03:04:05 +0000] "GET /a%20b?page=2&token=*** HTTP/2.0" 200 123 ' +
      '"https://toucan.example/x?a=1&token=***" "Mozilla/5.0 (X11; Linux x86_64)"',
  );
  t.match(line(), / "-" "-"$/);
});

t.test('a Referer hides what a query hides, in whatever form it is', async (t) => {
  for (const referer of [
    'https://a.example/?token=s3cr3t',
    'https://u:s3cr3t@a.example/',
    'https://a.example/#access_token=s3cr3t',
    'https://a.example/x;token=s3cr3t',
    'https://a.example?x=%26token%3Ds3cr3t',
    '/relative?code=s3cr3t',
    'token=s3cr3t',
    'https://a.example\\@b?password=s3cr3t',
    'android-app://x/?state=s3cr3t',
  ]) {
    t.notMatch(line(['Referer', referer]), /s3cr3t/, referer);
  }
  t.match(line(['Referer', 'https://a.example:8443/x?page=1']), '"https://a.example:8443/x?page=1"');
});

t.test('nobody forges a line or a field of it', async (t) => {
  const odd = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join('');
  const forged = `x" 200 1 "-" "-"\n127.0.0.1 - - [x] "GET / HTTP/1.1" 200 1`;
  for (const text of [odd, forged, '\\', '\\"', '"', '\u2028\ud800']) {
    const written = line(['Referer', text, 'User-Agent', text], { target: `/${text}?q=${text}`, method: text });
    t.match(written, /^[\x20-\x7e]+$/);
    const fields = COMBINED.exec(written);
    t.ok(fields, written);
    t.equal(fields?.[6], '200');
  }
});

t.test('it always fits one write to a pipe', async (t) => {
  for (const char of ['a', '"', '\x00', '\u2028']) {
    const text = char.repeat(60_000);
    const written = line(['Referer', text, 'User-Agent', text], { target: `/${text}?q=${text}`, method: text });
    t.ok(written.length < 4_096);
    t.match(written, COMBINED);
  }
});

t.test('quotes, backslashes and what is not printable are written as escapes', async (t) => {
  t.match(line(['User-Agent', 'a"b\\c\x01\xff\u0100']), String.raw` "a\"b\\c\x01\xff\u0100"`);
});
