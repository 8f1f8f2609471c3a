// The roster: who came and has not gone is there, once, however many came and went.

import t from 'tap';
import { Roster } from '../../src/model/roster.ts';
import { dice } from '../support/dice.ts';

t.test('who comes is there until the place is given back', async (t) => {
  const roster = new Roster<{ name: string }>();
  const names = () => [...roster].map(({ name }) => name);
  const a = roster.add({ name: 'a' });
  const b = roster.add({ name: 'b' });
  t.same(names(), ['a', 'b']);
  t.equal(roster.size, 2);
  roster.remove(a);
  t.same(names(), ['b']);
  t.equal(roster.size, 1);
  t.equal(roster.add({ name: 'c' }), a, 'a place that is free is taken again');
  t.same(names(), ['c', 'b']);
  roster.remove(a);
  roster.remove(b);
  t.equal(roster.size, 0);
  roster.remove(b);
  roster.remove(-1);
  t.equal(roster.size, 0, 'a place that nobody has is no place to give back');
  t.not(roster.add({ name: 'd' }), roster.add({ name: 'e' }));
});

t.test('who is looked at may go, and take others along', async (t) => {
  const roster = new Roster<{ place: number }>();
  const all = Array.from({ length: 5 }, () => ({ place: -1 }));
  for (const each of all) each.place = roster.add(each);
  const seen: number[] = [];
  for (const each of roster) {
    seen.push(each.place);
    roster.remove(each.place);
    roster.remove(all[3]!.place);
  }
  t.same(seen, [0, 1, 2, 4]);
  t.equal(roster.size, 0);
});

t.test('as a Set has it, over many comings and goings', async (t) => {
  const roll = dice(7);
  const roster = new Roster<{ place: number }>();
  const set = new Set<{ place: number }>();
  for (let i = 0; i < 5_000; i++) {
    if (roll(2) === 0) {
      const each = { place: -1 };
      each.place = roster.add(each);
      set.add(each);
    } else {
      const gone = [...set][roll(Math.max(1, set.size))];
      if (gone === undefined) continue;
      roster.remove(gone.place);
      set.delete(gone);
    }
    if (roster.size !== set.size) break;
  }
  t.equal(roster.size, set.size);
  t.same(new Set(roster), set);
});
