// Issuing and renewing with a real ACME server, on a clock of the test: weeks go by, issuers fail, and stores break.

import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { DirectoryStorage } from '../../../src/control/acme/directory-storage.ts';
import { loadCourse, storeCourse } from '../../../src/control/acme/records.ts';
import type { AcmeSource } from '../../../src/control/acme/source.ts';
import { type Storage, StorageError } from '../../../src/control/acme/storage.ts';
import { type AcmeRelay, type Answer, startAcmeRelay } from '../../support/acme-relay.ts';
import { type AcmeGround, prepareSources } from '../../support/acme-source.ts';
import { makeFolder } from '../../support/folder.ts';
import { needParts } from '../../support/parts.ts';
import { type Pebble, startPebble } from '../../support/pebble.ts';
import { freePort, waitFor } from '../../support/ports.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const serialOf = (source: AcmeSource) => new X509Certificate(source.current()[0]!.certificate.chain).serialNumber;
const isIssued = (source: AcmeSource) => source.current().every(({ origin }) => origin === 'acme');
const said = (source: AcmeSource) =>
  source.findings().map(({ code, severity, message }) => ({ code, severity, message }));
const untilIssued = (source: AcmeSource) => waitFor(() => isIssued(source), 15_000, 'a certificate');
const untilFailed = (source: AcmeSource) =>
  waitFor(() => source.findings().some(({ code }) => code === 'acme-failed'), 15_000, 'a failure');

