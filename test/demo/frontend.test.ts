// The demo's frontend serves its page and parameters like the product's container, and answers every unknown path with the page.

import { runInNewContext } from 'node:vm';
import t from 'tap';
import { startDemo } from '../../src/demo/demo.ts';
import { startDemoFrontend } from '../../src/demo/frontend.ts';

const API_BASEROUTE = 'https://api.example/"\\</script><!--\u2028\n';
const frontend = await startDemoFrontend({ apiBaseRoute: API_BASEROUTE });
t.teardown(() => frontend.close());
const base = `http://127.0.0.1:${frontend.port}`;

t.test('each file has its type, and none may be stored', async (t) => {
  const types = {
    '/': 'text/html; charset=utf-8',
    '/index.html': 'text/html; charset=utf-8',
    '/app.js': 'text/javascript; charset=utf-8',
    '/style.css?v=1': 'text/css; charset=utf-8',
    '/icon.svg': 'image/svg+xml',
    '/scripts/tc-params.js': 'text/javascript; charset=utf-8',
    '/embed-params.json': 'application/json',
    '/tucana-version.txt': 'text/plain; charset=utf-8',
    '/some/deep/path': 'text/html; charset=utf-8',
    '/%E0%A4%A': 'text/html; charset=utf-8',
  };
  for (const [path, type] of Object.entries(types)) {
    const response = await fetch(base + path);
    t.equal(response.status, 200, path);
    t.equal(response.headers.get('content-type'), type, path);
    t.equal(response.headers.get('cache-control'), 'no-store', path);
    t.equal(Number(response.headers.get('content-length')), (await response.bytes()).length, path);
  }
});

t.test('an unknown path is the page', async (t) => {
  const page = await (await fetch(`${base}/`)).text();
  t.match(page, /<title>Portico demo<\/title>/);
  t.equal(await (await fetch(`${base}/health`)).text(), page);
});

t.test('the version is one line', async (t) => {
  t.equal(await (await fetch(`${base}/tucana-version.txt`)).text(), 'v0.0.0-demo\n');
});

t.test('the parameters are a script with a comment, whatever the base route holds', async (t) => {
  const script = await (await fetch(`${base}/scripts/tc-params.js`)).text();
  t.match(script, /^\/\/ /);
  t.notMatch(script, /</);
  const window: { TC_PARAMS?: { API_BASEROUTE: string } } = {};
  runInNewContext(script, { window });
  t.equal(window.TC_PARAMS?.API_BASEROUTE, API_BASEROUTE);
});

t.test('the embed parameters are JSON', async (t) => {
  t.match(await (await fetch(`${base}/embed-params.json`)).json(), { API_BASEROUTE });
});

t.test('HEAD has no body, and other methods are 405', async (t) => {
  const head = await fetch(`${base}/`, { method: 'HEAD' });
  t.equal(head.status, 200);
  t.equal(await head.text(), '');
  const post = await fetch(`${base}/`, { method: 'POST', body: 'x' });
  t.equal(post.status, 405);
  t.equal(post.headers.get('allow'), 'GET, HEAD');
  t.equal(post.headers.get('cache-control'), 'no-store');
});

t.test('the page names nothing outside of itself, and has no inline script or style', async (t) => {
  const page = await (await fetch(`${base}/`)).text();
  t.notMatch(page, /(?:src|href|action)="(?!\/[^/])/);
  t.notMatch(page, /<style|\sstyle=|<script>|\son\w+=/);
  for (const path of ['/app.js', '/style.css']) {
    t.notMatch(await (await fetch(base + path)).text(), /https?:\/\/|url\(|@import/, path);
  }
});

t.test('the demo is both, and close ends both', async (t) => {
  const demo = await startDemo({ apiBaseRoute: '/_api' });
  const ports = [demo.frontendPort, demo.backendPort];
  for (const port of ports) t.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 200);
  await demo.close();
  for (const port of ports) await t.rejects(fetch(`http://127.0.0.1:${port}/`));
});
