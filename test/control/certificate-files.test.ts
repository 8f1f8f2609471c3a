// What is accepted, put right, warned of and refused of a pair of files, and in which words.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmodSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import t, { type Test } from 'tap';
import { loadPair } from '../../src/control/certificate-files.ts';
import { coversName, namesOf } from '../../src/control/certificate-names.ts';
import type { Finding, LoadedCertificate } from '../../src/control/certificate-source.ts';
import { ConfigError, formatProblem, type Problem } from '../../src/control/problem.ts';
import { makePair } from '../support/certificate-pair.ts';
import { makeAuthority, makeCertificate, makeRsaKeys } from '../support/certificates.ts';
import { makeFolder } from '../support/folder.ts';

const root = await makeAuthority({ subject: 'CN=Test root' });
const upper = await makeAuthority({ subject: 'CN=Upper intermediate', issuer: root });
const lower = await makeAuthority({ subject: 'CN=Lower intermediate', issuer: upper });
const leaf = await makeCertificate({ names: ['toucan.example', 'api-toucan.example'], issuer: lower });
const own = await makeCertificate({ names: ['toucan.example'] });
const stranger = await makeCertificate({ names: ['stranger.example'] });
const chain = leaf.certificate + lower.certificate + upper.certificate;

interface Given {
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly now?: Date;
}

interface Loaded extends LoadedCertificate {
  readonly findings: readonly Finding[];
  /** Each as it is told. */
  readonly warnings: readonly string[];
}

/** Writes the two files and loads them. */
function load(t: Test, { cert, key, now = new Date() }: Given): Loaded {
  const folder = makeFolder(t, 'certificates');
  if (cert !== undefined) writeFileSync(join(folder, 'a.crt'), cert);
  if (key !== undefined) writeFileSync(join(folder, 'a.key'), key, { mode: 0o600 });
  return loadFiles(join(folder, 'a.crt'), join(folder, 'a.key'), now);
}

function loadFiles(certFile: string, keyFile: string | undefined, now = new Date(), passwordFile?: string): Loaded {
  const { loaded, findings } = loadPair(makePair(certFile, keyFile, passwordFile), now);
  const found = findings(now);
  return { ...loaded, findings: found, warnings: found.map(formatProblem) };
}

/** The problems that `run` throws. None of them may repeat what a key file holds. */
function problemsOf(t: Test, run: () => unknown): readonly Problem[] {
  try {
    run();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    t.notMatch(error.message, /BEGIN [A-Z ]*PRIVATE KEY-----\n|M[A-Za-z0-9+/]{20}/, 'nothing of a key is printed');
    for (const problem of error.problems) t.ok(problem.hint, 'says what to do');
    return error.problems;
  }
  t.fail('it was accepted');
  return [];
}

/** Expects one problem, at this place, whose message and hint match. */
function refuses(t: Test, given: Given, place: string, message: RegExp, hint?: RegExp): void {
  const problems = problemsOf(t, () => load(t, given));
  t.equal(problems.length, 1, 'one problem');
  t.equal(problems[0]?.place, place);
  t.match(problems[0]?.message, message);
  t.match(problems[0]?.message, /^\/.*\/a\.(crt|key) /, 'names the file first');
  if (hint) t.match(problems[0]?.hint, hint);
}

/** t.match of a list, but with nothing left over. */
function matchEach(t: Test, found: readonly unknown[], patterns: readonly unknown[]): void {
  t.equal(found.length, patterns.length, `${patterns.length} in number`);
  t.match(found, patterns);
}

function subjects(loaded: Loaded): string[] {
  return loaded.certificate.chain
    .split(/(?<=-----END CERTIFICATE-----\n)/)
    .map((pem) => new X509Certificate(pem).subject);
}

const CHAIN_IN_ORDER = ['CN=toucan.example', 'CN=Lower intermediate', 'CN=Upper intermediate'];

