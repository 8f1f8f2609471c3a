// The prefix: stripped on the way in, given back on the way out. And redirects to HTTPS.

import assert from 'node:assert/strict';
import { HOST } from '../../support/door.ts';
import { RawClient } from '../../support/raw-client.ts';
import { type Case, EVERY, hasStatus, hasValues } from '../case.ts';
import type { Subject } from '../subjects.ts';

/** What is asked, what the upstream sees, and on which route. */
const STRIPPED: readonly (readonly [string, string, string])[] = [
  ['/_api', '/', 'api'],
  ['/_api/', '/', 'api'],
  ['/_api/x', '/x', 'api'],
  ['/_api//x', '/x', 'api'],
  ['/_api///x', '/x', 'api'],
  ['/_api?q=1', '/?q=1', 'api'],
  ['/_api/?q=1', '/?q=1', 'api'],
  ['/_api//login?next=//a/../b', '/login?next=//a/../b', 'api'],
  ['/_api/a//b/', '/a//b/', 'api'],
  ['/_api/a%20b~@%2Fc', '/a%20b~@%2Fc', 'api'],
  ['/_api/_api/x', '/_api/x', 'api'],
  ['/_apix', '/_apix', 'site'],
  ['/_api%2Fx', '/_api%2Fx', 'site'],
  ['/%5Fapi/x', '/%5Fapi/x', 'site'],
  ['//_api/x', '//_api/x', 'site'],
  ['/_API/x', '/_API/x', 'site'],
  ['/x/_api', '/x/_api', 'site'],
  ['/_api;p/x', '/_api;p/x', 'site'],
];

/** A Location of the backend, and what the client must see; PORT is the upstream's. */
const LOCATIONS: readonly (readonly [string, string])[] = [
  ['/login', '/_api/login'],
  ['/', '/_api/'],
  ['/_api/login', '/_api/login'],
  ['/_apix', '/_api/_apix'],
  ['/login?next=/a&b=c#d', '/_api/login?next=/a&b=c#d'],
  ['login', 'login'],
  ['?page=2', '?page=2'],
  [`http://${HOST}/login`, `https://${HOST}/_api/login`],
  [`https://${HOST}/login`, `https://${HOST}/_api/login`],
  [`http://${HOST}`, `https://${HOST}/_api/`],
  [`https://${HOST}/_api/login`, `https://${HOST}/_api/login`],
  [`//${HOST}/login`, `https://${HOST}/_api/login`],
  ['http://127.0.0.1:PORT/login', `https://${HOST}/_api/login`],
  [`http://${HOST}:8443/login`, `http://${HOST}:8443/login`],
  [
    'https://idp.example/sso?back=https%3A%2F%2Fdoor.test%2F',
    'https://idp.example/sso?back=https%3A%2F%2Fdoor.test%2F',
  ],
  ['//idp.example/sso', '//idp.example/sso'],
  ['mailto:a@b.example', 'mailto:a@b.example'],
];

const COOKIES: readonly (readonly [string, string])[] = [
  ['a=1; Path=/', 'a=1; Path=/_api'],
  ['a=1; path=/auth; HttpOnly', 'a=1; path=/_api/auth; HttpOnly'],
  ['a=1; Path=/_api/x; Secure', 'a=1; Path=/_api/x; Secure'],
  ['a=1; HttpOnly; Secure', 'a=1; HttpOnly; Secure'],
  ['a="x; y=/"; Path=/; SameSite=None', 'a="x; y=/"; Path=/_api; SameSite=None'],
  ['__Host-a=1; Path=/; Secure', '__Host-a=1; Path=/; Secure'],
  ['path=/x; Domain=door.test', 'path=/x; Domain=door.test'],
];

