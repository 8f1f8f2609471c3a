// An account's key, and what it signs: JSON Web Signatures as RFC 8555 wants them.

import { createHash, createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';

/** The members that RFC 7638 §3.2 hashes, in its order. */
interface Jwk {
  readonly crv: string;
  readonly kty: string;
  readonly x: string;
  readonly y: string;
}

export class AccountKey {
  /** PEM. */
  readonly pem: string;
  readonly jwk: Jwk;
  /** RFC 7638: what the answer to a challenge ends with. */
  readonly thumbprint: string;

  constructor(pem: string) {
    this.pem = pem;
    const { crv, kty, x, y } = createPublicKey(pem).export({ format: 'jwk' });
    if (kty !== 'EC' || crv !== 'P-256') throw new Error('the account key is no P-256 key');
    this.jwk = { crv, kty, x: x!, y: y! };
    this.thumbprint = createHash('sha256').update(JSON.stringify(this.jwk)).digest('base64url');
  }

  static generate(): AccountKey {
    return new AccountKey(generateKeyPem());
  }

  /** `payload` undefined: a POST-as-GET (RFC 8555 §6.3). */
  sign(header: object, payload: object | undefined): string {
    const protectedPart = encode({ alg: 'ES256', ...header });
    const payloadPart = payload === undefined ? '' : encode(payload);
    const key = { key: createPrivateKey(this.pem), dsaEncoding: 'ieee-p1363' } as const;
    const signature = sign('sha256', Buffer.from(`${protectedPart}.${payloadPart}`), key);
    return JSON.stringify({
      protected: protectedPart,
      payload: payloadPart,
      signature: signature.toString('base64url'),
    });
  }

  /** RFC 8555 §7.3.4: binds this key to an account that the issuer knows by other means. `hmac` in base64url. */
  bind(kid: string, hmac: string, url: string): object {
    const protectedPart = encode({ alg: 'HS256', kid, url });
    const payload = encode(this.jwk);
    const signature = createHmac('sha256', Buffer.from(hmac, 'base64url'))
      .update(`${protectedPart}.${payload}`)
      .digest('base64url');
    return { protected: protectedPart, payload, signature };
  }
}

/** A new P-256 key, in PKCS#8. */
export function generateKeyPem(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
