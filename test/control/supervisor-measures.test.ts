// What the supervisor tells Prometheus of certificates, their issuers and reloads: the names and labels that people rely on.

import t from 'tap';
import { SYSTEM_CLOCK } from '../../src/control/acme/clock.ts';
import { OrderCounts } from '../../src/control/acme/measures.ts';
import type { LoadedCertificate, Origin } from '../../src/control/certificate-source.ts';
import { OcspAnswers } from '../../src/control/ocsp/answers.ts';
import { supervisorFamilies } from '../../src/control/supervisor-measures.ts';
import { createLog } from '../../src/telemetry/log.ts';

const log = createLog('silent', { put: () => {}, flush: async () => {} });

const loaded = (name: string, notBefore: number, notAfter: number, origin: Origin = 'file'): LoadedCertificate => ({
  ...{
    origin,
    place: name,
    issuer: 'CN=issuer',
    certificate: { names: [name], chain: `${name} ${notAfter}`, key: '' },
  },
  ...{ notBefore: new Date(notBefore), notAfter: new Date(notAfter) },
});

t.test('certificates, orders, OCSP and reloads', async (t) => {
  const orders = new OrderCounts();
  orders.count('acme.example', 'issued');
  orders.count('acme.example', 'failed');
  const ocsp = new OcspAnswers(SYSTEM_CLOCK, log);
  ocsp.counts.count('ocsp.example', 'revoked');
  const families = supervisorFamilies({
    ...{ serving: 1, wanted: 2, orders, ocsp, renewals: { succeeded: 3, failed: 4 } },
    reloads: { succeeded: 10, lastSucceeded: false, succeededAt: 5_000 },
    certificates: [
      loaded('a.example', 1_000, 9_000),
      loaded('a.example', 2_000, 7_000),
      loaded('b.example', 0, 8_000, 'acme'),
    ],
  });
  const values = (name: string) => families.find((each) => each.name === name)?.values;
  t.same(values('portico_tls_certificate_not_after_timestamp_seconds'), [
    { labels: { name: 'a.example', source: 'file' }, value: 7 },
    { labels: { name: 'b.example', source: 'acme' }, value: 8 },
  ]);
  t.same(values('portico_tls_certificate_not_before_timestamp_seconds'), [
    { labels: { name: 'a.example', source: 'file' }, value: 2 },
    { labels: { name: 'b.example', source: 'acme' }, value: 0 },
  ]);
  t.same(values('portico_tls_certificate_reload_total'), [
    { labels: { result: 'success' }, value: 13 },
    { labels: { result: 'failure' }, value: 4 },
  ]);
  t.same(values('portico_acme_orders_total'), [
    { labels: { issuer: 'acme.example', result: 'issued' }, value: 1 },
    { labels: { issuer: 'acme.example', result: 'failed' }, value: 1 },
  ]);
  t.same(values('portico_ocsp_requests_total'), [
    { labels: { responder: 'ocsp.example', result: 'revoked' }, value: 1 },
  ]);
  t.same(values('portico_tls_certificate_revoked'), [], 'of those that somebody was asked about');
  t.same(values('portico_ocsp_answer_next_update_timestamp_seconds'), []);
  t.same(values('portico_config_last_reload_successful'), [{ labels: {}, value: 0 }]);
  t.same(values('portico_config_last_reload_success_timestamp_seconds'), [{ labels: {}, value: 5 }]);
  t.match(values('portico_build_info'), [{ labels: { version: String, node: String }, value: 1 }]);
});
