// `portico cert lint` over files that are really broken, in each of the ways that it knows.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { lintFiles } from '../../src/control/certificate-commands.ts';
import { readMaterial } from '../../src/control/certificate-formats.ts';
import { arrangeChain, lintChain, lintDates } from '../../src/control/certificate-lint.ts';
import { makeAuthority, makeCertificate, makeRsaKeys, type TestCertificateOptions } from '../support/certificates.ts';
import { makeFolder } from '../support/folder.ts';
import { needPart } from '../support/parts.ts';

const now = new Date();
const names = ['toucan.example'];
const root = await makeAuthority();
const middle = await makeAuthority({ subject: 'CN=Middle', issuer: root });
const pem = async (options: TestCertificateOptions, ...others: readonly { readonly certificate: string }[]) => {
  const leaf = await makeCertificate({ names, issuer: middle, ...options });
  return [leaf, ...others].map(({ certificate }) => certificate).join('') + leaf.key;
};
const curve = (namedCurve: string) =>
  crypto.subtle.generateKey({ name: 'ECDSA', namedCurve }, true, ['sign', 'verify']);

/** A file and what is said of it; `ok`: it can be used all the same. */
interface Broken {
  readonly code: string;
  readonly text: () => Promise<string>;
  readonly line: RegExp;
  readonly ok: boolean;
}

const leafOf = async (options: TestCertificateOptions) => (await makeCertificate({ names, ...options })).certificate;
const responderUrl = 'http://ocsp.example';

