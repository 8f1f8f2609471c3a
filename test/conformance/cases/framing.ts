// Framing: one request in is one request out, and what can be read in two ways is refused.

import assert from 'node:assert/strict';
import { HOST } from '../../support/door.ts';
import { bytesOf } from '../call.ts';
import { type Case, EVERY, HTTP1, HTTP2, hasStatus, hasValues, times } from '../case.ts';
import type { Subject } from '../subjects.ts';

const HIDDEN = `GET /smuggled HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;

export const FRAMING: readonly Case[] = [
  {
    behaviour: 'a request hidden in the body of a chunked DELETE, OPTIONS or GET never becomes a request of its own',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      for (const method of ['DELETE', 'OPTIONS', 'GET']) {
        const call = await subject.start({ method, target: `/${method}`, stream: true });
        call.write(HIDDEN);
        call.end();
        hasStatus(await call.answer(), 200);
        hasStatus(await subject.ask({ target: '/after' }), 200);
      }
      const targets = subject.upstream.requests.map((request) => request.target);
      assert.deepEqual(targets, ['/DELETE', '/after', '/OPTIONS', '/after', '/GET', '/after']);
      for (const connection of subject.upstream.connections) assert.equal(connection.problem, undefined);
    },
  },
  {
    behaviour: 'a GET with a body is carried whole',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      hasStatus(await subject.ask({ body: '{"query":1}' }), 200);
      const call = await subject.start({ stream: true });
      call.write('{"query":');
      call.write('2}');
      call.end();
      hasStatus(await call.answer(), 200);
      const bodies = subject.upstream.requests.map((request) => request.body.toString());
      assert.deepEqual(bodies, ['{"query":1}', '{"query":2}']);
    },
  },
  {
    behaviour: 'a body of known length arrives by Content-Length alone, any other by a single chunked coding',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      for (const method of ['POST', 'DELETE', 'OPTIONS', 'GET']) {
        const sent = subject.upstream.requests.length;
        hasStatus(await subject.ask({ method, body: 'four' }), 200);
        const known = await subject.upstream.request(sent);
        hasValues(known.fields, 'content-length', ['4']);
        hasValues(known.fields, 'transfer-encoding', []);
        const call = await subject.start({ method, stream: true });
        call.write('four');
        call.end();
        hasStatus(await call.answer(), 200);
        const open = await subject.upstream.request(sent + 1);
        hasValues(open.fields, 'content-length', []);
        hasValues(open.fields, 'transfer-encoding', ['chunked']);
        assert.equal(open.body.toString(), 'four');
      }
    },
  },
  {
    behaviour: 'Content-Length with Transfer-Encoding is refused, and the connection ends',
    protocols: HTTP1,
    peers: true,
    run: (subject) =>
      isRefused(
        subject,
        `POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG`,
      ),
  },
  {
    behaviour: 'two Content-Length fields are refused, alike or not',
    protocols: HTTP1,
    peers: true,
    run: async (subject) => {
      for (const second of ['4', '5', '04', '+4', '4, 4']) {
        const lines = `Content-Length: 4\r\nContent-Length: ${second}`;
        await isRefused(subject, `POST / HTTP/1.1\r\nHost: ${HOST}\r\n${lines}\r\n\r\nfour`);
      }
    },
  },
  {
    behaviour: 'a Content-Length that is no plain number is refused',
    protocols: HTTP1,
    peers: true,
    run: async (subject) => {
      for (const length of ['4, 4', '+4', '-4', '4 4', '0x4', '4.0', '99999999999999999999', '']) {
        await isRefused(subject, `POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: ${length}\r\n\r\nfour`);
      }
    },
  },
  {
    behaviour: 'a Transfer-Encoding that is not a single chunked is refused',
    protocols: HTTP1,
    run: async (subject) => {
      for (const coding of [
        'gzip, chunked',
        'chunked, chunked',
        'identity',
        'xchunked',
        'chunked, gzip',
        '\x0bchunked',
        ' ',
      ]) {
        await isRefused(subject, `POST / HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: ${coding}\r\n\r\n0\r\n\r\n`);
      }
      const twice = 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked';
      await isRefused(subject, `POST / HTTP/1.1\r\nHost: ${HOST}\r\n${twice}\r\n\r\n0\r\n\r\n`);
    },
  },
  {
    behaviour: 'Transfer-Encoding in HTTP/1.0 is refused',
    protocols: HTTP1,
    peers: true,
    run: (subject) =>
      isRefused(subject, `POST / HTTP/1.0\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`),
  },
  {
    behaviour: 'a field line that readers disagree about is refused',
    protocols: HTTP1,
    peers: true,
    run: async (subject) => {
      for (const line of [
        'Transfer-Encoding : chunked',
        'Content-Length\t: 4',
        ' X-Folded: first',
        'X-Folded: a\r\n b',
        'X-Nul: a\0b',
        'X-Return: a\rb',
        'X-Bare: a\nX-Line: b',
        ': no name',
        'no colon',
        'X(Bad): 1',
      ]) {
        await isRefused(subject, `POST / HTTP/1.1\r\nHost: ${HOST}\r\n${line}\r\n\r\n`);
      }
    },
  },
  {
    behaviour: 'a request line that readers disagree about is refused',
    protocols: HTTP1,
    peers: true,
    run: async (subject) => {
      for (const line of [
        'GET / a HTTP/1.1',
        'GET /\tHTTP/1.1',
        'GET / HTTP/1.2',
        'GET / HTTP/9.9',
        'GET / HTTP/2.0',
        'GET / HTTP/0.9',
        'G{T / HTTP/1.1',
      ]) {
        await isRefused(subject, `${line}\r\nHost: ${HOST}\r\n\r\n`);
      }
    },
  },
  {
    behaviour: 'the 400 reaches a client that goes on sending',
    protocols: HTTP1,
    run: async (subject) => {
      for (let round = 0; round < times(subject, 20); round++) {
        const client = await subject.connect();
        const reader = client.reader('POST');
        client.write(`POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n`);
        for (let piece = 0; piece < 16; piece++) {
          client.write(Buffer.alloc(64 * 1024, 0x61));
          await new Promise((resolve) => setImmediate(resolve));
        }
        await client.gone;
        assert.equal(reader.status, 400, `round ${round}`);
        client.close();
      }
    },
  },
  {
    behaviour: 'a broken chunk ends the request on both sides, and what follows is no request',
    protocols: HTTP1,
    peers: true,
    run: async (subject) => {
      for (const chunk of [
        'xyz\r\n',
        '5\r\nfour\r\n0\r\n\r\n',
        '4;\0\r\nfour\r\n',
        '-4\r\nfour\r\n',
        '4\nfour\n0\n\n',
      ]) {
        const sent = subject.upstream.requests.length;
        const client = await subject.connect();
        client.write(`POST /broken HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n`);
        const seen = await subject.upstream.request(sent);
        client.write(`${chunk}${HIDDEN}`);
        await client.gone;
        await seen.connection.gone;
        assert.equal(seen.isWhole, false, 'the upstream did not take it for whole');
        assert.match(client.text, /^(HTTP\/1\.1 400 |$)/);
      }
      assert.ok(subject.upstream.requests.every((request) => request.target === '/broken'));
    },
  },
  {
    behaviour: 'an HTTP/2 body that belies its Content-Length is no whole request',
    protocols: HTTP2,
    run: async (subject) => {
      for (const [announced, sent] of [
        ['10', 'four'],
        ['2', 'four'],
      ] as const) {
        const before = subject.upstream.requests.length;
        const call = await subject.start({ method: 'POST', stream: true, headers: ['content-length', announced] });
        call.write(sent);
        call.end();
        const answer = await call.answer();
        assert.notEqual(answer.status, 200);
        for (const request of subject.upstream.requests.slice(before)) {
          await request.connection.gone;
          assert.equal(request.isWhole, false);
        }
      }
    },
  },
  {
    // node:http2 drops a field with a wrong value by itself, where RFC 9113 §8.2.1 would have the whole request refused.
    behaviour: 'an HTTP/2 field that would break an HTTP/1.1 head is refused or dropped, never forwarded',
    protocols: HTTP2,
    run: async (subject) => {
      const { fieldBlock, frame, FRAME, END_HEADERS, END_STREAM } = await import('../../support/h2-client.ts');
      const base = [':method', 'GET', ':scheme', 'https', ':authority', HOST, ':path', '/'];
      for (const fields of [
        [...base, 'x-split', 'a\r\nHost: evil'],
        [...base, 'x-nul', 'a\0b'],
        [...base, 'x bad', '1'],
        [...base, 'X-Upper', '1'],
        [...base, 'transfer-encoding', 'chunked'],
        [...base, 'connection', 'close'],
        [':method', 'GET', ':scheme', 'https', ':authority', HOST, ':path', '/ HTTP/1.1\r\nX: y'],
        [':method', 'GET / HTTP/1.1', ':scheme', 'https', ':authority', HOST, ':path', '/'],
        [...base, ':path', '/second'],
        [...base, 'host', 'other.test'],
        [...base, 'content-length', '1', 'content-length', '1'],
      ]) {
        const client = await subject.connectFrames();
        client.send(frame(FRAME.headers, END_HEADERS | END_STREAM, 1, fieldBlock(fields)));
        const isOver = () =>
          client.frames.some((each) => each.type === FRAME.goaway || (each.stream === 1 && each.type !== FRAME.window));
        await Promise.race([subject.until(isOver), client.gone]);
        client.socket.destroy();
        const shown = JSON.stringify(fields.slice(-4));
        const [request] = subject.upstream.requests.splice(0);
        const mayDrop = ['x-split', 'x-nul', 'x bad', 'X-Upper'].some((name) => fields.includes(name));
        assert.ok(request === undefined || mayDrop, shown);
        assert.doesNotMatch(request?.head ?? '', /evil|x-split|x-nul|x bad|x-upper/i, shown);
      }
    },
  },
  {
    behaviour: 'a POST without a body says so to the upstream',
    protocols: EVERY,
    run: async (subject) => {
      hasStatus(await subject.ask({ method: 'POST' }), 200);
      hasValues((await subject.upstream.request()).fields, 'content-length', ['0']);
    },
  },
  {
    behaviour: 'requests sent in one packet are answered in their order',
    protocols: HTTP1,
    peers: true,
    run: async (subject) => {
      subject.upstream.script = async (request) => {
        await request.whole;
        const body = `${request.target} ${request.body.toString()}`;
        request.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      };
      const client = await subject.connect();
      const readers = ['POST', 'GET', 'POST'].map((method) => client.reader(method));
      client.write(
        bytesOf(
          `POST /1 HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 3\r\n\r\none` +
            `GET /2 HTTP/1.1\r\nHost: ${HOST}\r\n\r\n` +
            `POST /3 HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nthree\r\n0\r\n\r\n`,
        ),
      );
      await subject.until(() => readers.every((reader) => reader.isDone));
      const bodies = readers.map((reader) => reader.body.toString());
      assert.deepEqual(bodies, ['/1 one', '/2 ', '/3 three']);
    },
  },
  {
    behaviour: 'HEAD keeps its Content-Length, 204 and 304 have no body, and the connection goes on',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      subject.upstream.answer('HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n');
      const head = await subject.ask({ method: 'HEAD' });
      hasStatus(head, 200);
      hasValues(head.headers, 'content-length', ['12345']);
      subject.upstream.answer('HTTP/1.1 204 No Content\r\n\r\n');
      const empty = await subject.ask({ method: 'DELETE' });
      hasStatus(empty, 204);
      hasValues(empty.headers, 'content-length', []);
      hasValues(empty.headers, 'transfer-encoding', []);
      subject.upstream.answer('HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 77\r\n\r\n');
      const same = await subject.ask({ headers: ['If-None-Match', '"a"'] });
      hasStatus(same, 304);
      hasValues(same.headers, 'transfer-encoding', []);
      assert.equal(same.body.length, 0);
    },
  },
  {
    behaviour: 'an HTTP/1.0 client gets an answer of unknown length until the connection ends',
    protocols: HTTP1,
    peers: true,
    run: async (subject) => {
      subject.upstream.answer('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\n\r\n');
      const answer = await subject.ask({ version: '1.0' });
      hasStatus(answer, 200);
      hasValues(answer.headers, 'transfer-encoding', []);
      assert.equal(answer.body.toString(), 'four');
    },
  },
  {
    behaviour: 'an upstream answer without a length reaches the client whole',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      subject.upstream.script = async (request) => {
        await request.whole;
        await request.flush('HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end');
        request.end();
      };
      const answer = await subject.ask({});
      hasStatus(answer, 200);
      assert.equal(answer.body.toString(), 'until the end');
    },
  },
];

/** The answer is a 400, the connection ends after it, and neither this nor what follows reaches the upstream. */
async function isRefused(subject: Subject, bytes: string): Promise<void> {
  const client = await subject.connect();
  client.write(`${bytes}${HIDDEN}`);
  await client.gone;
  const shown = JSON.stringify(bytes);
  assert.match(client.text, /^HTTP\/1\.1 400 /, shown);
  assert.equal(client.text.match(/HTTP\/1\.1 \d{3} /g)?.length, 1, `one answer to ${shown}`);
  assert.deepEqual(
    subject.upstream.requests.map((request) => request.head),
    [],
    shown,
  );
}
