// Metrics of a running door: what clients did is what is scraped, and a worker's death takes nothing back.

import { readFileSync } from 'node:fs';
import t from 'tap';
import { childrenOf } from '../support/children.ts';
import { httpsGet } from '../support/https-get.ts';
import { type Portico, startPortico } from '../support/portico.ts';
import { waitFor } from '../support/ports.ts';

async function scrape(door: Portico): Promise<string> {
  return (await fetch(`http://127.0.0.1:${door.adminPort}/metrics`)).text();
}

/** The sum of the series of a metric whose labels hold all of these. */
function total(text: string, name: string, ...labels: string[]): number {
  let sum = 0;
  for (const line of text.split('\n')) {
    const series = /^(\w+)(\{.*\})? (\S+)$/.exec(line);
    if (series?.[1] === name && labels.every((label) => (series[2] ?? '').includes(label))) sum += Number(series[3]);
  }
  return sum;
}

t.test('requests of all workers, and of those that died', async (t) => {
  const door = await startPortico(t, { WORKERS: '2' });
  const ca = readFileSync(`${door.cwd}/certs/local-ca.crt`, 'utf8');
  const get = (name: string, path: string) => httpsGet(door.httpsPort, name, path, ca);
  for (let i = 0; i < 8; i++) await get('toucan.localhost', '/');
  for (let i = 0; i < 4; i++) await get('api-toucan.localhost', '/auth/check');
  await fetch(`http://127.0.0.1:${door.httpPort}/`, { redirect: 'manual' });

  const seen = async () => total(await scrape(door), 'portico_http_requests_total', 'listener="https"');
  await waitFor(async () => (await seen()) === 12, 5_000, 'all requests to be counted');
  const text = await scrape(door);
  t.equal(total(text, 'portico_http_requests_total', 'route="backend"', 'method="GET"', 'code="401"'), 4);
  t.equal(total(text, 'portico_http_request_duration_seconds_count', 'route="frontend"'), 8);
  t.equal(total(text, 'portico_tls_handshakes_total'), 12);
  t.equal(total(text, 'portico_upstream_up'), 2);
  t.ok(total(text, 'portico_upstream_connect_duration_seconds_count', 'pool="frontend"') >= 1);
  t.ok(
    total(text, 'portico_tls_certificate_not_after_timestamp_seconds', 'name="toucan.localhost"') > Date.now() / 1_000,
  );
  t.equal(total(text, 'portico_config_last_reload_successful'), 1);
  const each = ['0', '1', 'supervisor'].map((worker) => `nodejs_eventloop_lag_seconds{worker="${worker}"}`);
  const told = async () => {
    const page = await scrape(door);
    return each.every((series) => page.includes(series));
  };
  await waitFor(told, 5_000, 'each process to tell of itself');

  process.kill(childrenOf(door.process.pid)[0]!, 'SIGKILL');
  await waitFor(() => door.logs().some((line) => String(line.msg).startsWith('a worker ended')), 5_000, 'the death');
  t.equal(await seen(), 12, 'nothing is taken back');
});
