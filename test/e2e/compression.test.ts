// A frontend's own server (a real nginx) behind Portico: its bundle compressed, and its parameters written in, as curl sees it.

import { rmSync } from 'node:fs';
import t from 'tap';
import { makeCurl, PROTOCOLS } from '../support/curl.ts';
import { BUNDLE, startNginxFrontend } from '../support/nginx-frontend.ts';
import { needParts } from '../support/parts.ts';
import { startPortico } from '../support/portico.ts';
import { waitFor } from '../support/ports.ts';
import { startRecorder } from '../support/recorder.ts';
import { FRONTEND_NAME } from '../support/stack.ts';

const SITE = `https://${FRONTEND_NAME}`;

t.test('with the real parts', async (t) => {
  if (!needParts(t, ['curl', 'nginx'])) return;
  const frontend = await startNginxFrontend(t);
  const backend = await startRecorder(t);
  const portico = await startPortico(t, {
    FRONTEND_DNS: FRONTEND_NAME,
    FRONTEND_SERVICE: frontend.service,
    BACKEND_SERVICE: backend.service,
    REWRITE_PARAMS: 'on',
    TC_PARAMS_TENANT: 'acme & "sons"',
  });
  const curl = makeCurl(t, portico);

  for (const [protocol, flag] of PROTOCOLS) {
    t.test(`${protocol}: the bundle, by each coding that curl knows, is what it is on disk`, async (t) => {
      const bundle = frontend.files.get(BUNDLE)!;
      const answer = await curl(SITE + BUNDLE, flag, '--compressed');
      t.match(answer.header('content-encoding'), /^(?:br|zstd|gzip)$/);
      t.equal(answer.header('vary'), 'Accept-Encoding');
      t.ok(answer.body.equals(bundle));
      const etag = answer.header('etag') ?? '';
      t.match(etag, /^W\//);
      const known = await curl(SITE + BUNDLE, flag, '--compressed', '-H', `If-None-Match: ${etag}`);
      t.strictSame([known.status, known.header('etag')], [304, etag]);
      const part = await curl(SITE + BUNDLE, flag, '--compressed', '-r', '1000-1999');
      t.strictSame([part.status, part.header('content-encoding')], [206, '']);
      t.ok(part.body.equals(bundle.subarray(1000, 2000)));
    });

    t.test(`${protocol}: the parameters are written in`, async (t) => {
      const script = await curl(`${SITE}/scripts/tc-params.js`, flag, '--compressed');
      t.match(script.text, `API_BASEROUTE: "${SITE}/_api"`);
      t.match(script.text, 'TENANT: "acme & \\"sons\\""');
      t.equal(script.header('cache-control'), 'no-store');
      const embed = await curl(`${SITE}/embed-params.json`, flag);
      t.strictSame(JSON.parse(embed.text), { API_BASEROUTE: `${SITE}/_api`, EMBED: 'enable' });
      const other = await curl(`${SITE}/tucana-version.txt`, flag);
      t.equal(other.body.toString(), frontend.files.get('/tucana-version.txt')?.toString());
    });
  }

  t.test('a file that is gone is answered by the index page, which passes as it is, and the log says so', async (t) => {
    rmSync(`${frontend.docroot}/embed-params.json`);
    const answer = await curl(`${SITE}/embed-params.json`);
    t.equal(answer.text, frontend.files.get('/index.html')?.toString());
    await curl(`${SITE}/embed-params.json`);
    const told = () =>
      portico.logs().filter((line) => String(line.msg).startsWith('embed-params.json is not rewritten'));
    await waitFor(() => told().length > 0, 5_000, 'the warning');
    t.equal(told().length, 1);
    t.match(told()[0]!.msg, 'text/html');
  });
});