t.test('a good chain is taken as it is, without warnings', async (t) => {
  const loaded = load(t, { cert: chain, key: leaf.key });
  t.same(loaded.warnings, []);
  t.same(subjects(loaded), CHAIN_IN_ORDER);
  t.equal(loaded.issuer, 'CN=Lower intermediate');
  t.same(loaded.notAfter, new X509Certificate(leaf.certificate).validToDate);
  t.same(loaded.certificate.names, ['toucan.example', 'api-toucan.example']);
  t.ok(createPrivateKey(loaded.certificate.key).equals(createPrivateKey(leaf.key)));
  t.same(structuredClone(loaded.certificate), loaded.certificate);
  t.doesNotThrow(() => createSecureContext({ cert: loaded.certificate.chain, key: loaded.certificate.key }));
});

t.test('a self-signed certificate is taken without warnings', async (t) => {
  const loaded = load(t, { cert: own.certificate, key: own.key });
  t.same(loaded.warnings, []);
  t.same(subjects(loaded), ['CN=toucan.example']);
});

t.test('relative paths are told in full', async (t) => {
  const problems = problemsOf(t, () => loadFiles('no-such.crt', 'no-such.key'));
  t.match(problems[0]?.message, `${process.cwd()}/no-such.crt does not exist`);
});

t.test('every problem is told at once, one a line', async (t) => {
  const error = t.throws(() => load(t, {})) as ConfigError;
  t.equal(error.name, 'ConfigError');
  t.equal(error.problems.length, 2);
  const lines = error.message.split('\n');
  t.match(lines[0], /^SSL_CRT \/.*\/a\.crt does not exist \(correct SSL_CRT, or .*\)$/);
  t.match(lines[1], /^SSL_KEY \/.*\/a\.key does not exist \(correct SSL_KEY, or .*\)$/);
});

t.test('a problem without a hint has no brackets', async (t) => {
  t.equal(new ConfigError([{ place: 'A', message: 'is wrong' }]).message, 'A is wrong');
});

t.test('a missing file', async (t) => {
  refuses(t, { key: own.key }, 'SSL_CRT', /does not exist$/, /mounted/);
  refuses(t, { cert: own.certificate }, 'SSL_KEY', /does not exist$/, /mounted/);
});

t.test('a path through a file', async (t) => {
  const folder = makeFolder(t);
  writeFileSync(join(folder, 'a.crt'), own.certificate);
  writeFileSync(join(folder, 'a.key'), own.key, { mode: 0o600 });
  const problems = problemsOf(t, () => loadFiles(join(folder, 'a.crt/b.crt'), join(folder, 'a.key')));
  matchEach(t, problems, [{ place: 'SSL_CRT', message: /does not exist$/ }]);
});

t.test('a file that this process may not read', async (t) => {
  const folder = makeFolder(t);
  writeFileSync(join(folder, 'a.crt'), own.certificate);
  writeFileSync(join(folder, 'a.key'), own.key, { mode: 0o600 });
  chmodSync(join(folder, 'a.key'), 0);
  const asAnother = process.geteuid?.() === 0;
  let problems: readonly Problem[] = [];
  // Root reads everything.
  if (asAnother) process.seteuid!(65_534);
  try {
    problems = problemsOf(t, () => loadFiles(join(folder, 'a.crt'), join(folder, 'a.key')));
  } finally {
    if (asAnother) process.seteuid!(0);
  }
  const user = asAnother ? 65_534 : process.geteuid!();
  matchEach(t, problems, [{ place: 'SSL_KEY', message: /may not be read by this process/, hint: `chown ${user}` }]);
  t.match(problems[0]?.message, `runs as user ${user}; the file belongs to user ${process.getuid!()}, mode 0`);
});

t.test('a file in a directory that is closed to this process', async (t) => {
  const folder = makeFolder(t);
  const closed = join(folder, 'closed');
  mkdirSync(closed);
  writeFileSync(join(folder, 'a.crt'), own.certificate);
  writeFileSync(join(closed, 'a.key'), own.key, { mode: 0o600 });
  chmodSync(closed, 0);
  t.teardown(() => chmodSync(closed, 0o700));
  const asAnother = process.geteuid?.() === 0;
  let problems: readonly Problem[] = [];
  if (asAnother) process.seteuid!(65_534);
  try {
    problems = problemsOf(t, () => loadFiles(join(folder, 'a.crt'), join(closed, 'a.key')));
  } finally {
    if (asAnother) process.seteuid!(0);
  }
  matchEach(t, problems, [{ place: 'SSL_KEY', message: /a directory above it is closed/ }]);
});

