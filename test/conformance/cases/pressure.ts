// Back-pressure: who does not read stops who writes, and memory stays bounded.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { pour } from '../../support/raw-upstream.ts';
import { type Case, EVERY, hasStatus } from '../case.ts';
import type { Subject } from '../subjects.ts';

const MIB = 1024 * 1024;
const TOTAL = 256 * MIB;
/** Buffers of two sockets in the kernel, and ours. The big servers take 4 to 9 MiB. */
const BOUND = 16 * MIB;

export const PRESSURE: readonly Case[] = [
  {
    behaviour: 'a 256 MiB answer to a reader that stands still takes at most 16 MiB from the upstream',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      let taken = 0;
      subject.upstream.script = async (request) => {
        await request.whole;
        request.write(`HTTP/1.1 200 OK\r\nContent-Length: ${TOTAL}\r\n\r\n`);
        await pour(request, TOTAL, (bytes) => {
          taken = bytes;
        });
      };
      const call = await subject.start({});
      await call.head();
      call.pause();
      const held = await settled(subject, () => taken);
      assert.ok(held > 0 && held <= BOUND, `${(held / MIB).toFixed(1)} MiB were taken`);
      // The reader that wakes up gets more.
      if (!subject.isProof) return;
      call.resume();
      await call.until(() => taken > held + 4 * MIB);
    },
  },
  {
    behaviour: 'a 256 MiB upload into an upstream that does not read takes at most 16 MiB from the client',
    protocols: EVERY,
    peers: true,
    run: async (subject) => {
      subject.upstream.script = (request) => request.connection.socket.pause();
      const call = await subject.start({ method: 'POST', announces: TOTAL });
      const piece = Buffer.alloc(64 * 1024, 0x61);
      let given = 0;
      let stopped = false;
      const feeding = (async () => {
        while (given < TOTAL && !stopped && !subject.isClosed) {
          if (call.unsent > 4 * piece.length) await sleep(1);
          else {
            call.write(piece);
            given += piece.length;
          }
        }
      })();
      const held = await settled(subject, () => given - call.unsent);
      stopped = true;
      await feeding;
      assert.ok(held > 0 && held <= BOUND, `${(held / MIB).toFixed(1)} MiB were taken`);
    },
  },
  {
    behaviour: 'big bodies cross byte for byte in both directions, past slow readers on both sides',
    protocols: EVERY,
    run: async (subject) => {
      const body = Buffer.alloc(8 * MIB);
      for (let i = 0; i < body.length; i += 4) body.writeUInt32LE((i * 2_654_435_761) % 4_294_967_296, i);
      subject.upstream.script = async (request) => {
        const { socket } = request.connection;
        request.onBytes = () => {
          socket.pause();
          setTimeout(() => socket.resume(), 1);
        };
        await request.whole;
        assert.ok(request.body.equals(body), 'the upload is the same');
        request.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
        request.write(body);
      };
      const call = await subject.start({ method: 'POST', body });
      const answering = call.answer();
      while (!call.isDone) {
        call.pause();
        await sleep(1);
        call.resume();
        await sleep(1);
      }
      const answer = await answering;
      hasStatus(answer, 200);
      assert.ok(answer.body.equals(body), 'the download is the same');
    },
  },
  {
    behaviour: 'one HTTP/2 stream that stands still does not stop the others',
    protocols: ['HTTP/2'],
    run: async (subject) => {
      subject.upstream.script = async (request) => {
        await request.whole;
        if (request.target !== '/big') {
          request.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
          return;
        }
        request.write(`HTTP/1.1 200 OK\r\nContent-Length: ${TOTAL}\r\n\r\n`);
        await pour(request, TOTAL, () => {});
      };
      const { Http2Call } = await import('../call.ts');
      const big = await subject.start({ target: '/big' });
      await big.head();
      big.pause();
      await sleep(100);
      const { client } = big as InstanceType<typeof Http2Call>;
      for (let i = 0; i < 10; i++) hasStatus(await new Http2Call(client, { target: '/small' }).answer(), 200);
    },
  },
];

/** The value once it has stood still for a while, and was not zero. */
async function settled(subject: Subject, value: () => number): Promise<number> {
  let last = -1;
  let since = performance.now();
  await subject.until(() => {
    const next = value();
    if (next !== last) since = performance.now();
    last = next;
    // Twice the bound says enough.
    return last > 2 * BOUND || (last > 0 && performance.now() - since > 400);
  });
  return last;
}
