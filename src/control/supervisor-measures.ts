// What only the supervisor can measure: the build, its workers, reloads, and the certificates in force.

import type { Family } from '../model/measures.ts';
import { gauge } from '../telemetry/metrics.ts';
import type { LoadedCertificate } from './certificate-files.ts';
import { version } from './version.ts';

/** How reloads went; the start counts as the first success. */
export interface Reloads {
  succeeded: number;
  failed: number;
  lastSucceeded: boolean;
  /** Of the wall clock, in ms. */
  succeededAt: number;
}

export interface Standing {
  readonly serving: number;
  readonly wanted: number;
  readonly reloads: Reloads;
  readonly certificates: readonly LoadedCertificate[];
  /** Of the certificates: `local` for those of our own making, else `file`. */
  readonly source: string;
}

export function supervisorFamilies({ serving, wanted, reloads, certificates, source }: Standing): Family[] {
  const one = (value: number, labels: Record<string, string> = {}) => [{ labels, value }];
  const ends = new Map<string, number>();
  // Of several certificates for a name the first one is served.
  for (const { certificate, notAfter } of certificates) {
    for (const name of certificate.names) if (!ends.has(name)) ends.set(name, notAfter.getTime() / 1_000);
  }
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
      'portico_tls_certificate_not_after_timestamp_seconds',
      'When the certificate in force expires',
      [...ends].map(([name, value]) => ({ labels: { name, source }, value })),
    ),
    {
      name: 'portico_tls_certificate_reload_total',
      help: 'Times that the certificate files were read again',
      type: 'counter',
      aggregator: 'sum',
      values: [
        { labels: { result: 'success' }, value: reloads.succeeded },
        { labels: { result: 'failure' }, value: reloads.failed },
      ],
    },
  ];
}
