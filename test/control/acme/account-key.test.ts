// What an account's key signs, checked by others' rules.

import { createHmac, createPublicKey, verify } from 'node:crypto';
import t from 'tap';
import { AccountKey } from '../../../src/control/acme/account-key.ts';

const decode = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString());

t.test('a signature that its own public key confirms', async (t) => {
  const key = AccountKey.generate();
  const signed = JSON.parse(key.sign({ nonce: 'n', url: 'https://x.test/', kid: 'k' }, { a: 1 }));
  t.strictSame(decode(signed.protected), { alg: 'ES256', nonce: 'n', url: 'https://x.test/', kid: 'k' });
  t.strictSame(decode(signed.payload), { a: 1 });
  const publicKey = createPublicKey({ key: { ...key.jwk }, format: 'jwk' });
  const text = Buffer.from(`${signed.protected}.${signed.payload}`);
  const signature = Buffer.from(signed.signature, 'base64url');
  t.equal(signature.length, 64, 'as JWS wants it, not DER (RFC 7518 §3.4)');
  t.ok(verify('sha256', text, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature));
  t.strictSame(Object.keys(key.jwk), ['crv', 'kty', 'x', 'y'], 'nothing of the secret');
  t.equal(new AccountKey(key.pem).thumbprint, key.thumbprint);
});

t.test('a POST-as-GET has an empty payload', async (t) => {
  t.equal(JSON.parse(AccountKey.generate().sign({}, undefined)).payload, '');
});

t.test('the binding to an account is over the public key, by the HMAC of base64url or base64', async (t) => {
  const key = AccountKey.generate();
  for (const hmac of ['zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W', '+/+/+/+/+/+/+/+/+/+/+w==']) {
    const bound = key.bind('kid-1', hmac, 'https://x.test/new') as Record<
      'protected' | 'payload' | 'signature',
      string
    >;
    t.strictSame(decode(bound.protected), { alg: 'HS256', kid: 'kid-1', url: 'https://x.test/new' });
    t.strictSame(decode(bound.payload), key.jwk);
    const wanted = createHmac('sha256', Buffer.from(hmac, 'base64')).update(`${bound.protected}.${bound.payload}`);
    t.equal(bound.signature, wanted.digest('base64url'));
  }
});

t.test('no other key than ours is taken', async (t) => {
  t.throws(() => new AccountKey('-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'));
});
