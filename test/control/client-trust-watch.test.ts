// Authorities and revocation lists that change under us: taken when they are good, told of when they are not.

import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { GRACE } from '../../src/control/certificate-watch.ts';
import { ClientTrustSource } from '../../src/control/client-trust-watch.ts';
import { trustKey } from '../../src/control/configuration.ts';
import type { ConfigError } from '../../src/control/problem.ts';
import { makeAuthority, makeCertificate, makeRevocationList } from '../support/certificates.ts';
import { makeFolder } from '../support/folder.ts';

const root = await makeAuthority({ subject: 'CN=Root', validTo: 400 });
const leaf = await makeCertificate({ subject: 'CN=joe', issuer: root });
const NOW = Date.now();

async function start(t: Test) {
  const folder = makeFolder(t, 'trust');
  const file = (name: string) => ({ file: join(folder, name), setting: { place: `${name}:`, name } });
  const files = { ca: file('ca.pem'), crl: file('crl.pem') };
  let count = 0;
  /** As whoever renews it: beside it, and renamed. */
  const write = (name: 'ca' | 'crl', text: string) => {
    const next = join(folder, `next-${++count}`);
    writeFileSync(next, text);
    renameSync(next, files[name].file);
  };
  write('ca', root.certificate);
  write('crl', await makeRevocationList(root));
  const source = new ClientTrustSource([files, files], new Date(NOW));
  t.teardown(() => source.stop());
  let changes = 0;
  source.listen(() => {
    changes++;
  });
  let time = NOW;
  /** Until it stands still. */
  const look = async (later = 0) => {
    time += later;
    while (await source.look(new Date(time)));
  };
  await look();
  const revocations = () => source.clientTrusts().get(trustKey(files))!.revocations;
  return { source, files, write, look, revocations, changes: () => changes };
}

t.test('a new list is in force at the second look, and the same one is no change', async (t) => {
  const { source, write, look, revocations, changes } = await start(t);
  t.equal(changes(), 0);
  const before = source.clientTrusts();
  const next = await makeRevocationList(root, { revoked: [leaf.certificate] });
  write('crl', next);
  t.ok(await source.look(new Date(NOW)), 'it may be written on');
  t.equal(source.clientTrusts(), before);
  await look();
  t.not(source.clientTrusts(), before);
  t.strictSame(
    revocations().map((each) => each.trim()),
    [next.trim()],
  );
  t.equal(changes(), 1);
  write('crl', next);
  await look();
  t.equal(changes(), 1);
  t.strictSame(source.current(), []);
});

t.test('what is damaged, gone, out of date or of somebody else is not taken, and is said after a while', async (t) => {
  const { source, files, write, look, revocations, changes } = await start(t);
  const before = revocations();
  const bad: [() => void, RegExp][] = [
    [() => write('crl', 'rubbish'), /holds no revocation list: it is not used/],
    [() => rmSync(files.crl.file), /does not exist: it is not used/],
  ];
  const old = await makeRevocationList(root, { from: -9, until: -1 });
  const foreign = await makeRevocationList(await makeAuthority({ subject: 'CN=Other' }));
  bad.push([() => write('crl', old), /out of date since .*: it is not used/]);
  bad.push([() => write('crl', foreign), /holds no list of CN=Root.*: it is not used/]);
  bad.push([() => write('ca', leaf.certificate), /no authority.*: it is not used/]);
  let told = 0;
  for (const [change, words] of bad) {
    change();
    await look();
    await look(GRACE);
    t.match(
      source
        .findings()
        .filter(({ code }) => code === 'not-used')
        .map(({ message }) => message),
      [words],
    );
    t.equal(revocations(), before);
    t.ok(changes() > told, 'whoever listens hears of it');
    told = changes();
  }
  write('ca', root.certificate);
  write('crl', await makeRevocationList(root));
  await look();
  t.strictSame(source.findings(), []);
});

t.test('one that runs out while it is in force is told of, and one that is no better is taken then', async (t) => {
  const { source, write, look, revocations, changes } = await start(t);
  await look(40 * 86_400_000);
  t.match(source.findings(), [{ code: 'revocations-expired', severity: 'error' }]);
  t.equal(changes(), 1);
  const next = await makeRevocationList(root, { from: -9, until: 20 });
  write('crl', next);
  await look();
  t.strictSame(
    revocations().map((each) => each.trim()),
    [next.trim()],
  );
});

t.test('one that is of the next minute by our clock is taken in the next minute', async (t) => {
  const { write, look, revocations } = await start(t);
  const next = await makeRevocationList(root, { from: 30 / 86_400 });
  write('crl', next);
  await look();
  t.notSame(
    revocations().map((each) => each.trim()),
    [next.trim()],
  );
  await look(60_000);
  t.strictSame(
    revocations().map((each) => each.trim()),
    [next.trim()],
  );
});

t.test('at the start all that is wrong is told at once', async (t) => {
  const folder = makeFolder(t, 'trust');
  const files = (name: string) => ({
    ca: { file: join(folder, name), setting: { place: `${name}:`, name } },
    crl: undefined,
  });
  try {
    new ClientTrustSource([files('a'), files('b')], new Date(NOW));
    t.fail('it is refused');
  } catch (error) {
    t.match((error as ConfigError).problems, [{ place: 'a:' }, { place: 'b:' }]);
  }
});
