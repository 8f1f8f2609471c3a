// Replies and limits: what we answer ourselves names the hop, the reason and the limit that fired.

import assert from 'node:assert/strict';
import { HOST, local } from '../../support/door.ts';
import { freePort } from '../../support/ports.ts';
import { valuesOf } from '../../support/raw-upstream.ts';
import type { Answer } from '../call.ts';
import { type Case, EVERY, HTTP1, hasStatus, hasValues } from '../case.ts';

const NOBODY = { frontend: async () => [local(await freePort())] };
const NAVIGATION = ['Sec-Fetch-Mode', 'navigate', 'Accept', 'text/html,application/xhtml+xml,*/*;q=0.8'];

export const REPLIES: readonly Case[] = [
  {
    behaviour: 'a backend that refuses is a 502 with a reason, a request id and a Proxy-Status',
    protocols: EVERY,
    setting: NOBODY,
    run: async (subject) => {
      const answer = await subject.ask({});
      hasStatus(answer, 502);
      isOurs(answer, 'error=connection_refused; details="connection_refused"');
      hasValues(answer.headers, 'content-type', ['text/plain; charset=utf-8']);
      assert.match(answer.body.toString(), /the frontend \(127\.0\.0\.1:\d+\).*ECONNREFUSED/);
      hasValues((await subject.ask({ headers: NAVIGATION })).headers, 'content-type', ['text/html; charset=utf-8']);
      const head = await subject.ask({ method: 'HEAD' });
      hasStatus(head, 502);
      assert.ok(Number(valuesOf(head.headers, 'content-length')[0]) > 0);
    },
  },
  {
    behaviour: 'on API routes our own answers are JSON, to a navigation a page, and name the request id',
    protocols: EVERY,
    run: async (subject) => {
      subject.upstream.script = (request) => request.reset();
      const api = await subject.ask({ method: 'POST', target: '/_api/x', body: 'x', headers: ['Accept', '*/*'] });
      hasStatus(api, 502);
      hasValues(api.headers, 'content-type', ['application/json']);
      const { status, message, request_id } = JSON.parse(api.body.toString()) as Record<string, unknown>;
      assert.equal(status, 502);
      assert.match(String(message), /the backend/);
      hasValues(api.headers, 'x-request-id', [String(request_id)]);
      const page = await subject.ask({ target: '/_api/x', headers: NAVIGATION });
      hasValues(page.headers, 'content-type', ['text/html; charset=utf-8']);
      const [id] = valuesOf(page.headers, 'x-request-id');
      assert.ok(page.body.toString().includes(id!));
      assert.doesNotMatch(page.body.toString(), /https?:\/\//, 'the page is self-contained');
    },
  },
  {
    behaviour: 'an unknown host is told so, without its name becoming markup',
    protocols: ['HTTP/1.1'],
    run: async (subject) => {
      const answer = await subject.ask({ authority: 'unknown.test', headers: NAVIGATION });
      hasStatus(answer, 404);
      isOurs(answer, 'error=http_request_denied; details="no_route"');
    },
  },
  {
    behaviour: 'too many fields are a 431',
    protocols: EVERY,
    run: async (subject) => {
      const headers = Array.from({ length: 250 }, (_each, i) => [`X-${i}`, '1']).flat();
      hasStatus(await subject.ask({ headers }), 431);
      assert.equal(subject.upstream.requests.length, 0);
    },
  },
  {
    behaviour: 'a head that is too big is a 431, or for HTTP/2 at least not served',
    protocols: EVERY,
    run: async (subject) => {
      for (const headers of [
        ['X-Big', 'a'.repeat(80 * 1024)],
        Array.from({ length: 90 }, (_each, i) => [`X-${i}`, 'a'.repeat(1_000)]).flat(),
      ]) {
        const answer = await subject.ask({ headers });
        if (subject.protocol === 'HTTP/2') assert.notEqual(answer.status, 200);
        else assert.equal(answer.status, 431);
      }
      const target = await subject.ask({ target: `/${'a'.repeat(80 * 1024)}` });
      assert.notEqual(target.status, 200);
      assert.equal(subject.upstream.requests.length, 0);
    },
  },
  {
    behaviour: 'a head of 48 KiB passes',
    protocols: EVERY,
    run: async (subject) => {
      const headers = Array.from({ length: 12 }, (_each, i) => [`X-${i}`, 'a'.repeat(4_000)]).flat();
      hasStatus(await subject.ask({ headers }), 200);
    },
  },
  {
    behaviour: 'a head that does not come to its end is a 408 after its deadline',
    protocols: HTTP1,
    setting: { limits: { headTimeout: 300 } },
    run: async (subject) => {
      const client = await subject.connect();
      client.write(`GET / HTTP/1.1\r\nHost: ${HOST}\r\nX-Slow`);
      await client.gone;
      assert.match(client.text, /^HTTP\/1\.1 408 [\s\S]*headTimeout/);
      const silent = await subject.connect();
      await silent.gone;
      assert.equal(silent.text, '', 'who said nothing is told nothing');
    },
  },
  {
    behaviour: 'a head that trickles in is cut all the same',
    protocols: HTTP1,
    setting: { limits: { headTimeout: 500 } },
    run: async (subject) => {
      const client = await subject.connect();
      client.write(`GET / HTTP/1.1\r\nHost: ${HOST}\r\nX-Slow: `);
      const timer = setInterval(() => client.write('a'), 50);
      await client.gone;
      clearInterval(timer);
      assert.match(client.text, /^(HTTP\/1\.1 408 |$)/);
    },
  },
  {
    behaviour: 'a body that stands still is a 408, and the upstream is told',
    protocols: EVERY,
    setting: { limits: { bodyTimeout: 300 }, sweepEvery: 50 },
    run: async (subject) => {
      const call = await subject.start({ method: 'POST', announces: 1_000 });
      call.write('some');
      const answer = await call.answer();
      assert.equal(answer.status, 408);
      isOurs(answer, 'error=http_request_error; details="body_timeout"');
      assert.match(answer.body.toString(), /downstream\.bodyTimeout/);
      const seen = await subject.upstream.request();
      await seen.connection.gone;
      assert.equal(seen.isWhole, false);
    },
  },
  {
    behaviour: 'a body that announces more than the limit is a 413 that names it, and the upstream hears nothing',
    protocols: EVERY,
    setting: { limits: { bodyBytes: 1_000 } },
    run: async (subject) => {
      const call = await subject.start({ method: 'POST', announces: 1_001 });
      const answer = await call.answer();
      assert.equal(answer.status, 413);
      isOurs(answer, 'error=http_request_denied; details="body_too_large"');
      assert.match(answer.body.toString(), /1001 bytes.*1000.*BODY_LIMIT/);
      assert.equal(subject.upstream.requests.length, 0);
    },
  },
  {
    behaviour: 'a body that grows over the limit is a 413, and never a whole request to the upstream',
    protocols: EVERY,
    setting: { limits: { bodyBytes: 1_000 } },
    run: async (subject) => {
      const call = await subject.start({ method: 'POST', stream: true });
      call.write('a'.repeat(1_000));
      await subject.upstream.request();
      call.write('a');
      const answer = await call.answer();
      assert.equal(answer.status, 413);
      isOurs(answer, 'error=http_request_denied; details="body_too_large"');
      const seen = await subject.upstream.request();
      await seen.connection.gone;
      assert.equal(seen.isWhole, false);
      assert.ok(seen.body.length <= 1_000);
    },
  },
  {
    behaviour: 'a body of exactly the limit passes',
    protocols: EVERY,
    setting: { limits: { bodyBytes: 1_000 } },
    run: async (subject) => {
      hasStatus(await subject.ask({ method: 'POST', target: '/', body: 'a'.repeat(1_000) }), 200);
    },
  },
  {
    behaviour: 'a body that is slow but moves is not cut',
    protocols: EVERY,
    setting: { limits: { bodyTimeout: 400 }, sweepEvery: 50 },
    run: async (subject) => {
      const call = await subject.start({ method: 'POST', announces: 10 });
      for (let i = 0; i < 10; i++) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        call.write('a');
      }
      call.end();
      hasStatus(await call.answer(), 200);
    },
  },
  {
    behaviour: 'an upstream that does not begin to answer is a 504 that names the limit',
    protocols: EVERY,
    setting: { limits: { responseTimeout: 300 }, sweepEvery: 50 },
    run: async (subject) => {
      subject.upstream.script = () => {};
      const answer = await subject.ask({ target: '/_api/data', method: 'POST', body: '{}' });
      hasStatus(answer, 504);
      isOurs(answer, 'error=http_response_timeout; details="response_timeout"');
      assert.match(
        answer.body.toString(),
        /the backend .*did not begin to answer within 0\.3 s \(limit upstream\.responseTimeout\)/,
      );
      await (await subject.upstream.request()).connection.gone;
      assert.equal(subject.upstream.requests.length, 1);
    },
  },
  {
    behaviour: 'an answer that stands still is aborted after its deadline',
    protocols: EVERY,
    setting: { limits: { upstreamIdleTimeout: 300 }, sweepEvery: 50 },
    run: async (subject) => {
      subject.upstream.script = (request) => request.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome');
      const answer = await subject.ask({});
      assert.equal(answer.end, 'cut');
      await (await subject.upstream.request()).connection.gone;
    },
  },
  {
    behaviour: 'an address that takes no connection is a 504 after the connect deadline',
    protocols: ['HTTP/1.1'],
    // TEST-NET-1 (RFC 5737) has no hosts; where packets to it are refused at once, that is an error of its own.
    setting: { limits: { connectTimeout: 300 }, frontend: () => Promise.resolve([local(81, '192.0.2.1')]) },
    run: async (subject) => {
      const answer = await subject.ask({});
      assert.ok(answer.status === 504 || answer.status === 502);
      assert.match(answer.body.toString(), /192\.0\.2\.1/);
    },
  },
  {
    behaviour: 'a waiting line that is full is a 503 with Retry-After',
    protocols: ['HTTP/1.1'],
    setting: { limits: { upstreamConnections: 1, waiting: 1 } },
    run: async (subject) => {
      const held: (() => void)[] = [];
      subject.upstream.script = (request) =>
        held.push(() => request.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
      const first = await subject.start({ target: '/1' });
      await subject.upstream.request();
      const second = await subject.start({ target: '/2' });
      await new Promise((resolve) => setTimeout(resolve, 50));
      const third = await subject.ask({ target: '/3' });
      hasStatus(third, 503);
      hasValues(third.headers, 'retry-after', ['5']);
      held.shift()!();
      hasStatus(await first.answer(), 200);
      await subject.upstream.request(1);
      held.shift()!();
      hasStatus(await second.answer(), 200);
    },
  },
  {
    behaviour: 'one access line is written for each exchange, with its status, bytes and upstream',
    protocols: EVERY,
    run: async (subject) => {
      hasStatus(await subject.ask({ method: 'POST', target: '/x?token=secret-value&a=1', body: 'four' }), 200);
      const lines = subject.door!.lines;
      await subject.until(() => lines.length > 0);
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert.equal(lines.length, 1);
      const [line] = lines;
      assert.equal(line!.status, 200);
      assert.equal(line!.bytes_in, 4);
      assert.equal(line!.bytes_out, 2);
      assert.equal(line!.upstream, `127.0.0.1:${subject.upstream.port}`);
      assert.doesNotMatch(JSON.stringify(line), /secret-value/);
    },
  },
];

/** An answer of our own: who says it, and by what name it is found in the log. */
function isOurs(answer: Answer, proxyStatus: string): void {
  hasValues(answer.headers, 'proxy-status', [`portico; ${proxyStatus}`]);
  hasValues(answer.headers, 'cache-control', ['no-store']);
  const [id] = valuesOf(answer.headers, 'x-request-id');
  assert.match(id ?? '', /^[0-9a-f-]{36}$/);
}
