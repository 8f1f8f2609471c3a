// What a certificate is for, and what it is called in messages.

import type { X509Certificate } from 'node:crypto';
import { isIP, SocketAddress } from 'node:net';

/** The names that a leaf is for, in lower case; the common name counts only where there is no subjectAltName. */
export function namesOf(certificate: X509Certificate): string[] {
  const names = new Set<string>();
  if (certificate.subjectAltName === undefined) {
    const match = /^CN=(.+)$/m.exec(certificate.subject);
    return match ? [match[1]!.toLowerCase()] : [];
  }
  // A value in quotes holds characters that no host name has: `DNS:"a.example, DNS:b.example"` (CVE-2021-44532). It is left out.
  for (const [, kind, value] of certificate.subjectAltName.matchAll(/([^:,]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?:, |$)/g)) {
    if (value!.startsWith('"')) continue;
    if (kind === 'DNS') names.add(value!.toLowerCase());
    if (kind === 'IP Address') names.add(shortAddress(value!));
  }
  return [...names];
}

/** True when clients that ask for `name` accept the certificate; the common name does not count, browsers ignore it. */
export function coversName(certificate: X509Certificate, name: string): boolean {
  if (isIP(name)) return certificate.checkIP(name) !== undefined;
  // A wildcard host needs that very name.
  if (name.startsWith('*')) return certificate.subjectAltName !== undefined && namesOf(certificate).includes(name);
  return certificate.checkHost(name, { subject: 'never', partialWildcards: false }) !== undefined;
}

/** `CN=toucan.example`; a leaf may have no subject, only names. */
export function describe(certificate: X509Certificate): string {
  return oneLine(certificate.subject) || namesOf(certificate)[0] || `serial ${certificate.serialNumber}`;
}

/** Node gives one attribute a line, and undefined for an empty name. */
export const oneLine = (name: string | undefined) => (name ?? '').split('\n').join(', ');

/** `::1` for `0:0:0:0:0:0:0:1`. */
function shortAddress(text: string): string {
  return isIP(text) === 6 ? new SocketAddress({ address: text, family: 'ipv6' }).address : text;
}
