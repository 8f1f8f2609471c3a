// What is written as X.509 for an issuer and for a start without one: requests, the certificate of tls-alpn-01, and self-signed ones.

import { createHash, createPrivateKey, createPublicKey, randomBytes, X509Certificate } from 'node:crypto';
import type { Certificate } from '../../model/snapshot.ts';
import { loadX509 } from '../local-authority.ts';
import { generateKeyPem } from './account-key.ts';

const ECDSA = Object.freeze({ name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' });
const DAY = 86_400_000;
/** A clock that is a little behind must not see a certificate of the future. */
const BACKDATE = 3_600_000;
/** RFC 8737 §3. */
const ACME_IDENTIFIER = '1.3.6.1.5.5.7.1.31';

/** A certificate signing request for a name, in DER. */
export async function makeRequest(name: string, keyPem: string): Promise<Buffer> {
  const x509 = await loadX509();
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    keys: keysOf(keyPem),
    signingAlgorithm: ECDSA,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }])],
  });
  return Buffer.from(request.rawData);
}

/** What a client gets that asks for `name` by the protocol acme-tls/1 (RFC 8737 §3): one DNS name, and the hash of the answer. */
export async function makeAlpnCertificate(name: string, keyAuthorization: string, now: number): Promise<Certificate> {
  const hash = createHash('sha256').update(keyAuthorization).digest();
  const octets = Buffer.concat([Buffer.from([0x04, hash.length]), hash]);
  return selfSigned([name], 'ACME challenge', now, now + 7 * DAY, (x509) => [
    new x509.Extension(ACME_IDENTIFIER, true, new Uint8Array(octets)),
  ]);
}

/** For the time until a name has a certificate: clients refuse it, but the door is open. */
export function makePlaceholder(name: string, now: number): Promise<Certificate> {
  return selfSigned([name], 'Portico placeholder', now, now + 90 * DAY, () => []);
}

/** What ARI and `replaces` call a certificate: who signed it, and its number (RFC 9773 §4.1). undefined: it does not say who. */
export async function renewalIdOf(pem: string): Promise<string | undefined> {
  const x509 = await loadX509();
  const certificate = new x509.X509Certificate(new X509Certificate(pem).raw);
  const keyId = certificate.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId;
  if (keyId === undefined) return undefined;
  const { serialNumber } = certificate;
  // As DER has it: a first byte from 0x80 on has a zero before it.
  const serial = Buffer.from(serialNumber, 'hex');
  const bytes = serial[0]! >= 0x80 ? Buffer.concat([Buffer.from([0]), serial]) : serial;
  return `${Buffer.from(keyId, 'hex').toString('base64url')}.${bytes.toString('base64url')}`;
}

type Library = Awaited<ReturnType<typeof loadX509>>;

async function selfSigned(
  names: readonly string[],
  commonName: string,
  from: number,
  to: number,
  more: (x509: Library) => InstanceType<Library['Extension']>[],
): Promise<Certificate> {
  const x509 = await loadX509();
  const key = generateKeyPem();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    keys: keysOf(key),
    signingAlgorithm: ECDSA,
    name: `CN=${commonName}`,
    serialNumber: `4f${randomBytes(15).toString('hex')}`,
    notBefore: new Date(from - BACKDATE),
    notAfter: new Date(to),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns' as const, value }))),
      ...more(x509),
    ],
  });
  const chain = new X509Certificate(Buffer.from(certificate.rawData)).toString();
  return { names, chain, key };
}

function keysOf(pem: string) {
  const privateKey = createPrivateKey(pem);
  return {
    privateKey: privateKey.toCryptoKey(ECDSA, false, ['sign']),
    publicKey: createPublicKey(pem).toCryptoKey(ECDSA, true, ['verify']),
  };
}
