// The demo as somebody sees it who only cloned the repository: its page in a real browser, every step of it, in both modes.

import { chromium, type Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { startDemo } from '../../src/demo/demo.ts';
import { makeFolder } from '../support/folder.ts';
import { needPart } from '../support/parts.ts';
import { type Portico, startPortico } from '../support/portico.ts';
import { freePort, waitFor } from '../support/ports.ts';

const SITE = 'toucan.localhost';

t.test('two domains: no variable but ports', async (t) => {
  const browser = needPart(t, 'chromium');
  if (browser === undefined) return;
  const portico = await startPortico(t, {});
  await waitFor(() => portico.process.stdout().includes('Stop with Ctrl-C'), 10_000, 'all that is said at the start');
  t.match(portico.process.stdout(), new RegExp(`https://${SITE}:${portico.httpsPort}/`), 'tells where to look');
  await runDemo(t, browser, portico);
});

t.test('one domain', async (t) => {
  const browser = needPart(t, 'chromium');
  if (browser === undefined) return;
  const httpsPort = await freePort();
  const demo = await startDemo({ apiBaseRoute: `https://${SITE}:${httpsPort}/_api/` });
  t.teardown(() => demo.close());
  const portico = await startPortico(t, {
    FRONTEND_DNS: SITE,
    FRONTEND_SERVICE: `127.0.0.1:${demo.frontendPort}`,
    BACKEND_SERVICE: `127.0.0.1:${demo.backendPort}`,
    HTTPS_PORT: String(httpsPort),
    PUBLIC_HTTPS_PORT: String(httpsPort),
  });
  await runDemo(t, browser, portico);
});

/** Opens the page by its plain address, presses the button, and waits until every step has its colour. */
async function runDemo(t: Test, executablePath: string, portico: Portico): Promise<void> {
  const { page, complaints } = await openPage(t, executablePath);
  await page.goto(`http://${SITE}:${portico.httpPort}/`);
  t.equal(page.url(), `https://${SITE}:${portico.httpsPort}/`, 'the plain port leads to HTTPS');
  await page.click('#run-all');
  // Red is an end too, and says more than a wait that was in vain.
  await page.waitForSelector('body[data-all]', { timeout: 60_000 });
  const steps = await page.$$eval('[data-step]', (elements) =>
    elements.map((element) => ({
      step: element.getAttribute('data-step'),
      state: element.getAttribute('data-state'),
      text: element.textContent?.replace(/\s+/g, ' ').trim(),
    })),
  );
  t.ok(steps.length >= 8, `there are ${steps.length} steps`);
  for (const { step, state, text } of steps) t.equal(state, 'ok', `step ${step}`, { text });
  t.equal(await page.getAttribute('body', 'data-all'), 'ok');
  t.same(complaints, [], 'nothing is wrong in the console');
  const statuses = portico.logs().map((line) => line.status);
  t.notOk(
    statuses.some((status) => typeof status === 'number' && status >= 500),
    'no answer was a failure',
  );
}

async function openPage(t: Test, executablePath: string): Promise<{ page: Page; complaints: string[] }> {
  const profile = makeFolder(t, 'chromium');
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    ignoreHTTPSErrors: true,
    args: [...QUIET, '--host-resolver-rules=MAP *.localhost 127.0.0.1'],
  });
  t.teardown(() => browser.close());
  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  return { page, complaints };
}

const QUIET = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-proxy-server',
];
