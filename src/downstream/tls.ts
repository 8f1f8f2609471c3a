// The TLS side of a listener: its policy, and the certificate that fits the name asked for.

import { constants } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import type { Certificate, Snapshot } from '../model/snapshot.ts';

/**
 * TLS 1.2 and 1.3, forward secrecy and AEAD only (Mozilla's "intermediate" less DHE), the post-quantum group first.
 * Renegotiation is off: nobody needs it, and each costs us a handshake at the client's will.
 */
export const TLS_POLICY = Object.freeze({
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
} satisfies SecureContextOptions);

/** The certificates of a snapshot, ready for handshakes. */
export interface CertificateTable {
  readonly fallback: Certificate;
  /** The context for a name in lower case: exact, else a wildcard of one label, else the fallback's. */
  contextFor(name: string): SecureContext;
}

/** Builds all contexts. Throws when a certificate cannot be used, before anything has changed. */
export function buildCertificateTable(snapshot: Snapshot): CertificateTable {
  const fallback = snapshot.certificates[0];
  if (fallback === undefined) throw new Error('there is no certificate');
  const contexts = new Map<string, SecureContext>();
  let first: SecureContext | undefined;
  for (const certificate of snapshot.certificates) {
    const context = createSecureContext({ ...TLS_POLICY, cert: certificate.chain, key: certificate.key });
    first ??= context;
    for (const name of certificate.names) if (!contexts.has(name)) contexts.set(name, context);
  }
  return {
    fallback,
    contextFor: (name) => contexts.get(name) ?? contexts.get(`*${name.slice(name.indexOf('.'))}`) ?? first!,
  };
}
