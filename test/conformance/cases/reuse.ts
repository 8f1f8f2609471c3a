// Kept connections and retries: a request is made again only where nothing can happen twice.

import assert from 'node:assert/strict';
import { local } from '../../support/door.ts';
import { freePort } from '../../support/ports.ts';
import { OK, type SeenRequest } from '../../support/raw-upstream.ts';
import { type Case, EVERY, hasStatus, times } from '../case.ts';
import type { Subject } from '../subjects.ts';

const CUTS: readonly ((request: SeenRequest) => void)[] = [(request) => request.reset(), (request) => request.end()];

export const REUSE: readonly Case[] = [
  {
    behaviour: 'the connection to the upstream is kept and used again',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      for (let i = 0; i < 5; i++) hasStatus(await subject.ask({ target: `/${i}` }), 200);
      assert.equal(subject.upstream.connections.length, 1);
    },
  },
  {
    behaviour: 'a GET on a stale keep-alive socket is made again',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      for (const cut of CUTS) {
        for (let round = 0; round < times(subject, 10); round++) {
          breakSecond(subject, cut);
          hasStatus(await subject.ask({ target: '/first' }), 200);
          hasStatus(await subject.ask({ target: '/second' }), 200);
        }
      }
    },
  },
  {
    behaviour: 'a POST on a stale keep-alive socket is not sent twice',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      for (const cut of CUTS) {
        breakSecond(subject, cut);
        hasStatus(await subject.ask({ target: '/first' }), 200);
        const sent = subject.upstream.requests.length;
        const answer = await subject.ask({ method: 'POST', target: '/second', body: 'once' });
        assert.equal(answer.status, 502);
        assert.equal(subject.upstream.requests.length, sent + 1);
      }
    },
  },
  {
    behaviour: 'a request that an upstream lost on a new connection is not made again',
    protocols: EVERY,
    run: async (subject) => {
      for (const cut of CUTS) {
        const sent = subject.upstream.requests.length;
        subject.upstream.script = cut;
        hasStatus(await subject.ask({}), 502);
        assert.equal(subject.upstream.requests.length, sent + 1);
      }
    },
  },
  {
    behaviour: 'a POST after a pause goes on a new connection, where it cannot meet a stale one',
    protocols: ['HTTP/1.1'],
    run: async (subject) => {
      hasStatus(await subject.ask({}), 200);
      await new Promise((resolve) => setTimeout(resolve, 1_200));
      hasStatus(await subject.ask({ method: 'POST', body: 'x' }), 200);
      assert.equal(subject.upstream.connections.length, 2);
    },
  },
  {
    behaviour: 'an upstream that closes a kept connection while it is idle is asked on a new one',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      for (const close of CUTS) {
        let last: SeenRequest | undefined;
        subject.upstream.script = async (request) => {
          await request.whole;
          await request.flush(OK);
          last = request;
        };
        hasStatus(await subject.ask({}), 200);
        close(last!);
        await last!.connection.gone;
        hasStatus(await subject.ask({ method: 'POST', body: 'x' }), 200);
      }
    },
  },
  {
    behaviour: 'bytes behind an answer on a kept connection never reach the next client',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      const poison = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison';
      for (const delay of [0, 5, 20]) {
        subject.upstream.script = async (request) => {
          await request.whole;
          if (delay === 0) request.write(OK + poison);
          else {
            await request.flush(OK);
            setTimeout(() => request.write(poison), delay);
          }
        };
        const [first, other] = await Promise.all([subject.ask({}), subject.ask({ target: '/other' })]);
        subject.upstream.answer('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nclean');
        if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay + 10));
        const next = await subject.ask({ target: '/next' });
        for (const answer of [first, other]) assert.doesNotMatch(answer.body.toString(), /poison/);
        assert.equal(next.body.toString(), 'clean', `after ${delay} ms`);
      }
    },
  },
  {
    behaviour: 'an upstream that says Connection: close, or speaks HTTP/1.0, is not asked again on that connection',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      for (const head of ['HTTP/1.1 200 OK\r\nConnection: close\r\n', 'HTTP/1.0 200 OK\r\n']) {
        const before = subject.upstream.connections.length;
        subject.upstream.answer(`${head}Content-Length: 2\r\n\r\nok`);
        hasStatus(await subject.ask({}), 200);
        hasStatus(await subject.ask({}), 200);
        assert.equal(subject.upstream.connections.length, before + 2);
      }
    },
  },
  {
    behaviour: 'of two endpoints one that refuses is passed by, a POST with its body included',
    protocols: EVERY,
    setting: { frontend: async (upstream) => [local(await freePort()), upstream] },
    run: async (subject) => {
      for (let i = 0; i < 4; i++) {
        hasStatus(await subject.ask({}), 200);
        hasStatus(await subject.ask({ method: 'POST', body: `body ${i}` }), 200);
      }
      const bodies = subject.upstream.requests.filter((request) => request.method === 'POST');
      assert.deepEqual(
        bodies.map((request) => request.body.toString()),
        ['body 0', 'body 1', 'body 2', 'body 3'],
      );
      assert.ok(
        subject.door!.lines.some((line) => line.retries === 1),
        'a retry is in the access log',
      );
    },
  },
  {
    behaviour: 'two endpoints are asked in turn',
    protocols: ['HTTP/1.1'],
    setting: { frontend: (upstream) => Promise.resolve([upstream, { ...upstream, host: 'localhost' }]) },
    run: async (subject) => {
      for (let i = 0; i < 4; i++) hasStatus(await subject.ask({}), 200);
      const asked = subject.door!.lines.map((line) => String(line.upstream).split(':')[0]);
      assert.deepEqual(asked, ['127.0.0.1', 'localhost', '127.0.0.1', 'localhost']);
    },
  },
];

/** Answers the first request of each connection, and breaks the connection at its second. */
function breakSecond(subject: Subject, cut: (request: SeenRequest) => void): void {
  // Connections of a round before must not count as new ones.
  for (const connection of subject.upstream.connections) connection.socket.destroy();
  subject.upstream.script = async (request) => {
    await request.whole;
    if (request.connection.requests.length === 1) request.write(OK);
    else cut(request);
  };
}
