// The certificates in force as a table for people, and below it what is to be said of them.

import type { Finding, LoadedCertificate } from './certificate-source.ts';
import { formatProblem } from './problem.ts';

const DAY = 86_400_000;
const MAX_NAMES = 3;

const HEAD: readonly string[] = ['names', 'issuer', 'days left', 'source', 'state'];

/** The head, and a row for each certificate. */
export function certificateRows(
  certificates: readonly LoadedCertificate[],
  findings: readonly Finding[],
  now: Date,
): (readonly string[])[] {
  const rows = certificates.map((each) => [
    namesIn(each.certificate.names),
    each.issuer,
    daysLeft(each.notAfter, now),
    each.origin,
    stateOf(each, findings),
  ]);
  return [HEAD, ...rows];
}

export function certificateTable(
  certificates: readonly LoadedCertificate[],
  findings: readonly Finding[],
  now: Date,
): string {
  const rows = certificateRows(certificates, findings, now);
  const lines = rows.length === 1 ? ['there are no certificates'] : layOut(rows);
  const remarks = findings.map((finding) => `${finding.severity}: ${formatProblem(finding)}`);
  return [...lines, ...(remarks.length === 0 ? [] : ['', ...remarks])].join('\n');
}

function namesIn(names: readonly string[]): string {
  const more = names.length > MAX_NAMES ? ` and ${names.length - MAX_NAMES} more` : '';
  return names.length === 0 ? '(none)' : `${names.slice(0, MAX_NAMES).join(' ')}${more}`;
}

function daysLeft(notAfter: Date, now: Date): string {
  const left = notAfter.getTime() - now.getTime();
  return left < 0 ? 'expired' : String(Math.floor(left / DAY));
}

function stateOf({ place }: LoadedCertificate, findings: readonly Finding[]): string {
  const codes = findings.filter(({ about }) => about === place).map(({ code }) => code);
  return codes.length === 0 ? 'ok' : [...new Set(codes)].join(', ');
}

function layOut(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
}
