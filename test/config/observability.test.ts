// The dashboard and the alerts: each query is asked of a real Prometheus that has scraped a real door.

import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { parse } from 'yaml';
import { makeAuthority, makeCertificate } from '../support/certificates.ts';
import { makeFolder } from '../support/folder.ts';
import { httpsGet } from '../support/https-get.ts';
import { makeAnswer, startResponder, wholeSeconds } from '../support/ocsp-answer.ts';
import { needPart, partPath } from '../support/parts.ts';
import { type Portico, startPortico } from '../support/portico.ts';
import { freePort, waitFor } from '../support/ports.ts';
import { answersOnUrl, startProcess } from '../support/process.ts';

const CONFIG = fileURLToPath(new URL('../../config/', import.meta.url));
const NAME = 'door.test';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: { readonly summary: string; readonly description: string };
}

const alerts: readonly Rule[] = parse(readFileSync(join(CONFIG, 'prometheus/alerts.yaml'), 'utf8')).groups[0].rules;
const dashboard = JSON.parse(readFileSync(join(CONFIG, 'grafana/portico.json'), 'utf8'));
const panels: { title: string; expr: string }[] = dashboard.panels.flatMap(
  (panel: { title: string; targets: { expr: string }[] }) =>
    panel.targets.map(({ expr }) => ({ title: panel.title, expr })),
);

/** A door that has seen all that its metrics tell of: answers, a retry, errors, a client that left. */
async function startBusyDoor(t: Test): Promise<Portico> {
  const server = createServer((request, response) => {
    if (request.url !== '/never') response.end('here');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  const [refusing, other] = [await freePort(), await freePort()];
  const { files, ca } = await certificateWithResponder(t);
  const door = await startPortico(t, {
    ...files,
    FRONTEND_DNS: NAME,
    FRONTEND_SERVICE: `127.0.0.1:${port},127.0.0.1:${refusing}`,
    BACKEND_SERVICE: `127.0.0.1:${other}`,
  });
  await waitFor(() => door.logs().some(({ msg }) => msg === 'the issuer answered by OCSP'), 10_000, 'its answer');
  return { ...door, ca };
}

/** Its issuer says that it is good. */
async function certificateWithResponder(t: Test) {
  const issuer = await makeAuthority();
  const responderUrl = await startResponder(t, (_request, response) => {
    const now = wholeSeconds(Date.now());
    response.end(makeAnswer({ leaf, issuer, thisUpdate: now, nextUpdate: now + 3_600_000 }));
  });
  const leaf = await makeCertificate({ names: [NAME], issuer, responderUrl });
  const folder = makeFolder(t, 'certificate');
  const files = { SSL_CRT: join(folder, 'tls.crt'), SSL_KEY: join(folder, 'tls.key') };
  writeFileSync(files.SSL_CRT, leaf.certificate + issuer.certificate);
  writeFileSync(files.SSL_KEY, leaf.key, { mode: 0o600 });
  return { files, ca: issuer.certificate };
}

async function makeTraffic(door: Portico): Promise<void> {
  for (let i = 0; i < 4; i++) {
    await httpsGet(door.httpsPort, NAME, '/', door.ca);
    await httpsGet(door.httpsPort, NAME, '/_api/', door.ca);
  }
  const leaving = httpsGet(door.httpsPort, NAME, '/never', door.ca, AbortSignal.timeout(100));
  await leaving.catch(() => {});
  // Redirects count as well, on a listener of their own.
  connect(door.httpPort, '127.0.0.1').end(`GET / HTTP/1.0\r\nHost: ${NAME}\r\n\r\n`).resume();
}

interface Answer {
  readonly status: string;
  readonly error?: string;
  readonly data: { readonly result: readonly { readonly value: readonly [number, string] }[] };
}

async function ask(port: number, expr: string): Promise<Answer> {
  const url = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(expr)}`;
  return (await fetch(url)).json() as Promise<Answer>;
}

/** What Grafana writes for itself. */
function filled(expr: string): string {
  return expr.replaceAll('$__rate_interval', '20s');
}

t.test('every query of dashboard and alerts finds what the door tells', async (t) => {
  if (needPart(t, 'prometheus') === undefined) return;
  const door = await startBusyDoor(t);
  const folder = makeFolder(t, 'prometheus');
  const port = await freePort();
  const file = join(folder, 'prometheus.yml');
  const settings = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [join(CONFIG, 'prometheus/alerts.yaml')],
    scrape_configs: [{ job_name: 'portico', static_configs: [{ targets: [`127.0.0.1:${door.adminPort}`] }] }],
  };
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(settings));
  const flags = [
    `--config.file=${file}`,
    `--storage.tsdb.path=${join(folder, 'tsdb')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];
  await startProcess(t, {
    command: 'prometheus',
    args: [...flags, '--log.level=error'],
    cwd: folder,
    isReady: () => answersOnUrl(`http://127.0.0.1:${port}/-/ready`),
  });
  const has = async (expr: string) => (await ask(port, expr)).data.result.length > 0;
  await waitFor(() => has('portico_build_info'), 15_000, 'the first scrape');
  // Rates need two values: before and after.
  for (let i = 0; i < 3; i++) {
    await makeTraffic(door);
    await new Promise((resolve) => setTimeout(resolve, 1_200));
  }

  for (const { title, expr } of panels) {
    const found = await waitFor(() => has(filled(expr)), 10_000, expr).catch(() => false);
    t.ok(found, `${title}: ${expr}`);
  }
  const rules = (await (await fetch(`http://127.0.0.1:${port}/api/v1/rules`)).json()) as {
    data: { groups: { rules: { name: string; health: string; lastError?: string; state: string }[] }[] };
  };
  const loaded = rules.data.groups.flatMap((group) => group.rules);
  t.same(
    loaded.map((rule) => rule.name),
    alerts.map((rule) => rule.alert),
  );
  for (const { name, health, lastError } of loaded) t.equal(health, 'ok', `${name} ${lastError ?? ''}`);

  // Without its comparison an alert's query finds series: its names and labels are those of the door.
  for (const { alert, expr } of alerts.filter((rule) => rule.alert !== 'PorticoDown')) {
    const open = expr.replace(/ (?:<|>|==) (?:[\d.]+|portico_workers_wanted|clamp_max\(.*\))$/, '');
    t.not(open, expr, `${alert} compares`);
    t.ok(await has(open), `${alert}: ${open}`);
  }
  const firing = async () => loaded.length > 0 && (await has('ALERTS{alertname="PorticoEndpointDown"}'));
  t.ok(await waitFor(firing, 10_000, 'the alert of the endpoint that is down'), 'an outage is seen');
  t.notOk(
    await has('ALERTS{alertname=~"PorticoDown|PorticoWorkerMissing|PorticoCertificateExpires|PorticoReloadFailed"}'),
    'and nothing else',
  );
});

