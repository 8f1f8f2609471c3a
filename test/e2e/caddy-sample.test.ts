// What the vendor's sample really does under Caddy 2, where its text lets one think otherwise: the parity test rests on it.

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { caddyfileText, startCaddy } from '../support/caddy.ts';
import { makeFolder } from '../support/folder.ts';
import { sendHttp1 } from '../support/http1-client.ts';
import { needPart, partPath } from '../support/parts.ts';
import { startRecorder } from '../support/recorder.ts';
import { makeTestCertificate } from '../support/tls.ts';

const NAME = 'toucan.test';

t.test('`uri strip_prefix _api` strips as if it had its slash', async (t) => {
  if (needPart(t, 'caddy') === undefined) return;
  const frontend = await startRecorder(t);
  const backend = await startRecorder(t);
  const certificate = await makeTestCertificate(makeFolder(t, 'tls'), [NAME]);
  const services = { frontendService: frontend.service, backendService: backend.service };
  for (const stripPrefix of ['_api', '/_api']) {
    const caddy = await startCaddy(t, { frontendDns: NAME, ...services, certificate, stripPrefix });
    const door = { port: caddy.httpsPort, ca: certificate.ca, serverName: NAME };
    backend.clear();
    for (const target of ['/_api/', '/_api/x?y=1', '/_api//login']) {
      await sendHttp1(door, { method: 'GET', target, authority: NAME, headers: [] });
    }
    t.same(
      backend.records.map((record) => record.target),
      ['/', '/x?y=1', '/login'],
      stripPrefix,
    );
  }
  t.same(frontend.records, []);
});

t.test('with the `http://` addresses on the HTTPS port it is not loaded', async (t) => {
  if (needPart(t, 'caddy') === undefined) return;
  const folder = makeFolder(t, 'caddy');
  const certificate = await makeTestCertificate(folder, [NAME]);
  const options = { frontendDns: NAME, frontendService: 'frontend', backendService: 'backend', certificate };
  const text = caddyfileText(options, 7000, 8000, folder);
  for (const [expected, sample] of [
    [0, text],
    [1, text.replace('https://{$FRONTEND_DNS}:8000 {', 'http://{$FRONTEND_DNS}:8000, https://{$FRONTEND_DNS}:8000 {')],
  ] as const) {
    const file = join(folder, 'Caddyfile');
    writeFileSync(file, sample);
    const { status, stderr } = spawnSync(partPath('caddy'), ['adapt', '--config', file, '--adapter', 'caddyfile'], {
      encoding: 'utf8',
      timeout: 30_000,
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        FRONTEND_DNS: NAME,
        FRONTEND_SERVICE: 'frontend',
        BACKEND_SERVICE: 'backend',
        SSL_CRT: certificate.certificateFile,
        SSL_KEY: certificate.keyFile,
      },
    });
    t.equal(status, expected, expected === 0 ? 'without them it is' : 'with them it is not', { stderr });
    if (expected === 1) t.match(stderr, /cannot natively multiplex HTTP and HTTPS/);
  }
});
