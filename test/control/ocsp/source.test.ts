// Certificates stapled by the answers of their issuers: asked for in time, kept, and told of when something is wrong.

import { X509Certificate } from 'node:crypto';
import t, { type Test } from 'tap';
import { DirectoryStorage } from '../../../src/control/acme/directory-storage.ts';
import { type Storage, StorageError } from '../../../src/control/acme/storage.ts';
import type { CertificateSource, LoadedCertificate } from '../../../src/control/certificate-source.ts';
import { OcspAnswers } from '../../../src/control/ocsp/answers.ts';
import { ocspFamilies } from '../../../src/control/ocsp/measures.ts';
import { StapledCertificates } from '../../../src/control/ocsp/source.ts';
import { createLog } from '../../../src/telemetry/log.ts';
import { TestClock } from '../../support/acme-source.ts';
import { makeAuthority, makeCertificate, type TestPair } from '../../support/certificates.ts';
import { makeFolder } from '../../support/folder.ts';
import { type MadeAnswer, makeAnswer, makeRefusal, startResponder, wholeSeconds } from '../../support/ocsp-answer.ts';
import { waitFor } from '../../support/ports.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const issuer = await makeAuthority();

function loaded(leaf: TestPair, more: Partial<LoadedCertificate> = {}): LoadedCertificate {
  return {
    ...{
      origin: 'file',
      place: '/certs/a.crt',
      issuer: 'CN=Test root',
      issuedBy: new X509Certificate(issuer.certificate),
    },
    certificate: { names: ['a.example'], chain: leaf.certificate, key: leaf.key },
    ...{ notBefore: new Date(), notAfter: new Date(Date.now() + 90 * 24 * HOUR), ...more },
  };
}

/** Files that change when the test says so. */
class Given implements CertificateSource {
  certificates: readonly LoadedCertificate[];
  changed: () => Promise<void> = async () => {};
  constructor(certificates: readonly LoadedCertificate[]) {
    this.certificates = certificates;
  }
  current = () => this.certificates;
  findings = () => [];
  start(changed: () => Promise<void>): void {
    this.changed = changed;
  }
  stop(): void {}
}

/** A responder whose answers are about `leaf`, and valid for an hour, unless `made` says otherwise. */
async function prepare(t: Test, options: { mustStaple?: boolean; storage?: Storage } = {}) {
  const clock = new TestClock();
  const ground = {
    clock,
    leaf: undefined as TestPair | undefined,
    asked: 0,
    /** As the last answer has it. */
    nextUpdate: undefined as number | undefined,
    made: {} as Partial<MadeAnswer>,
    /** In place of an answer. */
    raw: undefined as Buffer | undefined,
    /** In place of an answer: a 503 with this Retry-After. */
    busy: undefined as string | undefined,
    changes: 0,
    lines: [] as string[],
  };
  const url = await startResponder(t, (_request, response) => {
    ground.asked++;
    if (ground.busy !== undefined) {
      response.writeHead(503, { 'Retry-After': ground.busy }).end();
      return;
    }
    const now = wholeSeconds(clock.now());
    const answer = { leaf: ground.leaf!, issuer, thisUpdate: now, nextUpdate: now + HOUR, ...ground.made };
    ground.nextUpdate = answer.nextUpdate;
    response.end(ground.raw ?? makeAnswer(answer));
  });
  const make = () =>
    makeCertificate({ names: ['a.example'], issuer, responderUrl: url, mustStaple: options.mustStaple === true });
  const leaf = await make();
  const inner = new Given([loaded(leaf)]);
  const log = createLog('debug', { put: (line) => ground.lines.push(line), flush: async () => {} });
  const storage = options.storage ?? new DirectoryStorage(makeFolder(t, 'ocsp'));
  const answers = new OcspAnswers(clock, log);
  const open = async (book = answers) => {
    const source = await StapledCertificates.open(inner, book, storage, clock);
    t.teardown(async () => {
      source.stop();
      await source.ended;
    });
    const start = () => source.start(async () => void ground.changes++);
    const staple = () => source.current()[0]!.certificate.staple;
    const said = () => source.findings().map(({ code, severity }) => ({ code, severity }));
    const untilAsked = (times: number) =>
      // What came of it is taken when the source waits again.
      waitFor(() => ground.asked === times && clock.waiting() > 0, 10_000, `${times} requests`);
    return { source, start, staple, said, untilAsked };
  };
  return Object.assign(ground, { leaf, make, inner, answers, open, fresh: () => new OcspAnswers(clock, log) });
}

