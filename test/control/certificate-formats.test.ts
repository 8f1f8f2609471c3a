// The forms that an IT department hands over: each is read to the same certificate and key, or refused in plain words.

import { execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { loadPair } from '../../src/control/certificate-files.ts';
import { decryptRc2 } from '../../src/control/rc2.ts';
import { makePair } from '../support/certificate-pair.ts';
import { makeAuthority, makeCertificate, makeRsaKeys } from '../support/certificates.ts';
import { makeFolder } from '../support/folder.ts';
import { needPart, partPath } from '../support/parts.ts';

const now = new Date();
const PASSPHRASE = 'sésame, öffne dich';
const root = await makeAuthority();
const middle = await makeAuthority({ subject: 'CN=Middle', issuer: root });
const leaf = await makeCertificate({ names: ['toucan.example'], issuer: middle });
const rsa = await makeCertificate({ names: ['rsa.example'], keys: await makeRsaKeys(2048), issuer: middle });
const keyObject = createPrivateKey(leaf.key);

interface Files {
  readonly cert: string | Buffer;
  readonly key?: string | Buffer;
  readonly password?: string | Buffer;
}

/** The pair that is read, with what is said of it. */
function read(t: Test, { cert, key, password }: Files) {
  const folder = makeFolder(t, 'forms');
  const put = (name: string, content: string | Buffer | undefined) => {
    if (content === undefined) return undefined;
    writeFileSync(join(folder, name), content, { mode: 0o600 });
    return join(folder, name);
  };
  const pair = makePair(put('a.crt', cert)!, put('a.key', key), put('password', password));
  const { loaded, findings } = loadPair(pair, now);
  return { ...loaded, codes: findings(now).map(({ code }) => code) };
}

function takes(t: Test, files: Files, expected = leaf): void {
  const { certificate } = read(t, files);
  t.equal(certificate.chain, expected.certificate + middle.certificate);
  t.ok(createPrivateKey(certificate.key).equals(createPrivateKey(expected.key)));
}

function refuses(t: Test, files: Files, message: RegExp): void {
  t.throws(() => read(t, files), { name: 'ConfigError', message });
}

t.test('DER', async (t) => {
  const own = await makeCertificate({ names: ['own.example'] });
  const cert = new X509Certificate(own.certificate).raw;
  for (const type of ['pkcs8', 'sec1'] as const) {
    const key = createPrivateKey(own.key).export({ type, format: 'der' });
    t.equal(read(t, { cert, key }).certificate.chain, own.certificate);
  }
  const pkcs1 = createPrivateKey(rsa.key).export({ type: 'pkcs1', format: 'der' });
  takes(t, { cert: rsa.certificate + middle.certificate, key: pkcs1 }, rsa);
  refuses(t, { cert: cert.subarray(0, 100), key: own.key }, /a\.crt is in a binary form that is no certificate/);
});

t.test('keys with a passphrase: the new form, the old one, and DER', async (t) => {
  const cert = leaf.certificate + middle.certificate;
  const how = { cipher: 'aes-256-cbc', passphrase: PASSPHRASE };
  const forms = [
    keyObject.export({ type: 'pkcs8', format: 'pem', ...how }),
    keyObject.export({ type: 'sec1', format: 'pem', ...how }),
    keyObject.export({ type: 'pkcs8', format: 'der', ...how }),
  ];
  for (const key of forms) {
    for (const end of ['', '\n', '\r\n']) takes(t, { cert, key, password: PASSPHRASE + end });
    takes(t, { cert, key, password: `\ufeff${PASSPHRASE}` });
    refuses(
      t,
      { cert, key },
      /a\.key holds an encrypted key, and no passphrase is given \(set SSL_KEY_PASSWORD_FILE to/,
    );
    refuses(
      t,
      { cert, key, password: 'wrong' },
      /which the passphrase in \/.*\/password does not open \(put the right one/,
    );
    refuses(t, { cert, key, password: '' }, /^SSL_KEY_PASSWORD_FILE \/.*\/password is empty/);
  }
  takes(t, { cert, key: String(forms[0]).replaceAll('\n', '\r\n'), password: PASSPHRASE });
  takes(t, { cert, key: String(forms[1]).replaceAll('\n', '\r\n'), password: PASSPHRASE });
});

t.test('one file with both needs no key file', async (t) => {
  takes(t, { cert: leaf.key + middle.certificate + leaf.certificate });
  refuses(
    t,
    { cert: leaf.certificate },
    /^SSL_CRT \/.*a\.crt holds no private key, and SSL_KEY names none \(set SSL_KEY/,
  );
});

t.test('UTF-16, as Windows writes text', async (t) => {
  const little = (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le');
  const big = (text: string) => little(text).swap16();
  const cert = leaf.certificate + middle.certificate;
  const key = keyObject.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: PASSPHRASE });
  for (const utf16 of [little, big]) {
    takes(t, { cert: utf16(cert), key: utf16(leaf.key) });
    takes(t, { cert, key, password: utf16(`${PASSPHRASE}\r\n`) });
  }
  const torn = Buffer.concat([big(cert), Buffer.of(0)]);
  takes(t, { cert: torn, key: leaf.key });
});

t.test('PKCS#12', async (t) => {
  if (needPart(t, 'openssl') === undefined) return;
  const folder = makeFolder(t, 'pfx');
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const store = (pair: typeof leaf, password: string, ...more: string[]) =>
    execFileSync(partPath('openssl'), [
      ...['pkcs12', '-export', '-in', file('leaf.pem', pair.certificate), '-inkey', file('key.pem', pair.key)],
      ...[
        '-certfile',
        file('rest.pem', middle.certificate + root.certificate),
        '-passout',
        `pass:${password}`,
        ...more,
      ],
    ]);
  const forms: Readonly<Record<string, readonly string[]>> = {
    'as it is made today': [],
    'as Windows made it': ['-legacy'],
    'Triple-DES for both': ['-keypbe', 'PBE-SHA1-3DES', '-certpbe', 'PBE-SHA1-3DES', '-macalg', 'sha1'],
    'RC2 with 128 bits': ['-legacy', '-certpbe', 'PBE-SHA1-RC2-128'],
    'AES-128, and SHA-512': ['-keypbe', 'AES-128-CBC', '-certpbe', 'AES-128-CBC', '-macalg', 'sha512'],
    'without a MAC': ['-nomac'],
  };
  for (const [name, more] of Object.entries(forms)) {
    for (const pair of [leaf, rsa]) {
      // Older ways of making it know ASCII only on the command line.
      const password = more.includes('-legacy') ? 'secret' : PASSPHRASE;
      const cert = store(pair, password, ...more);
      takes(t, { cert, password: `${password}\n` }, pair);
      t.same(read(t, { cert, password }).codes, ['root'], `${name}: its root is left out, and that is explained`);
      refuses(t, { cert, password: 'wrong' }, /is a PKCS#12 store, which the passphrase in .* does not open/);
      refuses(t, { cert }, /is a PKCS#12 store, and no passphrase is given \(set SSL_KEY_PASSWORD_FILE/);
    }
  }
  const bare = store(leaf, '', '-keypbe', 'NONE', '-certpbe', 'NONE');
  takes(t, { cert: bare });
  takes(t, { cert: bare, key: bare });
  refuses(t, { cert: bare.subarray(0, bare.length - 40) }, /damaged|does not|no certificate/);
  const whole = store(leaf, 'secret');
  for (let at = 0; at < whole.length; at += 7) {
    const damaged = Buffer.from(whole);
    damaged[at]! ^= 0x55;
    // Refused, or the damage was where it does not matter; never anything else than our own error.
    try {
      read(t, { cert: damaged, password: 'secret' });
    } catch (error) {
      t.equal((error as Error).name, 'ConfigError', `byte ${at}`);
    }
  }
});

t.test('RC2, by the vectors of RFC 2268 §5', async (t) => {
  const hex = (text: string) => Buffer.from(text, 'hex');
  const zero = Buffer.alloc(8);
  for (const [key, bits, plain, cipher] of [
    ['0000000000000000', 63, '0000000000000000', 'ebb773f993278eff'],
    ['ffffffffffffffff', 64, 'ffffffffffffffff', '278b27e42e2f0d49'],
    ['3000000000000000', 64, '1000000000000001', '30649edf9be7d2c2'],
    ['88', 64, '0000000000000000', '61a8a244adacccf0'],
    ['88bca90e90875a', 64, '0000000000000000', '6ccf4308974c267f'],
    ['88bca90e90875a7f0f79c384627bafb2', 64, '0000000000000000', '1a807d272bbe5db1'],
    ['88bca90e90875a7f0f79c384627bafb2', 128, '0000000000000000', '2269552ab0f85ca6'],
  ] as const) {
    // The block, exclusive-or'd with an IV that turns it into eight bytes of padding, is told apart from any other.
    const iv = Buffer.from(hex(plain).map((byte) => byte ^ 8));
    t.same(decryptRc2(hex(key), iv, hex(cipher), bits), Buffer.alloc(0), `${key} ${bits}`);
    t.equal(decryptRc2(hex(key), hex(plain), hex(cipher), bits), undefined, 'zeros are no padding');
  }
  t.equal(decryptRc2(hex('88'), zero, hex('61a8'), 64), undefined, 'no whole block');
});

t.test('a key that others may read or write', async (t) => {
  const folder = makeFolder(t, 'modes');
  const [cert, key] = [join(folder, 'a.crt'), join(folder, 'a.key')];
  writeFileSync(cert, leaf.certificate + middle.certificate);
  writeFileSync(key, leaf.key);
  const said = (mode: number) => {
    chmodSync(key, mode);
    return loadPair(makePair(cert, key), now).findings(now);
  };
  for (const mode of [0o600, 0o640, 0o400, 0o660]) t.same(said(mode), []);
  t.match(said(0o644), [{ code: 'permissions', severity: 'warning', message: /may read$/, hint: /chmod 640/ }]);
  t.match(said(0o666), [{ code: 'permissions', message: /may write$/ }]);
});
