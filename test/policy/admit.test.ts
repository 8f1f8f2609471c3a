// Admit: a head with one reading passes, everything else is refused with its status and the reason.

import t, { type Test } from 'tap';
import type { Headers } from '../../src/http/headers.ts';
import { NO_BODY, type RequestHead } from '../../src/model/exchange.ts';
import { FAILURES, type Failure } from '../../src/model/failure.ts';
import { LIMITS } from '../../src/model/snapshot.ts';
import { admit } from '../../src/policy/admit.ts';

function head(more: Partial<RequestHead> = {}): RequestHead {
  const authority = 'authority' in more ? more.authority : 'toucan.example';
  const headers: Headers = authority === undefined ? [] : ['Host', authority];
  return {
    method: 'GET',
    target: '/',
    protocol: 'HTTP/1.1',
    headers,
    bodyLength: NO_BODY,
    upgrade: false,
    problem: undefined,
    ...more,
    authority,
  };
}

function refused(t: Test, given: RequestHead, failure: Failure, detail: RegExp, name: string, maxFields = 200): void {
  const answer = admit(given, { ...LIMITS, headFields: maxFields });
  if (!('failure' in answer)) {
    t.fail(`${name} was admitted`);
    return;
  }
  t.equal(answer.failure, failure, name);
  t.match(answer.detail, detail, `${name}, in words`);
}

t.test('an ordinary request is read', async (t) => {
  t.strictSame(admit(head({ target: '/_api//x?y', authority: 'Toucan.example:8000' }), LIMITS), {
    authority: { host: 'toucan.example', port: 8000 },
    path: '/_api//x?y',
  });
  t.strictSame(admit(head({ method: 'OPTIONS', target: '*' }), LIMITS), {
    authority: { host: 'toucan.example', port: undefined },
    path: '*',
  });
  t.strictSame(admit(head({ target: 'http://TOUCAN.example/x' }), LIMITS), {
    authority: { host: 'toucan.example', port: undefined },
    path: '/x',
  });
  for (const method of ['PROPFIND', 'M-SEARCH', 'PURGE']) t.notOk('failure' in admit(head({ method }), LIMITS), method);
});

t.test('methods that are not served, in any letter case', async (t) => {
  for (const method of ['TRACE', 'TRACK', 'CONNECT', 'trace', 'Connect', 'tRaCk']) {
    refused(t, head({ method }), FAILURES.methodRefused, new RegExp(method), method);
  }
});

t.test('a head over HTTP/2 is measured as HTTP/1 would write it', async (t) => {
  const limits = { ...LIMITS, headBytes: 1_000 };
  const headers = ['Host', 'toucan.example', 'x-small', 'a', 'x-large', 'b'.repeat(900)];
  const room = limits.headBytes - '/'.length - headers.join('').length - 2 * headers.length;
  const filled = (more: number): Headers => [...headers, 'x-fill', 'c'.repeat(room - 'x-fill: \r\n'.length + more)];
  t.notOk('failure' in admit(head({ protocol: 'HTTP/2.0', headers: filled(0) }), limits));
  const answer = admit(head({ protocol: 'HTTP/2.0', headers: filled(1) }), limits);
  t.match(answer, { failure: FAILURES.headTooLarge });
  t.match(answer, { detail: /1000 bytes \(limit downstream\.headBytes;.*its largest field is x-large with 911 bytes/ });
  t.notOk('failure' in admit(head({ headers: filled(1) }), limits), 'over HTTP/1 it was measured as it came');
});

t.test('a method that is no token', async (t) => {
  for (const method of ['', 'GET ', 'G ET', 'GET\r\nX: y', 'GET/', 'G\x00', 'caf\xe9', '(GET)']) {
    refused(t, head({ method }), FAILURES.malformed, /method/, JSON.stringify(method));
  }
});

t.test('what the downstream side found is answered in its words', async (t) => {
  refused(t, head({ problem: 'both of them' }), FAILURES.malformed, /^both of them$/, 'a problem');
});

t.test('targets with two readings', async (t) => {
  for (const target of ['/..', '/a/%2e%2e/b', 'login', '*', '/#x', '']) {
    refused(t, head({ target }), FAILURES.malformed, /target|path/, target);
  }
});

t.test('Host is there once, is a host, and agrees with the target', async (t) => {
  refused(t, head({ authority: undefined }), FAILURES.malformed, /no Host/, 'none');
  refused(t, head({ authority: '' }), FAILURES.malformed, /no Host/, 'an empty one');
  refused(
    t,
    head({ headers: ['Host', 'toucan.example', 'hOST', 'toucan.example'] }),
    FAILURES.malformed,
    /more than one/,
    'two',
  );
  for (const authority of [
    'a b',
    'a/b',
    'user@toucan.example',
    'a,b',
    'a..b',
    'toucan.example:x',
    '<script>',
    'a\\b',
  ]) {
    refused(t, head({ authority }), FAILURES.malformed, /no valid host name/, authority);
  }
  for (const target of ['http://other.example/', 'http://toucan.example:80/', 'http:///', 'http://u@toucan.example/']) {
    refused(t, head({ target }), FAILURES.malformed, /differ/, target);
  }
});

t.test('no refusal repeats what the sender chose', async (t) => {
  for (const authority of ['<b>', 'a b']) {
    const answer = admit(head({ authority }), LIMITS);
    t.ok('detail' in answer && !answer.detail.includes(authority));
  }
});

t.test('the number of fields is limited', async (t) => {
  const headers: Headers = ['Host', 'toucan.example'];
  for (let i = 1; i < 10; i++) headers.push(`X-${i}`, '');
  t.notOk('failure' in admit(head({ headers }), { ...LIMITS, headFields: 10 }), 'ten are ten');
  refused(t, head({ headers }), FAILURES.headTooLarge, /10 header fields.* 9/, 'ten are more than nine', 9);
});

t.test('the only expectation is 100-continue', async (t) => {
  const expecting = (...values: string[]) =>
    head({ headers: ['Host', 'toucan.example', ...values.flatMap((value) => ['Expect', value])] });
  t.notOk('failure' in admit(expecting('100-Continue'), LIMITS));
  for (const value of ['', '200-ok', '100-continue, x', 'x']) {
    refused(t, expecting(value), FAILURES.expectationRefused, /100-continue/, value);
  }
  refused(t, expecting('100-continue', 'x'), FAILURES.expectationRefused, /100-continue/, 'in a second line');
});

t.test('a target beyond its limit is refused as such, whatever the protocol', async (t) => {
  const limits = { ...LIMITS, requestLineBytes: 20 };
  t.notOk('failure' in admit(head({ target: `/${'x'.repeat(19)}` }), limits), 'twenty are twenty');
  const answer = admit(head({ target: `/${'x'.repeat(20)}`, protocol: 'HTTP/2.0' }), limits);
  if (!('failure' in answer)) throw new Error('it was admitted');
  t.equal(answer.failure.status, 414);
  t.match(answer.detail, /20 bytes \(limit downstream\.requestLineBytes\)/);
});
