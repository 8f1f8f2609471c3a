// Header rules: removed, set in place of all, added beside; the rest keeps order, duplicates and spelling.

import t from 'tap';
import { applyRules } from '../../src/policy/header-rules.ts';

const HEADERS = ['A', '1', 'Set-Cookie', 'x', 'B', '2', 'set-cookie', 'y'];

t.test('without rules it is the same list', async (t) => {
  t.equal(applyRules(HEADERS, undefined), HEADERS);
});

t.test('remove, set and add', async (t) => {
  const cases: [what: string, remove: string[], set: string[], add: string[], out: string[]][] = [
    ['nothing', [], [], [], HEADERS],
    ['remove takes all of a name', ['set-cookie', 'none'], [], [], ['A', '1', 'B', '2']],
    ['set takes the place of all', [], ['SET-Cookie', 'z'], [], ['A', '1', 'B', '2', 'SET-Cookie', 'z']],
    ['add stands beside', [], [], ['a', '9'], [...HEADERS, 'a', '9']],
    ['removed and added: only the new one', ['a'], [], ['A', '3'], [...HEADERS.slice(2), 'A', '3']],
    ['set and add', [], ['B', '3'], ['B', '4'], ['A', '1', 'Set-Cookie', 'x', 'set-cookie', 'y', 'B', '3', 'B', '4']],
  ];
  for (const [what, remove, set, add, out] of cases) {
    const before = [...HEADERS];
    t.strictSame(applyRules(before, { remove, set, add }), out, what);
    t.strictSame(before, HEADERS, 'the list that was given is as it was');
  }
});
