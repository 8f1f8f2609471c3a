// Requests of issuers are told from all others.

import t from 'tap';
import { findAnswer } from '../../src/policy/challenge.ts';

const ACME = { http: [{ host: 'a.example', token: 'T-_1', text: 'T-_1.thumb' }], tls: [] };
const BELOW = '/.well-known/acme-challenge/';

t.test('the answer is for its own name and token', async (t) => {
  t.equal(findAnswer(ACME, 'GET', 'a.example', `${BELOW}T-_1`), 'T-_1.thumb');
  t.equal(findAnswer(ACME, 'HEAD', 'a.example', `${BELOW}T-_1`), 'T-_1.thumb');
  for (const [method, host, path] of [
    ['POST', 'a.example', `${BELOW}T-_1`],
    ['GET', 'b.example', `${BELOW}T-_1`],
    ['GET', 'a.example', `${BELOW}T-_2`],
    ['GET', 'a.example', BELOW],
    ['GET', 'a.example', `${BELOW}T-_1/x`],
    ['GET', 'a.example', `${BELOW}T-_1?x`],
    ['GET', 'a.example', '/'],
    ['GET', 'a.example', `${'x'.repeat(BELOW.length)}T-_1`],
    ['GET', 'a.example', '*'],
  ] as const) {
    t.equal(findAnswer(ACME, method, host, path), undefined, `${method} ${host} ${path}`);
  }
});