const BROKEN: readonly Broken[] = [
  {
    ...{ code: 'expired', ok: false, text: () => pem({ validFrom: -90, validTo: -3.5 }, middle) },
    line: /^ {2}error: .* expired at .*, 3 days ago: clients refuse it \(renew it\)$/,
  },
  {
    ...{ code: 'not-yet-valid', ok: false, text: () => pem({ validFrom: 2, validTo: 60 }, middle) },
    line: /^ {2}error: .* is not valid before .*: clients refuse it \(is the clock here right\? It says /,
  },
  {
    ...{ code: 'expires-', ok: true, text: () => pem({ validFrom: -80, validTo: 2.5 }, middle) },
    line: /^ {2}warning: .* expires at .*, in 2 days \(renew it\)$/,
  },
  {
    ...{ code: 'purpose', ok: false, text: () => pem({ purposes: ['1.3.6.1.5.5.7.3.2'] }, middle) },
    line: /^ {2}error: .* is not meant for servers: clients refuse it/,
  },
  {
    ...{ code: 'must-staple', ok: false, text: () => pem({ mustStaple: true }, middle) },
    line: /^ {2}error: .* demands a stapled OCSP answer \(must-staple\), and names no responder/,
  },
  {
    ...{ code: 'must-staple', ok: true, text: () => pem({ mustStaple: true, responderUrl }, middle) },
    line: /^ {2}note: .* demands a stapled OCSP answer .* refuse it whenever http:\/\/ocsp\.example could not be asked/,
  },
  {
    ...{ code: 'incomplete', ok: true, text: () => pem({ logStamps: true, issuerUrl: 'http://ca.example/m.crt' }) },
    line: /^ {2}warning: .* holds no certificate of the issuer .* append that intermediate, which is at http:\/\/ca\.example/,
  },
  {
    ...{ code: 'curve', ok: true, text: async () => pem({ keys: await curve('P-521') }, middle) },
    line: /^ {2}warning: .* has a key that is on the curve secp521r1 .*: browsers refuse it/,
  },
  {
    code: 'signature',
    ok: false,
    text: async () => {
      const old = await makeAuthority({ keys: await makeRsaKeys(2048, 'SHA-1') });
      return pem({ issuer: old, signatureHash: 'SHA-1' }, old);
    },
    line: /^ {2}error: .* is signed with .*sha1.*: clients refuse it \(have it issued anew with SHA-256\)$/i,
  },
  {
    ...{ code: 'order', ok: true, text: async () => middle.certificate + (await pem({})) },
    line: /^ {2}note: .* has its chain in the wrong order; served as CN=toucan\.example, then CN=Middle/,
  },
  {
    ...{ code: 'root', ok: true, text: () => pem({}, middle, root) },
    line: /^ {2}note: .* holds the root CN=Test root, which is left out/,
  },
  {
    ...{
      code: 'unrelated',
      ok: true,
      text: async () => pem({}, middle, { certificate: await leafOf({ names: ['b.example'] }) }),
    },
    line: /^ {2}note: .* no part of the leaf's chain and are left out: CN=b\.example/,
  },
];

/** The codes of what is found in a file. */
function codesIn(file: string): string[] {
  const password = { file: undefined, name: '--password-file' };
  const { certificates, keys } = readMaterial({ place: '', name: file, file }, password, [])!;
  const leaf = certificates.find((each) => keys.some((key) => each.checkPrivateKey(key)))!;
  const chain = arrangeChain(leaf, certificates, now);
  return [...lintDates(chain, now), ...lintChain(chain)].map(({ code }) => code);
}

t.test('each finding, in a file that is broken so', async (t) => {
  const folder = makeFolder(t, 'broken');
  for (const [i, { code, text, line, ok }] of BROKEN.entries()) {
    const file = join(folder, `${i}.pem`);
    writeFileSync(file, await text(), { mode: 0o600 });
    t.ok(
      codesIn(file).some((each) => each.startsWith(code)),
      code,
    );
    const linted = lintFiles([file], undefined, now);
    t.ok(
      linted.lines.some((each) => line.test(each)),
      `${code}: ${linted.lines.join('; ')}`,
    );
    t.equal(linted.ok, ok, `${code} ${ok ? 'can be used' : 'is refused'}`);
  }
});

t.test('no finding is without such a file', async (t) => {
  const source = readFileSync(new URL('../../src/control/certificate-lint.ts', import.meta.url), 'utf8');
  const known = [...source.matchAll(/(?:code: |note\()['`]([a-z-]+)/g)].map(([, code]) => code!);
  t.ok(known.length > 8);
  t.same([...new Set(known)].sort(), [...new Set(BROKEN.map(({ code }) => code))].sort());
});

t.test('keys and signatures that nobody takes are refused', async (t) => {
  const openssl = needPart(t, 'openssl');
  if (openssl === undefined) return;
  const folder = makeFolder(t, 'broken');
  const run = (...args: string[]) =>
    execFileSync(openssl, args, { cwd: folder, stdio: ['ignore', 'ignore', 'ignore'] });
  const lint = (...files: string[]) =>
    lintFiles(
      files.map((file) => join(folder, file)),
      undefined,
      new Date(),
    );
  const request = ['req', '-x509', '-nodes', '-days', '60', '-subj', '/CN=toucan.example'];
  const refused = (file: string, why: RegExp) => {
    const { ok, lines } = lint(file);
    t.equal(ok, false, file);
    t.match(
      lines.find((each) => each.startsWith('  error')),
      why,
    );
  };
  run(...request, '-newkey', 'rsa:1024', '-keyout', 'short.pem', '-out', 'short.crt');
  refused('short.crt', /cannot be used for TLS .*: its RSA key of 1024 bits is too short \(.*ECDSA P-256/);
  run(...request, '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1', '-keyout', 'odd.pem', '-out', 'odd.crt');
  refused('odd.crt', /its key is on the curve secp256k1, which clients do not take/);
  run('dsaparam', '-out', 'dsa.params', '1024');
  run(...request, '-newkey', 'dsa:dsa.params', '-keyout', 'dsa.pem', '-out', 'dsa.crt');
  refused('dsa.crt', /no client takes DSA keys/);
  run(...request, '-newkey', 'rsa:2048', '-keyout', 'ca.pem', '-out', 'ca.crt');
  run(
    'req',
    '-new',
    '-nodes',
    '-newkey',
    'rsa:2048',
    '-subj',
    '/CN=a.example',
    '-keyout',
    'md5.pem',
    '-out',
    'md5.csr',
  );
  run(
    'x509',
    '-req',
    '-md5',
    '-in',
    'md5.csr',
    '-CA',
    'ca.crt',
    '-CAkey',
    'ca.pem',
    '-CAcreateserial',
    '-out',
    'md5.crt',
  );
  refused('md5.crt', /it is signed with .*md5.*, which can be forged/i);
  run(...request, '-newkey', 'ed25519', '-keyout', 'ed.pem', '-out', 'ed.crt');
  const edwards = lint('ed.crt', 'ed.pem');
  t.equal(edwards.ok, true);
  t.match(edwards.lines.join('\n'), /warning: .* has a key that is of the kind ed25519 .*: browsers refuse it/);
});

t.test('files that are cut off, swapped or strange', async (t) => {
  const folder = makeFolder(t, 'broken');
  const put = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const leaf = await makeCertificate({ names, issuer: root });
  const lint = (...files: string[]) => lintFiles(files, undefined, now);
  t.match(lint(put('cut.crt', leaf.certificate.slice(0, 300))), { ok: false, lines: [/error: .*cut\.crt /] });
  t.match(lint(put('empty.crt', '')), { ok: false, lines: [/error: .*empty\.crt is empty/] });
  const other = await makeCertificate({ names });
  const pair = [put('a.crt', leaf.certificate + root.certificate), put('b.key', other.key)] as const;
  t.match(lint(...pair), { ok: false, lines: [String, /error: .*a\.crt has no private key among these files/] });
  t.match(lint(put('alone.key', leaf.key)), { ok: true, lines: [/alone\.key: a private key/] });
});
