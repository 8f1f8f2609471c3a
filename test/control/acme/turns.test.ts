// Turns: so many work at a time, who waits for something else lets others go on, and once we stop nobody waits.

import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { Turns } from '../../../src/control/acme/turns.ts';

/** Work that ends when it is told to. */
function makeWork() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { end: resolve, work: () => promise };
}

t.test('so many at a time, in the order in which they came, and failures end a turn, too', async (t) => {
  const turns = new Turns(2, new AbortController().signal);
  const begun: number[] = [];
  const works = [0, 1, 2, 3].map(makeWork);
  const all = works.map(({ work }, i) =>
    turns.take(async () => {
      begun.push(i);
      await work();
      if (i === 1) throw new Error('not today');
      return i;
    }),
  );
  const failed = t.rejects(all[1]!, { message: 'not today' });
  await turn();
  t.strictSame(begun, [0, 1]);
  works[1]!.end();
  await failed;
  await turn();
  t.strictSame(begun, [0, 1, 2]);
  for (const { end } of works) end();
  t.equal(await all[3], 3);
  t.strictSame(begun, [0, 1, 2, 3]);
});

t.test('who waits for something else lets others go on, and goes on itself in its turn', async (t) => {
  const turns = new Turns(1, new AbortController().signal);
  const [outside, other] = [makeWork(), makeWork()];
  const told: string[] = [];
  const first = turns.take(async () => {
    told.push('first begins');
    await turns.aside(outside.work);
    told.push('first goes on');
  });
  const second = turns.take(async () => {
    told.push('second begins');
    await other.work();
    told.push('second ends');
  });
  await turn();
  t.strictSame(told, ['first begins', 'second begins']);
  outside.end();
  await turn();
  t.equal(told.length, 2, 'not while the other works');
  other.end();
  await Promise.all([first, second]);
  t.strictSame(told.slice(2), ['second ends', 'first goes on']);
  await t.rejects(
    turns.take(() => turns.aside(() => Promise.reject(new Error('not today')))),
    { message: 'not today' },
  );
  t.equal(await turns.take(async () => 5), 5, 'nothing is held any more');
});

t.test('once we stop nobody waits', async (t) => {
  const stopping = new AbortController();
  const turns = new Turns(1, stopping.signal);
  const works = [0, 1, 2].map(makeWork);
  let begun = 0;
  const run = ({ work }: (typeof works)[number]) =>
    turns.take(() => {
      begun++;
      return work();
    });
  const running = works.slice(0, 2).map(run);
  await turn();
  t.equal(begun, 1);
  stopping.abort();
  await turn();
  t.equal(begun, 2);
  running.push(run(works[2]!));
  await turn();
  t.equal(begun, 3);
  for (const { end } of works) end();
  await Promise.all(running);
});
