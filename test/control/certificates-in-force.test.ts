// What the workers serve: swapped when a source has something else, again when that failed, each finding told once, refusals counted.

import t from 'tap';
import type { CertificateSource, Finding, LoadedCertificate } from '../../src/control/certificate-source.ts';
import { CertificateStore } from '../../src/control/certificate-store.ts';
import { CertificatesInForce } from '../../src/control/certificates-in-force.ts';
import type { AcmeAnswers, ClientTrust } from '../../src/model/snapshot.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { TestClock } from '../support/acme-source.ts';
import { makeCertificate } from '../support/certificates.ts';
import { waitFor } from '../support/ports.ts';

const DAY = 86_400_000;
const made = await makeCertificate({ names: ['a.example'] });

function loaded(place: string, chain = made.certificate): LoadedCertificate {
  return {
    ...{ origin: 'file', place, issuer: 'CN=issuer', certificate: { names: ['a.example'], chain, key: place } },
    ...{ notBefore: new Date(Date.now() - DAY), notAfter: new Date(Date.now() + DAY) },
  };
}

const finding = (code: string, severity: Finding['severity'], message: string): Finding => ({
  ...{ code, severity, message, about: 'one', place: 'SSL_CRT' },
});

/** A source that says what it is told to. */
class Given implements CertificateSource {
  certificates: readonly LoadedCertificate[] = [loaded('one')];
  said: readonly Finding[] = [];
  pending: AcmeAnswers | undefined;
  changed: (() => Promise<void>) | undefined;
  current = () => this.certificates;
  findings = () => this.said;
  answers = () => this.pending;
  trusts: ReadonlyMap<string, ClientTrust> | undefined;
  clientTrusts = () => this.trusts;
  start(changed: () => Promise<void>): void {
    this.changed = changed;
  }
  stop(): void {
    this.changed = undefined;
  }
}

function ground() {
  const lines: { level: string; msg: string }[] = [];
  const log = createLog('info', { put: (line) => lines.push(JSON.parse(line)), flush: () => Promise.resolve() });
  const swaps: (Error | undefined)[] = [];
  let last: Promise<void> = Promise.resolve();
  let next: Error | undefined;
  const clock = new TestClock();
  const swapping = {
    inTurn: (work: () => Promise<void>) => {
      const done = last.then(work);
      last = done.catch(() => {});
      return done;
    },
    swap: () => {
      swaps.push(next);
      return next === undefined ? Promise.resolve() : Promise.reject(next);
    },
  };
  const inForce = new CertificatesInForce(log, swapping, clock);
  const source = new Given();
  inForce.take(new CertificateStore([source], ['a.example']), source.current());
  const change = async () => {
    source.changed!();
    source.changed!();
    await last;
  };
  const failWith = (error: Error | undefined) => {
    next = error;
  };
  return { inForce, source, swaps, lines, clock, change, failWith };
}

t.test('another certificate is swapped in, once for calls that come together', async (t) => {
  const { inForce, source, swaps, lines, change } = ground();
  source.certificates = [loaded('two')];
  await change();
  t.equal(swaps.length, 1);
  t.strictSame(inForce.served, source.certificates);
  t.match(lines, [{ level: 'info', msg: 'a changed certificate is served', place: 'two', names: 'a.example' }]);
  t.strictSame(inForce.renewals, { succeeded: 1, failed: 0 });
  await change();
  t.equal(swaps.length, 1, 'nothing is new');
});

t.test('what a worker does not take is not in force, is counted, and is tried again', async (t) => {
  const { inForce, source, lines, change, failWith } = ground();
  const before = inForce.served;
  source.certificates = [loaded('two')];
  failWith(new Error('no'));
  await change();
  t.equal(inForce.served, before);
  t.match(lines, [
    { level: 'error', msg: 'workers do not have a changed certificate yet: no (it is tried again by itself)' },
  ]);
  failWith(undefined);
  await change();
  t.strictSame(inForce.served, source.certificates);
  t.strictSame(inForce.renewals, { succeeded: 1, failed: 1 });
});

t.test('others who vouch for clients are swapped in, and again until the workers take them', async (t) => {
  const { inForce, source, swaps, lines, change, failWith } = ground();
  source.trusts = new Map();
  failWith(new Error('no'));
  await change();
  const word = 'workers do not have changed authorities or revocation lists of clients yet: no';
  t.match(lines.splice(0), [{ level: 'error', msg: `${word} (it is tried again by itself)` }]);
  failWith(undefined);
  await change();
  t.match(lines, [{ level: 'info', msg: /authorities or revocation lists of clients/ }]);
  t.equal(swaps.length, 2);
  t.strictSame(inForce.renewals, { succeeded: 0, failed: 1 }, 'they are no certificates of ours');
  await change();
  t.equal(swaps.length, 2);
});

