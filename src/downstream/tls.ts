// The TLS side of a listener: its policy, and the certificate that fits the name asked for and what the client can do.

import { constants, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions, type Server } from 'node:tls';
import type { ClientOffer } from '../codec/client-hello.ts';
import type { Certificate, Snapshot, TlsPolicy } from '../model/snapshot.ts';

/**
 * TLS 1.2 and 1.3, forward secrecy and AEAD only (Mozilla's "intermediate" less DHE), the post-quantum group first.
 * Renegotiation is off: nobody needs it, and each costs us a handshake at the client's will.
 */
const INTERMEDIATE = Object.freeze({
  minVersion: 'TLSv1.2',
  ciphers: [
    'TLS_AES_128_GCM_SHA256',
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-CHACHA20-POLY1305',
  ].join(':'),
  ecdhCurve: 'X25519MLKEM768:X25519:prime256v1:secp384r1',
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  // Without it Node makes one of the command line, which differs from worker to worker: no session would be resumed by another.
  sessionIdContext: 'portico',
} satisfies SecureContextOptions);

/** TLS 1.3 only. */
export const TLS_POLICIES: Readonly<Record<TlsPolicy, SecureContextOptions>> = Object.freeze({
  intermediate: INTERMEDIATE,
  modern: Object.freeze({ ...INTERMEDIATE, minVersion: 'TLSv1.3' }),
});

/** By ALPN, the preferred first. Some clients name HTTP/1.0 alone (curl -0). */
export const PROTOCOLS = Object.freeze(['h2', 'http/1.1', 'http/1.0']);

/** What kind of signature a client can check: ECDSA is cheaper for both sides, RSA is what old ones know. */
export type KeyKind = 'ecdsa' | 'rsa';

/**
 * How long a session can be resumed, in seconds: OpenSSL's own limit, which holds where none is set (Node documents 300). As long as
 * the key of tickets before is known (src/control/ticket-keys.ts).
 */
export const TICKET_LIFETIME = 7_200;

/** The certificates of a snapshot, ready for handshakes. */
export interface CertificateTable {
  /** Shown to clients that ask for no name, or for one that no certificate is for. */
  fallback(kind: KeyKind): Certificate;
  /** For a name in lower case: exact, else a wildcard of one label; undefined: none is for it. */
  certificateFor(name: string, kind: KeyKind): Certificate | undefined;
  contextFor(name: string, kind: KeyKind): SecureContext | undefined;
  /** What issuers say of leaves, by their DER as a latin1 string. */
  readonly staples: ReadonlyMap<string, Uint8Array>;
  /** Some name has certificates of both kinds, so that it matters what a client can do. */
  readonly hasBoth: boolean;
}

interface Ready {
  readonly certificate: Certificate;
  readonly kind: KeyKind;
  readonly context: SecureContext;
}

/** The first of each kind. */
type Choice = { [kind in KeyKind]?: Ready | undefined };

/** Builds all contexts. Throws when a certificate cannot be used, before anything has changed. */
export function buildCertificateTable(snapshot: Snapshot): CertificateTable {
  const [first, ...others] = snapshot.certificates.map(prepare);
  if (first === undefined) throw new Error('there is no certificate');
  const choices = new Map<string, Choice>();
  for (const ready of [first, ...others]) {
    for (const name of ready.certificate.names) {
      const choice = choices.get(name);
      if (choice === undefined) choices.set(name, { [ready.kind]: ready });
      else choice[ready.kind] ??= ready;
    }
  }
  // A name of its own may lack the kind that its wildcard has.
  for (const [name, choice] of choices) {
    const wider = choices.get(wildcardOf(name));
    choice.ecdsa ??= wider?.ecdsa;
    choice.rsa ??= wider?.rsa;
  }
  const fallback = choices.get(first.certificate.names[0] ?? '') ?? { [first.kind]: first };
  const find = (name: string, kind: KeyKind) => {
    const choice = choices.get(name) ?? choices.get(wildcardOf(name));
    return choice === undefined ? undefined : (choice[kind] ?? choice.ecdsa ?? choice.rsa);
  };
  return {
    fallback: (kind) => (fallback[kind] ?? first).certificate,
    certificateFor: (name, kind) => find(name, kind)?.certificate,
    contextFor: (name, kind) => find(name, kind)?.context,
    staples: staplesOf(snapshot.certificates),
    hasBoth: [...choices.values()].some(({ ecdsa, rsa }) => ecdsa !== undefined && rsa !== undefined),
  };
}

type OcspCallback = (error: Error | null, staple: Buffer | undefined) => void;

/**
 * Has a server staple what the table knows. Node looks for who listens before it copies the certificate for them: where nothing is
 * stapled, nobody does.
 */
export function stapleFrom(server: Server, { staples }: CertificateTable): void {
  if (staples.size === 0) return;
  // `leaf`: of the certificate that was chosen, in DER; there may be none with strict SNI.
  server.on('OCSPRequest', (leaf: Buffer | undefined, _issuer: unknown, answer: OcspCallback) => {
    answer(null, staples.get(leaf?.toString('latin1') ?? '') as Buffer | undefined);
  });
}

function staplesOf(certificates: readonly Certificate[]): Map<string, Uint8Array> {
  const staples = new Map<string, Uint8Array>();
  for (const { chain, staple } of certificates) {
    if (staple !== undefined) staples.set(new X509Certificate(chain).raw.toString('latin1'), staple);
  }
  return staples;
}

const wildcardOf = (name: string) => `*${name.slice(name.indexOf('.'))}`;

function prepare(certificate: Certificate): Ready {
  const type = new X509Certificate(certificate.chain).publicKey.asymmetricKeyType;
  const context = createSecureContext({ ...INTERMEDIATE, cert: certificate.chain, key: certificate.key });
  return { certificate, kind: type === 'rsa' || type === 'rsa-pss' ? 'rsa' : 'ecdsa', context };
}

/** ecdsa_secp256r1_sha256 and ecdsa_secp384r1_sha384. */
const ECDSA_SCHEMES = [0x0403, 0x0503];
/** Those of TLS 1.2 in the policy; in TLS 1.3 a suite says nothing of the certificate. */
const ECDSA_SUITES = [0xc02b, 0xc02c, 0xcca9];

/** What a client gets where there is a choice. */
export function kindFor({ signatureSchemes, cipherSuites, tls13 }: ClientOffer): KeyKind {
  const takesEcdsa =
    ECDSA_SCHEMES.every((scheme) => signatureSchemes.includes(scheme)) &&
    (tls13 || ECDSA_SUITES.some((suite) => cipherSuites.includes(suite)));
  return takesEcdsa ? 'ecdsa' : 'rsa';
}
