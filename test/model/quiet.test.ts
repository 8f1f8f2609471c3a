// When a listener may close: after a short turn in which nobody came; under load after a longer one; and in the end in any case.

import t from 'tap';
import { whenQuiet } from '../../src/model/quiet.ts';

/** Turns are run one by one, each of so many ms, with so many who came. */
function begin() {
  let [time, accepted] = [0, 0];
  let next: (() => void) | undefined;
  let isQuiet = false;
  whenQuiet(
    () => accepted,
    () => time,
    (run) => {
      next = run;
    },
  ).then(() => {
    isQuiet = true;
  });
  return async (ms: number, came: number): Promise<boolean> => {
    time += ms;
    accepted += came;
    const run = next;
    next = undefined;
    run?.();
    await Promise.resolve();
    return isQuiet;
  };
}

t.test('the first turn that is short and brings nobody', async (t) => {
  const turn = begin();
  t.notOk(await turn(0.01, 0), 'it begins somewhere in the middle of a turn');
  t.notOk(await turn(0.01, 1), 'somebody came');
  t.notOk(await turn(0.5, 0), 'who came in so long a turn may still wait');
  t.ok(await turn(0.05, 0));
});

t.test('where no turn is short, longer ones become good enough', async (t) => {
  const turn = begin();
  let elapsed = 0;
  while (!(await turn(3, 0))) elapsed += 3;
  t.ok(elapsed > 300 && elapsed < 600, `${elapsed} ms`);
});

t.test('where somebody comes in each, it ends after a second', async (t) => {
  const turn = begin();
  let elapsed = 0;
  while (!(await turn(10, 1))) elapsed += 10;
  t.ok(elapsed > 900 && elapsed <= 1_010, `${elapsed} ms`);
});