t.test('asked for at once, stapled, and asked for again at half of its validity', async (t) => {
  const ground = await prepare(t);
  const { source, start, staple, said, untilAsked } = await ground.open();
  t.equal(staple(), undefined, 'nobody waits for it');
  start();
  await untilAsked(1);
  t.type(staple(), Uint8Array);
  t.ok(ground.changes > 0, 'whoever serves was told');
  t.same(said(), []);
  const first = staple();
  ground.clock.advance(29 * MINUTE);
  t.equal(ground.asked, 1);
  ground.clock.advance(2 * MINUTE);
  await untilAsked(2);
  t.not(staple(), first);
  t.match(
    ocspFamilies(source.current(), (each) => ground.answers.statusOf(each)),
    [
      {
        values: [{ labels: { name: 'a.example', source: 'file' }, value: ground.nextUpdate! / 1_000 }],
      },
      { values: [{ value: 0 }] },
    ],
  );
  t.match(ground.answers.counts.family().values, [{ labels: { result: 'good' }, value: 2 }]);
});

t.test('failures: longer and longer pauses, the good answer stays until it ends', async (t) => {
  const ground = await prepare(t);
  const { start, staple, said, untilAsked } = await ground.open();
  start();
  await untilAsked(1);
  ground.raw = makeRefusal(3);
  ground.clock.advance(31 * MINUTE);
  await untilAsked(2);
  for (const [i, minutes] of [1, 2, 4, 8].entries()) {
    ground.clock.advance(minutes * MINUTE - 1_000);
    await waitFor(() => ground.clock.waiting() > 0, 5_000, 'it to wait on');
    t.equal(ground.asked, 2 + i);
    ground.clock.advance(1_000);
    await untilAsked(3 + i);
  }
  t.type(staple(), Uint8Array);
  t.same(said(), [], 'nothing is wrong yet');
  const before = ground.changes;
  ground.clock.advance(15 * MINUTE);
  await waitFor(() => ground.changes > before, 5_000, 'the end of the answer to be told');
  t.equal(staple(), undefined, 'an answer that has ended is not given to anybody');
  t.same(said(), [{ code: 'ocsp-failed', severity: 'warning' }]);
  t.match(ground.lines.join('\n'), 'is busy');
});

t.test('a responder that wants a pause gets it, of a day at most', async (t) => {
  const ground = await prepare(t);
  const { start, untilAsked } = await ground.open();
  const date = (ms: number) => new Date(ground.clock.now() + ms).toUTCString();
  ground.busy = String(3 * 3_600);
  start();
  await untilAsked(1);
  const untilNext = async (ms: number, next: string) => {
    const { asked } = ground;
    ground.busy = next;
    // Longer than what this clock lets pass by itself.
    ground.clock.advance(ms - 20_000);
    await waitFor(() => ground.clock.waiting() > 0, 5_000, 'it to wait on');
    t.equal(ground.asked, asked, `not before ${ms / MINUTE} minutes`);
    ground.clock.advance(21_000);
    await untilAsked(asked + 1);
  };
  await untilNext(3 * HOUR, date(3 * HOUR + 5 * HOUR));
  await untilNext(5 * HOUR, '999999999');
  await untilNext(24 * HOUR, 'soon');
  // What makes no sense, and what is shorter than the pause after so many failures, counts for nothing.
  await untilNext(8 * MINUTE, '1');
  await untilNext(16 * MINUTE, '');
});

