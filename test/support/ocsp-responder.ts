// A real OCSP responder: openssl's, with an index file as `openssl ca` keeps it, which can say that a certificate was revoked.

import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { makeCertificate, type TestPair } from './certificates.ts';
import { makeFolder } from './folder.ts';
import { partPath } from './parts.ts';
import { waitFor } from './ports.ts';
import { type Running, startProcess } from './process.ts';

const OCSP_SIGNING = '1.3.6.1.5.5.7.3.9';

export interface OcspResponder {
  readonly url: string;
  readonly process: Running;
  /** How often it was asked. */
  asked(): number;
}

export interface ResponderOptions {
  readonly port: number;
  readonly issuer: TestPair;
  readonly valid: readonly TestPair[];
  readonly revoked?: readonly TestPair[];
  /** How long an answer is valid, in minutes. */
  readonly minutes?: number;
}

/** It signs with a certificate that the issuer appointed it by. */
export async function startOcspResponder(t: Test, options: ResponderOptions): Promise<OcspResponder> {
  const { port, issuer, valid, revoked = [], minutes = 60 } = options;
  const folder = makeFolder(t, 'ocsp');
  const signer = await makeCertificate({ subject: 'CN=Test responder', issuer, purposes: [OCSP_SIGNING] });
  const files = { index: '', 'ca.pem': issuer.certificate, 'signer.pem': signer.certificate, 'signer.key': signer.key };
  files.index = [...valid.map((pair) => line(pair, 'V')), ...revoked.map((pair) => line(pair, 'R'))].join('');
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const process = await startProcess(t, {
    command: partPath('openssl'),
    args: [
      ...['ocsp', '-index', 'index', '-port', String(port), '-CA', 'ca.pem', '-text'],
      ...['-rsigner', 'signer.pem', '-rkey', 'signer.key', '-nmin', String(minutes)],
    ],
    cwd: folder,
  });
  // It ends over a connection that asks for nothing, so nobody knocks.
  const said = () => process.stdout() + process.stderr();
  await waitFor(() => said().includes('waiting for OCSP client connections'), 10_000, 'the responder');
  const asked = () => said().split('1st line: POST').length - 1;
  return { url: `http://127.0.0.1:${port}`, process, asked };
}

/** `V` valid, `R` revoked (openssl-ca(1)). */
function line({ certificate, subject }: TestPair, state: 'V' | 'R'): string {
  const { serialNumber, validToDate } = new X509Certificate(certificate);
  const time = (date: Date) => date.toISOString().replace(/^20|[-:T]|\.\d+/g, '');
  const revoked = state === 'R' ? `${time(new Date(Date.now() - 60_000))},keyCompromise` : '';
  return [state, time(validToDate), revoked, serialNumber, 'unknown', `/${subject}`].join('\t').concat('\n');
}
