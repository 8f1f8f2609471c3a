// Makes authorities and certificates for tests, good and bad ones, as PEM.

import { randomBytes, type webcrypto, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { loadX509 } from '../../src/control/local-authority.ts';

const DAY = 86_400_000;
/** RFC 6962 §3.3. */
const LOG_STAMPS = '1.3.6.1.4.1.11129.2.4.2';
/** RFC 7633 §6. */
const TLS_FEATURE = '1.3.6.1.5.5.7.1.24';

type CryptoKeyPair = webcrypto.CryptoKeyPair;

export interface TestPair {
  /** PEM of this certificate alone. */
  readonly certificate: string;
  /** PEM, PKCS#8. */
  readonly key: string;
  /** The subject, as `CN=...`. */
  readonly subject: string;
  readonly keys: CryptoKeyPair;
}

export interface TestCertificateOptions {
  /** DNS names and addresses of the subjectAltName; without any there is no such extension. */
  readonly names?: readonly string[];
  /** `CN=...`; '' for an empty subject. */
  readonly subject?: string;
  /** Signed by itself without one. */
  readonly issuer?: TestPair;
  /** Counted from `now`, negative for the past. */
  readonly validFrom?: number;
  readonly validTo?: number;
  readonly now?: Date;
  readonly authority?: boolean;
  readonly keys?: CryptoKeyPair;
  readonly signatureHash?: 'SHA-1' | 'SHA-256';
  /** Object identifiers of the extended key usage. */
  readonly purposes?: readonly string[];
  /** Where its issuer's certificate is. */
  readonly issuerUrl?: string;
  /** Where its issuer is asked about it by OCSP. */
  readonly responderUrl?: string;
  /** It demands a stapled OCSP answer (RFC 7633). */
  readonly mustStaple?: boolean;
  /** It bears (empty) stamps of public logs, as those of public authorities do. */
  readonly logStamps?: boolean;
}

/** An authority: a root without `issuer`, else an intermediate. */
export function makeAuthority(options: TestCertificateOptions = {}): Promise<TestPair> {
  return makeCertificate({ subject: 'CN=Test root', ...options, authority: true });
}

export async function makeCertificate(options: TestCertificateOptions = {}): Promise<TestPair> {
  const x509 = await loadX509();
  const { names = [], issuer, validFrom = -1, validTo = 60, now = new Date(), authority = false } = options;
  const subject = options.subject ?? (names[0] === undefined ? 'CN=test' : `CN=${names[0]}`);
  const keys = options.keys ?? (await makeKeys());
  const signer = issuer?.keys ?? keys;
  const general = names.map((name) => ({ type: isIP(name) ? 'ip' : 'dns', value: name }) as const);
  const certificate = await x509.X509CertificateGenerator.create({
    subject,
    issuer: issuer?.subject ?? subject,
    serialNumber: `01${randomBytes(15).toString('hex')}`,
    notBefore: new Date(now.getTime() + validFrom * DAY),
    notAfter: new Date(now.getTime() + validTo * DAY),
    publicKey: keys.publicKey,
    signingKey: signer.privateKey,
    signingAlgorithm: { name: signer.privateKey.algorithm.name, hash: options.signatureHash ?? 'SHA-256' },
    extensions: [
      new x509.BasicConstraintsExtension(authority, undefined, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(signer.publicKey),
      ...(general.length > 0 ? [new x509.SubjectAlternativeNameExtension(general)] : []),
      ...(options.purposes === undefined ? [] : [new x509.ExtendedKeyUsageExtension([...options.purposes])]),
      ...(options.issuerUrl === undefined && options.responderUrl === undefined
        ? []
        : [
            new x509.AuthorityInfoAccessExtension({
              ...(options.issuerUrl === undefined ? {} : { caIssuers: new x509.GeneralName('url', options.issuerUrl) }),
              ...(options.responderUrl === undefined
                ? {}
                : { ocsp: new x509.GeneralName('url', options.responderUrl) }),
            }),
          ]),
      ...(options.mustStaple === true ? [new x509.Extension(TLS_FEATURE, false, Uint8Array.of(0x30, 3, 2, 1, 5))] : []),
      ...(options.logStamps === true ? [new x509.Extension(LOG_STAMPS, false, Uint8Array.of(4, 2, 0, 0))] : []),
    ],
  });
  return { certificate: `${certificate.toString('pem')}\n`, key: await exportKey(keys), subject, keys };
}

export interface TestListOptions {
  /** PEM of certificates. */
  readonly revoked?: readonly string[];
  /** In days, counted from now. */
  readonly from?: number;
  /** undefined: it does not say. */
  readonly until?: number | undefined;
}

/** A revocation list of an authority, PEM. */
export async function makeRevocationList(issuer: TestPair, options: TestListOptions = {}): Promise<string> {
  const x509 = await loadX509();
  const { revoked = [], from = -1 } = options;
  const until = 'until' in options ? options.until : 30;
  const day = (days: number) => new Date(Date.now() + days * DAY);
  const list = await x509.X509CrlGenerator.create({
    issuer: issuer.subject,
    thisUpdate: day(from),
    ...(until === undefined ? {} : { nextUpdate: day(until) }),
    entries: revoked.map((pem) => ({
      serialNumber: new X509Certificate(pem).serialNumber.toLowerCase(),
      revocationDate: day(-1),
    })),
    signingKey: issuer.keys.privateKey,
    signingAlgorithm: { name: issuer.keys.privateKey.algorithm.name, hash: 'SHA-256' },
  });
  return `${list.toString('pem').replace(/-----(BEGIN|END) CRL-----/g, '-----$1 X509 CRL-----')}\n`;
}

/** ECDSA P-256, because that is quick to make. */
export function makeKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
}

export function makeRsaKeys(bits: number, hash: 'SHA-1' | 'SHA-256' = 'SHA-256'): Promise<CryptoKeyPair> {
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', modulusLength: bits, publicExponent: Uint8Array.of(1, 0, 1), hash };
  return crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

async function exportKey({ privateKey }: CryptoKeyPair): Promise<string> {
  const base64 = Buffer.from(await crypto.subtle.exportKey('pkcs8', privateKey)).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${base64.match(/.{1,64}/g)!.join('\n')}\n-----END PRIVATE KEY-----\n`;
}
