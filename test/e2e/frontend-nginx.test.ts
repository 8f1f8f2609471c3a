// The frontend as its container serves it (a real nginx), asked by curl through Portico.

import { createHash } from 'node:crypto';
import t, { type Test } from 'tap';
import { makeCurl, PROTOCOLS } from '../support/curl.ts';
import { BUNDLE, startNginxFrontend, VERSION } from '../support/nginx-frontend.ts';
import { needParts } from '../support/parts.ts';
import { startPortico } from '../support/portico.ts';
import { startRecorder } from '../support/recorder.ts';
import { BACKEND_NAME, FRONTEND_NAME, MODES, type Mode } from '../support/stack.ts';

const SITE = `https://${FRONTEND_NAME}`;

for (const mode of MODES) {
  t.test(mode, async (t) => {
    if (!needParts(t, ['curl', 'nginx'])) return;
    const { curl, frontend, backend } = await start(t, mode);
    t.test('HTTP/1.0, asked for by its name, as curl does', async (t) => {
      const answer = await curl(`${SITE}/tucana-version.txt`, '--http1.0');
      t.equal(answer.exit, 0, answer.stderr);
      t.equal(answer.status, 200);
      t.equal(answer.text, VERSION);
    });

    for (const [protocol, flag] of PROTOCOLS) {
      const get = (path: string, ...args: string[]) => curl(SITE + path, flag, ...args);

      t.test(`${protocol}: the version file tells the version`, async (t) => {
        const answer = await get('/tucana-version.txt');
        t.equal(answer.status, 200);
        t.equal(answer.text, VERSION);
        t.equal(answer.protocol, protocol === 'HTTP/2' ? '2' : '1.1');
        t.equal(answer.header('cache-control'), 'no-store', 'its own fields are there');
      });

      t.test(`${protocol}: every file arrives byte for byte`, async (t) => {
        for (const [path, content] of frontend.files) {
          if (path.endsWith('/index.html')) continue;
          const answer = await get(escapePath(path));
          t.equal(answer.status, 200, path);
          t.equal(answer.sha256, createHash('sha256').update(content).digest('hex'), path);
        }
      });

      t.test(`${protocol}: names with ~ and @ and ( are served as sent, plain or encoded`, async (t) => {
        const at = frontend.files.get('/assets/@scope/icon@2x.txt')?.toString();
        t.equal((await get('/assets/@scope/icon@2x.txt')).text, at);
        t.equal((await get('/assets/%40scope/icon%402x.txt')).text, at);
        const tilde = frontend.files.get('/chunk.vendors~main.77aa01.js')?.toString();
        t.equal((await get('/chunk.vendors~main.77aa01.js')).text, tilde);
        t.equal((await get('/chunk.vendors%7Emain.77aa01.js')).text, tilde);
        const bracket = frontend.files.get('/assets/My logo (1).txt')?.toString();
        t.equal((await get('/assets/My%20logo%20(1).txt?v=%20+')).text, bracket);
      });

      t.test(`${protocol}: the bundle of 2 MB, whole and in part`, async (t) => {
        const bundle = frontend.files.get(BUNDLE)!;
        const whole = await get(BUNDLE);
        t.equal(whole.exit, 0);
        t.equal(whole.body.length, bundle.length);
        t.equal(whole.header('content-length'), String(bundle.length));
        t.ok(whole.body.equals(bundle));
        const part = await get(BUNDLE, '-r', '1000-1999');
        t.equal(part.status, 206);
        t.ok(part.body.equals(bundle.subarray(1000, 2000)));
        const known = await get(BUNDLE, '-H', `If-None-Match: ${whole.header('etag')}`);
        t.equal(known.status, 304);
        t.equal(known.body.length, 0);
        const head = await get(BUNDLE, '--head');
        t.equal(head.status, 200);
        t.equal(head.header('content-length'), String(bundle.length));
      });

      t.test(`${protocol}: an unknown path is the application's, and answered by its page`, async (t) => {
        for (const path of ['/dashboards/42?token=a.b.c', '/_apix/y', '/%5Fapi/x', '//_api/x']) {
          const answer = await get(path);
          t.equal(answer.status, 200, path);
          t.equal(answer.header('content-type'), 'text/html', path);
          t.match(answer.text, 'Frontend of a test', path);
        }
      });

      t.test(`${protocol}: a folder without its slash is redirected over HTTPS`, async (t) => {
        const answer = await get('/docs');
        t.equal(answer.status, 301);
        t.equal(answer.header('location'), `${SITE}/docs/`, 'nginx said http://');
        const followed = await get('/docs', '-L');
        t.equal(followed.status, 200);
        t.match(followed.text, 'Docs of a test');
      });
    }

    t.test('the plain port leads here', async (t) => {
      const answer = await curl(`http://${FRONTEND_NAME}/tucana-version.txt?x=%20y`);
      t.equal(answer.status, 301);
      t.equal(answer.header('location'), `${SITE}/tucana-version.txt?x=%20y`);
      t.equal((await curl(`http://${FRONTEND_NAME}/tucana-version.txt`, '-L')).text, VERSION);
    });

    t.test('the backend was asked nothing', async (t) => {
      t.same(backend.records, []);
    });

    t.test('nginx gone: a page for people, that says which hop', async (t) => {
      await frontend.process.stop();
      const page = await curl(`${SITE}/`, '-H', 'Accept: text/html,*/*;q=0.8');
      t.equal(page.status, 502);
      t.match(page.header('content-type'), /^text\/html/);
      t.match(page.text, /frontend/);
      t.match(page.text, page.header('x-request-id'));
    });
  });
}

async function start(t: Test, mode: Mode) {
  const frontend = await startNginxFrontend(t);
  const backend = await startRecorder(t);
  const portico = await startPortico(t, {
    FRONTEND_DNS: FRONTEND_NAME,
    FRONTEND_SERVICE: frontend.service,
    BACKEND_SERVICE: backend.service,
    ...(mode === 'two domains' ? { BACKEND_DNS: BACKEND_NAME } : {}),
  });
  return { frontend, backend, curl: makeCurl(t, portico) };
}

/** As a browser would: the slashes stay. */
function escapePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
