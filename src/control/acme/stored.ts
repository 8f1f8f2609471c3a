// What the store has of a name, as a certificate that can be served.

import type { LoadedCertificate } from '../certificate-source.ts';
import { problemOfChain, splitChain } from './issue.ts';
import { loadCertificate, type StoredCertificate } from './records.ts';
import type { Storage } from './storage.ts';

/** undefined: it cannot be served. Whether it is valid now is another question. */
export function toLoaded(name: string, { chain, key }: StoredCertificate): LoadedCertificate | undefined {
  if (problemOfChain(chain, name, key, Number.NEGATIVE_INFINITY) !== undefined) return undefined;
  const certificates = splitChain(chain);
  const [leaf, issuedBy] = certificates;
  return {
    origin: 'acme',
    place: name,
    // What was judged, and nothing that stood around it: no worker could load that.
    certificate: { names: [name], chain: certificates.join(''), key },
    issuer: leaf!.issuer.split('\n').join(', '),
    notBefore: leaf!.validFromDate,
    notAfter: leaf!.validToDate,
    ...(issuedBy === undefined ? {} : { issuedBy }),
  };
}

/** undefined: none was issued, or it cannot be served. Rejects with a StorageError. */
export async function loadIssued(storage: Storage, name: string): Promise<LoadedCertificate | undefined> {
  const stored = await loadCertificate(storage, name);
  return stored === undefined ? undefined : toLoaded(name, stored);
}
