// Certificate files looked after: changes of every kind are taken when they are good, and never when they are bad.

import { closeSync, mkdirSync, openSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { CertificateFiles, GRACE } from '../../src/control/certificate-watch.ts';
import { ConfigError } from '../../src/control/problem.ts';
import { makePair } from '../support/certificate-pair.ts';
import { makeCertificate, type TestPair } from '../support/certificates.ts';
import { makeFolder } from '../support/folder.ts';
import { waitFor } from '../support/ports.ts';

const NAME = 'toucan.example';
const now = new Date();
const later = new Date(now.getTime() + GRACE);
const inDays = (days: number) => new Date(now.getTime() + days * 86_400_000);
const first = await makeCertificate({ names: [NAME] });
const second = await makeCertificate({ names: [NAME] });
const third = await makeCertificate({ names: [NAME] });

const put = (folder: string, { certificate, key }: TestPair) => {
  writeFileSync(join(folder, 'a.crt'), certificate);
  writeFileSync(join(folder, 'a.key'), key, { mode: 0o600 });
};

/** Files with `first` in them, looked at until they stand still. */
async function open(t: Test, folder = makeFolder(t, 'watch'), names: readonly string[] = [NAME]) {
  put(folder, first);
  const files = new CertificateFiles([makePair(join(folder, 'a.crt'), join(folder, 'a.key'))], names, now);
  await settle(files);
  return {
    folder,
    files,
    serves: ({ certificate }: TestPair) => files.current()[0]!.certificate.chain === certificate,
    codes: () => files.findings().map(({ code }) => code),
  };
}

/** What changed is seen by the first look and believed by the second. */
async function settle(files: CertificateFiles, at = now): Promise<void> {
  await files.look(at);
  await files.look(at);
}

t.test('a change is taken when it is seen twice', async (t) => {
  const { folder, files, serves } = await open(t);
  t.equal(await files.look(now), false, 'nothing moves');
  put(folder, second);
  t.equal(await files.look(now), true, 'it is to be looked at again');
  t.ok(serves(first), 'whoever writes may not be done');
  t.equal(await files.look(now), false);
  t.ok(serves(second));
  t.same(files.findings(), []);
});

t.test('files that change from look to look are not read', async (t) => {
  const { folder, files, serves } = await open(t);
  for (const each of [second, third, second]) {
    put(folder, each);
    t.equal(await files.look(now), true);
    t.ok(serves(first));
  }
  await files.look(now);
  t.ok(serves(second));
});

t.test('a file renamed over another', async (t) => {
  const { folder, files, serves } = await open(t);
  mkdirSync(join(folder, 'new'));
  put(join(folder, 'new'), second);
  for (const name of ['a.crt', 'a.key']) renameSync(join(folder, 'new', name), join(folder, name));
  await settle(files);
  t.ok(serves(second));
});

t.test('a folder behind a symlink exchanged, as Kubernetes does it', async (t) => {
  const folder = makeFolder(t, 'watch');
  const release = (name: string, pair: TestPair) => {
    mkdirSync(join(folder, name));
    put(join(folder, name), pair);
    symlinkSync(name, join(folder, 'next'));
    renameSync(join(folder, 'next'), join(folder, '..data'));
  };
  release('..1', first);
  for (const name of ['a.crt', 'a.key']) symlinkSync(join('..data', name), join(folder, name));
  const files = new CertificateFiles([makePair(join(folder, 'a.crt'), join(folder, 'a.key'))], [NAME], now);
  await settle(files);
  release('..2', second);
  rmSync(join(folder, '..1'), { recursive: true });
  await settle(files);
  t.equal(files.current()[0]!.certificate.chain, second.certificate);
  t.same(files.findings(), []);
});

t.test('a certificate that comes before its key is waited for, and not alarmed at', async (t) => {
  const { folder, files, serves, codes } = await open(t);
  writeFileSync(join(folder, 'a.crt'), second.certificate);
  await settle(files);
  t.ok(serves(first));
  t.same(codes(), []);
  writeFileSync(join(folder, 'a.key'), second.key);
  await settle(files);
  t.ok(serves(second));
  t.same(codes(), []);
});

t.test('what stays bad is told after a while, and the last good one is served', async (t) => {
  const { folder, files, serves } = await open(t);
  const cases = [
    [
      'a.crt',
      second.certificate,
      /a\.key does not belong to the certificate in .*: it is not used, what was served before stays$/,
    ],
    ['a.crt', second.certificate.slice(0, 200), /has no end to its block 1/],
    ['a.key', '', /a\.key is empty/],
  ] as const;
  for (const [name, text, message] of cases) {
    put(folder, first);
    await settle(files);
    t.same(files.findings(), [], 'nothing is left of the case before');
    writeFileSync(join(folder, name), text);
    await settle(files);
    t.same(files.findings(), []);
    await files.look(later);
    t.ok(serves(first));
    t.match(files.findings(), [{ code: 'not-used', severity: 'error', message }]);
    t.ok(files.findings()[0]!.hint);
  }
  rmSync(join(folder, 'a.crt'));
  await settle(files, later);
  t.match(files.findings(), [{ message: /does not exist/ }], 'another reason, told at once');
  put(folder, third);
  await settle(files, later);
  t.ok(serves(third));
  t.same(files.findings(), []);
});

t.test('one that clients would refuse does not take the place of one that they take', async (t) => {
  const { folder, files, serves } = await open(t);
  const expired = await makeCertificate({ names: [NAME], validFrom: -90, validTo: -2 });
  const early = await makeCertificate({ names: [NAME], validFrom: 2, validTo: 90 });
  const other = await makeCertificate({ names: ['other.example'] });
  for (const [pair, message, hint] of [
    [expired, /a\.crt expired at \d{4}-.*: it is not used/, /the clock here says/],
    [early, /a\.crt is not valid before \d{4}-.*: it is not used/, /the clock here says/],
    [
      other,
      /a\.crt does not cover toucan\.example, as the one in force does: it is not used/,
      /portico reload takes it/,
    ],
  ] as const) {
    put(folder, pair);
    await settle(files);
    await files.look(later);
    t.ok(serves(first));
    t.match(files.findings(), [{ code: 'not-used', message, hint }]);
    put(folder, first);
    await settle(files);
  }
});

t.test('one that was refused for its date is taken when it becomes valid, and told of once until then', async (t) => {
  const { folder, files, serves, codes } = await open(t);
  let calls = 0;
  files.listen(() => calls++);
  const early = await makeCertificate({ names: [NAME], validFrom: 2, validTo: 90 });
  put(folder, early);
  await settle(files);
  for (const day of [0.1, 0.2, 1, 1.9]) {
    await files.look(inDays(day));
    t.ok(serves(first));
    t.same(codes(), ['not-used']);
    t.equal(calls, 1);
  }
  await files.look(inDays(2.1));
  t.ok(serves(early));
  t.same(codes(), []);
  t.equal(calls, 2);
});

t.test('one that was refused is taken when the one that is served expires', async (t) => {
  const { folder, files, serves, codes } = await open(t);
  const other = await makeCertificate({ names: ['other.example'], validTo: 90 });
  put(folder, other);
  await settle(files);
  await files.look(inDays(59));
  t.ok(serves(first));
  t.same(codes(), ['not-used', 'expires-3']);
  await files.look(inDays(61));
  t.ok(serves(other));
  t.notOk(codes().includes('not-used'));
});

t.test('one that becomes valid, but lacks a name, is told of anew', async (t) => {
  const { folder, files, serves } = await open(t);
  put(folder, await makeCertificate({ names: ['other.example'], validFrom: 2, validTo: 90 }));
  await settle(files);
  await files.look(inDays(1));
  t.match(files.findings(), [{ message: /is not valid before/ }]);
  await files.look(inDays(3));
  t.ok(serves(first));
  t.match(files.findings(), [{ message: /does not cover toucan\.example/ }]);
});

t.test('an expired one is better than none, and anything that fits is better than an expired one', async (t) => {
  const folder = makeFolder(t, 'watch');
  const expired = await makeCertificate({ names: [NAME], validFrom: -90, validTo: -2 });
  const other = await makeCertificate({ names: ['other.example'] });
  put(folder, expired);
  const files = new CertificateFiles([makePair(join(folder, 'a.crt'), join(folder, 'a.key'))], [NAME], now);
  await settle(files);
  t.match(files.findings(), [{ code: 'expired', severity: 'error' }]);
  put(folder, other);
  await settle(files);
  t.equal(files.current()[0]!.certificate.chain, other.certificate);
});

t.test('a name may move from one pair to another', async (t) => {
  const folder = makeFolder(t, 'watch');
  const pairs = ['one', 'two'].map((name) => {
    mkdirSync(join(folder, name));
    put(join(folder, name), first);
    return makePair(join(folder, name, 'a.crt'), join(folder, name, 'a.key'));
  });
  const files = new CertificateFiles(pairs, [NAME], now);
  await settle(files);
  const other = await makeCertificate({ names: ['other.example'] });
  put(join(folder, 'one'), other);
  await settle(files);
  t.same(
    files.current().map(({ certificate }) => certificate.names),
    [['other.example'], [NAME]],
  );
});

t.test('a name may come to another pair after it left its own', async (t) => {
  const folder = makeFolder(t, 'watch');
  const pairs = ['one', 'two'].map((name) => {
    mkdirSync(join(folder, name));
    return makePair(join(folder, name, 'a.crt'), join(folder, name, 'a.key'));
  });
  const other = await makeCertificate({ names: ['other.example'] });
  put(join(folder, 'one'), first);
  put(join(folder, 'two'), other);
  const files = new CertificateFiles(pairs, [NAME], now);
  await settle(files);
  put(join(folder, 'one'), other);
  await settle(files);
  const names = () => files.current().map(({ certificate }) => certificate.names[0]);
  t.same(names(), [NAME, 'other.example']);
  put(join(folder, 'two'), second);
  await settle(files);
  await files.look(now);
  t.same(names(), ['other.example', NAME]);
  t.same(files.findings(), []);
});

t.test('the same pair written again is no change', async (t) => {
  const { folder, files, serves } = await open(t);
  let calls = 0;
  files.listen(() => calls++);
  put(folder, first);
  await settle(files);
  t.ok(serves(first));
  t.equal(calls, 0);
});

t.test('dates come near while it is served', async (t) => {
  const { files, codes } = await open(t);
  let calls = 0;
  files.listen(() => calls++);
  for (const [day, code, times] of [
    [10, [], 0],
    [42, ['expires-30'], 1],
    [44, ['expires-30'], 1],
    [50, ['expires-14'], 2],
    [61, ['expired'], 3],
  ] as const) {
    await files.look(inDays(day));
    t.same(codes(), code);
    t.equal(calls, times);
  }
});

t.test('a file without a name is what a mount holds on to', { skip: process.platform !== 'linux' }, async (t) => {
  const { folder } = await open(t);
  const certificate = openSync(join(folder, 'a.crt'), 'r');
  t.teardown(() => closeSync(certificate));
  const mounted = makePair(`/proc/self/fd/${certificate}`, join(folder, 'a.key'));
  const files = new CertificateFiles([mounted], [NAME], now);
  await files.look(now);
  t.same(files.findings(), []);
  rmSync(join(folder, 'a.crt'));
  await files.look(now);
  t.match(files.findings(), [{ code: 'detached', message: /still shows the old one/, hint: /mount the folder/ }]);
});

t.test('what is bad from the start is refused, all of it at once', async (t) => {
  const folder = makeFolder(t, 'watch');
  put(folder, first);
  const bad = ['x', 'y'].map((name) => makePair(join(folder, `${name}.crt`), join(folder, 'a.key')));
  try {
    new CertificateFiles([makePair(join(folder, 'a.crt'), join(folder, 'a.key')), ...bad], [NAME], now);
    t.fail('it is refused');
  } catch (error) {
    t.match((error as ConfigError).problems, [
      { message: /x\.crt does not exist/ },
      { message: /y\.crt does not exist/ },
    ]);
    t.ok(error instanceof ConfigError);
  }
});

t.test('once started it looks by itself, and not any more when it is stopped', async (t) => {
  const { folder, files, serves } = await open(t);
  let calls = 0;
  files.start(() => calls++);
  t.teardown(() => files.stop());
  put(folder, second);
  await waitFor(() => calls > 0, 20_000, 'the change to be seen');
  t.ok(serves(second));
  t.equal(calls, 1);
  files.stop();
  put(folder, third);
  await settle(files);
  t.equal(calls, 1);
});
