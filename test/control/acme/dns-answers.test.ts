// dns-01 with a real ACME server and the real BIND, on a clock of the test: by updates, by hooks, and by hooks that fail in each of their ways.

import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { DirectoryStorage } from '../../../src/control/acme/directory-storage.ts';
import { loadCourse } from '../../../src/control/acme/records.ts';
import type { AcmeSource } from '../../../src/control/acme/source.ts';
import type { ChallengeType, DnsProof } from '../../../src/control/configuration.ts';
import { startAcmeRelay } from '../../support/acme-relay.ts';
import { prepareSources } from '../../support/acme-source.ts';
import { makeFolder } from '../../support/folder.ts';
import { DNS_PARTS, makeHook, replacingHook, startNamed } from '../../support/named.ts';
import { needParts } from '../../support/parts.ts';
import { startPebble } from '../../support/pebble.ts';
import { freePort, waitFor } from '../../support/ports.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const setting = { place: 'test', name: 'test' };

const isIssued = (source: AcmeSource) => source.current().every(({ origin }) => origin === 'acme');
const untilIssued = (source: AcmeSource) => waitFor(() => isIssued(source), 15_000, 'the certificates');
const untilFailed = async (source: AcmeSource) => {
  const failed = () => source.findings().find(({ code }) => code === 'acme-failed');
  return (await waitFor(failed, 15_000, 'a failure')).message;
};

