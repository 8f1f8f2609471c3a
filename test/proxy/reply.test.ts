// Our own answers: the shape that fits who asks, nothing that a client wrote taken for markup, and never twice.

import t from 'tap';
import type { Headers } from '../../src/http/headers.ts';
import { type Downstream, Exchange, NO_BODY } from '../../src/model/exchange.ts';
import { FAILURES } from '../../src/model/failure.ts';
import { LIMITS, type Route } from '../../src/model/snapshot.ts';
import { fail, redirect, redirectToHttps, reply } from '../../src/proxy/reply.ts';

const ROUTE: Route = {
  ...{ name: 'r', path: '', prefix: '', action: { kind: 'proxy', pool: 'p', base: false } },
  ...{ answers: 'page', compress: false, limits: LIMITS },
};

class Recorded implements Downstream {
  status = 0;
  headers: Headers = [];
  body = '';
  ended = 0;
  aborted = 0;
  /** Nothing has left yet. */
  isHeld = false;
  inform(): void {}
  respond(status: number, headers: Headers): void {
    this.status = status;
    this.headers = headers;
  }
  write(chunk: Uint8Array): boolean {
    this.body += Buffer.from(chunk).toString();
    return true;
  }
  end(): void {
    this.ended++;
  }
  retract(): boolean {
    if (this.isHeld) this.body = '';
    return this.isHeld;
  }
  abort(): void {
    this.aborted++;
  }
  pause(): void {}
  resume(): void {}
  tunnel(): undefined {}
  header(name: string): string | undefined {
    const index = this.headers.findIndex((each, i) => i % 2 === 0 && each.toLowerCase() === name);
    return index === -1 ? undefined : this.headers[index + 1];
  }
}

function makeExchange(headers: Headers, answers: 'json' | 'page' | undefined, method = 'GET') {
  const downstream = new Recorded();
  const origin = {
    listener: 'https',
    bound: { draining: false },
    redirects: false,
    scheme: 'https',
    peerAddress: '192.0.2.1',
    callerAddress: '192.0.2.1',
    client: undefined,
    tlsVersion: 'TLSv1.3',
    serverName: 'door.test',
  } as const;
  const head = {
    method,
    target: '/x',
    authority: 'door.test',
    protocol: 'HTTP/1.1',
    headers,
    bodyLength: NO_BODY,
    upgrade: false,
    problem: undefined,
  } as const;
  const exchange = new Exchange(origin, downstream, head, 0, 0);
  exchange.id = 'the-id';
  if (answers !== undefined) exchange.route = { ...ROUTE, answers };
  return { exchange, downstream };
}

t.test('JSON with exactly its type on API routes, a page for navigations, text for all else', async (t) => {
  const api = makeExchange([], 'json');
  fail(api.exchange, FAILURES.refused, 'the backend (b:80): refused');
  t.equal(api.downstream.status, 502);
  t.equal(api.downstream.header('content-type'), 'application/json');
  t.match(JSON.parse(api.downstream.body), {
    status: 502,
    request_id: 'the-id',
    message: /the backend \(b:80\): refused/,
  });

  const browser = makeExchange(['Sec-Fetch-Mode', 'navigate'], 'json');
  fail(browser.exchange, FAILURES.refused, 'refused');
  t.match(browser.downstream.header('content-type'), 'text/html');

  const asset = makeExchange(['Accept', '*/*'], 'page');
  fail(asset.exchange, FAILURES.refused, 'refused');
  t.match(asset.downstream.header('content-type'), 'text/plain');
  for (const { downstream } of [api, browser, asset]) {
    t.equal(downstream.header('x-request-id'), 'the-id');
    t.equal(downstream.header('proxy-status'), 'portico; error=connection_refused; details="connection_refused"');
    t.equal(downstream.header('cache-control'), 'no-store');
    t.equal(Number(downstream.header('content-length')), Buffer.byteLength(downstream.body));
    t.equal(downstream.ended, 1);
  }
});

t.test('nothing in a page is markup that we did not write', async (t) => {
  const { exchange, downstream } = makeExchange(['Accept', 'text/html'], undefined);
  fail(exchange, FAILURES.noRoute, '<script>alert("1")</script> & \'x\'');
  t.notMatch(downstream.body, '<script>');
  t.match(downstream.body, '&#60;script&#62;');
});

t.test('HEAD gets the head alone', async (t) => {
  const { exchange, downstream } = makeExchange([], 'json', 'HEAD');
  fail(exchange, FAILURES.refused, 'refused');
  t.equal(downstream.body, '');
  t.ok(Number(downstream.header('content-length')) > 0);
});