t.test('a directory, as a compose file makes it for a file that is missing', async (t) => {
  const folder = makeFolder(t);
  mkdirSync(join(folder, 'a.crt'));
  writeFileSync(join(folder, 'a.key'), own.key, { mode: 0o600 });
  const problems = problemsOf(t, () => loadFiles(join(folder, 'a.crt'), join(folder, 'a.key')));
  const expected = {
    place: 'SSL_CRT',
    message: /is a directory, not a file: Docker makes one when/,
    hint: /remove the/,
  };
  matchEach(t, problems, [expected]);
});

t.test('something that is no regular file', async (t) => {
  const folder = makeFolder(t);
  writeFileSync(join(folder, 'a.key'), own.key, { mode: 0o600 });
  const problems = problemsOf(t, () => loadFiles('/dev/null', join(folder, 'a.key')));
  matchEach(t, problems, [{ place: 'SSL_CRT', message: '/dev/null is not a regular file' }]);
});

t.test('a symbolic link that leads round in a circle', async (t) => {
  const folder = makeFolder(t);
  symlinkSync(join(folder, 'a.crt'), join(folder, 'a.crt'));
  writeFileSync(join(folder, 'a.key'), own.key, { mode: 0o600 });
  const problems = problemsOf(t, () => loadFiles(join(folder, 'a.crt'), join(folder, 'a.key')));
  matchEach(t, problems, [{ place: 'SSL_CRT', message: /cannot be read: ELOOP/ }]);
});

t.test('a symbolic link to a file, as certbot makes them', async (t) => {
  const folder = makeFolder(t);
  writeFileSync(join(folder, 'real.crt'), own.certificate);
  symlinkSync('real.crt', join(folder, 'a.crt'));
  writeFileSync(join(folder, 'a.key'), own.key, { mode: 0o600 });
  t.same(loadFiles(join(folder, 'a.crt'), join(folder, 'a.key')).certificate.names, ['toucan.example']);
});

t.test('an empty file', async (t) => {
  refuses(t, { cert: '', key: own.key }, 'SSL_CRT', /is empty$/);
});

t.test('a file larger than a chain can be', async (t) => {
  const folder = makeFolder(t);
  writeFileSync(join(folder, 'a.crt'), own.certificate);
  truncateSync(join(folder, 'a.crt'), 1024 * 1024 + 1);
  writeFileSync(join(folder, 'a.key'), own.key, { mode: 0o600 });
  const problems = problemsOf(t, () => loadFiles(join(folder, 'a.crt'), join(folder, 'a.key')));
  matchEach(t, problems, [{ place: 'SSL_CRT', message: /has 1048577 bytes, more than the 1048576/ }]);
});

t.test('a file in none of the forms', async (t) => {
  const message = /is neither PEM, nor DER, nor PKCS#12$/;
  refuses(t, { cert: 'hello\n', key: own.key }, 'SSL_CRT', message, /-----BEGIN CERTIFICATE-----/);
  refuses(t, { cert: own.certificate, key: '# put the key here\n' }, 'SSL_KEY', message);
});

t.test('the two files swapped are one problem', async (t) => {
  const message = /a\.crt holds a private key, and SSL_KEY .*a\.key holds a certificate: the two are swapped$/;
  refuses(t, { cert: own.key, key: own.certificate }, 'SSL_CRT', message, /exchange SSL_CRT and SSL_KEY/);
});

t.test('a key where the certificate should be', async (t) => {
  refuses(t, { cert: own.key, key: own.key }, 'SSL_CRT', /holds a private key where a certificate should be$/);
});

t.test('a certificate where the key should be', async (t) => {
  const given = { cert: own.certificate, key: own.certificate };
  refuses(t, given, 'SSL_KEY', /holds a certificate where a private key should be$/);
});

t.test('other PEM than a certificate', async (t) => {
  const pem = (label: string) => `-----BEGIN ${label}-----\nAAAA\n-----END ${label}-----\n`;
  const request = { cert: pem('CERTIFICATE REQUEST'), key: own.key };
  refuses(t, request, 'SSL_CRT', /holds only CERTIFICATE REQUEST where/, /the certificate that it answered with/);
  refuses(t, { cert: pem('PKCS7'), key: own.key }, 'SSL_CRT', /holds only PKCS7 where/, /openssl pkcs7/);
  const publicKey = { cert: own.certificate, key: pem('PUBLIC KEY') };
  refuses(t, publicKey, 'SSL_KEY', /holds only PUBLIC KEY where a private key should be$/);
});