t.test('revoked: never stapled, and told with what to do', async (t) => {
  const ground = await prepare(t);
  const { source, start, staple, untilAsked } = await ground.open();
  start();
  await untilAsked(1);
  ground.made = { status: 'revoked' };
  ground.clock.advance(31 * MINUTE);
  await untilAsked(2);
  t.equal(staple(), undefined);
  t.match(source.findings(), [
    {
      ...{ code: 'ocsp-revoked', severity: 'error', place: '/certs/a.crt', about: '/certs/a.crt' },
      message: /^was revoked by its issuer at 20.*Z \(keyCompromise\): clients/,
      hint: /have a new one issued with a new key/,
    },
  ]);
  ground.inner.certificates = [loaded(ground.leaf, { origin: 'acme', place: '*.a.example' })];
  const hint = /^remove certificates\/_\.a\.example\.json and courses\/_\.a\.example\.json from the store/;
  t.match(source.findings(), [{ code: 'ocsp-revoked', hint }]);
  t.match(ocspFamilies(source.current(), (each) => ground.answers.statusOf(each))[1], { values: [{ value: 1 }] });
  t.match(ground.answers.counts.family().values, [
    { labels: { result: 'good' } },
    { labels: { result: 'revoked' }, value: 1 },
  ]);
});

t.test('must-staple: said as long as there is no answer, and as soon as there may be none', async (t) => {
  const ground = await prepare(t, { mustStaple: true });
  ground.raw = Buffer.from('rubbish');
  const { source, start, said, untilAsked } = await ground.open();
  t.same(said(), [{ code: 'ocsp-pending', severity: 'warning' }]);
  start();
  await untilAsked(1);
  t.match(source.findings(), [
    {
      code: 'ocsp-required',
      severity: 'error',
      message: /there is none.*http:\/\/127.*is no OCSP answer/,
      hint: /let this/,
    },
  ]);
  ground.raw = undefined;
  ground.clock.advance(MINUTE);
  await untilAsked(2);
  t.same(said(), []);
  ground.raw = makeRefusal(2);
  ground.clock.advance(31 * MINUTE);
  await untilAsked(3);
  t.same(said(), [{ code: 'ocsp-failed', severity: 'warning' }]);
  ground.clock.advance(30 * MINUTE);
  await waitFor(() => said()[0]?.code === 'ocsp-required', 5_000, 'the end of the answer');
});

t.test('kept over a restart, and over a reload', async (t) => {
  const ground = await prepare(t);
  const { start, staple, untilAsked } = await ground.open();
  start();
  await untilAsked(1);
  const reloaded = await ground.open();
  t.equal(reloaded.staple(), staple());
  const again = await ground.open(ground.fresh());
  t.same(again.staple(), staple(), 'before anybody is asked');
  again.start();
  await waitFor(() => ground.clock.waiting() === 2, 5_000, 'both to wait');
  t.equal(ground.asked, 1);
  ground.clock.advance(61 * MINUTE);
  const late = await ground.open(ground.fresh());
  t.equal(late.staple(), undefined, 'one that has ended is not taken');
});

t.test('a certificate that takes the place of another is asked about at once', async (t) => {
  const ground = await prepare(t);
  const { start, staple, untilAsked } = await ground.open();
  start();
  await untilAsked(1);
  const first = staple();
  ground.leaf = await ground.make();
  ground.inner.certificates = [loaded(ground.leaf)];
  t.equal(staple(), undefined, 'not by the answer for another');
  await ground.inner.changed();
  await untilAsked(2);
  t.not(staple(), first);
  t.type(staple(), Uint8Array);
});

const BROKEN: Storage = {
  load: () => Promise.reject(new StorageError('cannot be read')),
  store: () => Promise.reject(new StorageError('cannot be written')),
  list: () => Promise.resolve([]),
  lock: () => Promise.resolve(undefined),
};

t.test('a store that cannot be written changes nothing', async (t) => {
  const ground = await prepare(t, { storage: BROKEN });
  const { start, staple, said, untilAsked } = await ground.open();
  start();
  await untilAsked(1);
  t.type(staple(), Uint8Array);
  t.same(said(), []);
});

t.test('without a responder nobody is asked, without its issuer nobody can be', async (t) => {
  const ground = await prepare(t);
  const plain = await makeCertificate({ names: ['b.example'], issuer });
  const { issuedBy: _, ...alone } = loaded(ground.leaf);
  ground.inner.certificates = [loaded(plain), alone];
  const { source, start } = await ground.open();
  start();
  await waitFor(() => ground.clock.waiting() > 0, 5_000, 'it to wait');
  t.equal(ground.asked, 0);
  t.match(source.findings(), [{ code: 'ocsp-failed', message: /file does not hold the certificate of the issuer/ }]);
});
