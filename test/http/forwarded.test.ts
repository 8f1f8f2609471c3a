// X-Forwarded-For: believed from right to left, as far as hops are trusted, and never from anybody else.

import t from 'tap';
import { plainAddress, readChain, trustOf } from '../../src/http/forwarded.ts';

const trusted = new Set(['10.0.0.1', '10.0.0.2', '::1']);
const read = (peer: string, ...values: string[]) => readChain(values, peer, (address) => trusted.has(address));

t.test('from an untrusted peer only that peer counts', async (t) => {
  t.strictSame(read('203.0.113.9', '127.0.0.1', '10.0.0.1'), { client: '203.0.113.9', value: '203.0.113.9' });
});

t.test('a trusted peer that says nothing is the client itself', async (t) => {
  t.strictSame(read('10.0.0.1'), { client: '10.0.0.1', value: '10.0.0.1' });
  t.strictSame(read('10.0.0.1', ''), { client: '10.0.0.1', value: '10.0.0.1' });
});

t.test('the client is the nearest address that is not a trusted hop', async (t) => {
  t.strictSame(read('10.0.0.1', '198.51.100.7'), { client: '198.51.100.7', value: '198.51.100.7, 10.0.0.1' });
  t.strictSame(read('10.0.0.1', '6.6.6.6, 198.51.100.7'), {
    client: '198.51.100.7',
    value: '6.6.6.6, 198.51.100.7, 10.0.0.1',
  });
  t.strictSame(read('10.0.0.1', '6.6.6.6,198.51.100.7,10.0.0.2').client, '198.51.100.7');
  t.strictSame(
    read('10.0.0.1', '10.0.0.2, 6.6.6.6').client,
    '6.6.6.6',
    'a trusted address left of a foreign one was spoofed',
  );
});

t.test('several lines are one list', async (t) => {
  t.strictSame(read('10.0.0.1', '6.6.6.6', '198.51.100.7', '10.0.0.2'), {
    client: '198.51.100.7',
    value: '6.6.6.6, 198.51.100.7, 10.0.0.2, 10.0.0.1',
  });
});

t.test('when every hop is trusted the leftmost is the client', async (t) => {
  t.strictSame(read('10.0.0.1', '10.0.0.2, ::1'), { client: '10.0.0.2', value: '10.0.0.2, ::1, 10.0.0.1' });
});

t.test('what stands left of something unreadable is gone', async (t) => {
  for (const bad of [
    'unknown',
    '_hidden',
    '',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    '1.2.3.4:',
    '[::1',
    'evil.example',
    '1.2.3.4;x',
  ]) {
    t.strictSame(
      read('10.0.0.1', `6.6.6.6, ${bad}, 198.51.100.7`),
      { client: '198.51.100.7', value: '198.51.100.7, 10.0.0.1' },
      bad,
    );
    t.strictSame(read('10.0.0.1', `6.6.6.6, ${bad}`), { client: '10.0.0.1', value: '10.0.0.1' }, `${bad} next to us`);
  }
});

t.test('ports and brackets are understood, and passed on as they came', async (t) => {
  t.strictSame(read('10.0.0.1', '198.51.100.7:4711'), { client: '198.51.100.7', value: '198.51.100.7:4711, 10.0.0.1' });
  t.equal(read('10.0.0.1', '[2001:db8::7]:443').client, '2001:db8::7');
  t.equal(read('10.0.0.1', '[2001:db8::7]').client, '2001:db8::7');
  t.equal(read('10.0.0.1', '2001:db8::7').client, '2001:db8::7');
  t.equal(read('10.0.0.1', '198.51.100.7, 10.0.0.2:80').client, '198.51.100.7', 'a trusted hop with a port is one');
  t.equal(read('10.0.0.1', '198.51.100.7, ::ffff:10.0.0.2').client, '198.51.100.7', 'and one in an IPv6 coat');
});

t.test('an IPv4 address in an IPv6 coat is shown without', async (t) => {
  t.equal(plainAddress('::ffff:1.2.3.4'), '1.2.3.4');
  t.equal(plainAddress('::FFFF:1.2.3.4'), '1.2.3.4');
  for (const address of ['1.2.3.4', '::1', '::ffff:102:304', '', 'x::ffff:1.2.3.4'])
    t.equal(plainAddress(address), address);
});

t.test('trust is by address and network, each in its own family', async (t) => {
  const isTrusted = trustOf(['10.0.0.7', '172.16.0.0/12', '::1', '2001:db8::/32']);
  for (const address of ['10.0.0.7', '172.16.0.0', '172.31.255.255', '::1', '2001:db8::', '2001:db8:ffff::1']) {
    t.ok(isTrusted(address), address);
  }
  for (const address of ['10.0.0.8', '172.15.255.255', '172.32.0.0', '::2', '::', '2001:db9::1', 'x', '']) {
    t.notOk(isTrusted(address), address);
  }
});

t.test('without entries nobody is trusted, with /0 everybody; IPv4 is a part of IPv6', async (t) => {
  const families = (entries: readonly string[]) => ['127.0.0.1', '::1'].map(trustOf(entries));
  t.strictSame(families([]), [false, false]);
  t.strictSame(families(['0.0.0.0/0']), [true, false]);
  t.strictSame(families(['::/0']), [true, true]);
});
