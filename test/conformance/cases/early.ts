// Early answers: an upstream that refuses an upload before its end is heard by the client.

import assert from 'node:assert/strict';
import { HOST } from '../../support/door.ts';
import { type Case, EVERY, HTTP1, hasStatus, times } from '../case.ts';
import type { Subject } from '../subjects.ts';

const REFUSAL =
  'HTTP/1.1 413 Content Too Large\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: 8\r\n\r\ntoo big\n';
const PIECE = Buffer.alloc(64 * 1024, 0x61);

export const EARLY: readonly Case[] = [
  {
    behaviour: 'upstream answers 413 early, during an upload: it reaches the client',
    protocols: EVERY,
    peers: true,
    run: (subject) =>
      repeat(subject, async () => {
        // Closed with unread input, so that the kernel resets: the worst case, and that of most servers.
        subject.upstream.script = async (request) => {
          request.connection.socket.pause();
          await request.flush(REFUSAL);
          request.drop();
        };
        await upload(subject, 64);
      }),
  },
  {
    behaviour: 'upstream answers 413 early and ends its side in order: it reaches the client',
    protocols: EVERY,
    peers: true,
    run: (subject) =>
      repeat(subject, async () => {
        subject.upstream.script = async (request) => {
          await request.flush(REFUSAL);
          request.end();
        };
        await upload(subject, 64);
      }),
  },
  {
    behaviour: 'upstream answers 413 early and goes on to read nothing: it reaches the client',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      subject.upstream.script = (request) => {
        request.connection.socket.pause();
        request.write(REFUSAL.replace('Connection: close\r\n', ''));
      };
      await upload(subject, 256);
    },
  },
  {
    behaviour: 'upstream answers 413 in the middle of an upload: it reaches the client',
    protocols: EVERY,
    peers: true,
    run: (subject) =>
      repeat(subject, async () => {
        subject.upstream.script = (request) => {
          request.onBytes = () => {
            if (request.body.length < 512 * 1024 || request.connection.socket.isPaused()) return;
            request.connection.socket.pause();
            request.flush(REFUSAL).then(() => request.drop());
          };
        };
        await upload(subject, 64);
      }),
  },
  {
    behaviour: 'an early answer to a small body leaves the next request alone',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      subject.upstream.script = (request) => request.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
      for (let i = 0; i < times(subject, 10); i++) {
        const call = await subject.start({ method: 'POST', stream: true });
        call.write('part');
        const answer = await call.answer();
        hasStatus(answer, 403);
        call.close();
      }
      subject.upstream.answer('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      const next = await subject.ask({ method: 'POST', target: '/next', body: 'whole' });
      hasStatus(next, 200);
      const seen = subject.upstream.requests.at(-1)!;
      assert.equal(seen.body.toString(), 'whole');
      assert.equal(seen.target, '/next');
    },
  },
  {
    behaviour: 'what follows an upload that was answered early is no request',
    protocols: HTTP1,
    run: async (subject) => {
      subject.upstream.script = (request) => request.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
      const hidden = `GET /smuggled HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;
      for (const [framing, rest] of [
        ['Content-Length: 10', 'six...'],
        ['Transfer-Encoding: chunked', '0\r\n\r\n'],
      ]) {
        const client = await subject.connect();
        const reader = client.reader('POST');
        const first = framing!.startsWith('C') ? 'four' : '4\r\nfour\r\n';
        client.write(`POST /early HTTP/1.1\r\nHost: ${HOST}\r\n${framing}\r\n\r\n${first}`);
        await subject.until(() => reader.isDone);
        client.write(rest + hidden);
        await client.gone;
        client.close();
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.deepEqual(
        subject.upstream.requests.map((request) => request.target),
        ['/early', '/early'],
      );
    },
  },
];

async function repeat(subject: Subject, round: () => Promise<void>): Promise<void> {
  for (let i = 0; i < times(subject, 50); i++) {
    try {
      await round();
    } catch (error) {
      throw new Error(`round ${i}: ${(error as Error).message}`);
    }
  }
}

/** Sends so many pieces as fast as they are taken, and expects the refusal. */
async function upload(subject: Subject, pieces: number): Promise<void> {
  const call = await subject.start({ method: 'POST', target: '/upload', announces: pieces * PIECE.length });
  for (let i = 0; i < pieces && call.status === 0 && !call.isDone; i++) {
    call.write(PIECE);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const answer = await call.answer();
  call.close();
  assert.equal(answer.status, 413, `${answer.status} ${answer.body.toString()}`);
  assert.equal(answer.body.toString(), 'too big\n');
  assert.equal(answer.end, 'complete');
}