t.test('with pebble', async (t) => {
  if (!needParts(t, ['pebble', 'pebble-challtestsrv'])) return;
  const httpPort = await freePort();
  const pebble = await startPebble(t, {
    ...{ httpPort, tlsPort: await freePort(), lifetime: 6 * 86_400 },
    // Each order is a whole one, so that what was asked can be counted.
    reuse: 0,
    env: { PEBBLE_ALTERNATE_ROOTS: '2' },
  });
  const prepare = async (t: Test) => {
    const ground = await prepareSources(t, httpPort);
    return { ground, relay: await startAcmeRelay(t, pebble), folder: join(makeFolder(t), 'acme') };
  };

  t.test('from nothing: self-signed at once, issued after, kept over a restart', async (t) => {
    const { ground, relay, folder } = await prepare(t);
    const source = await ground.open({ names: ['first.example.test'], issuers: [relay], folder });
    t.match(source.current(), [{ origin: 'self-signed', place: 'first.example.test' }]);
    t.match(said(source), [{ code: 'acme-pending', severity: 'warning' }]);
    source.start(async () => {});
    await untilIssued(source);
    t.match(source.current(), [{ origin: 'acme', certificate: { names: ['first.example.test'] } }]);
    t.strictSame(said(source), []);
    t.equal(source.answers(), undefined, 'no answer is left over');
    source.stop();
    await source.ended();
    const asked = relay.asked.length;
    const again = await ground.open({ names: ['first.example.test'], issuers: [relay], folder });
    t.equal(serialOf(again), serialOf(source), 'before it has asked anybody');
    again.start(async () => {});
    await waitFor(() => ground.clock.waiting() > 0, 5_000, 'the source to wait');
    t.equal(relay.asked.length, asked + 1, 'the directory, to know whether it has ARI');
    t.notMatch(ground.lines.join('\n'), /PRIVATE KEY/);
  });

  t.test('renewed by age: half of six days', async (t) => {
    const { ground, relay, folder } = await prepare(t);
    const source = await ground.open({ names: ['age.example.test'], issuers: [relay], folder });
    source.start(async () => {});
    await untilIssued(source);
    const first = serialOf(source);
    for (let hours = 0; hours < 60; hours++) await pass(ground, HOUR);
    t.equal(serialOf(source), first, 'not after two and a half days');
    relay.intercept = presentAtOrder(ground);
    await passUntil(ground, 13, () => relay.count('/order-plz') === 2);
    await waitFor(() => serialOf(source) !== first, 15_000, 'the renewal');
  });

  t.test('renewed by ARI: when the issuer says, as the one that replaces it', async (t) => {
    const { ground, relay, folder } = await prepare(t);
    let start = ground.clock.now() + 4 * DAY;
    const ids: string[] = [];
    relay.ari = (id) => {
      ids.push(id);
      const [from, to] = [start, start + HOUR].map((each) => new Date(each).toISOString());
      return {
        headers: { 'Retry-After': '21600' },
        body: JSON.stringify({ suggestedWindow: { start: from, end: to } }),
      };
    };
    const source = await ground.open({ names: ['ari.example.test'], issuers: [relay], folder });
    source.start(async () => {});
    await untilIssued(source);
    const first = serialOf(source);
    for (let hours = 0; hours < 84; hours++) await pass(ground, HOUR);
    t.equal(serialOf(source), first, 'by age it would have been renewed');
    t.ok(ids.length < 20, `asked ${ids.length} times in three and a half days`);
    // As after an incident: the issuer wants it replaced now.
    start = ground.clock.now() - DAY;
    relay.intercept = presentAtOrder(ground);
    await passUntil(ground, 7, () => relay.count('/order-plz') === 2);
    await waitFor(() => serialOf(source) !== first, 15_000, 'the renewal');
    const orders = relay.asked.filter(({ path }) => path === '/order-plz').map(({ payload }) => payload);
    t.match(orders.at(-1), { replaces: ids[0]! });
    t.equal(orders.at(0)!.replaces, undefined);
    const [, serial] = ids[0]!.split('.');
    t.equal(
      Buffer.from(serial!, 'base64url').toString('hex').toUpperCase().replace(/^00/, ''),
      first.replace(/^00/, ''),
    );
  });

  t.test('an issuer whose ARI always says "now" is not asked for one certificate after another', async (t) => {
    const { ground, relay, folder } = await prepare(t);
    relay.ari = () => {
      const [start, end] = [-2, -1].map((days) => new Date(ground.clock.now() + days * DAY).toISOString());
      return { body: JSON.stringify({ suggestedWindow: { start, end } }) };
    };
    const source = await ground.open({ names: ['now.example.test'], issuers: [relay], folder });
    source.start(async () => {});
    await untilIssued(source);
    for (let hours = 0; hours < 48; hours++) await pass(ground, HOUR);
    // A tenth of six days between two of them.
    t.equal(relay.count('/order-plz'), 4);
  });

  t.test('an issuer that does not know what is replaced is asked without that', async (t) => {
    const { ground, relay, folder } = await prepare(t);
    relay.ari = () => {
      const [start, end] = [-2, -1].map((days) => new Date(ground.clock.now() + days * DAY).toISOString());
      return { body: JSON.stringify({ suggestedWindow: { start, end } }) };
    };
    relay.intercept = (path, payload) =>
      path === '/order-plz' && payload?.replaces !== undefined ? problem(404, 'malformed') : undefined;
    const source = await ground.open({ names: ['replaced.example.test'], issuers: [relay], folder });
    source.start(async () => {});
    await untilIssued(source);
    const first = serialOf(source);
    await passUntil(ground, 15, () => serialOf(source) !== first);
  });

  for (const [moment, how] of [
    ['/finalize-order/', 'hang'],
    ['/finalize-order/', 'lose'],
    ['/chalZ/', 'hang'],
    ['/certZ/', 'hang'],
  ] as const) {
    t.test(`a restart at ${moment} (${how}): the same order comes to its end`, async (t) => {
      const { ground, relay, folder } = await prepare(t);
      const names = [`cut-${how}${moment.toLowerCase().replace(/\W/g, '')}.example.test`];
      const first = await ground.open({ names, issuers: [relay], folder });
      relay.intercept = (path) => (path.startsWith(moment) ? how : undefined);
      first.start(async () => {});
      await waitFor(() => relay.count(moment) > 0, 15_000, moment);
      first.stop();
      await first.ended();
      relay.intercept = () => undefined;
      const second = await ground.open({ names, issuers: [relay], folder });
      second.start(async () => {});
      await untilIssued(second);
      t.equal(relay.count('/order-plz'), 1, 'one order');
    });
  }

  t.test('a restart while the issuer looks: it is not told a second time, only asked', async (t) => {
    const { ground, relay, folder } = await prepare(t);
    const names = ['looking.example.test'];
    const first = await ground.open({ names, issuers: [relay], folder });
    relay.intercept = (path) => (path.startsWith('/authZ/') && relay.count('/chalZ/') > 0 ? 'hang' : undefined);
    first.start(async () => {});
    await waitFor(() => relay.count('/chalZ/') > 0, 15_000, 'the issuer to be told');
    await waitFor(() => relay.count('/authZ/') > 1, 15_000, 'it to be asked');
    const id = relay.asked.find(({ path }) => path.startsWith('/authZ/'))!.path.slice('/authZ/'.length);
    const isSeen = () => pebble.process.stdout().includes(`authz ${id} set VALID`);
    await waitFor(isSeen, 15_000, 'the issuer to have seen the answer');
    first.stop();
    await first.ended();
    const urlOf = (start: string) =>
      new URL(relay.asked.find(({ path }) => path.startsWith(start))!.path, relay.directory).href;
    const challenge = { type: 'http-01', url: urlOf('/chalZ/'), status: 'processing', token: 'abc' };
    const processing: Record<string, object> = {
      '/my-order/': { status: 'pending', authorizations: [urlOf('/authZ/')], finalize: relay.directory },
      '/authZ/': { status: 'pending', challenges: [challenge] },
    };
    relay.intercept = (path) => {
      const start = Object.keys(processing).find((each) => path.startsWith(each));
      if (start === undefined) return undefined;
      const body = JSON.stringify(processing[start]);
      // Once; then as it is by now.
      delete processing[start];
      return { body };
    };
    const second = await ground.open({ names, issuers: [relay], folder });
    second.start(async () => {});
    await untilIssued(second);
    t.equal(relay.count('/chalZ/'), 1);
    t.equal(relay.count('/order-plz'), 1);
  });

  t.test('a crash loop places no order after the first until its time has come', async (t) => {
    const { ground, relay, folder } = await prepare(t);
    relay.intercept = (path) => (path === '/order-plz' ? problem(500, 'serverInternal') : undefined);
    const open = () => ground.open({ names: ['loop.example.test'], issuers: [relay], folder });
    for (let starts = 0; starts < 5; starts++) {
      const source = await open();
      source.start(async () => {});
      await waitFor(() => ground.clock.waiting() > 0 || source.findings()[0]!.code === 'acme-failed', 10_000, 'a try');
      source.stop();
      await source.ended();
    }
    t.equal(relay.count('/order-plz'), 1);
    const source = await open();
    source.start(async () => {});
    await waitFor(() => ground.clock.waiting() > 0, 10_000, 'the source to wait');
    await pass(ground, 2 * MINUTE);
    await waitFor(() => relay.count('/order-plz') === 2, 10_000, 'the second try');
  });

  t.test('a restart during a pause tells why there is one, and until when', async (t) => {
    const { ground, relay, folder } = await prepare(t);
    const name = 'told.example.test';
    const storage = new DirectoryStorage(folder);
    relay.intercept = (path) => (path === '/order-plz' ? problem(403, 'rejectedIdentifier') : undefined);
    const open = () => ground.open({ names: [name], issuers: [relay], folder });
    const run = async (source: AcmeSource) => {
      source.start(async () => {});
      await untilFailed(source);
      return said(source);
    };
    const stop = (source: AcmeSource) => {
      source.stop();
      return source.ended();
    };
    const first = await open();
    const told = await run(first);
    t.match(told, [{ message: /rejectedIdentifier\); the next attempt is at 20/ }]);
    await stop(first);
    const second = await open();
    t.strictSame(said(second), told, 'from the first moment');
    t.strictSame(await run(second), told);
    await stop(second);
    const { problem: _, ...course } = await loadCourse(storage, name);
    await storeCourse(storage, name, course);
    const third = await open();
    t.match(await run(third), [{ message: /: the last attempt brought no certificate; the next attempt is at 20/ }]);
    t.equal(relay.count('/order-plz'), 1);
    relay.intercept = () => undefined;
    await pass(ground, 2 * MINUTE);
    await untilIssued(third);
    await waitFor(() => third.findings().length === 0, 10_000, 'it to be kept');
    t.equal((await loadCourse(storage, name)).problem, undefined);
  });

  t.test('a pause that was written by a clock that was wrong is none', async (t) => {
    const { ground, relay, folder } = await prepare(t);
    const name = 'clock.example.test';
    const far = ground.clock.now() + 400 * DAY;
    const course = { failures: 1, notBefore: far, pauses: { [relay.directory]: far }, records: [] };
    await storeCourse(new DirectoryStorage(folder), name, course);
    const source = await ground.open({ names: [name], issuers: [relay], folder });
    source.start(async () => {});
    await untilIssued(source);
  });

  t.test('nor does one in which each order dies before the next start', async (t) => {
    const { ground, relay, folder } = await prepare(t);
    relay.intercept = (path) =>
      path.startsWith('/my-order/') ? DEAD_ORDER : path.startsWith('/chalZ/') ? 'hang' : undefined;
    for (let starts = 0; starts < 8; starts++) {
      const source = await ground.open({ names: ['dying.example.test'], issuers: [relay], folder });
      const before = relay.count('/chalZ/');
      source.start(async () => {});
      await waitFor(() => ground.clock.waiting() > 0 || relay.count('/chalZ/') > before, 10_000, 'a try');
      source.stop();
      await source.ended();
    }
    // The first one, and each time that an order may be taken up at once.
    t.equal(relay.count('/order-plz'), 1 + 3);
  });

  t.test('a reload in the middle of an order: who comes after takes it up as soon as it is let go', async (t) => {
    const { ground, relay, folder } = await prepare(t);
    const options = { names: ['reloaded.example.test'], issuers: [relay], folder };
    const before = await ground.open(options);
    relay.intercept = (path) => (path.startsWith('/finalize-order/') ? 'hang' : undefined);
    before.start(async () => {});
    await waitFor(() => relay.count('/finalize-order/') > 0, 15_000, 'the order');
    relay.intercept = () => undefined;
    const after = await ground.open(options);
    after.start(async () => {});
    await new Promise((passed) => setTimeout(passed, 50));
    before.stop();
    await before.ended();
    await untilIssued(after);
    t.equal(relay.count('/order-plz'), 1);
  });

  t.test('an issuer that wants a pause has it, also when another one issues meanwhile', async (t) => {
    const { ground, relay, folder } = await prepare(t);
    const second = await startAcmeRelay(t, pebble);
    const limited = { ...problem(429, 'rateLimited'), headers: { 'Retry-After': String((6 * DAY) / 1_000) } };
    relay.intercept = (path) => (path === '/order-plz' ? limited : undefined);
    const source = await ground.open({ names: ['pause.example.test'], issuers: [relay, second], folder });
    source.start(async () => {});
    await untilIssued(source);
    second.intercept = presentAtOrder(ground);
    await passUntil(ground, 73, () => second.count('/order-plz') === 2);
    t.equal(relay.count('/order-plz'), 1);
  });

  t.test(
    'workers that refuse a new certificate: no issuer is asked for another, and they are asked again',
    async (t) => {
      const { ground, relay, folder } = await prepare(t);
      const second = await startAcmeRelay(t, pebble);
      const source = await ground.open({ names: ['refused.example.test'], issuers: [relay, second], folder });
      let told = 0;
      source.start(async () => {
        if (isIssued(source) && ++told < 3) throw new Error('a worker does not answer');
      });
      await waitFor(() => told > 0, 15_000, 'the certificate');
      for (let minutes = 0; minutes < 5; minutes++) await pass(ground, MINUTE);
      t.equal(told, 3, 'until they take it');
      t.equal(relay.count('/order-plz') + second.count('/order-plz'), 1);
      t.strictSame(said(source), []);
    },
  );

  t.test('an issuer that limits rates is left alone as long as it says', async (t) => {
    const { ground, relay, folder } = await prepare(t);
    relay.intercept = (path) =>
      path === '/order-plz' ? { ...problem(429, 'rateLimited'), headers: { 'Retry-After': '86400' } } : undefined;
    const source = await ground.open({ names: ['limited.example.test'], issuers: [relay], folder });
    source.start(async () => {});
    await untilFailed(source);
    t.match(said(source), [
      { severity: 'error', message: /localhost:\d+ refused: .*\(rateLimited\); the next attempt is at / },
    ]);
    for (let hours = 0; hours < 23; hours++) await pass(ground, HOUR);
    t.equal(relay.count('/order-plz'), 1);
    relay.intercept = () => undefined;
    for (let hours = 0; hours < 2; hours++) await pass(ground, HOUR);
    await untilIssued(source);
    t.equal(relay.count('/order-plz'), 2);
  });

  t.test('an issuer that is back before a certificate ends issues the next one in time', async (t) => {
    const { ground, relay, folder } = await prepare(t);
    const source = await ground.open({ names: ['back.example.test'], issuers: [relay], folder });
    source.start(async () => {});
    await untilIssued(source);
    const first = serialOf(source);
    const { notBefore, notAfter } = source.current()[0]!;
    const hour = () => (ground.clock.now() - notBefore.getTime()) / HOUR;
    relay.intercept = (path) => (path === '/order-plz' ? problem(500, 'serverInternal') : undefined);
    while (hour() < 120) await pass(ground, HOUR);
    t.ok(relay.count('/order-plz') > 6, `${relay.count('/order-plz')} orders`);
    relay.intercept = presentAtOrder(ground);
    // A quarter of the day that is left.
    await passUntil(ground, 7, () => serialOf(source) !== first);
    t.ok(hour() < (notAfter.getTime() - notBefore.getTime()) / HOUR);
  });

  t.test('an issuer that limits rates is left alone also when a certificate ends', async (t) => {
    const { ground, relay, folder } = await prepare(t);
    const source = await ground.open({ names: ['ends.example.test'], issuers: [relay], folder });
    source.start(async () => {});
    await untilIssued(source);
    relay.intercept = (path) =>
      path === '/order-plz' ? { ...problem(429, 'rateLimited'), headers: { 'Retry-After': '604800' } } : undefined;
    await passUntil(ground, 80, () => relay.count('/order-plz') === 2);
    for (let hours = 0; hours < 100; hours += 5) await pass(ground, 5 * HOUR);
    t.equal(relay.count('/order-plz'), 2);
  });

  t.test('the second issuer is asked when the first is down, refuses, or makes no sense', async (t) => {
    const { ground, relay, folder } = await prepare(t);
    const [refusing, senseless] = [await startAcmeRelay(t, pebble), await startAcmeRelay(t, pebble)];
    refusing.intercept = (path) => (path === '/order-plz' ? problem(403, 'rejectedIdentifier') : undefined);
    senseless.intercept = () => ({ body: '<html>welcome to our captive portal</html>' });
    const down = { directory: `https://localhost:${await freePort()}/dir`, caFile: relay.caFile };
    const issuers = [down, refusing, senseless, relay];
    const source = await ground.open({ names: ['second.example.test'], issuers, folder });
    source.start(async () => {});
    await untilIssued(source);
    t.equal(refusing.count('/order-plz'), 1);
    t.equal(relay.count('/order-plz'), 1);
  });

  for (const [where, answer] of Object.entries(RUBBISH)) {
    t.test(`rubbish: ${where}`, async (t) => {
      const { ground, relay, folder } = await prepare(t);
      relay.intercept = (path) => (path.startsWith(where.split(' ')[0]!) ? answer : undefined);
      const names = [`rubbish-${Object.keys(RUBBISH).indexOf(where)}.example.test`];
      const source = await ground.open({ names, issuers: [relay], folder });
      source.start(async () => {});
      await untilFailed(source);
      t.match(source.current(), [{ origin: 'self-signed' }]);
      const { message } = said(source)[0]!;
      t.match(message, /localhost:\d+|the issuer|https:\/\//);
      t.notMatch(message, /[\x00-\x1f]/);
      t.ok(message.length < 1_000, message);
    });
  }

  t.test('a challenge that is not allowed is not taken', async (t) => {
    const { ground, relay, folder } = await prepare(t);
    const challenges = ['tls-alpn-01'] as const;
    const source = await ground.open({ names: ['only.example.test'], issuers: [relay], folder, challenges });
    relay.intercept = (path) => (path.startsWith('/authZ/') ? { body: JSON.stringify(HTTP_ONLY) } : undefined);
    source.start(async () => {});
    await untilFailed(source);
    const message = /the issuer offers the challenges http-01, and ACME_CHALLENGES \(challenges\) allows tls-alpn-01/;
    t.match(said(source), [{ message }]);
    t.equal(relay.count('/chalZ/'), 0, 'nothing was started');
  });

  t.test('what did not work is not tried first again', async (t) => {
    const { ground, relay, folder } = await prepare(t);
    // Nobody answers on the port of tls-alpn-01.
    const challenges = ['tls-alpn-01', 'http-01'] as const;
    const source = await ground.open({ names: ['learn.example.test'], issuers: [relay], folder, challenges });
    source.start(async () => {});
    await untilIssued(source);
    t.equal(relay.count('/chalZ/'), 2);
    const first = serialOf(source);
    relay.intercept = presentAtOrder(ground);
    await passUntil(ground, 73, () => relay.count('/chalZ/') === 3);
    await waitFor(() => serialOf(source) !== first, 15_000, 'the renewal');
    t.equal(relay.count('/chalZ/'), 3, 'by http-01 at once');
  });

  t.test('what worked is not forgotten when an issuer asks for no proof', async (t) => {
    const { ground, relay, folder } = await prepare(t);
    const trusting = await startPebble(t, {
      ...{ httpPort, tlsPort: await freePort(), lifetime: 6 * 86_400 },
      reuse: 100,
    });
    const front = await startAcmeRelay(t, trusting);
    t.not(front.directory, relay.directory);
    const challenges = ['tls-alpn-01', 'http-01'] as const;
    const source = await ground.open({ names: ['trusted.example.test'], issuers: [front], folder, challenges });
    source.start(async () => {});
    await untilIssued(source);
    const first = serialOf(source);
    front.intercept = presentAtOrder(ground);
    await passUntil(ground, 73, () => serialOf(source) !== first);
    t.equal(front.count('/chalZ/'), 2, 'none for the renewal');
    const course = await loadCourse(new DirectoryStorage(folder), 'trusted.example.test');
    t.equal(course.challenge, 'http-01');
  });

  t.test('a rehearsal comes first: what fails there costs nothing at the issuer', async (t) => {
    const { ground, relay: real, folder } = await prepare(t);
    const staging = await startAcmeRelay(t, pebble);
    const issuers = [{ ...real, rehearsal: staging.directory, caFile: await bothAuthorities(t, real, staging) }];
    staging.intercept = (path) => (path === '/order-plz' ? problem(403, 'dns') : undefined);
    const source = await ground.open({ names: ['rehearsal.example.test'], issuers, folder });
    source.start(async () => {});
    await untilFailed(source);
    t.equal(real.count('/order-plz'), 0);
    staging.intercept = () => undefined;
    await pass(ground, 2 * MINUTE);
    await untilIssued(source);
    t.equal(real.count('/order-plz'), 1);
    t.equal(staging.count('/finalize-order/'), 0, 'no certificate was made for nothing');
  });

  t.test('two on one store: one order, and both serve what came of it', async (t) => {
    const { ground, relay, folder } = await prepare(t);
    const options = { names: ['shared.example.test'], issuers: [relay], folder };
    const [one, other] = [await ground.open(options), await ground.open(options)];
    one.start(async () => {});
    other.start(async () => {});
    await Promise.all([untilIssued(one), untilIssued(other)]);
    t.equal(serialOf(one), serialOf(other));
    t.equal(relay.count('/order-plz'), 1);
  });

  t.test('a store that cannot be written: no order is placed, and what is served stays', async (t) => {
    const { ground, relay, folder } = await prepare(t);
    const storage = new BreakingStorage(folder, /./);
    const source = await ground.open({ names: ['readonly.example.test'], issuers: [relay], folder, storage });
    source.start(async () => {});
    await untilFailed(source);
    t.match(said(source), [{ code: 'acme-failed', severity: 'error', message: /the disk is full: free some space$/ }]);
    for (let minutes = 0; minutes < 10; minutes++) await pass(ground, MINUTE);
    t.equal(relay.count('/order-plz'), 0);
    storage.broken = /^$/;
    await pass(ground, 2 * MINUTE);
    await untilIssued(source);
    t.strictSame(said(source), []);
  });

  t.test(
    'a store that fills up during an order: the certificate is served, and kept as soon as it can be',
    async (t) => {
      const { ground, relay, folder } = await prepare(t);
      const storage = new BreakingStorage(folder, /^certificates/);
      const source = await ground.open({ names: ['full.example.test'], issuers: [relay], folder, storage });
      source.start(async () => {});
      await untilIssued(source);
      t.match(said(source), [{ severity: 'warning', message: /served, but could not be kept: .*the disk is full/ }]);
      storage.broken = /^$/;
      await pass(ground, 2 * MINUTE);
      await waitFor(() => source.findings().length === 0, 10_000, 'the store to take it');
      const again = await ground.open({ names: ['full.example.test'], issuers: [relay], folder });
      t.equal(serialOf(again), serialOf(source));
      t.equal(relay.count('/order-plz'), 1);
    },
  );

  t.test('a profile that the issuer offers is asked for; of one that it does not offer it is not asked', async (t) => {
    const { ground, relay, folder } = await prepare(t);
    relay.profiles = { classic: 'as ever', shortlived: 'six days' };
    const open = (name: string, profile: string) =>
      ground.open({ names: [name], issuers: [{ ...relay, profile }], folder });
    const offered = await open('profile.example.test', 'shortlived');
    offered.start(async () => {});
    await untilIssued(offered);
    const orders = () => relay.asked.filter(({ path }) => path === '/order-plz');
    t.match(orders(), [{ payload: { profile: 'shortlived' } }]);
    const unknown = await open('unknown.example.test', 'short');
    unknown.start(async () => {});
    await untilFailed(unknown);
    t.match(said(unknown), [{ message: /localhost:\d+ has no profile "short" \(it offers classic, shortlived\)/ }]);
    t.equal(orders().length, 1);
    // Taken away since the directory was read.
    const late = await open('late.example.test', 'shortlived');
    relay.intercept = (path) => {
      if (path === '/nonce-plz') relay.profiles = { classic: 'as ever' };
      return undefined;
    };
    late.start(async () => {});
    await untilFailed(late);
    t.match(said(late), [{ message: /localhost:\d+ refused: no profile shortlived \(invalidProfile\)/ }]);
    relay.profiles = undefined;
    const none = await open('none.example.test', 'shortlived');
    none.start(async () => {});
    await untilFailed(none);
    t.match(said(none), [{ message: /has no profile "shortlived" \(it offers none\)/ }]);
  });

  t.test('after a failure the directory is read again: what the issuer offers by then can be had', async (t) => {
    const { ground, relay, folder } = await prepare(t);
    relay.profiles = { classic: 'as ever' };
    const issuers = [{ ...relay, profile: 'shortlived' }];
    const source = await ground.open({ names: ['anew.example.test'], issuers, folder });
    source.start(async () => {});
    await untilFailed(source);
    relay.profiles = { classic: 'as ever', shortlived: 'six days' };
    await pass(ground, 2 * MINUTE);
    await untilIssued(source);
    t.equal(relay.count('/dir'), 2);
  });

  t.test('that of a rehearsal, too', async (t) => {
    const { ground, relay: real, folder } = await prepare(t);
    const staging = await startAcmeRelay(t, pebble);
    const issuers = [{ ...real, rehearsal: staging.directory, caFile: await bothAuthorities(t, real, staging) }];
    staging.intercept = (path) => (path === '/order-plz' ? problem(404, 'malformed') : undefined);
    const source = await ground.open({ names: ['moved.example.test'], issuers, folder });
    source.start(async () => {});
    await untilFailed(source);
    staging.intercept = () => undefined;
    await pass(ground, 2 * MINUTE);
    await untilIssued(source);
    t.equal(staging.count('/dir'), 2);
  });

  t.test('the directory is read again after an hour: an issuer that has got ARI is asked', async (t) => {
    const { ground, relay, folder } = await prepare(t);
    const source = await ground.open({ names: ['later.example.test'], issuers: [relay], folder });
    source.start(async () => {});
    await untilIssued(source);
    await waitFor(() => ground.clock.waiting() > 0, 15_000, 'the source to wait');
    t.equal(relay.count('/dir'), 1, 'once for all that is asked at a time');
    relay.ari = () => ({ status: 404, body: '{}' });
    // Whoever has no ARI is looked at every six hours.
    await passUntil(ground, 7, () => relay.count('/ari/') === 1);
    t.equal(relay.count('/dir'), 2);
  });

  t.test('the chain that is preferred', async (t) => {
    const { ground, relay, folder } = await prepare(t);
    const roots = new Set<string>();
    for (const preferredChain of [undefined, ...(await rootsOf(pebble)).slice(1)]) {
      const names = [`chain-${roots.size}.example.test`];
      const source = await ground.open({ names, issuers: [{ ...relay, preferredChain }], folder });
      source.start(async () => {});
      await untilIssued(source);
      const last = source
        .current()[0]!
        .certificate.chain.split(/(?<=-----END CERTIFICATE-----\n)/)
        .filter((each) => each.trim() !== '')
        .at(-1)!;
      const root = /^CN=(.*)$/m.exec(new X509Certificate(last).issuer)![1]!;
      if (preferredChain !== undefined) t.equal(root, preferredChain);
      roots.add(root);
    }
    t.equal(roots.size, 3);
  });
});

