// Targets and authorities: what is routed is what is forwarded, byte for byte, and nothing has two readings.

import assert from 'node:assert/strict';
import { HOST } from '../../support/door.ts';
import { bytesOf } from '../call.ts';
import { type Case, EVERY, HTTP1, HTTP2, hasStatus, hasValues } from '../case.ts';

export const TARGET: readonly Case[] = [
  {
    behaviour: 'the Host that the client sent reaches the upstream',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      hasStatus(await subject.ask({ authority: `${HOST}:8000` }), 200);
      hasValues((await subject.upstream.request()).fields, 'host', [`${HOST}:8000`]);
    },
  },
  {
    behaviour: 'slashes, percent-encoding, spaces, tildes and queries of a path stay as they came',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      const targets = [
        '//evil.example/x',
        '/a//b///c',
        '/a%2Fb%2fc',
        '/a%20b~@c',
        '/?',
        '/x?a=%zz&b=//&c',
        '/x?/../y',
        "/a'b(c)*;d=e,f",
      ];
      for (const [i, target] of targets.entries()) {
        hasStatus(await subject.ask({ target }), 200);
        assert.equal((await subject.upstream.request(i)).target, target);
      }
    },
  },
  {
    behaviour: 'bytes above 0x7f in a path pass unchanged',
    protocols: HTTP2,
    peers: true,
    run: async (subject) => {
      const target = bytesOf(`/caf${Buffer.from('é').toString('latin1')}/\xff?q=\xe9`).toString('latin1');
      hasStatus(await subject.ask({ target }), 200);
      assert.equal((await subject.upstream.request()).target, target);
    },
  },
  {
    // RFC 3986 knows no such byte, and parsers of HTTP/1 differ on it.
    behaviour: 'bytes above 0x7f in a path are refused by a clear 400',
    protocols: HTTP1,
    run: async (subject) => {
      const answer = await subject.ask({ target: '/caf\xe9' });
      hasStatus(answer, 400);
      assert.match(answer.body.toString(), /above ASCII/);
      assert.equal(subject.upstream.requests.length, 0);
    },
  },
  {
    behaviour: 'a path with dot segments, plain or encoded, is refused',
    protocols: EVERY,
    run: async (subject) => {
      for (const target of [
        '/a/../b',
        '/./a',
        '/..',
        '/a/.',
        '/%2e%2e/x',
        '/a/%2E./',
        '/..%2fx',
        '/a%2F..',
        '/..;/x',
        '/a/..;p=1/b',
        '/\\../x',
        '/a/%2e',
        '/_api/../x',
        '/_api/%2e%2e/x',
      ]) {
        const answer = await subject.ask({ target });
        assert.equal(answer.status, 400, target);
      }
      assert.equal(subject.upstream.requests.length, 0);
    },
  },
  {
    behaviour: 'names with dots that are no segments are not refused',
    protocols: EVERY,
    run: async (subject) => {
      for (const [i, target] of ['/a..b', '/...', '/.well-known/x', '/a/..b', '/x.', '/?p=/../', '/..a/'].entries()) {
        hasStatus(await subject.ask({ target }), 200);
        assert.equal((await subject.upstream.request(i)).target, target);
      }
    },
  },
  {
    behaviour: 'a # in the target is refused',
    protocols: EVERY,
    run: async (subject) => {
      assert.equal((await subject.ask({ target: '/a#b' })).status, 400);
      assert.equal(subject.upstream.requests.length, 0);
    },
  },
  {
    behaviour: 'OPTIONS * reaches the upstream as it is, and * with another method is refused',
    protocols: EVERY,
    run: async (subject) => {
      hasStatus(await subject.ask({ method: 'OPTIONS', target: '*' }), 200);
      assert.equal((await subject.upstream.request()).target, '*');
      assert.notEqual((await subject.ask({ method: 'GET', target: '*' })).status, 200);
      assert.equal(subject.upstream.requests.length, 1);
    },
  },
  {
    behaviour: 'a request without Host is refused',
    protocols: HTTP1,
    peers: true,
    run: async (subject) => {
      for (const version of ['1.1', '1.0']) {
        const client = await subject.connect();
        client.write(`GET / HTTP/${version}\r\nConnection: close\r\n\r\n`);
        await client.gone;
        assert.match(client.text, /^HTTP\/1\.1 400 /);
      }
      assert.equal(subject.upstream.requests.length, 0);
    },
  },
  {
    behaviour: 'two Host fields are refused',
    protocols: HTTP1,
    peers: true,
    run: async (subject) => {
      for (const second of [HOST, 'evil.example']) {
        const answer = await subject.ask({ headers: ['Host', second] });
        assert.equal(answer.status, 400);
      }
      assert.equal(subject.upstream.requests.length, 0);
    },
  },
  {
    behaviour: 'a Host that is no valid host name is refused, and no Location is made of it',
    protocols: HTTP1,
    run: async (subject) => {
      for (const authority of [
        'a b',
        'a/b',
        'evil.example:99999',
        'a@b',
        'a,b',
        '',
        ':80',
        '[::1',
        'a:b:c',
        'a..b',
        `${HOST}:`,
        `${HOST}:-1`,
        'a%2eb',
        "a'b",
      ]) {
        const answer = await subject.ask({ authority });
        assert.equal(answer.status, 400, JSON.stringify(authority));
        hasValues(answer.headers, 'location', []);
      }
      assert.equal(subject.upstream.requests.length, 0);
    },
  },
  {
    behaviour: 'an :authority that is no valid host name is refused',
    protocols: HTTP2,
    run: async (subject) => {
      for (const authority of ['evil.example:99999', 'a,b', ':80', 'a:b:c', 'a..b', `${HOST}:`, "a'b"]) {
        const answer = await subject.ask({ authority });
        assert.notEqual(answer.status, 200, JSON.stringify(authority));
        hasValues(answer.headers, 'location', []);
      }
      assert.equal(subject.upstream.requests.length, 0);
    },
  },
  {
    behaviour: 'a host that no route knows gets a clear answer, not the first site',
    protocols: EVERY,
    run: async (subject) => {
      const answer = await subject.ask({ authority: 'unknown.test' });
      hasStatus(answer, subject.protocol === 'HTTP/1.1' ? 404 : 421);
      assert.match(answer.body.toString(), /no site is named unknown\.test/);
      assert.equal(subject.upstream.requests.length, 0);
    },
  },
  {
    behaviour: 'an absolute-form target is forwarded as a path, and refused when its host is not that of Host',
    protocols: HTTP1,
    run: async (subject) => {
      hasStatus(await subject.ask({ target: `http://${HOST}/a?b` }), 200);
      assert.equal((await subject.upstream.request()).target, '/a?b');
      for (const target of ['http://evil.example/a', `ftp://${HOST}/`, `${HOST}/x`, 'x']) {
        const answer = await subject.ask({ target });
        assert.equal(answer.status, 400, target);
      }
      assert.equal(subject.upstream.requests.length, 1);
    },
  },
  {
    behaviour: 'TRACE and CONNECT are refused',
    protocols: EVERY,
    run: async (subject) => {
      const trace = await subject.ask({ method: 'TRACE' });
      assert.equal(trace.status, 405);
      if (subject.protocol === 'HTTP/2') {
        const { fieldBlock, frame, FRAME, END_HEADERS } = await import('../../support/h2-client.ts');
        const client = await subject.connectFrames();
        client.send(frame(FRAME.headers, END_HEADERS, 1, fieldBlock([':method', 'CONNECT', ':authority', HOST])));
        const isAnswered = () => client.frames.some((each) => each.stream === 1 && each.type !== FRAME.window);
        await subject.until(isAnswered);
      } else {
        for (const target of [`${HOST}:443`, '/', 'evil.example:22', `http://${HOST}/`]) {
          const client = await subject.connect();
          client.write(
            `CONNECT ${target} HTTP/1.1\r\nHost: ${HOST}\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`,
          );
          await client.gone;
          assert.match(client.text, /^HTTP\/1\.1 40[05] /, target);
          assert.equal(client.text.match(/HTTP\/1\.1 \d{3} /g)?.length, 1, target);
        }
      }
      assert.equal(subject.upstream.requests.length, 0);
    },
  },
  {
    behaviour: 'plain HTTP on the HTTPS port is told so by a 400',
    protocols: ['HTTP/1.1'],
    run: async (subject) => {
      const { RawClient } = await import('../../support/raw-client.ts');
      const client = await RawClient.connect({ port: subject.tlsPort });
      subject.keep(client);
      client.write(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
      await client.gone;
      assert.match(client.text, /^HTTP\/1\.1 400 [\s\S]*HTTPS/);
    },
  },
];
