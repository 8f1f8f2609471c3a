// Fields: what belongs to one connection stays on it, and all else passes as it came.

import assert from 'node:assert/strict';
import type { Headers } from '../../../src/http/headers.ts';
import { valuesOf } from '../../support/raw-upstream.ts';
import { type Case, EVERY, HTTP1, hasStatus, hasValues, namesOf } from '../case.ts';

export const FIELDS: readonly Case[] = [
  {
    behaviour: 'hop-by-hop fields of a request stay behind',
    protocols: HTTP1,
    peers: true,
    run: async (subject) => {
      const headers = [
        'Connection',
        'keep-alive, X-Foo',
        'X-Foo',
        '1',
        'Keep-Alive',
        'timeout=5',
        'Proxy-Connection',
        'keep-alive',
        'TE',
        'gzip, trailers;q=0.5',
        'Proxy-Authorization',
        'Basic eDp5',
        'X-Stays',
        '1',
      ];
      hasStatus(await subject.ask({ headers }), 200);
      const { fields } = await subject.upstream.request();
      const names = namesOf(fields);
      for (const name of ['x-foo', 'keep-alive', 'proxy-connection', 'proxy-authorization']) {
        assert.ok(!names.includes(name), `${name} was forwarded`);
      }
      assert.ok(!valuesOf(fields, 'te').some((value) => value.includes('gzip')), 'TE: gzip was forwarded');
      assert.ok(!valuesOf(fields, 'connection').some((value) => /x-foo/i.test(value)), 'Connection was forwarded');
      hasValues(fields, 'x-stays', ['1']);
    },
  },
  {
    behaviour: 'hop-by-hop fields of an answer stay behind',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      subject.upstream.answer(
        'HTTP/1.1 200 OK\r\nConnection: X-Foo, keep-alive\r\nX-Foo: 1\r\nKeep-Alive: timeout=77\r\nProxy-Connection: close\r\n' +
          'Upgrade: h2c\r\nProxy-Authenticate: Basic\r\nX-Stays: 1\r\nContent-Length: 2\r\n\r\nok',
      );
      const answer = await subject.ask({});
      hasStatus(answer, 200);
      const names = namesOf(answer.headers);
      for (const name of ['x-foo', 'proxy-connection', 'upgrade', 'proxy-authenticate']) {
        assert.ok(!names.includes(name), `${name} was forwarded`);
      }
      assert.ok(!valuesOf(answer.headers, 'keep-alive').includes('timeout=77'));
      assert.ok(!valuesOf(answer.headers, 'connection').some((value) => /x-foo/i.test(value)));
      hasValues(answer.headers, 'x-stays', ['1']);
    },
  },
  {
    behaviour: 'Connection: close, Authorization does not delete Authorization',
    protocols: HTTP1,
    peers: true,
    run: async (subject) => {
      const headers = [
        'Authorization',
        'Bearer abc',
        'Cookie',
        'a=b',
        'Connection',
        'close, Authorization, Cookie, Host',
      ];
      hasStatus(await subject.ask({ headers }), 200);
      const { fields } = await subject.upstream.request();
      hasValues(fields, 'authorization', ['Bearer abc']);
      hasValues(fields, 'cookie', ['a=b']);
      assert.equal(valuesOf(fields, 'host').length, 1);
    },
  },
  {
    behaviour: 'an upstream cannot delete Set-Cookie, Content-Type or CORS fields by Connection',
    protocols: EVERY,
    run: async (subject) => {
      subject.upstream.answer(
        'HTTP/1.1 200 OK\r\nConnection: Set-Cookie, Content-Type, Access-Control-Allow-Origin, Content-Length\r\n' +
          'Set-Cookie: a=b\r\nContent-Type: application/json\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 2\r\n\r\n{}',
      );
      const { headers } = await subject.ask({});
      hasValues(headers, 'set-cookie', ['a=b']);
      hasValues(headers, 'content-type', ['application/json']);
      hasValues(headers, 'access-control-allow-origin', ['*']);
      hasValues(headers, 'content-length', ['2']);
    },
  },
  {
    behaviour: 'Upgrade: h2c is not forwarded',
    protocols: HTTP1,
    peers: true,
    run: async (subject) => {
      const headers = [
        'Connection',
        'Upgrade, HTTP2-Settings',
        'Upgrade',
        'h2c',
        'HTTP2-Settings',
        'AAMAAABkAARAAAAAAAIAAAAA',
      ];
      hasStatus(await subject.ask({ headers }), 200);
      const names = namesOf((await subject.upstream.request()).fields);
      assert.ok(!names.includes('upgrade'));
      assert.ok(!names.includes('http2-settings'));
    },
  },
  {
    behaviour: 'TE: trailers is said to the upstream, no other TE',
    protocols: EVERY,
    run: async (subject) => {
      hasStatus(await subject.ask({ headers: ['TE', 'trailers'] }), 200);
      hasValues((await subject.upstream.request()).fields, 'te', ['trailers']);
    },
  },
  {
    behaviour: 'the Proxy field (httpoxy) is dropped',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      hasStatus(await subject.ask({ headers: ['Proxy', 'http://evil.example', 'PROXY', 'x'] }), 200);
      hasValues((await subject.upstream.request()).fields, 'proxy', []);
    },
  },
  {
    behaviour: 'aliases of X-Forwarded-For with _ or . are dropped',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      const headers = ['X_Forwarded_For', '1.1.1.1', 'X.Forwarded.For', '2.2.2.2', 'X-Forwarded_For', '3.3.3.3'];
      hasStatus(await subject.ask({ headers }), 200);
      const names = namesOf((await subject.upstream.request()).fields);
      for (const name of ['x_forwarded_for', 'x.forwarded.for', 'x-forwarded_for'])
        assert.ok(!names.includes(name), name);
    },
  },
  {
    behaviour: 'aliases of all fields that decide something are dropped, other names with _ or . stay',
    protocols: EVERY,
    run: async (subject) => {
      const aliases = [
        'Content_Length',
        'Transfer_Encoding',
        'Transfer.Encoding',
        'Authoriz_ation',
        'X_Forwarded_Proto',
        'X_Real_IP',
        'X_Request_Id',
        'Client_Cert',
        'Proxy_Authorization',
        'Proxy.Connection',
      ];
      const dropped = aliases.filter((name) => name !== 'Authoriz_ation');
      const headers: Headers = [];
      for (const name of [...aliases, 'my_field', 'my.field', 'HTTP_X']) headers.push(name, '7');
      hasStatus(await subject.ask({ headers }), 200);
      const names = namesOf((await subject.upstream.request()).fields);
      for (const name of dropped) assert.ok(!names.includes(name.toLowerCase()), name);
      for (const name of ['authoriz_ation', 'my_field', 'my.field', 'http_x']) assert.ok(names.includes(name), name);
    },
  },
  {
    behaviour: 'duplicate fields of a request arrive one by one and in their order',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      const headers = ['X-One', 'a', 'X-Two', 'b', 'X-One', 'c', 'Accept', 'text/html', 'Accept', '*/*', 'X-One', ''];
      hasStatus(await subject.ask({ headers }), 200);
      const { fields } = await subject.upstream.request();
      hasValues(fields, 'x-one', ['a', 'c', '']);
      hasValues(fields, 'accept', ['text/html', '*/*']);
      const order = namesOf(fields).filter((name) => ['x-one', 'x-two', 'accept'].includes(name));
      assert.deepEqual(order, ['x-one', 'x-two', 'x-one', 'accept', 'accept', 'x-one']);
    },
  },
  {
    behaviour: 'the spelling of field names is kept over HTTP/1.1',
    protocols: HTTP1,
    run: async (subject) => {
      subject.upstream.answer('HTTP/1.1 200 OK\r\nX-ODD-case: 1\r\nContent-Length: 2\r\n\r\nok');
      const answer = await subject.ask({ headers: ['x-JSON-flavor', '1'] });
      assert.ok(answer.headers.includes('X-ODD-case'));
      assert.ok((await subject.upstream.request()).fields.includes('x-JSON-flavor'));
    },
  },
  {
    behaviour: 'several Set-Cookie stay several, in their order',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      const cookies = [
        'a=1; Path=/; HttpOnly',
        'b=2; Expires=Wed, 21 Oct 2099 07:28:00 GMT',
        'a=3; SameSite=None; Secure',
      ];
      const lines = cookies.map((cookie) => `Set-Cookie: ${cookie}\r\n`).join('');
      subject.upstream.answer(`HTTP/1.1 200 OK\r\n${lines}Content-Length: 2\r\n\r\nok`);
      hasValues((await subject.ask({})).headers, 'set-cookie', cookies);
    },
  },
  {
    behaviour: 'duplicate fields of an answer arrive one by one, with WWW-Authenticate, Vary, Link and CORS among them',
    protocols: EVERY,
    run: async (subject) => {
      subject.upstream.answer(
        'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="a, b"\r\nVary: Origin\r\nWWW-Authenticate: Bearer\r\nVary: Accept\r\n' +
          'Access-Control-Allow-Origin: https://a.test\r\nAccess-Control-Allow-Credentials: true\r\nLink: <a>; rel=x\r\nContent-Length: 0\r\n\r\n',
      );
      const { headers } = await subject.ask({ headers: ['Origin', 'https://a.test'] });
      hasValues(headers, 'www-authenticate', ['Basic realm="a, b"', 'Bearer']);
      hasValues(headers, 'vary', ['Origin', 'Accept']);
      hasValues(headers, 'access-control-allow-origin', ['https://a.test']);
      hasValues(headers, 'access-control-allow-credentials', ['true']);
    },
  },
  {
    behaviour: 'bytes above 0x7f in field values pass both ways unchanged',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      const utf8 = Buffer.from('attachment; filename="Umsätze für März.xlsx"').toString('latin1');
      subject.upstream.answer(
        `HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Disposition: ${utf8}\r\nX-Latin: \xe9\xff\x80\r\n\r\nok`,
      );
      const answer = await subject.ask({ headers: ['X-Name', utf8, 'X-Latin', '\xe9\xff\x80'] });
      hasStatus(answer, 200);
      hasValues(answer.headers, 'content-disposition', [utf8]);
      hasValues(answer.headers, 'x-latin', ['\xe9\xff\x80']);
      const { fields } = await subject.upstream.request();
      hasValues(fields, 'x-name', [utf8]);
      hasValues(fields, 'x-latin', ['\xe9\xff\x80']);
    },
  },
  {
    behaviour: 'the same Content-Disposition with a chunked answer passes unchanged',
    protocols: EVERY,
    run: async (subject) => {
      const utf8 = Buffer.from('attachment; filename="é.pdf"').toString('latin1');
      subject.upstream.answer(
        `HTTP/1.1 200 OK\r\nContent-Disposition: ${utf8}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
      );
      hasValues((await subject.ask({})).headers, 'content-disposition', [utf8]);
    },
  },
  {
    behaviour: 'pieces of a cookie in HTTP/2 are one field for the upstream',
    protocols: ['HTTP/2'],
    peers: true,
    run: async (subject) => {
      hasStatus(await subject.ask({ headers: ['cookie', 'a=1', 'cookie', 'b=2', 'cookie', 'c=3'] }), 200);
      hasValues((await subject.upstream.request()).fields, 'cookie', ['a=1; b=2; c=3']);
    },
  },
  {
    behaviour: 'an answer without Date gets none twice, and the reason phrase is not needed',
    protocols: EVERY,
    run: async (subject) => {
      subject.upstream.answer(
        'HTTP/1.1 200\r\nDate: Wed, 21 Oct 2015 07:28:00 GMT\r\nServer: x\r\nContent-Length: 2\r\n\r\nok',
      );
      const answer = await subject.ask({});
      hasStatus(answer, 200);
      hasValues(answer.headers, 'date', ['Wed, 21 Oct 2015 07:28:00 GMT']);
      hasValues(answer.headers, 'server', ['x']);
    },
  },
];