/** One step of time, with a moment for what it sets off. */
async function pass(ground: AcmeGround, ms: number): Promise<void> {
  await waitFor(() => ground.clock.waiting() > 0, 15_000, 'all to wait');
  ground.clock.advance(ms);
  await new Promise((passed) => setImmediate(passed));
}

/** At most so many hours. */
async function passUntil(ground: AcmeGround, hours: number, isOver: () => boolean): Promise<void> {
  for (let passed = 0; passed < hours && !isOver(); passed++) await pass(ground, HOUR);
  await waitFor(isOver, 15_000, `what should happen within ${hours} hours`);
}

function presentAtOrder({ clock }: AcmeGround): AcmeRelay['intercept'] {
  return (path) => {
    if (path === '/order-plz') clock.backToPresent();
    return undefined;
  };
}

function problem(status: number, type: string): Answer {
  const body = { type: `urn:ietf:params:acme:error:${type}`, detail: 'not today\n\x1b[31m', status };
  return { status, body: JSON.stringify(body) };
}

const DEAD_ORDER: Answer = {
  body: '{"status":"invalid","authorizations":[],"finalize":"https://localhost/finalize-order/0"}',
};

const HTTP_ONLY = {
  status: 'pending',
  identifier: { type: 'dns', value: 'only.example.test' },
  challenges: [{ type: 'http-01', url: 'https://localhost/chalZ/1', status: 'pending', token: 'abc' }],
};

