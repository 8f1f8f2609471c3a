// A throwaway authority and certificate for the names of a test, as files that any server can load.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeAuthority, makeCertificate } from './certificates.ts';

export interface TestCertificate {
  /** PEM of the authority, for clients to trust. */
  readonly ca: string;
  readonly caFile: string;
  /** The leaf, followed by the authority. */
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** Makes both and writes `ca.pem`, `certificate.pem` and `key.pem` into a folder. */
export async function makeTestCertificate(folder: string, names: readonly string[]): Promise<TestCertificate> {
  const authority = await makeAuthority();
  const leaf = await makeCertificate({ names, issuer: authority });
  const files = {
    ca: authority.certificate,
    caFile: join(folder, 'ca.pem'),
    certificateFile: join(folder, 'certificate.pem'),
    keyFile: join(folder, 'key.pem'),
  };
  writeFileSync(files.caFile, authority.certificate);
  writeFileSync(files.certificateFile, leaf.certificate + authority.certificate);
  writeFileSync(files.keyFile, leaf.key, { mode: 0o600 });
  return files;
}
