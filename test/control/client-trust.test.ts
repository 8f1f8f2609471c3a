// Who vouches for clients: what is read, what is refused, and what is said of authorities and revocation lists before clients hear of it.

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import t, { type Test } from 'tap';
import { loadClientTrust } from '../../src/control/client-trust.ts';
import { ConfigError } from '../../src/control/problem.ts';
import { makeAuthority, makeCertificate, makeRevocationList, makeRsaKeys } from '../support/certificates.ts';
import { makeFolder } from '../support/folder.ts';
import { needPart } from '../support/parts.ts';

const DAY = 86_400_000;
const root = await makeAuthority({ subject: 'CN=Root' });
const intermediate = await makeAuthority({ subject: 'CN=Intermediate', issuer: root });
const other = await makeAuthority({ subject: 'CN=Other' });
const leaf = await makeCertificate({ subject: 'CN=joe', issuer: root });
const NOW = new Date();

function filesOf(t: Test, ca: string | Buffer, crl?: string | Buffer) {
  const folder = makeFolder(t, 'trust');
  const write = (name: string, content: string | Buffer) => {
    const file = join(folder, name);
    writeFileSync(file, content);
    return { file, setting: { place: `portico.yaml:1:1 ${name}:`, name } };
  };
  return { ca: write('ca', ca), crl: crl === undefined ? undefined : write('crl', crl) };
}

/** Codes and words of what is said. */
function said(t: Test, ca: string, crl?: string | Buffer, now = NOW): string[] {
  const { findings } = loadClientTrust(filesOf(t, ca, crl));
  return findings(now).map(({ severity, code, message, hint }) => `${severity} ${code}: ${message} (${hint})`);
}

function refused(t: Test, ca: string | Buffer, crl?: string | Buffer): string {
  try {
    loadClientTrust(filesOf(t, ca, crl));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ place, message, hint }) => `${place} ${message} (${hint})`).join('\n');
  }
  return 'nothing';
}

const derOf = (pem: string) => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');

t.test('authorities in any form are the same trust; with a list it is another one', async (t) => {
  const list = await makeRevocationList(root);
  const { trust } = loadClientTrust(filesOf(t, root.certificate));
  t.strictSame(trust.revocations, []);
  t.match(trust.id, /^[0-9a-f]{32}$/);
  t.equal(loadClientTrust(filesOf(t, `some text\r\n${root.certificate.replaceAll('\n', '\r\n')}`)).trust.id, trust.id);
  t.equal(loadClientTrust(filesOf(t, derOf(root.certificate))).trust.id, trust.id, 'DER');
  const withList = loadClientTrust(filesOf(t, root.certificate, list));
  t.not(withList.trust.id, trust.id);
  t.strictSame(withList.trust.revocations, [list.replace(/\n+$/, '\n')]);
  t.equal(loadClientTrust(filesOf(t, root.certificate, derOf(list))).trust.id, withList.trust.id, 'a list in DER');
  const newer = await makeRevocationList(root, { revoked: [leaf.certificate] });
  t.not(loadClientTrust(filesOf(t, root.certificate, newer)).trust.id, withList.trust.id);
});

