// The local authority: what it makes, what it keeps from run to run, what it may not sign, and that real clients believe it.

import { execFile, execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { loadPair } from '../../src/control/certificate-files.ts';
import { coversName } from '../../src/control/certificate-names.ts';
import { ensureLocalCertificate } from '../../src/control/local-authority.ts';
import { ConfigError } from '../../src/control/problem.ts';
import { makePair } from '../support/certificate-pair.ts';
import { makeAuthority, makeCertificate, type TestPair } from '../support/certificates.ts';
import { makeFolder } from '../support/folder.ts';
import { needPart } from '../support/parts.ts';

const NAMES = ['toucan.localhost', 'api-toucan.localhost'];
const ALL_FILES = ['local-ca.crt', 'local-ca.key', 'local.crt', 'local.key'];
const DAY = 86_400_000;
const now = new Date();
const later = (days: number) => new Date(now.getTime() + days * DAY);

const read = (file: string) => new X509Certificate(readFileSync(file));
const contents = (folder: string) => ALL_FILES.map((name) => readFileSync(join(folder, name), 'latin1'));

/** Makes an authority and a leaf in a new folder. */
async function make(t: Test, names: readonly string[] = NAMES) {
  const folder = makeFolder(t, 'local');
  return { folder, made: await ensureLocalCertificate(folder, names, now) };
}

/** The authority on disk, as an issuer for certificates that it was not made for. */
function stolenAuthority(folder: string): TestPair {
  const certificate = readFileSync(join(folder, 'local-ca.crt'), 'latin1');
  const key = readFileSync(join(folder, 'local-ca.key'), 'latin1');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  const privateKey = createPrivateKey(key).toCryptoKey(algorithm, true, ['sign']);
  const publicKey = new X509Certificate(certificate).publicKey.toCryptoKey(algorithm, true, ['verify']);
  const subject = new X509Certificate(certificate).subject.split('\n').join(', ');
  return { certificate, key, subject, keys: { privateKey, publicKey } };
}

t.test('four files are made, in a directory that only we enter', async (t) => {
  const directory = join(makeFolder(t, 'local'), 'state/certs');
  const made = await ensureLocalCertificate(directory, NAMES, now);
  t.same(made, {
    certFile: join(directory, 'local.crt'),
    keyFile: join(directory, 'local.key'),
    authorityFile: join(directory, 'local-ca.crt'),
    created: true,
    authorityCreated: true,
  });
  t.same(readdirSync(directory).sort(), ALL_FILES, 'nothing temporary stays');
  t.equal(statSync(directory).mode & 0o777, 0o700);
  t.equal(statSync(made.keyFile).mode & 0o777, 0o600);
  t.equal(statSync(join(directory, 'local-ca.key')).mode & 0o777, 0o600);
});

t.test('the authority', async (t) => {
  const { made } = await make(t);
  const authority = read(made.authorityFile);
  t.ok(authority.ca);
  t.ok(authority.verify(authority.publicKey), 'signed by itself');
  t.match(authority.subject, /^O=Portico local authority\nCN=Portico local authority of \d{4}-\d\d-\d\d$/);
  t.equal(authority.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1');
  t.equal(authority.validToDate.getTime() - authority.validFromDate.getTime(), 3650 * DAY);
});

t.test('the leaf', async (t) => {
  const { made } = await make(t, [
    'Toucan.localhost',
    'bücher.localhost',
    '*.toucan.test',
    '192.0.2.7',
    '2001:DB8::0:1',
  ]);
  const leaf = read(made.certFile);
  const authority = read(made.authorityFile);
  t.notOk(leaf.ca);
  t.ok(leaf.checkIssued(authority) && leaf.verify(authority.publicKey));
  t.ok(leaf.checkPrivateKey(createPrivateKey(readFileSync(made.keyFile))));
  t.equal(leaf.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1');
  t.ok(leaf.validToDate.getTime() - leaf.validFromDate.getTime() <= 397 * DAY, 'no longer than browsers accept');
  t.ok(leaf.validFromDate < now, 'valid on a machine whose clock is a little behind');
  t.same(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1'], 'for servers only');
  t.match(leaf.serialNumber, /^4F[0-9A-F]{30}$/);
  t.not(leaf.serialNumber, authority.serialNumber);
  t.equal(readFileSync(made.certFile, 'latin1').match(/BEGIN/g)?.length, 1, 'alone in its file');

  const { loaded, findings } = loadPair(makePair(made.certFile, made.keyFile), now);
  t.same(findings(now), [], 'loads without findings');
  t.ok(coversName(leaf, NAMES[0]!));
  const given = ['toucan.localhost', 'xn--bcher-kva.localhost', '*.toucan.test', '192.0.2.7', '2001:db8::1'];
  t.same(loaded.certificate.names, [...given, 'localhost', '127.0.0.1', '::1']);
});

t.test('dates are whole seconds in the forms that RFC 5280 demands, after 2050 too', async (t) => {
  const folder = makeFolder(t, 'local');
  const made = await ensureLocalCertificate(folder, NAMES, new Date('2049-06-01T00:00:00.789Z'));
  for (const file of [made.certFile, made.authorityFile]) {
    const der = read(file).raw.toString('latin1');
    t.match(der, '490531230000Z', 'UTCTime before');
    t.match(der, /20(50|59)\d{10}Z/, 'GeneralizedTime without a fraction after');
  }
});

t.test('all is kept while it is good', async (t) => {
  const { folder, made } = await make(t);
  const before = contents(folder);
  t.same(await ensureLocalCertificate(folder, NAMES, later(300)), { ...made, created: false, authorityCreated: false });
  await ensureLocalCertificate(folder, ['toucan.localhost'], later(1));
  await ensureLocalCertificate(folder, ['TOUCAN.localhost', 'localhost', '127.0.0.1'], later(1));
  t.same(contents(folder), before);
});

t.test('a directory that cannot be written is enough for what is kept in it', async (t) => {
  const { folder } = await make(t);
  chmodSync(folder, 0o500);
  t.teardown(() => chmodSync(folder, 0o700));
  t.match(await ensureLocalCertificate(folder, NAMES, now), { created: false });
});

/** Expects that the leaf is made anew by the authority that is there. */
async function renewsLeaf(t: Test, folder: string, names: readonly string[], at: Date): Promise<void> {
  const authority = readFileSync(join(folder, 'local-ca.crt'), 'latin1');
  t.match(await ensureLocalCertificate(folder, names, at), { created: true, authorityCreated: false });
  t.equal(readFileSync(join(folder, 'local-ca.crt'), 'latin1'), authority, 'the authority is kept');
  await checkTogether(t, folder, names, at);
}

/** Expects that both are made anew. */
async function renewsBoth(t: Test, folder: string, names: readonly string[], at: Date): Promise<void> {
  t.match(await ensureLocalCertificate(folder, names, at), { created: true, authorityCreated: true });
  await checkTogether(t, folder, names, at);
}

async function checkTogether(t: Test, folder: string, names: readonly string[], at: Date): Promise<void> {
  const leaf = read(join(folder, 'local.crt'));
  const authority = read(join(folder, 'local-ca.crt'));
  t.ok(leaf.checkIssued(authority) && leaf.verify(authority.publicKey), 'the leaf is by the authority');
  t.ok(leaf.checkPrivateKey(createPrivateKey(readFileSync(join(folder, 'local.key')))), 'the key fits the leaf');
  t.ok(authority.checkPrivateKey(createPrivateKey(readFileSync(join(folder, 'local-ca.key')))));
  t.ok(leaf.validToDate.getTime() - at.getTime() > 30 * DAY);
  t.ok(leaf.validToDate <= authority.validToDate);
  t.same(readdirSync(folder).sort(), ALL_FILES);
  t.match(await ensureLocalCertificate(folder, names, at), { created: false }, 'and kept from then on');
}

t.test('the leaf is renewed 30 days before its end', async (t) => {
  const { folder } = await make(t);
  t.match(await ensureLocalCertificate(folder, NAMES, later(366)), { created: false });
  await renewsLeaf(t, folder, NAMES, later(368));
});

t.test('the authority is renewed before its end, and no leaf outlives it', async (t) => {
  const { folder } = await make(t);
  await renewsLeaf(t, folder, NAMES, later(3650 - 100));
  const end = read(join(folder, 'local-ca.crt')).validToDate;
  t.same(read(join(folder, 'local.crt')).validToDate, end);
  await renewsBoth(t, folder, NAMES, later(3650 - 29));
});

t.test('a clock that ran ahead when they were made', async (t) => {
  const { folder } = await make(t);
  await renewsBoth(t, folder, NAMES, later(-10));
});

t.test('a further name under localhost needs a new leaf only', async (t) => {
  const { folder } = await make(t);
  await renewsLeaf(t, folder, [...NAMES, 'other.localhost'], now);
});

t.test('a further name elsewhere needs a new authority, because the old one may not sign it', async (t) => {
  const { folder } = await make(t);
  await renewsBoth(t, folder, [...NAMES, 'toucan.test'], now);
  await renewsBoth(t, folder, [...NAMES, 'toucan.test', '192.0.2.7'], now);
  t.match(await ensureLocalCertificate(folder, NAMES, now), { created: false }, 'fewer names need nothing');
});

t.test('a damaged or missing file is made anew', async (t) => {
  for (const name of ['local.crt', 'local.key']) {
    for (const [how, damage] of Object.entries(DAMAGES)) {
      t.test(`${name} ${how}`, async (t) => {
        const { folder } = await make(t);
        damage(join(folder, name));
        await renewsLeaf(t, folder, NAMES, now);
      });
    }
  }
  for (const [how, damage] of Object.entries(DAMAGES)) {
    t.test(`local-ca.crt ${how}`, async (t) => {
      const { folder } = await make(t);
      damage(join(folder, 'local-ca.crt'));
      await renewsBoth(t, folder, NAMES, now);
    });
    t.test(`local-ca.key ${how}: only when it is needed`, async (t) => {
      const { folder } = await make(t);
      damage(join(folder, 'local-ca.key'));
      t.match(await ensureLocalCertificate(folder, NAMES, now), { created: false });
      await renewsBoth(t, folder, NAMES, later(390));
    });
  }
});

const DAMAGES: Readonly<Record<string, (file: string) => void>> = {
  missing: (file) => rmSync(file),
  empty: (file) => truncateSync(file, 0),
  'half written': (file) => truncateSync(file, Math.floor(statSync(file).size / 2)),
  'not PEM': (file) => writeFileSync(file, 'hello'),
};

t.test('files that do not belong together', async (t) => {
  const other = await make(t);
  const { folder } = await make(t);
  writeFileSync(join(folder, 'local.key'), readFileSync(join(other.folder, 'local.key')));
  await renewsLeaf(t, folder, NAMES, now);
  writeFileSync(join(folder, 'local-ca.crt'), readFileSync(join(other.folder, 'local-ca.crt')));
  await renewsBoth(t, folder, NAMES, now);
});

t.test('an authority without constraints is not used', async (t) => {
  const { folder } = await make(t);
  const unbounded = await makeAuthority({ validTo: 3000 });
  const leaf = await makeCertificate({ names: [...NAMES, 'localhost', '127.0.0.1', '::1'], issuer: unbounded });
  writeFileSync(join(folder, 'local-ca.crt'), unbounded.certificate);
  writeFileSync(join(folder, 'local-ca.key'), unbounded.key);
  writeFileSync(join(folder, 'local.crt'), leaf.certificate);
  writeFileSync(join(folder, 'local.key'), leaf.key);
  await renewsBoth(t, folder, NAMES, now);
});

t.test('a directory that cannot be written is named, with what to do', async (t) => {
  const folder = makeFolder(t, 'local');
  const refused = async (directory: string, code: RegExp) => {
    const error = await ensureLocalCertificate(directory, NAMES, now).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!(error instanceof ConfigError)) return t.fail('it must be a ConfigError');
    t.equal(error.problems.length, 1);
    t.equal(error.problems[0]?.place, directory);
    t.match(error.problems[0]?.message, code);
    t.match(error.problems[0]?.hint, /set SSL_CRT and SSL_KEY .*, or make the directory writable for user \d+$/);
  };
  writeFileSync(join(folder, 'file'), '');
  await refused(join(folder, 'file'), /EEXIST|ENOTDIR/);
  await refused(join(folder, 'file/certs'), /ENOTDIR/);

  mkdirSync(join(folder, 'mounted/local.key'), { recursive: true });
  await refused(join(folder, 'mounted'), /EISDIR/);
  t.same(
    readdirSync(join(folder, 'mounted')),
    ['local-ca.crt', 'local-ca.key', 'local.key'],
    'nothing temporary stays',
  );

  mkdirSync(join(folder, 'closed'));
  chmodSync(join(folder, 'closed'), 0o500);
  // Root writes everywhere. The check is synchronous from the first file on, but loading and key generation are not.
  if (process.geteuid?.() === 0) process.seteuid!(65_534);
  try {
    await refused(join(folder, 'closed'), /EACCES/);
  } finally {
    if (process.getuid?.() === 0) process.seteuid!(0);
  }
});

/** A TLS server with this pair; the port. */
async function serve(t: Test, cert: string | Buffer, key: string | Buffer): Promise<number> {
  const server = createServer({ cert, key }, (request, response) => response.end(`for ${request.headers.host}`));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** What node:tls says of the server's certificate: 'ok', or its error. */
async function judge(port: number, servername: string, ca: string | Buffer): Promise<string> {
  const socket: TLSSocket = connect({ host: '127.0.0.1', port, servername, ca });
  try {
    await once(socket, 'secureConnect');
    return 'ok';
  } catch (error) {
    return error instanceof Error ? error.message : 'unknown';
  } finally {
    socket.destroy();
  }
}

t.test('whoever steals the authority cannot pose as another site', async (t) => {
  const { folder, made } = await make(t, [...NAMES, 'toucan.test']);
  const ca = readFileSync(made.authorityFile);
  const issuer = stolenAuthority(folder);
  const verdict = async (name: string) => {
    const pair = await makeCertificate({ names: [name], issuer, subject: 'CN=test' });
    const port = await serve(t, pair.certificate, pair.key);
    return judge(port, name, ca);
  };
  t.equal(await verdict('any.localhost'), 'ok');
  t.equal(await verdict('sub.toucan.test'), 'ok');
  t.equal(await verdict('evil.example'), 'permitted subtree violation');
  t.equal(await verdict('eviltoucan.test'), 'permitted subtree violation');
  t.equal(await verdict('test'), 'permitted subtree violation');

  const below = await makeAuthority({ subject: 'CN=Below', issuer });
  const leaf = await makeCertificate({ names: ['toucan.localhost'], issuer: below });
  const port = await serve(t, leaf.certificate + below.certificate, leaf.key);
  t.equal(
    await judge(port, 'toucan.localhost', ca),
    'path length constraint exceeded',
    'it may sign no further authority',
  );
});

t.test('node:tls believes it', async (t) => {
  const { made } = await make(t);
  const port = await serve(t, readFileSync(made.certFile), readFileSync(made.keyFile));
  const ca = readFileSync(made.authorityFile);
  for (const name of [...NAMES, 'localhost']) t.equal(await judge(port, name, ca), 'ok', name);
  const another = readFileSync((await make(t)).made.authorityFile);
  t.match(await judge(port, 'toucan.localhost', another), /^unable to verify/, 'by its own authority only');
});

t.test('openssl verifies it, by the strict rules', async (t) => {
  const openssl = needPart(t, 'openssl');
  if (openssl === undefined) return;
  const { folder, made } = await make(t);
  const verify = (...args: string[]) =>
    execFileSync(openssl, ['verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', made.authorityFile, ...args], {
      stdio: 'pipe',
    }).toString();
  for (const name of [...NAMES, 'localhost']) t.match(verify('-verify_hostname', name, made.certFile), /: OK\n$/);
  for (const address of ['127.0.0.1', '::1']) t.match(verify('-verify_ip', address, made.certFile), /: OK\n$/);
  t.throws(() => verify('-verify_hostname', 'evil.example', made.certFile), /hostname mismatch/);

  const evil = await makeCertificate({ names: ['evil.example'], issuer: stolenAuthority(folder) });
  writeFileSync(join(folder, 'evil.crt'), evil.certificate);
  t.throws(() => verify(join(folder, 'evil.crt')), /permitted subtree violation/);
  const address = await makeCertificate({ names: ['192.0.2.7'], issuer: stolenAuthority(folder), subject: 'CN=test' });
  writeFileSync(join(folder, 'address.crt'), address.certificate);
  t.throws(() => verify(join(folder, 'address.crt')), /permitted subtree violation/);

  const text = (file: string) => execFileSync(openssl, ['x509', '-in', file, '-noout', '-text']).toString();
  const authority = text(made.authorityFile);
  t.match(authority, /Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
  t.match(authority, /Key Usage: critical\s+Certificate Sign, CRL Sign/);
  t.match(
    authority,
    /Name Constraints: critical\s+Permitted:\s+DNS:localhost\s+IP:127\.0\.0\.1\/255.*\s+IP:0:0:0:0:0:0:0:1\//,
  );
  t.match(authority, /Subject Key Identifier/);
  const leaf = text(made.certFile);
  t.match(leaf, /Key Usage: critical\s+Digital Signature/);
  t.match(leaf, /Extended Key Usage:\s+TLS Web Server Authentication/);
  t.match(leaf, /Subject Key Identifier/);
  t.match(leaf, /Authority Key Identifier/);
});

t.test('curl believes it', async (t) => {
  const curl = needPart(t, 'curl');
  if (curl === undefined) return;
  const { made } = await make(t);
  const port = await serve(t, readFileSync(made.certFile), readFileSync(made.keyFile));
  const url = `https://toucan.localhost:${port}`;
  const resolve = `toucan.localhost:${port}:127.0.0.1`;
  const { stdout } = await promisify(execFile)(curl, [
    '-sS',
    '--cacert',
    made.authorityFile,
    '--resolve',
    resolve,
    url,
  ]);
  t.equal(stdout, `for toucan.localhost:${port}`);
});
