// What is counted of OCSP, and what is measured of the answers in force; counts outlive reloads.

import type { Family, Value } from '../../model/measures.ts';
import { gauge } from '../../telemetry/metrics.ts';
import type { LoadedCertificate } from '../certificate-source.ts';
import type { OcspAnswer } from './answer.ts';

export type OcspResult = 'good' | 'revoked' | 'failed';

export class OcspCounts {
  readonly #counts = new Map<string, Map<OcspResult, number>>();

  count(responder: string, result: OcspResult): void {
    const counts = this.#counts.get(responder) ?? new Map<OcspResult, number>();
    this.#counts.set(responder, counts.set(result, (counts.get(result) ?? 0) + 1));
  }

  family(): Family {
    return {
      name: 'portico_ocsp_requests_total',
      help: 'Times that an issuer was asked about a certificate by OCSP, by the host of its responder',
      type: 'counter',
      aggregator: 'sum',
      values: [...this.#counts].flatMap(([responder, counts]) =>
        [...counts].map(([result, value]) => ({ labels: { responder, result }, value })),
      ),
    };
  }
}

/** `statusOf`: what the issuer last said of a certificate. */
export function ocspFamilies(
  certificates: readonly LoadedCertificate[],
  statusOf: (loaded: LoadedCertificate) => OcspAnswer | undefined,
): Family[] {
  const ends: Value[] = [];
  const revoked: Value[] = [];
  const seen = new Set<string>();
  for (const loaded of certificates) {
    const answer = statusOf(loaded);
    if (answer === undefined) continue;
    for (const name of loaded.certificate.names) {
      const labels = { name, source: loaded.origin };
      // Of several for a name the first is told.
      if (seen.has(`${loaded.origin} ${name}`)) continue;
      seen.add(`${loaded.origin} ${name}`);
      ends.push({ labels, value: answer.nextUpdate / 1_000 });
      revoked.push({ labels, value: answer.status.kind === 'revoked' ? 1 : 0 });
    }
  }
  return [
    gauge(
      'portico_ocsp_answer_next_update_timestamp_seconds',
      'Until when the OCSP answer for a certificate is valid',
      ends,
    ),
    gauge('portico_tls_certificate_revoked', '1 when the issuer says by OCSP that it revoked the certificate', revoked),
  ];
}
