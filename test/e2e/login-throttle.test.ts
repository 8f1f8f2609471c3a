// The backend throttles logins by client address: everybody has their own five a minute, and nobody can make up more.

import t from 'tap';
import { needStack, type Stack, startStack } from '../support/stack.ts';

const JOE = '127.0.0.2';
const ANN = '127.0.0.3';

t.test('login throttle', async (t) => {
  if (!needStack(t)) return;
  if (process.platform !== 'linux') return t.plan(0, 'only Linux has more than one loopback address');

  for (const shape of ['gunicorn alone', 'inner nginx'] as const) {
    t.test(`${shape}: by the address of the peer, whatever a client says about itself`, async (t) => {
      const stack = await startStack(t, { mode: 'two domains', shape });
      for (let i = 0; i < 5; i++) {
        const answer = await logIn(stack, JOE, '-H', `X-Forwarded-For: 198.51.100.${i}`);
        t.equal(answer.status, 200, `login ${i + 1}`);
        t.equal(JSON.parse(answer.text).address, JOE);
      }
      t.equal((await logIn(stack, JOE)).status, 429, 'the sixth is one too many');
      for (const spoof of [
        'X-Forwarded-For: 198.51.100.9',
        'X_Forwarded_For: 198.51.100.9',
        'Forwarded: for=198.51.100.9',
      ]) {
        t.equal((await logIn(stack, JOE, '-H', spoof)).status, 429, spoof);
      }
      t.equal(
        (await logIn(stack, JOE, '--http1.1', '-H', 'Connection: X-Forwarded-For')).status,
        429,
        'nominated away',
      );
      t.equal((await logIn(stack, ANN)).status, 200, 'others are not locked out');
    });
  }

  t.test('by what a trusted hop says', async (t) => {
    const stack = await startStack(t, { mode: 'two domains', env: { TRUSTED_PROXIES: `${JOE},192.0.2.0/24` } });
    const said = async (peer: string, chain: string) =>
      JSON.parse((await logIn(stack, peer, '-H', `X-Forwarded-For: ${chain}`)).text).address;
    t.equal(await said(JOE, '203.0.113.7'), '203.0.113.7');
    t.equal(await said(JOE, '203.0.113.8, 192.0.2.1'), '203.0.113.8');
    t.equal(await said(ANN, '203.0.113.7'), ANN, 'from nobody else');
  });
});

function logIn(stack: Stack, address: string, ...args: string[]) {
  const body = ['-H', 'Content-Type: application/json', '-d', '{"user":"joe","password":"secret"}'];
  return stack.curl(`${stack.api}/login`, '--interface', address, ...body, ...args);
}
