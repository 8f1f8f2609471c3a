// Where certificates come from: files, an issuer, an authority of our own. A source says what it has in force, what is to be said of it, and when it changes.

import type { X509Certificate } from 'node:crypto';
import type { AcmeAnswers, Certificate, ClientTrust } from '../model/snapshot.ts';
import type { Problem } from './problem.ts';

/** A label of metrics, too. */
export type Origin = 'file' | 'acme' | 'local' | 'self-signed';

/** A certificate that was looked at and can be served. */
export interface LoadedCertificate {
  readonly origin: Origin;
  /** What people know it by: the file, or the name that it was issued for. */
  readonly place: string;
  readonly certificate: Certificate;
  /** In one line. */
  readonly issuer: string;
  /** The issuer's own certificate, when we have it: that of a root is not sent. */
  readonly issuedBy?: X509Certificate;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** Something to say of a certificate; as a problem it names its place and what to do. */
export interface Finding extends Problem {
  /** What it is about, in one word, for tests and for telling a new one from one that was told. */
  readonly code: string;
  /** `error`: it is not used, or clients refuse it. `warning`: it will hurt. `note`: it was put right here. */
  readonly severity: 'error' | 'warning' | 'note';
  /** The place of the certificate that it is about; undefined: none that there is. */
  readonly about?: string;
}

/** Has no certificates, and these to say for as long as it is there. */
export function saying(findings: readonly Finding[]): CertificateSource {
  return { current: () => [], findings: () => findings, start: () => {}, stop: () => {} };
}

/**
 * Made anew for each configuration, and thrown away with it: what has to outlive a reload (orders under way, accounts) is
 * held by whoever makes it. Reading happens before `start`; a source that cannot serve its part at all throws a ConfigError
 * when it is made, and the reload fails as a whole.
 */
export interface CertificateSource {
  /** In force, in the order of the configuration; the first of all sources is served when no name fits. Never waits. */
  current(): readonly LoadedCertificate[];
  /** All that is wrong or worth a word now. */
  findings(): readonly Finding[];
  /** What issuers are to find here now, where the source has them look; the same object as long as it stays. */
  answers?(): AcmeAnswers | undefined;
  /** Who vouches for clients, by the files that say so; the same object as long as it stays. */
  clientTrusts?(): ReadonlyMap<string, ClientTrust> | undefined;
  /**
   * From now on it looks after itself, and calls back when `current()` or `findings()` became something else. The supervisor then
   * compiles and swaps a snapshot, and logs the findings that are new. Calls that come before it does so become one. `changed`
   * resolves when what the source has is in force, and rejects when the workers do not take it; then it is tried again without the source.
   */
  start(changed: () => Promise<void>): void;
  /** Nothing is called any more. May be called without a start. */
  stop(): void;
}
