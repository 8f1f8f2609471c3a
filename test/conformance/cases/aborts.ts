// Aborts: who leaves or breaks off is told to the other side, at once and in a way that cannot be taken for an end.

import assert from 'node:assert/strict';
import { HOST } from '../../support/door.ts';
import type { SeenRequest } from '../../support/raw-upstream.ts';
import { type Case, EVERY, HTTP1, HTTP2, hasStatus, isCut } from '../case.ts';
import type { Subject } from '../subjects.ts';

const CUTS: Readonly<Record<string, (request: SeenRequest) => void>> = {
  'by an end': (request) => request.end(),
  'by a reset': (request) => request.reset(),
};

export const ABORTS: readonly Case[] = [
  {
    behaviour: 'client leaves before the response head: the upstream is told',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      subject.upstream.script = () => {};
      const call = await subject.start({});
      const seen = await subject.upstream.request();
      call.leave();
      await seen.connection.gone;
      await isLogged(subject, 499);
    },
  },
  {
    behaviour: 'client leaves during a stream: the upstream is told',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      subject.upstream.script = (request) =>
        request.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n');
      const call = await subject.start({});
      await call.until(() => call.body.length === 4);
      call.leave();
      await (await subject.upstream.request()).connection.gone;
    },
  },
  {
    behaviour: 'client leaves during an upload: the upstream is told, and does not take it for whole',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      for (const ask of [{ stream: true }, { announces: 1_000 }]) {
        const sent = subject.upstream.requests.length;
        const call = await subject.start({ method: 'POST', ...ask });
        call.write('some of it');
        const seen = await subject.upstream.request(sent);
        await subject.until(() => seen.body.length === 10);
        call.leave();
        await seen.connection.gone;
        assert.equal(seen.isWhole, false);
      }
    },
  },
  {
    behaviour: 'a whole HTTP/2 connection that dies takes all its upstream requests with it',
    protocols: HTTP2,
    run: async (subject) => {
      subject.upstream.script = () => {};
      const call = await subject.start({});
      const second = await subject.start({});
      await subject.upstream.request(1);
      call.close();
      second.close();
      await Promise.all(subject.upstream.connections.map((connection) => connection.gone));
    },
  },
  {
    behaviour: 'upstream cuts the body short: the client is told',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      for (const cut of Object.values(CUTS)) {
        subject.upstream.script = async (request) => {
          await request.flush('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this');
          await new Promise((resolve) => setTimeout(resolve, 20));
          cut(request);
        };
        isCut(await subject.ask({}));
      }
    },
  },
  {
    behaviour: 'upstream cuts the body inside its chunks: the client is told',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      for (const cut of Object.values(CUTS)) {
        for (const chunks of ['4\r\nfour\r\n', '9\r\nfour', '4\r\nfour\r\n0\r\n', '']) {
          subject.upstream.script = async (request) => {
            await request.flush(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`);
            await new Promise((resolve) => setTimeout(resolve, 20));
            cut(request);
          };
          isCut(await subject.ask({}));
        }
      }
    },
  },
  {
    behaviour: 'upstream cuts the body in the packet of its head: the client gets an abort or a 502, no whole answer',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      for (const cut of Object.values(CUTS)) {
        for (const head of [
          'Content-Length: 100\r\n\r\nonly this',
          'Transfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n',
        ]) {
          subject.upstream.script = (request) => {
            request.write(`HTTP/1.1 200 OK\r\n${head}`);
            cut(request);
          };
          const answer = await subject.ask({});
          assert.ok(answer.end !== 'complete' || answer.status === 502, `${answer.status} ${answer.end}`);
        }
      }
    },
  },
  {
    behaviour: 'a broken chunk from the upstream is an abort for the client',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      subject.upstream.script = async (request) => {
        await request.flush('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n');
        await new Promise((resolve) => setTimeout(resolve, 20));
        request.write('xyz\r\nfour\r\n0\r\n\r\n');
      };
      isCut(await subject.ask({}));
    },
  },
  {
    behaviour: 'an answer that runs until the connection ends, and ends by a reset, is an abort for the client',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      subject.upstream.script = async (request) => {
        await request.flush('HTTP/1.1 200 OK\r\n\r\nsome of it');
        await new Promise((resolve) => setTimeout(resolve, 20));
        request.reset();
      };
      isCut(await subject.ask({}));
    },
  },
  {
    behaviour: 'an HTTP/1.0 client is told of a cut as well, by a reset',
    protocols: ['HTTP/1.1'],
    run: async (subject) => {
      subject.upstream.script = async (request) => {
        await request.flush('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n');
        await new Promise((resolve) => setTimeout(resolve, 20));
        request.end();
      };
      const answer = await subject.ask({ version: '1.0' });
      assert.equal(answer.end, 'cut');
    },
  },
  {
    behaviour: 'no answer, half a head or garbage of an upstream is a 502',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      for (const bytes of [
        '',
        'HTTP/1.1 200',
        'HTTP/1.1 200 OK\r\nContent-Le',
        'SSH-2.0-OpenSSH\r\n',
        '\x16\x03\x01\x02\x00',
        'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk',
      ]) {
        for (const cut of Object.values(CUTS)) {
          subject.upstream.script = async (request) => {
            await request.whole;
            if (bytes !== '') await request.flush(bytes);
            cut(request);
          };
          hasStatus(await subject.ask({ method: 'POST', body: 'x' }), 502);
        }
      }
    },
  },
  {
    behaviour: 'an upstream answer with Content-Length and Transfer-Encoding is a 502',
    protocols: EVERY,
    run: async (subject) => {
      subject.upstream.answer(
        'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
      );
      hasStatus(await subject.ask({}), 502);
    },
  },
  {
    behaviour: 'an oversized response head is a 502',
    protocols: EVERY,
    run: async (subject) => {
      subject.upstream.answer(`HTTP/1.1 200 OK\r\nX-Big: ${'a'.repeat(300 * 1024)}\r\nContent-Length: 2\r\n\r\nok`);
      hasStatus(await subject.ask({}), 502);
    },
  },
  {
    behaviour: 'a response head of 48 KiB passes',
    protocols: EVERY,
    run: async (subject) => {
      const fields = Array.from({ length: 12 }, (_each, i) => `Set-Cookie: c${i}=${'a'.repeat(4_000)}\r\n`).join('');
      subject.upstream.answer(`HTTP/1.1 200 OK\r\n${fields}Content-Length: 2\r\n\r\nok`);
      const answer = await subject.ask({});
      hasStatus(answer, 200);
      assert.equal(answer.headers.filter((name) => name.toLowerCase() === 'set-cookie').length, 12);
    },
  },
  {
    behaviour: 'a client that dies in the middle of a chunk leaves nothing open',
    protocols: HTTP1,
    peers: true,
    run: async (subject) => {
      const client = await subject.connect();
      client.write(`POST / HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf`);
      const seen = await subject.upstream.request();
      await subject.until(() => seen.body.length === 4);
      client.reset();
      await seen.connection.gone;
      assert.equal(seen.isWhole, false);
    },
  },
];

/** The access line has the status; peers have none. */
async function isLogged(subject: Subject, status: number): Promise<void> {
  const lines = subject.door?.lines;
  if (lines === undefined) return;
  await subject.until(() => lines.some((line) => line.status === status));
}
