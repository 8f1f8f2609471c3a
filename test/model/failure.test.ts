// The table of failures: words, statuses and sides that agree with each other.

import t from 'tap';
import { STATUS_TEXT } from '../../src/http/status.ts';
import { FAILURES } from '../../src/model/failure.ts';

/** RFC 9209 §2.3. */
const PROXY_STATUS = new Set([
  ...['dns_timeout', 'dns_error', 'destination_not_found', 'destination_unavailable', 'destination_ip_prohibited'],
  ...['destination_ip_unroutable', 'connection_refused', 'connection_terminated', 'connection_timeout'],
  ...['connection_read_timeout', 'connection_write_timeout', 'connection_limit_reached', 'tls_protocol_error'],
  ...['tls_certificate_error', 'tls_alert_received', 'http_request_error', 'http_request_denied'],
  ...['http_response_incomplete', 'http_response_header_section_size', 'http_response_header_size'],
  ...['http_response_body_size', 'http_response_trailer_section_size', 'http_response_trailer_size'],
  ...['http_response_transfer_coding', 'http_response_content_coding', 'http_response_timeout'],
  ...['http_upgrade_failed', 'http_protocol_error', 'proxy_internal_response', 'proxy_internal_error'],
  ...['proxy_configuration_error', 'proxy_loop_detected'],
]);
const rows = Object.values(FAILURES);

t.test('codes are single words for logs, each given once', async (t) => {
  for (const { code } of rows) t.match(code, /^[a-z]+(_[a-z]+)*$/);
  t.equal(new Set(rows.map(({ code }) => code)).size, rows.length);
});

t.test('statuses fit their side, and have a name', async (t) => {
  for (const { code, side, status } of rows) {
    t.ok(status === 499 || STATUS_TEXT[status] !== undefined, `${code}: ${status} has a name`);
    if (side === 'downstream') t.ok(status >= 400 && status < 500, code);
    else if (side === 'upstream') t.ok([502, 503, 504].includes(status), code);
    else t.ok([500, 503].includes(status), code);
    t.not(status, 401, '401 is never ours');
  }
});

t.test('the words of Proxy-Status are registered ones', async (t) => {
  for (const { code, proxyStatus } of rows) t.ok(PROXY_STATUS.has(proxyStatus), `${code}: ${proxyStatus}`);
});

t.test('only what never reached an upstream counts as unsent', async (t) => {
  const unsent = rows.filter((row) => row.unsent).map(({ code }) => code);
  t.strictSame(unsent.sort(), [
    ...['connect_timeout', 'connection_refused', 'dns_error', 'too_many_waiting', 'unreachable', 'upstream_tls'],
  ]);
});

t.test('nobody changes the table', async (t) => {
  t.ok(Object.isFrozen(FAILURES));
  for (const row of rows) t.ok(Object.isFrozen(row), row.code);
});