t.test('with BIND and pebble', async (t) => {
  if (!needParts(t, [...DNS_PARTS, 'pebble'])) return;
  const named = await startNamed(t, ['example.test', 'other.test']);
  const httpPort = await freePort();
  const pebble = await startPebble(t, {
    ...{ httpPort, tlsPort: await freePort(), dns: named.address, lifetime: 6 * 86_400 },
    reuse: 0,
  });
  const updates = (): DnsProof => ({
    ...{ kind: 'update', host: '127.0.0.1', port: named.port, keyFile: named.keyFile },
    ...{ resolvers: [named.address], setting },
  });
  const hooked = (file: string): DnsProof => ({ kind: 'hook', file, resolvers: [named.address], setting });

  const prepare = async (t: Test) => {
    const ground = await prepareSources(t, httpPort);
    const relay = await startAcmeRelay(t, pebble);
    const folder = join(makeFolder(t), 'acme');
    const open = async (
      names: readonly string[],
      dns: DnsProof,
      challenges: readonly ChallengeType[] = ['dns-01'],
      issuers = [relay],
    ) => {
      const source = await ground.open({ names, issuers, folder, challenges, dns });
      source.start(async () => {});
      return source;
    };
    /** Lets so much time go by that whatever waits is awake. */
    const pass = async (ms: number) => {
      await waitFor(() => ground.clock.waiting() > 0, 15_000, 'all to wait');
      ground.clock.advance(ms);
    };
    return { ...ground, relay, folder, open, pass };
  };
  const left = (folder: string, name: string) =>
    loadCourse(new DirectoryStorage(folder), name).then(({ records }) => records ?? []);

  t.test('updates: a wildcard and its own name at once, and nothing is left over', async (t) => {
    const { open, folder, lines, relay } = await prepare(t);
    const names = ['*.up.example.test', 'up.example.test'];
    const source = await open(names, updates());
    await untilIssued(source);
    for (const [i, name] of names.entries()) {
      const { certificate } = source.current()[i]!;
      t.strictSame(certificate.names, [name]);
      t.equal(new X509Certificate(certificate.chain).subjectAltName, `DNS:${name}`);
      t.strictSame(await left(folder, name), []);
    }
    t.strictSame(await named.texts('_acme-challenge.up.example.test'), []);
    t.equal(relay.count('/order-plz'), 2);
    t.notMatch(lines.join('\n'), new RegExp(named.secret.replace(/[+/]/g, '\\$&')));
  });

  t.test('a hook that replaces what is there: a wildcard and its own name wait for each other', async (t) => {
    const { open, relay } = await prepare(t);
    const hook = makeHook(t, replacingHook(named));
    const source = await open(['*.hook.example.test', 'hook.example.test'], hooked(hook.file));
    await untilIssued(source);
    t.equal(relay.count('/order-plz'), 2);
    const calls = hook.calls().map((line) => line.split(' '));
    t.strictSame(
      calls.map(([task]) => task),
      ['present', 'cleanup', 'present', 'cleanup'],
    );
    for (const [, name, value] of calls) {
      t.equal(name, '_acme-challenge.hook.example.test.');
      t.match(value, /^[\w-]{43}$/);
    }
    t.equal(calls[0]![2], calls[1]![2]);
    t.not(calls[0]![2], calls[2]![2]);
    t.strictSame(await named.texts('_acme-challenge.hook.example.test'), []);
  });

  t.test('a name that leads elsewhere has its record there', async (t) => {
    const { open } = await prepare(t);
    named.update('zone example.test', 'update add _acme-challenge.led.example.test. 1 CNAME led.other.test.');
    await untilIssued(await open(['led.example.test'], updates()));
    const hook = makeHook(t, replacingHook(named, 'other.test'));
    await untilIssued(await open(['*.led.example.test'], hooked(hook.file)));
    t.match(hook.calls(), [/^present led\.other\.test\. /, /^cleanup led\.other\.test\. /]);
  });

  t.test('a hook that fails: told in a sentence, cleaned up, and not tried again before its time', async (t) => {
    const { open, pass, relay, folder } = await prepare(t);
    const hook = makeHook(
      t,
      '[ "$1" = cleanup ] && exit 0\necho "curl: nothing said to a user" ; echo no such zone >&2; exit 7',
    );
    const second = await startAcmeRelay(t, pebble);
    const source = await open(['fails.example.test'], hooked(hook.file), ['dns-01'], [relay, second]);
    const message = await untilFailed(source);
    t.match(
      message,
      /it could not be shown that fails\.example\.test is ours: dns-01: \S+dns-hook present ended with status 7: no such zone; the next attempt is at 20/,
    );
    const tasks = () => hook.calls().map((line) => line.split(' ')[0]);
    t.strictSame(tasks(), ['present', 'cleanup'], 'once, whatever the number of issuers');
    t.strictSame(await left(folder, 'fails.example.test'), []);
    t.equal(relay.count('/chalZ/'), 0, 'the issuer was not asked to look');
    source.stop();
    await source.ended();
    const again = await open(['fails.example.test'], hooked(hook.file));
    await pass(0);
    await waitFor(() => hook.calls().length === 4, 10_000, 'the order to be taken up once more');
    again.stop();
    await again.ended();
    for (let starts = 0; starts < 5; starts++) {
      const source = await open(['fails.example.test'], hooked(hook.file));
      await pass(0);
      source.stop();
      await source.ended();
    }
    t.ok(hook.calls().length <= 8, `${hook.calls().length} calls in 7 starts`);
    t.equal(relay.count('/order-plz'), 1, 'the order stands');
  });

  t.test('a hook that hangs is ended', async (t) => {
    const { open, pass } = await prepare(t);
    const hook = makeHook(t, '[ "$1" = cleanup ] || exec sleep 300');
    const source = await open(['hangs.example.test'], hooked(hook.file));
    await waitFor(() => hook.calls().length === 1, 10_000, 'its start');
    await pass(2 * MINUTE + 1);
    t.match(await untilFailed(source), /dns-hook present did not end within 2 minutes, and was ended/);
    t.equal(hook.calls().length, 2, 'and cleaned up after');
  });

  t.test('a record that never shows', async (t) => {
    const { open, clock, relay } = await prepare(t);
    const hook = makeHook(t, 'exit 0');
    const source = await open(['never.example.test'], hooked(hook.file));
    await waitFor(() => hook.calls().length === 1, 10_000, 'the hook');
    // Its limit is reckoned from when the hook has ended.
    const failing = untilFailed(source);
    const passing = setInterval(() => clock.advance(MINUTE), 100);
    t.match(await failing.finally(() => clearInterval(passing)), /is not shown by 127\.0\.0\.1:\d+ after 10 minutes/);
    t.equal(relay.count('/chalZ/'), 0);
    t.match(hook.calls(), [/^present /, /^cleanup /]);
  });

  t.test('names that are not right in DNS hold up no other, whatever they wait for', async (t) => {
    const { open } = await prepare(t);
    const unseen = ['a', 'b', 'c', 'd'].map((each) => `${each}.unseen.example.test`);
    // All at the same place, where they wait for each other.
    const led = ['a', 'b', 'c', 'd', 'e'].map((each) => `${each}.together.example.test`);
    for (const name of led) {
      named.update('zone example.test', `update add _acme-challenge.${name}. 1 CNAME together.other.test.`);
    }
    const hook = makeHook(t, `case "$2" in *.right.*) ;; *) exit 0 ;; esac\n${replacingHook(named)}`);
    const source = await open([...unseen, ...led, 'is.right.example.test'], hooked(hook.file));
    await waitFor(() => source.current().at(-1)!.origin === 'acme', 15_000, 'the certificate');
    const waiting = () => hook.calls().filter((line) => /^present \S*(?:unseen|together)/.test(line)).length;
    await waitFor(() => waiting() === unseen.length + 1, 10_000, 'all but those that wait for each other');
  });

  t.test('updates that are refused, and a key that is not the right one', async (t) => {
    const { open } = await prepare(t);
    const elsewhere = await startNamed(t);
    const refused = await open(['key.example.test'], { ...updates(), keyFile: elsewhere.keyFile } as DnsProof);
    const message = await untilFailed(refused);
    t.match(message, /dns-01: nsupdate at 127\.0\.0\.1, port \d+, ended with status \d: /);
    t.match(message, /NOTAUTH|BADSIG|tsig/i);
    t.notMatch(message, new RegExp(elsewhere.secret.replace(/[+/]/g, '\\$&')));
  });

  t.test('what is left over by a stop that was too sudden is removed with the next start', async (t) => {
    const { open, folder, clock } = await prepare(t);
    const name = 'sudden.example.test';
    const broken = makeHook(t, `[ "$1" = cleanup ] && exit 1\n${replacingHook(named)}`);
    const first = await open([name], hooked(broken.file));
    await untilIssued(first);
    const [record] = await left(folder, name);
    t.match(record, { name: `_acme-challenge.${name}`, zone: 'example.test' });
    t.strictSame(await named.texts(`_acme-challenge.${name}`), [record!.value]);
    first.stop();
    await first.ended();
    clock.advance(4 * DAY);
    const hook = makeHook(t, replacingHook(named));
    const second = await open([name], hooked(hook.file));
    const { chain } = first.current()[0]!.certificate;
    await waitFor(() => second.current()[0]!.certificate.chain !== chain, 15_000, 'the renewal');
    t.match(hook.calls(), [/^cleanup /, /^present /, /^cleanup /]);
    t.equal(hook.calls()[0], `cleanup _acme-challenge.${name}. ${record!.value}`);
    t.strictSame(await left(folder, name), []);
    t.strictSame(await named.texts(`_acme-challenge.${name}`), []);
  });

  t.test('a removal that hangs is ended soon after a stop, and one that does not comes to its end', async (t) => {
    const { open, folder } = await prepare(t);
    const stopDuring = async (name: string, cleanup: string) => {
      const hook = makeHook(t, `[ "$1" = cleanup ] || exec sleep 300\n${cleanup}`);
      const source = await open([name], hooked(hook.file));
      await waitFor(() => hook.calls().length === 1, 15_000, 'its start');
      source.stop();
      // The two minutes that it has otherwise do not pass on this clock.
      await source.ended();
      t.match(hook.calls(), [/^present /, /^cleanup /]);
      return (await left(folder, name)).length;
    };
    t.equal(await stopDuring('stuck.example.test', 'exec sleep 300'), 1, 'written down for the next start');
    t.equal(await stopDuring('swift.example.test', 'exit 0'), 0);
  });

  t.test('the order of three ways is learned, and one that is not configured is not taken', async (t) => {
    const { open, relay, pass, clock } = await prepare(t);
    // Nobody answers on the port of tls-alpn-01, and the hook does nothing well.
    const hook = makeHook(t, '[ "$1" = cleanup ] || exit 9');
    const challenges = ['tls-alpn-01', 'dns-01', 'http-01'] as const;
    const source = await open(['three.example.test'], hooked(hook.file), challenges);
    await untilIssued(source);
    const tried = () => relay.count('/chalZ/');
    t.equal(tried(), 2, 'tls-alpn-01, and then http-01');
    t.equal(relay.count('/order-plz'), 2, 'a hook that fails costs no order');
    const first = source.current()[0]!.certificate.chain;
    relay.intercept = (path) => {
      if (path === '/order-plz') clock.backToPresent();
      return undefined;
    };
    for (let hours = 0; hours < 80 && tried() === 2; hours++) await pass(60 * MINUTE);
    await waitFor(() => source.current()[0]!.certificate.chain !== first, 15_000, 'the renewal');
    t.equal(tried(), 3, 'http-01 at once');
    t.equal(hook.calls().length, 2, 'the hook is left alone');
  });
});