t.test('what cannot vouch for anybody is refused, with what to do', async (t) => {
  t.match(refused(t, leaf.certificate), /^portico\.yaml:1:1 ca: .*holds CN=joe, which is no authority .*let ca name/);
  t.match(refused(t, root.certificate + leaf.certificate), /no authority/);
  t.match(refused(t, leaf.key), /holds a private key where certificates of authorities should be/);
  t.match(refused(t, 'nothing'), /neither PEM/);
  t.match(refused(t, root.certificate.slice(0, 200)), /no end to its block 1/);
  t.match(refused(t, root.certificate, root.certificate), /ca.*|crl holds no revocation list \(let crl name/);
  t.match(refused(t, root.certificate, 'nothing'), /crl holds no revocation list/);
  t.match(refused(t, root.certificate, (await makeRevocationList(root)).slice(0, 150)), /no end to its block 1/);
  const list = derOf(await makeRevocationList(root, { revoked: [leaf.certificate] }));
  for (let cut = 0; cut < list.length; cut++) {
    if (!/is empty|no revocation list/.test(refused(t, root.certificate, list.subarray(0, cut))))
      t.fail(`cut at ${cut}`);
  }
  t.match(refused(t, intermediate.certificate, await makeRevocationList(intermediate)), /holds no root/);
  t.equal(refused(t, intermediate.certificate), 'nothing', 'without a list it is enough');
});

t.test('damaged lists are refused or read, and nothing throws', async (t) => {
  const list = derOf(await makeRevocationList(root, { revoked: [leaf.certificate] }));
  for (let i = 0; i < list.length; i++) {
    for (const value of [0, 0x30, 0x80, 0x84, 0xff]) {
      const damaged = Buffer.from(list);
      damaged[i] = value;
      const told = refused(t, root.certificate, damaged);
      if (!/nothing|no revocation list|neither|cannot be used/.test(told)) t.fail(`${i}: ${told}`);
    }
  }
  t.pass('all of them');
});

t.test('authorities: dates, and those that vouch for everybody', async (t) => {
  t.strictSame(said(t, root.certificate), []);
  const old = await makeAuthority({ subject: 'CN=Old', validFrom: -9, validTo: -1 });
  t.match(said(t, root.certificate + old.certificate), [/^error client-authority-expired: .*CN=Old, which expired at/]);
  const young = await makeAuthority({ subject: 'CN=Young', validFrom: 1 });
  t.match(said(t, young.certificate), [/^error client-authority-early: .*not valid before/]);
  t.match(said(t, root.certificate, undefined, new Date(NOW.getTime() + 40 * DAY)), [
    /^warning client-authority-ends: .*expires in (19|20) days/,
  ]);
  const isPublic = said(t, rootCertificates.find((pem) => said(t, pem).length === 1)!);
  t.match(isPublic, [/^warning client-authority-public: .*whoever gets a certificate from it comes in/]);
});

t.test('revocation lists: whose they are, and how long they hold', async (t) => {
  const ca = root.certificate;
  const list = (options = {}) => makeRevocationList(root, options);
  t.strictSame(said(t, ca, await list()), []);
  t.strictSame(said(t, ca, await list({ until: undefined })), [], 'one that never ends');
  t.match(said(t, ca, await list({ from: -9, until: -1 })), [
    /^error revocations-expired: .*out of date since .* \(the list of CN=Root\): clients are refused/,
  ]);
  t.match(said(t, ca, await list({ from: 1 })), [/^error revocations-early: .*not valid before/]);
  t.match(said(t, ca, await list({ from: -9, until: 0.5 })), [/^warning revocations-end: .*in 1[23] hours/]);
  t.match(said(t, ca, await makeRevocationList(other)), [
    /^warning revocations-unrelated: .*block 1 \(line 1\) that is of none of the authorities/,
    /^error revocations-missing: .*holds no list of CN=Root/,
  ]);
  t.match(said(t, ca + intermediate.certificate, await list()), [/^error revocations-missing: .*CN=Intermediate/]);
  t.strictSame(said(t, ca + intermediate.certificate, (await list()) + (await makeRevocationList(intermediate))), []);
  const namesake = await makeAuthority({ subject: 'CN=Root' });
  t.match(
    said(t, ca, await makeRevocationList(namesake)),
    [/unrelated/, /missing/],
    'the signature counts, not the name',
  );
  const rsa = await makeAuthority({ subject: 'CN=RSA', keys: await makeRsaKeys(2048) });
  t.strictSame(said(t, rsa.certificate, await makeRevocationList(rsa)), []);
});

t.test('a list that openssl made', async (t) => {
  if (needPart(t, 'openssl') === undefined) return;
  const folder = makeFolder(t, 'openssl');
  writeFileSync(join(folder, 'ca.pem'), root.certificate);
  writeFileSync(join(folder, 'key.pem'), root.key);
  writeFileSync(join(folder, 'index.txt'), '');
  writeFileSync(join(folder, 'number'), '01\n');
  writeFileSync(
    join(folder, 'cnf'),
    `[ca]\ndefault_ca=x\n[x]\ndatabase=${folder}/index.txt\ncrlnumber=${folder}/number\ndefault_md=sha384\ndefault_crl_days=7\n`,
  );
  const args = ['ca', '-gencrl', '-config', join(folder, 'cnf'), '-cert', join(folder, 'ca.pem')];
  const pem = execFileSync('openssl', [...args, '-keyfile', join(folder, 'key.pem')], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  t.strictSame(said(t, root.certificate, pem, new Date(Date.now() + 5_000)), []);
});