t.test(
  'a swap that failed is tried again by itself, after longer and longer pauses; health says so meanwhile',
  async (t) => {
    const { inForce, source, swaps, lines, clock, change, failWith } = ground();
    source.certificates = [loaded('two')];
    failWith(new Error('a worker did not answer in time'));
    await change();
    await waitFor(() => clock.waiting() === 1, 5_000, 'the first pause that is a long one');
    t.equal(swaps.length, 4, 'after 2, 4 and 8 s');
    t.equal(lines.length, 1, 'it is told once');
    const said = /workers do not have a changed certificate yet: a worker did not answer in time/;
    t.match(inForce.check(true), { ok: true, detail: said });
    t.match(inForce.table(), said);
    failWith(new Error('a worker ended'));
    clock.advance(16_000);
    await waitFor(() => lines.length === 2, 5_000, 'the other reason');
    failWith(undefined);
    clock.advance(32_000);
    await waitFor(() => inForce.served[0] === source.certificates[0], 5_000, 'the swap');
    t.strictSame(inForce.renewals, { succeeded: 1, failed: 5 });
    t.notMatch(inForce.check(true), { detail: said });
    t.equal(clock.waiting(), 0);
  },
);

t.test(
  'a swap that failed is not tried again when there is nothing to swap any more, or nobody to swap for',
  async (t) => {
    const { inForce, source, swaps, clock, change, failWith } = ground();
    const begin = source.certificates;
    const fail = async (place: string) => {
      source.certificates = [loaded(place)];
      failWith(new Error('no'));
      await change();
      await waitFor(() => clock.waiting() === 1, 5_000, 'the first pause that is a long one');
      swaps.length = 0;
    };
    await fail('two');
    source.certificates = begin;
    await change();
    t.equal(clock.waiting(), 0, 'the file is as it was');
    await fail('two');
    inForce.take(new CertificateStore([source], []), source.current());
    t.equal(clock.waiting(), 0, 'a reload');
    await fail('three');
    inForce.stop();
    t.equal(clock.waiting(), 0, 'a stop');
    clock.advance(60_000);
    t.equal(swaps.length, 0);
  },
);

t.test('each finding is told once as long as it stays, by its weight; health tells the errors', async (t) => {
  const { inForce, source, swaps, lines, change } = ground();
  source.said = [
    finding('not-used', 'error', 'x'),
    finding('expires-14', 'warning', 'in 9 days'),
    finding('root', 'note', 'y'),
  ];
  await change();
  t.match(lines.splice(0), [{ level: 'error', msg: 'SSL_CRT x' }, { level: 'warn' }, { level: 'info' }]);
  t.strictSame(inForce.renewals, { succeeded: 0, failed: 1 });
  t.match(inForce.check(true), { name: 'certificate', ok: true, detail: /^valid until .*; SSL_CRT x$/ });
  t.match(inForce.table(), /\na\.example +CN=issuer +0 +file +not-used, expires-14, root\n\nerror: SSL_CRT x\n/);
  source.said = [finding('not-used', 'error', 'x'), finding('expires-14', 'warning', 'in 8 days')];
  await change();
  t.strictSame(lines, [], 'days that count down are no news');
  source.said = [finding('expires-3', 'warning', 'in 3 days')];
  await change();
  t.match(lines, [{ level: 'warn', msg: 'SSL_CRT in 3 days' }]);
  t.equal(swaps.length, 0);
});

t.test('a store that another one has followed changes nothing any more', async (t) => {
  const { inForce, source, swaps, change } = ground();
  const late = source.changed!;
  source.certificates = [loaded('two')];
  late();
  const next = new Given();
  inForce.take(new CertificateStore([next], []), next.current());
  await Promise.resolve();
  t.equal(source.changed, undefined, 'it is stopped');
  source.changed = () => Promise.resolve();
  await change();
  t.equal(swaps.length, 0);
  t.match(inForce.check(true), { ok: true });
  next.certificates = [];
  inForce.take(new CertificateStore([next], []), next.current());
  t.match([inForce.check(true), inForce.check(false)], [{ ok: false }, { ok: true }]);
});

t.test('answers for issuers are swapped in and out like certificates, but are none', async (t) => {
  const { inForce, source, swaps, change } = ground();
  source.pending = { http: [{ host: 'a.example', token: 't', text: 't.x' }], tls: [] };
  await change();
  await change();
  t.equal(swaps.length, 1);
  source.pending = undefined;
  await change();
  t.equal(swaps.length, 2);
  t.strictSame(inForce.renewals, { succeeded: 0, failed: 0 });
});

t.test('who says that something changed hears when it is in force, or that it is not', async (t) => {
  const { source, swaps, failWith } = ground();
  source.certificates = [loaded('two')];
  await source.changed!();
  t.equal(swaps.length, 1);
  source.certificates = [loaded('three')];
  failWith(new Error('a worker says no'));
  await t.rejects(source.changed!(), { message: 'a worker says no' });
});

t.test('an OCSP answer is swapped in, and is no changed certificate', async (t) => {
  const { inForce, source, swaps, lines, change } = ground();
  const [given] = source.current();
  const withStaple = (text: string) => [
    { ...given!, certificate: { ...given!.certificate, staple: Buffer.from(text) } },
  ];
  source.certificates = withStaple('first');
  await change();
  t.equal(swaps.length, 1);
  await change();
  t.equal(swaps.length, 1, 'the same one');
  source.certificates = [given!];
  await change();
  t.equal(swaps.length, 2, 'one that has ended');
  t.same([inForce.renewals.succeeded, lines.filter(({ msg }) => /changed/.test(msg)).length], [0, 0]);
  // It came between the making of a snapshot and its coming into force.
  source.certificates = withStaple('late');
  inForce.take(new CertificateStore([source], []), [given!]);
  await change();
  t.equal(swaps.length, 3);
});
