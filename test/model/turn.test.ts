// The turn: all that is to leave does so at its end, in order, once; and what is asked for meanwhile at the next one's.

import t from 'tap';
import { Turn } from '../../src/model/turn.ts';

t.test('what is to leave does so together, and one end is asked for', async (t) => {
  const ends: (() => void)[] = [];
  const turn = new Turn((run) => ends.push(run));
  const left: string[] = [];
  const leaving = (name: string) => ({ leave: () => left.push(name) });
  turn.leaveSoon(leaving('a'));
  turn.leaveSoon(leaving('b'));
  t.equal(ends.length, 1);
  t.same(left, []);
  ends[0]!();
  t.same(left, ['a', 'b']);
  turn.leaveSoon(leaving('c'));
  t.equal(ends.length, 2);
  ends[1]!();
  t.same(left, ['a', 'b', 'c']);
});

t.test('who leaves may cause others to, at the end of the next turn', async (t) => {
  const ends: (() => void)[] = [];
  const turn = new Turn((run) => ends.push(run));
  const left: string[] = [];
  turn.leaveSoon({
    leave: () => {
      left.push('a');
      turn.leaveSoon({ leave: () => left.push('b') });
    },
  });
  ends[0]!();
  t.same(left, ['a']);
  t.equal(ends.length, 2);
  ends[1]!();
  t.same(left, ['a', 'b']);
  turn.leaveSoon({ leave: () => left.push('c') });
  ends[2]!();
  t.same(left, ['a', 'b', 'c'], 'and nothing leaves twice');
});

t.test("room holds until all have left, and is then somebody else's", async (t) => {
  const ends: (() => void)[] = [];
  const turn = new Turn((run) => ends.push(run));
  const left: string[] = [];
  const put = (text: string) => {
    const bytes = turn.room(text.length);
    bytes.write(text, 'latin1');
    turn.leaveSoon({ leave: () => left.push(bytes.toString('latin1')) });
  };
  put('a'.repeat(40_000));
  put('b'.repeat(40_000));
  put('c');
  put('d'.repeat(100_000));
  turn.leaveSoon({ leave: () => put('e'.repeat(60_000)) });
  put('f'.repeat(20_000));
  ends[0]!();
  t.same(
    left.map((text) => [text[0], text.length, new Set(text).size]),
    [
      ['a', 40_000, 1],
      ['b', 40_000, 1],
      ['c', 1, 1],
      ['d', 100_000, 1],
      ['f', 20_000, 1],
    ],
  );
  ends[1]!();
  t.equal(left.at(-1), 'e'.repeat(60_000), 'who asks while others leave has room of the next turn');
});

t.test('the room of a turn is used again by the one after the next', async (t) => {
  const ends: (() => void)[] = [];
  const turn = new Turn((run) => ends.push(run));
  const buffers: ArrayBufferLike[] = [];
  for (let at = 0; at < 4; at++) {
    buffers.push(turn.room(10).buffer);
    turn.leaveSoon({ leave: () => {} });
    ends[at]!();
  }
  t.equal(buffers[2], buffers[0]);
  t.equal(buffers[3], buffers[1]);
  t.not(buffers[1], buffers[0]);
});
