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