t.test('after the head went out a failure is an abort, and after the end it is nothing', async (t) => {
  const begun = makeExchange([], 'json');
  begun.exchange.responded = true;
  fail(begun.exchange, FAILURES.truncated, 'cut');
  t.equal(begun.downstream.aborted, 1);
  t.equal(begun.downstream.status, 0);
  t.equal(begun.exchange.failure, FAILURES.truncated);

  const done = makeExchange([], 'json');
  fail(done.exchange, FAILURES.refused, 'first');
  fail(done.exchange, FAILURES.internal, 'second');
  t.equal(done.downstream.ended, 1);
  t.equal(done.downstream.aborted, 0);
  t.equal(done.exchange.failure, FAILURES.refused, 'the first reason stays');
});

t.test('a head that has not left is taken back for the answer that says what failed', async (t) => {
  const { exchange, downstream } = makeExchange([], 'json');
  downstream.isHeld = true;
  downstream.respond(200, ['Content-Length', '7']);
  downstream.write(Buffer.from('half'));
  exchange.responded = true;
  exchange.bytesOut = 4;
  fail(exchange, FAILURES.truncated, 'cut');
  t.equal(downstream.aborted, 0);
  t.equal(downstream.status, 502);
  t.equal(JSON.parse(downstream.body).status, 502);
  t.equal(exchange.status, 502);
  t.equal(exchange.bytesOut, downstream.body.length, 'what left is counted, and nothing else');
});

t.test('redirects: 301 for GET and HEAD, 308 where method and body must stay', async (t) => {
  for (const [method, status] of [
    ['GET', 301],
    ['HEAD', 301],
    ['POST', 308],
    ['DELETE', 308],
    ['OPTIONS', 308],
  ] as const) {
    const { exchange, downstream } = makeExchange([], undefined, method);
    redirectToHttps(exchange, 'https://door.test//evil.example/x?y');
    t.equal(downstream.status, status, method);
    t.equal(downstream.header('location'), 'https://door.test//evil.example/x?y');
  }
});

t.test('a redirect of a route: its own status, and host and uri where they stand', async (t) => {
  const cases: [to: string, status: number | undefined, method: string, location: string, answered: number][] = [
    ['https://new.example{uri}', undefined, 'GET', 'https://new.example//x?$&y', 301],
    ['https://new.example{uri}', undefined, 'POST', 'https://new.example//x?$&y', 308],
    ['https://{host}:8443{uri}', 302, 'POST', 'https://door.test:8443//x?$&y', 302],
    ['/login?{host}', 303, 'GET', '/login?door.test', 303],
    ['https://x/{unknown}', 307, 'GET', 'https://x/{unknown}', 307],
  ];
  for (const [to, status, method, location, answered] of cases) {
    const { exchange, downstream } = makeExchange([], 'page', method);
    redirect(exchange, { kind: 'redirect', to, status }, 'door.test', '//x?$&y');
    t.equal(downstream.header('location'), location, to);
    t.equal(downstream.status, answered, to);
  }
});

t.test('a reply of a route: its bytes, counted; none where there can be none', async (t) => {
  const action = { kind: 'reply', status: 200, body: 'gr\u00fc\u00df', type: 'text/plain; charset=utf-8' } as const;
  const got = makeExchange([], 'page');
  reply(got.exchange, action);
  t.match(got.downstream, { status: 200, body: 'gr\u00fc\u00df', ended: 1 });
  t.equal(got.downstream.header('content-length'), '6');
  t.equal(got.downstream.header('content-type'), action.type);
  t.equal(got.exchange.bytesOut, 6);

  const head = makeExchange([], 'page', 'HEAD');
  reply(head.exchange, action);
  t.match(head.downstream, { status: 200, body: '', ended: 1 });
  t.equal(head.downstream.header('content-length'), '6');

  for (const status of [204, 304]) {
    const none = makeExchange([], 'page');
    reply(none.exchange, { ...action, status });
    t.match(none.downstream, { status, body: '', ended: 1 });
    t.equal(none.downstream.header('content-length'), undefined);
    t.equal(none.downstream.header('content-type'), undefined);
  }
});

t.test('the rules in force hold for our own answers, but not for their length', async (t) => {
  const { exchange, downstream } = makeExchange([], 'json');
  exchange.responseRules = { remove: ['cache-control'], set: ['content-type', 'text/x'], add: ['X-New', 'yes'] };
  fail(exchange, FAILURES.refused, 'refused');
  t.equal(downstream.header('cache-control'), undefined);
  t.equal(downstream.header('content-type'), 'text/x');
  t.equal(downstream.header('x-new'), 'yes');
  t.equal(downstream.header('x-request-id'), 'the-id');
  t.equal(Number(downstream.header('content-length')), Buffer.byteLength(downstream.body));
});