t.test('a certificate that is damaged, named by its block', async (t) => {
  const damaged = lower.certificate.replace(/\n[^-\n]{64}\n/, '\n');
  const message = /has a damaged certificate in block 2 \(line \d+\)$/;
  refuses(t, { cert: leaf.certificate + damaged + upper.certificate, key: leaf.key }, 'SSL_CRT', message);
  const line = leaf.certificate.split('\n').length;
  const problems = problemsOf(t, () => load(t, { cert: leaf.certificate + damaged, key: leaf.key }));
  t.match(problems[0]?.message, `block 2 (line ${line})`);
});

t.test('a file that was cut off', async (t) => {
  const half = chain.slice(0, chain.length - 100);
  refuses(
    t,
    { cert: half, key: leaf.key },
    'SSL_CRT',
    /no end to its block 3 \(line \d+\): a part of the file is missing$/,
  );
  refuses(t, { cert: own.certificate, key: own.key.slice(0, 120) }, 'SSL_KEY', /no end to its block 1 \(line 1\)/);
  const inTheMiddle = `${leaf.certificate.slice(0, 300)}\n${lower.certificate}`;
  refuses(t, { cert: inTheMiddle, key: leaf.key }, 'SSL_CRT', /no end to its block 1 \(line 1\)/);
});

t.test('a key that is damaged', async (t) => {
  const damaged = own.key.replace(/\n[^-\n]{64}\n/, '\n');
  refuses(
    t,
    { cert: own.certificate, key: damaged },
    'SSL_KEY',
    /damaged or unknown PRIVATE KEY in block 1 \(line 1\)$/,
  );
});

t.test('a key that belongs to another certificate: both files are named', async (t) => {
  const message = /a\.key does not belong to the certificate in SSL_CRT .*a\.crt \(CN=toucan\.example\)$/;
  refuses(t, { cert: chain, key: stranger.key }, 'SSL_KEY', message, /openssl x509 -pubkey/);
});

t.test('a chain in the wrong order is put right', async (t) => {
  for (const parts of [
    [upper, lower, leaf],
    [leaf, upper, lower],
    [lower, leaf, upper],
  ]) {
    const cert = parts.map((part) => part.certificate).join('');
    const loaded = load(t, { cert, key: leaf.key });
    t.same(subjects(loaded), CHAIN_IN_ORDER);
    matchEach(t, loaded.warnings, [
      /^SSL_CRT \/.*a\.crt has its chain in the wrong order; served as CN=toucan\.example, then CN=Lower/,
    ]);
  }
});

t.test('certificates of another chain are left out', async (t) => {
  const loaded = load(t, { cert: stranger.certificate + chain, key: leaf.key });
  t.same(subjects(loaded), CHAIN_IN_ORDER);
  matchEach(t, loaded.warnings, [
    /no part of the leaf's chain and are left out: CN=stranger\.example \(take them out of the file\)$/,
  ]);
});