export const PREFIX: readonly Case[] = [
  {
    behaviour: 'the prefix is stripped on segment boundaries, and the bytes as sent decide',
    protocols: EVERY,
    run: async (subject) => {
      for (const [i, [target, seen, route]] of STRIPPED.entries()) {
        hasStatus(await subject.ask({ target }), 200);
        const request = await subject.upstream.request(i);
        assert.equal(request.target, seen, target);
        hasValues(request.fields, 'x-forwarded-prefix', route === 'api' ? ['/_api'] : []);
        await subject.until(() => subject.door!.lines.length > i);
        assert.equal(subject.door!.lines[i]!.route, route, target);
      }
    },
  },
  {
    behaviour: 'Location and Content-Location of the backend gain the prefix and the public authority',
    protocols: EVERY,
    run: async (subject) => {
      const port = String(subject.upstream.port);
      for (const name of ['Location', 'Content-Location']) {
        for (const [inner, outer] of LOCATIONS) {
          const value = inner.replace('PORT', port);
          subject.upstream.answer(`HTTP/1.1 302 Found\r\n${name}: ${value}\r\nContent-Length: 0\r\n\r\n`);
          const answer = await subject.ask({ target: '/_api//x' });
          hasStatus(answer, 302);
          hasValues(answer.headers, name, [outer]);
        }
      }
    },
  },
  {
    behaviour: 'Locations of the frontend keep their path, and lose the inner authority and http://',
    protocols: EVERY,
    run: async (subject) => {
      const port = String(subject.upstream.port);
      for (const [inner, outer] of [
        ['/login', '/login'],
        [`http://${HOST}/a/`, `https://${HOST}/a/`],
        ['http://127.0.0.1:PORT/a/', `https://${HOST}/a/`],
        ['https://idp.example/', 'https://idp.example/'],
      ] as const) {
        subject.upstream.answer(
          `HTTP/1.1 301 Moved\r\nLocation: ${inner.replace('PORT', port)}\r\nContent-Length: 0\r\n\r\n`,
        );
        hasValues((await subject.ask({ target: '/a' })).headers, 'location', [outer]);
      }
    },
  },
  {
    behaviour: 'Set-Cookie of the backend gains the prefix in Path, all else of it stays',
    protocols: EVERY,
    run: async (subject) => {
      const lines = COOKIES.map(([inner]) => `Set-Cookie: ${inner}\r\n`).join('');
      subject.upstream.answer(`HTTP/1.1 200 OK\r\n${lines}Content-Length: 2\r\n\r\nok`);
      const outer = COOKIES.map(([, cookie]) => cookie);
      hasValues((await subject.ask({ target: '/_api/login' })).headers, 'set-cookie', outer);
      const inner = COOKIES.map(([cookie]) => cookie);
      hasValues((await subject.ask({ target: '/login' })).headers, 'set-cookie', inner);
    },
  },
  {
    behaviour: 'the redirect listener sends known hosts to HTTPS, path and query byte for byte, and no others',
    protocols: ['HTTP/1.1'],
    run: async (subject) => {
      for (const [method, target, status] of [
        ['GET', '/', 301],
        ['HEAD', '/x', 301],
        ['GET', '//evil.example/x?a=b&c', 301],
        ['GET', '/a%20b~@//c?%zz', 301],
        ['POST', '/form', 308],
        ['DELETE', '/x', 308],
      ] as const) {
        const reader = await redirected(subject, method, target, HOST);
        assert.equal(reader.status, status);
        hasValues(reader.headers, 'location', [`https://${HOST}${target}`]);
      }
      const reader = await redirected(subject, 'GET', '/', 'evil.example');
      assert.equal(reader.status, 404);
      hasValues(reader.headers, 'location', []);
      assert.equal(subject.upstream.requests.length, 0);
    },
  },
];

async function redirected(subject: Subject, method: string, target: string, host: string) {
  const client = await RawClient.connect({ port: subject.door!.redirectPort });
  subject.keep(client);
  const reader = client.reader(method);
  client.write(`${method} ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  await client.gone;
  return reader;
}
