// Lines that wait: they come out as they were put, in whole lines and in pieces that are as large as asked for.

import t from 'tap';
import { LineQueue } from '../../src/telemetry/line-queue.ts';
import { dice } from '../support/dice.ts';

t.test('what is peeked at stays until it is dropped', async (t) => {
  const queue = new LineQueue();
  queue.put('one');
  queue.put('');
  queue.put('th\xe9\u20ac\u{1f6aa}');
  t.equal(queue.length, Buffer.byteLength('one\n\nth\xe9\u20ac\u{1f6aa}\n'));
  t.equal(queue.peek(100).toString(), 'one\n\nth\xe9\u20ac\u{1f6aa}\n');
  t.equal(queue.peek(4).toString(), 'one\n', 'a piece may be full');
  t.equal(queue.peek(6).toString(), 'one\n\n');
  t.equal(queue.peek(7).toString(), 'one\n\n', 'of whole lines');
  queue.drop(5);
  t.equal(queue.peek(1).toString(), 'th\xe9\u20ac\u{1f6aa}\n', 'one that is longer is a piece of its own');
  queue.drop(queue.length);
  t.equal(queue.length, 0);
  t.equal(queue.peek(10).length, 0);
  queue.put('again');
  t.equal(queue.peek(10).toString(), 'again\n');
});

t.test('a piece holds while lines are put behind it', async (t) => {
  const queue = new LineQueue();
  queue.put('first');
  const piece = queue.peek(100);
  for (let i = 0; i < 5_000; i++) queue.put('x'.repeat(60));
  t.equal(piece.toString(), 'first\n');
});

t.test('all together, a piece for each block, and parts of them dropped', async (t) => {
  const queue = new LineQueue();
  let put = '';
  for (let i = 0; i < 3_000; i++) {
    queue.put(`${i}`.padEnd(60));
    put += `${`${i}`.padEnd(60)}\n`;
  }
  const pieces = queue.peekAll();
  t.ok(pieces.length > 2);
  t.equal(Buffer.concat(pieces).toString(), put);
  queue.drop(70_001);
  t.equal(queue.length, put.length - 70_001);
  t.equal(Buffer.concat(queue.peekAll()).toString(), put.slice(70_001));
  queue.drop(queue.length);
  t.equal(Buffer.concat(queue.peekAll()).length, 0);
});

t.test('lines of all lengths, over many blocks, in order', async (t) => {
  const roll = dice(11);
  const queue = new LineQueue();
  let put = '';
  let taken = '';
  let count = 0;
  for (let round = 0; round < 400; round++) {
    for (let i = roll(8); i > 0; i--) {
      // Some fill a block to its last byte, some are longer than one.
      const length = roll(40) === 0 ? 60_000 + roll(10_000) : roll(900);
      const line = `${count++}:`.padEnd(length, roll(2) === 0 ? 'x' : '\u20ac');
      queue.put(line);
      put += `${line}\n`;
    }
    for (let i = roll(6); i > 0 && queue.length > 0; i--) {
      const most = roll(2) === 0 ? 4_096 : 64 * 1024;
      const piece = queue.peek(most);
      const text = piece.toString();
      if (!text.endsWith('\n') || (piece.length > most && text.indexOf('\n') !== text.length - 1)) {
        t.fail(`a piece of ${piece.length} bytes, at most ${most}, in round ${round}`);
      }
      taken += text;
      queue.drop(piece.length);
    }
  }
  while (queue.length > 0) {
    const piece = queue.peek(4_096);
    taken += piece.toString();
    queue.drop(piece.length);
  }
  t.ok(count > 1_000);
  t.ok(taken === put, 'all of them, as they were put');
});