const RUBBISH: Readonly<Record<string, Answer>> = {
  '/dir a page': { body: '<html>welcome to our captive portal</html>' },
  '/dir another program': { body: '{"version":"1.2.3"}' },
  '/dir too large': { body: `{"newOrder":"${'x'.repeat(300_000)}"}` },
  '/dir no https': { body: '{"newNonce":"http://localhost/n","newAccount":"file:///etc/passwd","newOrder":"x"}' },
  '/sign-me-up a page': { body: '<html>' },
  '/order-plz empty': { status: 201, headers: { Location: 'https://localhost/' }, body: '' },
  '/order-plz of other types': { status: 201, headers: { Location: 'x' }, body: '{"status":5,"authorizations":"all"}' },
  '/authZ a list': { body: '[]' },
  '/authZ a token that is a path': {
    body: '{"status":"pending","challenges":[{"type":"http-01","url":"https://localhost/","status":"pending","token":"../../x"}]}',
  },
  '/certZ no certificate': { body: 'hello' },
  '/certZ damaged': { body: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n' },
};

/** As when a disk is full, for the names that fit. */
class BreakingStorage extends DirectoryStorage implements Storage {
  broken: RegExp;

  constructor(root: string, broken: RegExp) {
    super(root);
    this.broken = broken;
  }

  override async store(name: string, bytes: Uint8Array): Promise<void> {
    if (this.broken.test(name)) throw new StorageError(`cannot write ${name}: the disk is full: free some space`);
    await super.store(name, bytes);
  }
}

async function bothAuthorities(t: Test, ...relays: readonly AcmeRelay[]): Promise<string> {
  const { writeFileSync } = await import('node:fs');
  const file = join(makeFolder(t), 'both.pem');
  writeFileSync(file, relays.map(({ ca }) => ca).join(''));
  return file;
}

/** The common names of all roots. */
async function rootsOf(pebble: Pebble): Promise<string[]> {
  const names: string[] = [];
  for (let i = 0; i < 3; i++) names.push(/^CN=(.*)$/m.exec(new X509Certificate(await pebble.root(i)).subject)![1]!);
  return names;
}
