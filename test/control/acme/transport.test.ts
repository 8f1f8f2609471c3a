// What an issuer says is told in one line of bounded length, whatever it sends.

import t from 'tap';
import { describeProblem } from '../../../src/control/acme/transport.ts';

t.test('a problem document, and the first of those below it', async (t) => {
  const below = { type: 'urn:ietf:params:acme:error:dns', detail: 'no such\nname', identifier: { value: 'a.example' } };
  t.equal(describeProblem({ detail: 'no', subproblems: [below] }), 'no (unknown); no such name (dns)');
  t.equal(describeProblem({ subproblems: [1, null, below, below] }).split('; ').length, 4);
});

t.test('one that is nested without end, or long everywhere, stays short', async (t) => {
  const depth = 15_000;
  const deep = JSON.parse(`${'{"subproblems":['.repeat(depth)}{}${']}'.repeat(depth)}`);
  t.equal(describeProblem(deep), 'no reason given (unknown); no reason given (unknown)');
  const long = { type: 'x'.repeat(10_000), detail: 'y'.repeat(10_000) };
  const all = [long, long, long];
  t.ok(describeProblem({ ...long, subproblems: all.map(() => ({ ...long, subproblems: all })) }).length < 2_500);
});