t.test("a system's whole store of roots is not listed in full", async (t) => {
  const many = await Promise.all([1, 2, 3, 4, 5].map((n) => makeAuthority({ subject: `CN=Root ${n}` })));
  const loaded = load(t, { cert: chain + many.map((one) => one.certificate).join(''), key: leaf.key });
  matchEach(t, loaded.warnings, [/left out: CN=Root 1; CN=Root 2; CN=Root 3 and 2 more \(/]);
});

t.test('an issuer of the same name with another key is not taken for the issuer', async (t) => {
  const impostor = await makeAuthority({ subject: 'CN=Lower intermediate', issuer: upper });
  const loaded = load(t, { cert: leaf.certificate + impostor.certificate + lower.certificate, key: leaf.key });
  t.same(subjects(loaded), CHAIN_IN_ORDER.slice(0, 2));
  matchEach(t, loaded.warnings, [/left out: CN=Lower intermediate \(/]);
});

t.test('duplicates are dropped', async (t) => {
  const loaded = load(t, { cert: chain + lower.certificate + leaf.certificate, key: leaf.key });
  t.same(subjects(loaded), CHAIN_IN_ORDER);
  t.same(loaded.warnings, []);
});

t.test('the root is left out', async (t) => {
  const loaded = load(t, { cert: chain + root.certificate, key: leaf.key });
  t.same(subjects(loaded), CHAIN_IN_ORDER);
  matchEach(t, loaded.warnings, [/holds the root CN=Test root, which is left out/]);
});

t.test('a cross-signed intermediate is preferred to the root of its name', async (t) => {
  const older = await makeAuthority({ subject: 'CN=Older root' });
  const crossSigned = await makeAuthority({ subject: 'CN=Test root', keys: root.keys, issuer: older });
  const cert = chain + root.certificate + crossSigned.certificate;
  const loaded = load(t, { cert, key: leaf.key });
  t.same(subjects(loaded), [...CHAIN_IN_ORDER, 'CN=Test root']);
  const expired = await makeAuthority({ subject: 'CN=Test root', keys: root.keys, issuer: older, validTo: -0.5 });
  t.same(subjects(load(t, { cert: chain + expired.certificate + root.certificate, key: leaf.key })), CHAIN_IN_ORDER);
});

t.test('of two certificates with the same key the current one is the leaf', async (t) => {
  const names = ['toucan.example'];
  const past = await makeCertificate({ names, keys: own.keys, validFrom: -90, validTo: -1 });
  const loaded = load(t, { cert: past.certificate + own.certificate, key: own.key });
  t.same(loaded.notAfter, new X509Certificate(own.certificate).validToDate);
});

t.test('of several keys the one that fits is taken', async (t) => {
  const loaded = load(t, { cert: chain, key: stranger.key + leaf.key });
  t.ok(createPrivateKey(loaded.certificate.key).equals(createPrivateKey(leaf.key)));
});

t.test('an intermediate that is missing', async (t) => {
  const loaded = load(t, { cert: leaf.certificate, key: leaf.key });
  matchEach(t, loaded.warnings, [
    /holds no certificate of the issuer of CN=toucan\.example, CN=Lower intermediate \(unless that is a root that clients know, append its certificate to the file\)$/,
  ]);
});

t.test('dates are warned of, and the certificate is served all the same', async (t) => {
  const names = ['toucan.example'];
  const now = new Date('2026-06-15T12:00:00.000Z');
  const warningsFor = async (validFrom: number, validTo: number) => {
    const made = await makeCertificate({ names, now, validFrom, validTo });
    const loaded = load(t, { cert: made.certificate, key: made.key, now });
    t.equal(loaded.certificate.chain, made.certificate);
    return loaded.warnings;
  };
  matchEach(t, await warningsFor(-90, -3), [
    /a\.crt expired at 2026-06-12T12:00:00Z, 3 days ago: clients refuse it \(renew it\)$/,
  ]);
  matchEach(t, await warningsFor(-90, -1), [/expired at 2026-06-14T12:00:00Z, 1 day ago/]);
  matchEach(t, await warningsFor(-90, -0.1), [/expired at .*, less than a day ago/]);
  matchEach(t, await warningsFor(2, 90), [
    /is not valid before 2026-06-17T12:00:00Z: clients refuse it \(is the clock here right\? It says 2026-06-15T12:00:00Z\)$/,
  ]);
  matchEach(t, await warningsFor(-80, 10), [/expires at 2026-06-25T12:00:00Z, in 10 days \(renew it\)$/]);
  matchEach(t, await warningsFor(-60, 30), [/in 30 days \(renew it\)$/]);
  t.same(await warningsFor(-59, 31), []);
});

t.test('each stage on the way to the end has a code of its own, so that it is told anew', async (t) => {
  const made = await makeCertificate({ now: new Date('2026-01-01T00:00:00Z'), validFrom: 0, validTo: 90 });
  const codesAfter = (days: number) => {
    const now = new Date(Date.UTC(2026, 0, 1 + days));
    return load(t, { cert: made.certificate, key: made.key, now }).findings.map(({ code, severity }) => [
      code,
      severity,
    ]);
  };
  t.same(codesAfter(59), []);
  t.same(codesAfter(60), [['expires-30', 'warning']]);
  t.same(codesAfter(76), [['expires-14', 'warning']]);
  t.same(codesAfter(87), [['expires-3', 'warning']]);
  t.same(codesAfter(91), [['expired', 'error']]);
});

t.test('a certificate of six days is not "soon to expire" all its life', async (t) => {
  const now = new Date('2026-06-15T12:00:00.000Z');
  const young = await makeCertificate({ now, validFrom: -1, validTo: 5 });
  t.same(load(t, { cert: young.certificate, key: young.key, now }).warnings, []);
  const old = await makeCertificate({ now, validFrom: -5, validTo: 1 });
  matchEach(t, load(t, { cert: old.certificate, key: old.key, now }).warnings, [/in 1 day \(renew it\)$/]);
});

t.test('dates of an intermediate', async (t) => {
  const expired = await makeAuthority({ subject: 'CN=Old intermediate', issuer: root, validFrom: -90, validTo: -2 });
  const made = await makeCertificate({ names: ['toucan.example'], issuer: expired });
  const loaded = load(t, { cert: made.certificate + expired.certificate, key: made.key });
  matchEach(t, loaded.warnings, [/holds the intermediate CN=Old intermediate, which expired at/]);
});

t.test('a wildcard covers one label', async (t) => {
  const made = new X509Certificate((await makeCertificate({ names: ['*.toucan.example'] })).certificate);
  for (const name of ['api.toucan.example', 'API.Toucan.Example', '*.toucan.example'])
    t.ok(coversName(made, name), name);
  for (const name of ['toucan.example', 'a.b.toucan.example', '*.a.toucan.example'])
    t.notOk(coversName(made, name), name);
});

t.test('names are in lower case, with addresses', async (t) => {
  const made = await makeCertificate({ names: ['Toucan.Example', '*.Toucan.Example', '192.0.2.7', '::1'] });
  const loaded = load(t, { cert: made.certificate, key: made.key });
  t.same(loaded.certificate.names, ['toucan.example', '*.toucan.example', '192.0.2.7', '::1']);
  t.same(loaded.warnings, []);
  const covers = (name: string) => coversName(new X509Certificate(made.certificate), name);
  t.same(['192.0.2.7', '::1', '192.0.2.8'].map(covers), [true, true, false]);
});

t.test('the common name counts only without subjectAltName, and covers nothing', async (t) => {
  const old = await makeCertificate({ subject: 'CN=Toucan.Example' });
  const loaded = load(t, { cert: old.certificate, key: old.key });
  t.same(loaded.certificate.names, ['toucan.example']);
  t.notOk(coversName(new X509Certificate(old.certificate), 'toucan.example'));
  const both = await makeCertificate({ subject: 'CN=other.example', names: ['toucan.example'] });
  t.same(load(t, { cert: both.certificate, key: both.key }).certificate.names, ['toucan.example']);
});

t.test('a name that holds a list of names is not taken apart', async (t) => {
  const made = await makeCertificate({ names: ['a.example, DNS:evil.example', 'b.example'], subject: 'CN=test' });
  const certificate = new X509Certificate(made.certificate);
  t.same(namesOf(certificate), ['b.example']);
  t.notOk(coversName(certificate, 'evil.example'));
});

t.test('a leaf without a subject is described by its name', async (t) => {
  const made = await makeCertificate({ names: ['toucan.example'], subject: '', issuer: lower });
  refuses(t, { cert: made.certificate, key: stranger.key }, 'SSL_KEY', /\(toucan\.example\)$/);
  t.same(load(t, { cert: made.certificate + lower.certificate, key: made.key }).certificate.names, ['toucan.example']);
});

t.test('a leaf without subject and names is described by its number', async (t) => {
  const made = await makeCertificate({ subject: '', issuer: lower });
  refuses(t, { cert: made.certificate, key: stranger.key }, 'SSL_KEY', /\(serial 01[0-9A-F]+\)$/);
});

t.test('odd but harmless forms are taken', async (t) => {
  const taken = (t: Test, cert: string, key: string) => {
    const loaded = load(t, { cert, key });
    t.same(subjects(loaded), CHAIN_IN_ORDER);
    t.same(loaded.warnings, []);
    t.notMatch(loaded.certificate.chain, /\r|^ /m);
  };
  const crlf = (text: string) => text.replaceAll('\n', '\r\n');
  const sec1 = createPrivateKey(leaf.key).export({ type: 'sec1', format: 'pem' }).toString();
  const parameters = '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n';

  t.test('CRLF', async (t) => taken(t, crlf(chain), crlf(leaf.key)));
  t.test('text around the blocks', async (t) => {
    taken(t, `Bag Attributes\n  friendlyName: x\n${chain}bye\n`, `Key Attributes: <None>\n${leaf.key}`);
  });
  t.test('a byte order mark', async (t) => taken(t, `\ufeff${chain}`, `\ufeff${leaf.key}`));
  t.test('no last newline, and blocks that run together', async (t) =>
    taken(t, chain.replaceAll('-\n-', '--'), leaf.key.trim()),
  );
  t.test('indented, as pasted out of YAML', async (t) =>
    taken(t, chain.replace(/^/gm, '    '), leaf.key.replace(/^/gm, '  ')),
  );
  t.test('base64 in one line', async (t) => {
    taken(t, chain.replace(/(?<![-])\n(?!-)/g, ''), leaf.key.replace(/(?<![-])\n(?!-)/g, ''));
  });
  t.test('SEC1 with EC PARAMETERS before it', async (t) => taken(t, chain, parameters + sec1));
  t.test('the old label', async (t) => taken(t, chain.replaceAll(' CERTIFICATE', ' X509 CERTIFICATE'), leaf.key));
  t.test('TRUSTED CERTIFICATE', async (t) => {
    // What OpenSSL's -trustout writes: the certificate, then an auxiliary sequence, here an empty one.
    const der = Buffer.concat([new X509Certificate(leaf.certificate).raw, Buffer.from([0x30, 0])]);
    const trusted = `-----BEGIN TRUSTED CERTIFICATE-----\n${der.toString('base64')}\n-----END TRUSTED CERTIFICATE-----\n`;
    taken(t, trusted + lower.certificate + upper.certificate, leaf.key);
  });
  t.test('key and certificate in one file, for both', async (t) => {
    const file = join(makeFolder(t), 'both.pem');
    for (const text of [leaf.key + chain, chain + leaf.key]) {
      writeFileSync(file, text, { mode: 0o600 });
      const loaded = loadFiles(file, file);
      t.same(subjects(loaded), CHAIN_IN_ORDER);
      t.same(loaded.warnings, []);
      t.notMatch(loaded.certificate.chain, /PRIVATE/);
      t.notMatch(loaded.certificate.key, /CERTIFICATE/);
    }
  });
});

t.test('RSA keys', async (t) => {
  const good = await makeCertificate({ names: ['toucan.example'], keys: await makeRsaKeys(2048) });
  t.same(load(t, { cert: good.certificate, key: good.key }).warnings, []);
  const pkcs1 = createPrivateKey(good.key).export({ type: 'pkcs1', format: 'pem' });
  t.same(load(t, { cert: good.certificate, key: pkcs1 }).warnings, [], 'in PKCS#1 form');
});

t.test('a leaf with a key so short that TLS refuses it', async (t) => {
  const weak = await makeCertificate({ names: ['toucan.example'], keys: await makeRsaKeys(1024) });
  const message = /cannot be used for TLS \(CN=toucan\.example\): its RSA key of 1024 bits is too short$/;
  refuses(t, { cert: weak.certificate, key: weak.key }, 'SSL_CRT', message, /2048 bits or more/);
});

t.test('signatures by SHA-1', async (t) => {
  const keys = await makeRsaKeys(2048, 'SHA-1');
  const issuer = await makeAuthority({ subject: 'CN=Old authority', keys, signatureHash: 'SHA-1' });
  const made = await makeCertificate({ names: ['toucan.example'], issuer, signatureHash: 'SHA-1' });
  const loaded = load(t, { cert: made.certificate + issuer.certificate, key: made.key });
  matchEach(t, loaded.warnings, [
    /is signed with sha1WithRSAEncryption \(CN=toucan\.example\): clients refuse it \(have it issued anew with SHA-256\)$/,
    /holds the root/,
  ]);
});

t.test('a key of another kind than the certificate', async (t) => {
  const keys = await makeRsaKeys(2048);
  const rsa = await makeCertificate({ names: ['toucan.example'], keys });
  refuses(t, { cert: own.certificate, key: rsa.key }, 'SSL_KEY', /does not belong to the certificate/);
});
