// What only the supervisor can measure: the build, its workers, reloads, and the certificates in force.

import type { Family, Value } from '../model/measures.ts';
import { gauge } from '../telemetry/metrics.ts';
import type { OrderCounts } from './acme/measures.ts';
import type { LoadedCertificate } from './certificate-source.ts';
import type { OcspAnswers } from './ocsp/answers.ts';
import { ocspFamilies } from './ocsp/measures.ts';
import { version } from './version.ts';

/** How reloads went; the start counts as the first success. */
export interface Reloads {
  succeeded: number;
  lastSucceeded: boolean;
  /** Of the wall clock, in ms. */
  succeededAt: number;
}

export interface Standing {
  readonly serving: number;
  readonly wanted: number;
  readonly reloads: Reloads;
  readonly certificates: readonly LoadedCertificate[];
  /** How often a changed certificate came into force by itself, and how often one was not fit to, or not taken by a worker. */
  readonly renewals: { readonly succeeded: number; readonly failed: number };
  readonly orders: OrderCounts;
  readonly ocsp: OcspAnswers;
}

export function supervisorFamilies({
  serving,
  wanted,
  reloads,
  certificates,
  renewals,
  orders,
  ocsp,
}: Standing): Family[] {
  const one = (value: number, labels: Record<string, string> = {}) => [{ labels, value }];
  const firstToEnd = earliestEnds(certificates);
  return [
    gauge('portico_build_info', 'Always 1', one(1, { version: version(), node: process.versions.node }), 'first'),
    gauge('portico_workers', 'Workers that serve', one(serving)),
    gauge('portico_workers_wanted', 'Workers that should serve', one(wanted)),
    gauge(
      'portico_config_last_reload_successful',
      '1 when the last reload (or the start) went well',
      one(reloads.lastSucceeded ? 1 : 0),
    ),
    gauge(
      'portico_config_last_reload_success_timestamp_seconds',
      'When a configuration last came into force',
      one(reloads.succeededAt / 1_000),
    ),
    gauge(
      'portico_tls_certificate_not_before_timestamp_seconds',
      'When the certificate in force became valid',
      firstToEnd.map(({ labels, notBefore }) => ({ labels, value: notBefore.getTime() / 1_000 })),
    ),
    gauge(
      'portico_tls_certificate_not_after_timestamp_seconds',
      'When the certificate in force expires',
      firstToEnd.map(({ labels, notAfter }) => ({ labels, value: notAfter.getTime() / 1_000 })),
    ),
    {
      name: 'portico_tls_certificate_reload_total',
      help: 'Times that changed certificates were taken (reloads included), or refused and the last good ones kept',
      type: 'counter',
      aggregator: 'sum',
      values: [
        { labels: { result: 'success' }, value: reloads.succeeded + renewals.succeeded },
        { labels: { result: 'failure' }, value: renewals.failed },
      ],
    },
    orders.family(),
    ocsp.counts.family(),
    ...ocspFamilies(certificates, (loaded) => ocsp.statusOf(loaded)),
  ];
}

interface Validity {
  readonly labels: Value['labels'];
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** A name may have several, of different kinds of key: the first to end is the one to look after. */
function earliestEnds(certificates: readonly LoadedCertificate[]): Validity[] {
  const ends = new Map<string, Validity>();
  for (const { certificate, notBefore, notAfter, origin } of certificates) {
    for (const name of certificate.names) {
      const key = `${origin} ${name}`;
      const other = ends.get(key);
      if (other === undefined || other.notAfter > notAfter)
        ends.set(key, { labels: { name, source: origin }, notBefore, notAfter });
    }
  }
  return [...ends.values()];
}
