// Finding the place of a record in DNS and waiting for it there, with the real BIND.

import t, { type Test } from 'tap';
import { DnsZones } from '../../../src/control/acme/dns-zone.ts';
import { AnswerError } from '../../../src/control/acme/issue.ts';
import { TestClock } from '../../support/acme-source.ts';
import { DNS_PARTS, startNamed } from '../../support/named.ts';
import { needParts } from '../../support/parts.ts';
import { freePort, waitFor } from '../../support/ports.ts';

const NEVER = new AbortController().signal;

/** Asks for `work` until it has failed, and gives the message. */
async function failure(t: Test, work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => new Error('it did not fail'),
    (error) => error,
  );
  t.type(error, AnswerError);
  return error.message;
}

t.test('with BIND', async (t) => {
  if (!needParts(t, DNS_PARTS)) return;
  const named = await startNamed(t, ['example.test', 'deep.example.test', 'other.test']);
  const zones = () => new DnsZones([named.address], new TestClock());

  t.test('the zone is the nearest one', async (t) => {
    const find = (name: string) => zones().find(name);
    t.strictSame(await find('_acme-challenge.a.b.example.test'), {
      ...{ name: '_acme-challenge.a.b.example.test', zone: 'example.test' },
    });
    t.match(await find('_acme-challenge.a.deep.example.test'), { zone: 'deep.example.test' });
    t.match(await find('_acme-challenge.example.test'), { zone: 'example.test' });
  });

  t.test('a CNAME leads elsewhere, one without end is an error, and so is what is no name', async (t) => {
    named.update('zone example.test', 'update add _acme-challenge.led.example.test. 1 CNAME A.other.test.');
    t.strictSame(await zones().find('_acme-challenge.led.example.test'), { name: 'a.other.test', zone: 'other.test' });
    named.update('zone example.test', 'update add loop.example.test. 1 CNAME loop2.example.test.');
    named.update('zone example.test', 'update add loop2.example.test. 1 CNAME loop.example.test.');
    t.match(await failure(t, zones().find('loop.example.test')), /loop\.example\.test/);
    named.update('zone example.test', 'update add odd.example.test. 1 CNAME a\\010server\\032x.other.test.');
    t.match(await failure(t, zones().find('odd.example.test')), /odd\.example\.test/);
  });

  t.test('no answer at all', async (t) => {
    const silent = new DnsZones([`127.0.0.1:${await freePort()}`], new TestClock());
    t.match(await failure(t, silent.find('_acme-challenge.example.test')), /ACME_DNS_RESOLVERS/);
    t.match(await failure(t, zones().find('_acme-challenge.nowhere.invalid')), /ACME_DNS_RESOLVERS|no zone is found/);
  });

  t.test('waits until the value is there, beside others', async (t) => {
    const spot = { name: 'waits.example.test', zone: 'example.test' };
    let isShown = false;
    const shown = zones()
      .untilShown(spot, 'mine', NEVER)
      .then(() => {
        isShown = true;
      });
    named.update('zone example.test', `update add ${spot.name}. 1 TXT "another"`);
    t.notOk(isShown);
    named.update('zone example.test', `update add ${spot.name}. 1 TXT "mi" "ne"`);
    await shown;
  });

  t.test('says which server lacks it, and when none can be asked', async (t) => {
    const clock = new TestClock();
    const spot = { name: 'never.example.test', zone: 'example.test' };
    const lacking = failure(t, new DnsZones([named.address], clock).untilShown(spot, 'x', NEVER));
    const silence = failure(t, new DnsZones([`127.0.0.1:${await freePort()}`], clock).untilShown(spot, 'x', NEVER));
    clock.advance(11 * 60_000);
    t.equal(await lacking, `the TXT record of never.example.test is not shown by ${named.address} after 10 minutes`);
    t.match(
      await silence,
      /^none of the name servers answers who could show never\.example\.test \(127\.0\.0\.1:\d+\)/,
    );
  });

  t.test('a stop ends it', async (t) => {
    const stopping = new AbortController();
    const spot = { name: 'stopped.example.test', zone: 'example.test' };
    const stopped = failure(t, zones().untilShown(spot, 'x', stopping.signal));
    stopping.abort();
    t.equal(await stopped, 'we stop');
  });

  t.test('two servers: one that lacks it holds it up, one that is silent does not', async (t) => {
    const second = await startNamed(t, ['example.test']);
    const silent = `127.0.0.1:${await freePort()}`;
    const both = new DnsZones([named.address, second.address, silent], new TestClock());
    const spot = { name: 'both.example.test', zone: 'example.test' };
    let isShown = false;
    const shown = both.untilShown(spot, 'x', NEVER).then(() => {
      isShown = true;
    });
    named.update('zone example.test', `update add ${spot.name}. 1 TXT "x"`);
    await waitFor(async () => (await named.texts(spot.name)).length > 0, 5_000, 'the first');
    t.notOk(isShown);
    second.update('zone example.test', `update add ${spot.name}. 1 TXT "x"`);
    await shown;
  });
});
