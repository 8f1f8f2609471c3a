// Interim answers, trailers and streams: what comes before, after and between the parts of a body.

import assert from 'node:assert/strict';
import { type Case, EVERY, HTTP1, hasStatus, hasValues, namesOf } from '../case.ts';

export const INTERIM: readonly Case[] = [
  {
    behaviour: 'trailers of a request reach the upstream',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      const call = await subject.start({ method: 'POST', stream: true, headers: ['Trailer', 'X-Sum'] });
      call.write('four');
      call.end(['X-Sum', '42', 'X-Other', 'b']);
      hasStatus(await call.answer(), 200);
      const seen = await subject.upstream.request();
      hasValues(seen.trailers, 'x-sum', ['42']);
      hasValues(seen.trailers, 'x-other', ['b']);
    },
  },
  {
    behaviour: 'trailers of an answer reach the client',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      subject.upstream.answer(
        'HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\nX-Sum: 42\r\nX-Other: b\r\n\r\n',
      );
      const answer = await subject.ask({ headers: ['TE', 'trailers'] });
      hasStatus(answer, 200);
      hasValues(answer.trailers, 'x-sum', ['42']);
      hasValues(answer.trailers, 'x-other', ['b']);
    },
  },
  {
    behaviour: 'trailers that would change routing or authentication are dropped, both ways',
    protocols: EVERY,
    run: async (subject) => {
      const forbidden = ['Authorization', 'Host', 'Cookie', 'X-Forwarded-For', 'Content-Type', 'Set-Cookie'];
      const lines = forbidden.map((name) => `${name}: 1\r\n`).join('');
      subject.upstream.answer(
        `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\nX-Sum: 42\r\n${lines}\r\n`,
      );
      const call = await subject.start({ method: 'POST', stream: true });
      call.write('four');
      call.end([...forbidden.flatMap((name) => [name, '1']), 'X-Sum', '42']);
      const answer = await call.answer();
      hasStatus(answer, 200);
      assert.deepEqual(namesOf(answer.trailers), ['x-sum']);
      assert.deepEqual(namesOf((await subject.upstream.request()).trailers), ['x-sum']);
    },
  },
  {
    behaviour: 'framing fields among the trailers never reach the upstream',
    protocols: EVERY,
    run: async (subject) => {
      // HTTP/2 clients cannot say those that are about connections.
      const fields = subject.protocol === 'HTTP/2' ? ['Content-Length'] : ['Content-Length', 'Transfer-Encoding'];
      for (const name of fields) {
        const sent = subject.upstream.requests.length;
        const call = await subject.start({ method: 'POST', stream: true });
        call.write('four');
        const seen = await subject.upstream.request(sent);
        call.end([name, '1']);
        await call.answer();
        assert.deepEqual(seen.trailers, [], name);
      }
    },
  },
  {
    behaviour: '103 with Link and other 1xx reach the client before the answer',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      let answer = () => {};
      subject.upstream.script = async (request) => {
        await request.whole;
        await request.flush(
          'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.css>; rel=preload\r\n\r\n',
        );
        answer = () => request.write('HTTP/1.1 200 OK\r\nX-Last: 1\r\nContent-Length: 2\r\n\r\nok');
      };
      const call = await subject.start({});
      await call.until(() => call.informs.some((inform) => inform.status === 103));
      answer();
      const whole = await call.answer();
      hasStatus(whole, 200);
      hasValues(whole.headers, 'x-last', ['1']);
      assert.deepEqual(
        whole.informs.map((inform) => inform.status),
        [102, 103],
      );
      hasValues(whole.informs[1]!.headers, 'link', ['</a.css>; rel=preload', '</b.css>; rel=preload']);
    },
  },
  {
    behaviour: 'a 103 in one packet with the answer reaches the client',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      subject.upstream.answer(
        'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
      );
      const answer = await subject.ask({});
      hasStatus(answer, 200);
      assert.deepEqual(
        answer.informs.map((inform) => inform.status),
        [103],
      );
    },
  },
  {
    behaviour: 'an HTTP/1.0 client is sent no interim answer',
    protocols: HTTP1,
    run: async (subject) => {
      subject.upstream.answer(
        'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
      );
      const answer = await subject.ask({ version: '1.0' });
      hasStatus(answer, 200);
      assert.equal(answer.informs.length, 0);
    },
  },
  {
    behaviour: 'Expect: 100-continue reaches the upstream, and its 100 the client',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      let asked = false;
      subject.upstream.script = async (request) => {
        assert.equal(request.body.length, 0);
        await new Promise((resolve) => setTimeout(resolve, 30));
        asked = true;
        request.write('HTTP/1.1 100 Continue\r\n\r\n');
        await request.whole;
        request.write('HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n');
      };
      const call = await subject.start({ method: 'POST', expects: 4 });
      await call.until(() => call.informs.some((inform) => inform.status === 100));
      assert.ok(asked, 'the 100 came from the upstream');
      call.write('four');
      call.end();
      hasStatus(await call.answer(), 201);
      const seen = await subject.upstream.request();
      hasValues(seen.fields, 'expect', ['100-continue']);
      assert.equal(seen.body.toString(), 'four');
    },
  },
  {
    behaviour: "the upstream's 417 or 413 to an Expect is relayed instead of a 100",
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      for (const status of ['417 Expectation Failed', '413 Content Too Large']) {
        subject.upstream.script = (request) => request.write(`HTTP/1.1 ${status}\r\nContent-Length: 2\r\n\r\nno`);
        const call = await subject.start({ method: 'POST', expects: 4 });
        const answer = await call.answer();
        assert.equal(answer.status, Number(status.slice(0, 3)));
        assert.equal(answer.body.toString(), 'no');
        assert.equal(answer.informs.length, 0);
      }
    },
  },
  {
    behaviour: 'an expectation that nobody knows is a 417',
    protocols: EVERY,
    run: async (subject) => {
      hasStatus(await subject.ask({ headers: ['Expect', 'miracles'] }), 417);
      assert.equal(subject.upstream.requests.length, 0);
    },
  },
  {
    behaviour: 'the head of an answer arrives before the first byte of its body',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      subject.upstream.script = (request) => request.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      const call = await subject.start({});
      await call.head();
      assert.equal(call.status, 200);
      call.leave();
    },
  },
  {
    behaviour: 'server-sent events arrive one by one, without delay',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      let send: (text: string) => void = () => {};
      subject.upstream.script = (request) => {
        send = (text) => request.write(`${text.length.toString(16)}\r\n${text}\r\n`);
        request.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n');
      };
      const call = await subject.start({ headers: ['Accept', 'text/event-stream'] });
      await subject.upstream.request();
      let expected = '';
      for (let i = 0; i < 20; i++) {
        const event = `data: ${i}\n\n`;
        expected += event;
        const before = performance.now();
        send(event);
        await call.until(() => call.body.toString() === expected);
        assert.ok(performance.now() - before < 1_000, 'within a second');
      }
      call.leave();
    },
  },
  {
    behaviour: 'an upload reaches the upstream piece by piece, and both sides may talk at once',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      subject.upstream.script = (request) => {
        request.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
        request.onBytes = (chunk) => request.write(`${chunk.length.toString(16)}\r\n${chunk.toString('latin1')}\r\n`);
        return request.whole.then(() => request.write('0\r\n\r\n'));
      };
      const call = await subject.start({ method: 'POST', stream: true });
      let expected = '';
      for (const piece of ['one', 'two', 'three']) {
        expected += piece;
        call.write(piece);
        await call.until(() => call.body.toString() === expected);
      }
      call.end();
      hasStatus(await call.answer(), 200);
    },
  },
];