/** Has promtool play the alerts on these series: the names (labels) of those that one alert is for, by the minute that it is asked. */
function playAlert(
  t: Test,
  alert: string,
  label: string,
  series: Readonly<Record<string, string>>,
  expected: Readonly<Record<number, readonly string[]>>,
): void {
  const rules = join(makeFolder(t, 'rules'), 'alerts.test.json');
  const at = Object.entries(expected).map(([minute, names]) => ({
    ...{ expr: `group by (${label}) (ALERTS{alertname="${alert}",alertstate="firing"})`, eval_time: `${minute}m` },
    exp_samples: names.map((name) => ({ labels: `{${label}="${name}"}`, value: 1 })),
  }));
  const input_series = Object.entries(series).map(([name, values]) => ({ series: name, values }));
  const tests = [{ interval: '1m', input_series, promql_expr_test: at }];
  writeFileSync(rules, JSON.stringify({ rule_files: [join(CONFIG, 'prometheus/alerts.yaml')], tests }));
  const { status, stdout, stderr } = spawnSync(partPath('promtool'), ['test', 'rules', rules], { encoding: 'utf8' });
  t.equal(status, 0, `${alert}: ${stdout}${stderr}`);
}

t.test('a certificate of six days is not near its end all its life', async (t) => {
  if (needPart(t, 'promtool') === undefined) return;
  const DAY = 86_400;
  const lives = { long: [-76 * DAY, 14.5 * DAY], short: [-2.5 * DAY, 2.5 * DAY], far: [0, 90 * DAY] };
  const series: Record<string, string> = {};
  for (const [name, [from, to]] of Object.entries(lives)) {
    series[`portico_tls_certificate_not_before_timestamp_seconds{name="${name}"}`] = `${from}x3000`;
    series[`portico_tls_certificate_not_after_timestamp_seconds{name="${name}"}`] = `${to}x3000`;
  }
  const day = DAY / 60;
  playAlert(t, 'PorticoCertificateExpires', 'name', series, { 1: [], [day]: ['long'], [2 * day]: ['long', 'short'] });
});

t.test('each alert says what it means and what to do', async (t) => {
  for (const { alert, annotations } of alerts) {
    t.ok(annotations.summary.length > 10 && annotations.description.length > 20, alert);
  }
});
