// Issuing: what an earlier attempt left behind is gone on with, and what became of it while nobody answered is held against no way of proving.

import t from 'tap';
import type { AcmeClient } from '../../../src/control/acme/client.ts';
import { type Attempt, issue } from '../../../src/control/acme/issue.ts';

/** An issuer of one name, for which looks come out one after another as `looks` says; behind them it breaks off. */
function attemptWith(looks: readonly ('invalid' | 'valid')[], placed: Attempt['placed']) {
  const checked: string[] = [];
  const orderOf = (url: string) => ({ url, status: 'pending', authorizations: [`${url}/authorization`] });
  const client = {
    order: async (url: string) => orderOf(url),
    newOrder: async () => orderOf(`order ${checked.length + 1}`),
    authorization: async () => ({
      status: 'pending',
      challenges: [{ type: 'http-01', token: 't', status: 'pending' }],
    }),
    keyAuthorization: async () => 't.key',
    check: async (url: string) => {
      checked.push(url);
      const status = looks[checked.length - 1];
      if (status === undefined) throw new Error('no further look');
      return { status, challenges: [{ type: 'http-01', error: 'nobody answered' }] };
    },
  };
  const attempt = {
    client: client as unknown as AcmeClient,
    wish: { name: 'a.example', challenges: ['http-01'] },
    answering: { present: async () => {}, withdraw: async () => {} },
    placed,
    keep: async () => {},
    now: Date.now,
  } as unknown as Attempt;
  return { attempt, checked };
}

t.test(
  'a look that was asked for before a restart may fail: the same way is tried again with a new order',
  async (t) => {
    const { attempt, checked } = attemptWith(['invalid'], { url: 'order 0', key: '' });
    await t.rejects(issue(attempt), /no further look/);
    t.same(checked, ['order 0/authorization', 'order 2/authorization']);
  },
);

t.test('a second failure counts, and so does the first of an order of our own', async (t) => {
  for (const [looks, placed] of [
    [['invalid', 'invalid'], { url: 'order 0', key: '' }],
    [['invalid'], undefined],
  ] as const) {
    const { attempt, checked } = attemptWith(looks, placed);
    await t.rejects(issue(attempt), /it could not be shown that a\.example is ours: http-01: nobody answered/);
    t.equal(checked.length, looks.length);
  }
});
