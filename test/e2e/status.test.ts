// The status of a running door, as whoever is called at night sees it: by the command, by curl, and in a browser.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { chromium } from 'playwright-core';
import t from 'tap';
import { makeCurl, PROTOCOLS } from '../support/curl.ts';
import { needPart } from '../support/parts.ts';
import { fileHead, startByFile } from '../support/portico-file.ts';
import { freePort, waitFor } from '../support/ports.ts';

t.test('what failed, and where, and nothing that is secret', async (t) => {
  const inner = createServer((request, response) => {
    response.statusCode = request.url?.startsWith('/broken') ? 500 : 200;
    response.end('inner');
  }).listen(0, '127.0.0.1');
  t.teardown(() => inner.close());
  const nobody = await freePort();
  const door = await startByFile(t, ['site.test'], (ground) => {
    const pools = `pools:
  frontend: { endpoints: ['http://127.0.0.1:${(inner.address() as AddressInfo).port}'] }
  backend: { endpoints: ['http://127.0.0.1:${nobody}'] }
`;
    const routes =
      "    routes: [{ proxy: frontend }, { path: /_api, proxy: backend }, { path: /none, reply: { status: 404, body: '' } }]";
    return `${fileHead(ground)}${pools}hosts:\n  site.test:\n${routes}\n`;
  });
  const curl = makeCurl(t, { httpPort: door.httpsPort, httpsPort: door.httpsPort, caFile: door.certificate.caFile });
  const ids: string[] = [];
  for (const [name, protocol] of PROTOCOLS) {
    const refused = await curl(
      'https://site.test/_api/me?token=s3cr3t',
      protocol,
      '-H',
      'Authorization: Bearer s3cr3t',
    );
    t.equal(refused.status, 502, name);
    const broken = await curl('https://site.test/broken;token=s3cr3t', protocol);
    t.equal(broken.status, 500, name);
    ids.push(refused.header('x-request-id'), broken.header('x-request-id'));
    t.equal((await curl('https://site.test/', protocol)).status, 200);
    t.equal((await curl('https://site.test/none/here', protocol)).status, 404);
  }
  let text = '';
  const isAllThere = async () => {
    text = (await door.command('status')).stdout;
    return ids.every((id) => text.includes(id)) && text.includes('2 connection_refused');
  };
  await waitFor(isAllThere, 20_000, 'all that failed, and the look after it');
  t.match(text, /^Portico \S+ · ready · up /);
  t.match(text, `[!]upstream-backend warn: the last connect failed to 127.0.0.1:${nobody}`);
  t.match(text, new RegExp(`backend +127\\.0\\.0\\.1:${nobody} DOWN .* 2 connection_refused`));
  t.match(text, /502 +\S+ +GET site\.test\/_api\/me +connection_refused: the backend/);
  t.match(text, /500 +\S+ +GET site\.test\/broken\S* +127\.0\.0\.1:\d+ answered so/);
  t.match(text, /site\.test +CN=Test root +\d+ +file /, 'the certificate');
  t.notMatch(text, /s3cr3t|none\/here/);
  const asked = await curl(`http://127.0.0.1:${door.adminPort}/`, '--connect-to', '::127.0.0.1:');
  t.match(asked, { status: 200, text: /What failed last/ }, 'curl gets the same');

  const executablePath = needPart(t, 'chromium');
  if (executablePath === undefined) return;
  const browser = await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--no-proxy-server'],
  });
  t.teardown(() => browser.close());
  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(`http://127.0.0.1:${door.adminPort}/`);
  t.match(await page.textContent('h1'), /^Portico \S+ · ready/);
  t.equal(
    await page.evaluate("getComputedStyle(document.querySelector('table')).borderCollapse"),
    'collapse',
    'styled',
  );
  t.ok((await page.$$('svg polyline')).length > 0, 'drawn');
  for (const id of ids) t.match(await page.textContent('body'), id);
  t.strictSame(complaints, [], 'its policy refuses nothing that it has');
});

t.test('without an instance it says so', async (t) => {
  const door = await startByFile(
    t,
    ['site.test'],
    (ground) => `${fileHead(ground)}hosts: { site.test: { routes: [{ reply: { status: 200, body: x } }] } }\n`,
  );
  t.match(await door.command('status'), { code: 0, stdout: /there was no request yet/ });
  await door.process.stop();
  t.match(await door.command('status'), { code: 1, stdout: '', stderr: /^portico: no instance told its status: / });
});
