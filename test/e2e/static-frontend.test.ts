// The frontend served from disk through the real door: parameters, caching, releases swapped under load, and ranges as nginx does them.

import { spawnSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import vm from 'node:vm';
import { gunzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { type CurlAnswer, makeCurl, PROTOCOLS } from '../support/curl.ts';
import { makeFolder } from '../support/folder.ts';
import { startNginx } from '../support/nginx-frontend.ts';
import { needParts } from '../support/parts.ts';
import { LAUNCHER, startPortico } from '../support/portico.ts';
import { freePort } from '../support/ports.ts';
import { startRecorder } from '../support/recorder.ts';
import { sampleBytes } from '../support/recorder-answers.ts';
import { BACKEND_NAME, FRONTEND_NAME } from '../support/stack.ts';
import { makeTestCertificate } from '../support/tls.ts';

const SITE = `https://${FRONTEND_NAME}`;
const BUNDLE = '/main.4f1c9a7be2d0.js';
const PAGE = ['-H', 'Accept: text/html,application/xhtml+xml,*/*;q=0.8'];
const SCRIPT = `// parameters
window.TC_PARAMS = {
  API_BASEROUTE: "__API_BASEROUTE_PLACEHOLDER__", // the API
  TENANT: "__TENANT_PLACEHOLDER__",
  USERNAME: "__USERNAME_PLACEHOLDER__"
};
`;
const FILES: Readonly<Record<string, string | Buffer>> = {
  '/index.html': '<!doctype html><title>Frontend of a test</title>\n',
  '/embed.html': '<!doctype html><title>Embed of a test</title>\n',
  '/tucana-version.txt': 'v57.1.4\n',
  '/scripts/tc-params.js': SCRIPT,
  '/embed-params.json': '{\n  "API_BASEROUTE": "__API_BASEROUTE_PLACEHOLDER__",\n  "EMBED": "enable"\n}\n',
  '/chunk.vendors~main.77aa01ff.js': '/* chunk */ '.repeat(100),
  '/assets/My logo (1).txt': 'spaces and brackets\n',
  '/assets/@scope/icon@2x.png': Buffer.from([0x89, 0x50, 0x4e, 0x47]),
  '/docs/index.html': '<!doctype html><title>Docs of a test</title>\n',
  '/.env': 'SECRET=1\n',
  [BUNDLE]: Buffer.concat([Buffer.from('// bundle\n'), sampleBytes(2_000_000)]),
};

function writeFiles(folder: string, files: Readonly<Record<string, string | Buffer>>): void {
  for (const [path, content] of Object.entries(files)) {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    utimesSync(file, 1_700_000_000, 1_700_000_000);
  }
}

async function start(t: Test, env: Readonly<Record<string, string>> = {}, given?: string) {
  const root = given ?? join(makeFolder(t, 'static'), 'root');
  if (given === undefined) writeFiles(root, FILES);
  const backend = await startRecorder(t);
  const portico = await startPortico(t, {
    FRONTEND_DNS: FRONTEND_NAME,
    FRONTEND_ROOT: root,
    BACKEND_SERVICE: backend.service,
    ...env,
  });
  return { root, backend, portico, curl: makeCurl(t, portico) };
}

function parametersIn(answer: CurlAnswer): Record<string, unknown> {
  const window: { TC_PARAMS?: Record<string, unknown> } = {};
  vm.runInNewContext(answer.text, { window });
  return window.TC_PARAMS!;
}

t.test('one domain', async (t) => {
  if (!needParts(t, ['curl'])) return;
  const { curl, backend, portico, root } = await start(t, {
    TC_PARAMS_TENANT: `Toucan & "Sons" </script> it's`,
    TC_PARAMS_GDPR_SETTINGS: '{"enabled": true}',
    EMBED_PARAMS_EMBED: 'disable',
    TC_PARAMS_MIXPANEL_ANALYTICS_ID: 'not-for-the-log',
  });
  for (const [protocol, flag] of PROTOCOLS) {
    const get = (path: string, ...args: string[]) => curl(SITE + path, flag, ...args);

    t.test(`${protocol}: files, with what caches need`, async (t) => {
      const bundle = await get(BUNDLE);
      t.equal(bundle.status, 200);
      t.ok(bundle.body.equals(FILES[BUNDLE] as Buffer));
      t.equal(bundle.header('cache-control'), 'public, max-age=31536000, immutable');
      t.equal(bundle.header('content-type'), 'text/javascript; charset=utf-8');
      t.equal(bundle.header('vary'), 'Accept-Encoding');
      t.ok(bundle.header('x-request-id'));
      const known = await get(BUNDLE, '-H', `If-None-Match: ${bundle.header('etag')}`);
      t.equal(known.status, 304);
      const same = await get(BUNDLE, '-H', `If-Modified-Since: ${bundle.header('last-modified')}`);
      t.equal(same.status, 304);
      const head = await get(BUNDLE, '--head');
      t.equal(head.exit, 0);
      t.equal(head.header('content-length'), String(bundle.body.length));
      const packed = await get(BUNDLE, '-H', 'Accept-Encoding: gzip');
      t.equal(packed.header('content-encoding'), 'gzip');
      t.ok(gunzipSync(packed.body).equals(bundle.body));
      t.not(packed.header('etag'), bundle.header('etag'));
      t.equal((await get('/assets/My%20logo%20(1).txt?v=1')).text, 'spaces and brackets\n');
      t.equal((await get('/assets/@scope/icon%402x.png')).header('content-type'), 'image/png');
      t.equal((await get('/tucana-version.txt')).text, 'v57.1.4\n');
      t.equal((await get('/embed.html')).header('cache-control'), 'no-cache');
      t.equal((await get('/docs')).header('location'), '/docs/');
    });

    t.test(`${protocol}: navigations get the shell, missing assets a 404 that is not stored`, async (t) => {
      for (const path of ['/', '/dashboards/42?token=a.b.c', '/a/b/']) {
        const answer = await get(path, ...PAGE);
        t.equal(answer.status, 200, path);
        t.match(answer.text, 'Frontend of a test', path);
        t.equal(answer.header('cache-control'), 'no-cache', path);
      }
      for (const path of ['/main.000000000000.js', '/missing.css', '/.env', '/%2eenv', '/.git/config']) {
        const answer = await get(path, ...PAGE);
        t.equal(answer.status, 404, path);
        t.equal(answer.header('cache-control'), 'no-store', path);
        t.notMatch(answer.text, /Frontend of a test|SECRET/, path);
      }
      t.equal((await get('/dashboards/42')).status, 404, 'a program is told the truth');
      t.equal((await get('/..%2f..%2fetc/passwd')).status, 400);
    });

    t.test(`${protocol}: other methods are refused, with what is allowed`, async (t) => {
      for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
        const answer = await get('/index.html', '-X', method, '--data-binary', 'x'.repeat(1_000));
        t.equal(answer.status, 405, method);
        t.equal(answer.header('allow'), 'GET, HEAD', method);
      }
    });

    t.test(`${protocol}: parameters are written in`, async (t) => {
      const script = await get('/scripts/tc-params.js', '-H', 'Accept-Encoding: gzip, br');
      t.match(parametersIn(script), {
        API_BASEROUTE: `${SITE}/_api`,
        TENANT: `Toucan & "Sons" </script> it's`,
        GDPR_SETTINGS: { enabled: true },
      });
      t.notMatch(script.text, '</script>');
      t.match(script.text, '// the API', 'comments stay');
      t.equal(script.header('cache-control'), 'no-store');
      const known = await get('/scripts/tc-params.js', '-H', `If-None-Match: ${script.header('etag')}`);
      t.equal(known.status, 304);
      const embed = await get('/embed-params.json');
      t.strictSame(JSON.parse(embed.text), { API_BASEROUTE: `${SITE}/_api`, EMBED: 'disable' });
      t.equal(embed.header('content-type'), 'application/json');
    });

    t.test(`${protocol}: the backend is where the parameter says`, async (t) => {
      const answer = await get('/_api/status');
      t.equal(answer.status, 200);
      t.equal(backend.records.at(-1)?.target, '/status');
    });
  }

  t.test('what was found at the start is in the log, and no value is', async (t) => {
    const warnings = portico.logs().filter((line) => line.level === 'warn');
    t.match(JSON.stringify(warnings), '__USERNAME_PLACEHOLDER__');
    t.notMatch(JSON.stringify(portico.logs()), /not-for-the-log|Sons/);
  });

  t.test('a changed file is served at once', async (t) => {
    writeFileSync(join(root, 'tucana-version.txt'), 'v58.0.0\n');
    t.equal((await curl(`${SITE}/tucana-version.txt`)).text, 'v58.0.0\n');
  });
});

t.test('two domains: the parameter names the other one', async (t) => {
  if (!needParts(t, ['curl'])) return;
  const { curl } = await start(t, { BACKEND_DNS: BACKEND_NAME, PUBLIC_HTTPS_PORT: '8443' });
  t.match(parametersIn(await curl(`${SITE}/scripts/tc-params.js`)), { API_BASEROUTE: `https://${BACKEND_NAME}:8443` });
});

t.test('a release that is swapped under load is served whole', async (t) => {
  if (!needParts(t, ['curl'])) return;
  const folder = makeFolder(t, 'releases');
  const release = (name: string) => ({
    '/index.html': `<!doctype html><title>${name}</title>\n`,
    '/version.bin': Buffer.alloc(700_000, name),
    [`/only-in-${name}.txt`]: name,
  });
  for (const [kind, swap] of [
    [
      'by rename of the folder',
      (name: string, count: number) => {
        renameSync(join(folder, 'root'), join(folder, `old-${count}`));
        renameSync(join(folder, name), join(folder, 'root'));
        rmSync(join(folder, `old-${count}`), { recursive: true });
      },
    ],
    [
      'by a symlink',
      (name: string) => {
        symlinkSync(name, join(folder, 'next'));
        renameSync(join(folder, 'next'), join(folder, 'root'));
      },
    ],
  ] as const) {
    await t.test(kind, async (t) => {
      rmSync(join(folder, 'root'), { recursive: true, force: true });
      writeFiles(join(folder, 'r0'), release('r0'));
      if (kind === 'by a symlink') symlinkSync('r0', join(folder, 'root'));
      else renameSync(join(folder, 'r0'), join(folder, 'root'));
      const { curl } = await start(t, {}, join(folder, 'root'));
      const seen = new Set<string>();
      let swapping = true;
      const load = async (flag: string) => {
        while (swapping) {
          const answer = await curl(`${SITE}/version.bin`, flag);
          const name = answer.body.subarray(0, 2).toString();
          seen.add(name);
          t.equal(answer.status, 200);
          t.equal(answer.exit, 0);
          t.ok(answer.body.equals(Buffer.alloc(700_000, name)), 'of one release, and whole');
        }
      };
      const loads = PROTOCOLS.flatMap(([, flag]) => [load(flag), load(flag)]);
      for (let i = 1; i <= 3; i++) {
        writeFiles(join(folder, `r${i}`), release(`r${i}`));
        swap(`r${i}`, i);
        t.equal((await curl(`${SITE}/only-in-r${i}.txt`)).text, `r${i}`, 'what is new is there at once');
        await sleep(400);
      }
      swapping = false;
      await Promise.all(loads);
      t.ok(seen.has('r3'), [...seen].join());
    });
  }
});

t.test('a file that shrinks while it is sent is told as cut off', async (t) => {
  if (!needParts(t, ['curl'])) return;
  const { curl, root, portico } = await start(t);
  for (const [protocol, flag] of PROTOCOLS) {
    // Larger than what fits between the two ends, and read slowly.
    writeFileSync(join(root, 'large.bin'), Buffer.alloc(60_000_000));
    const asked = curl(`${SITE}/large.bin`, flag, '--limit-rate', '8M');
    await sleep(2_500);
    truncateSync(join(root, 'large.bin'), 1_000);
    const answer = await asked;
    t.equal(answer.status, 200, protocol);
    t.not(answer.exit, 0, protocol);
    t.ok(answer.body.length < 60_000_000, protocol);
  }
  const lines = portico.logs().filter((line) => line.failure === 'file_changed');
  t.equal(lines.length, 2);
  t.match(lines[0], { ended_by: 'internal', detail: 'the file became shorter while it was sent', route: 'frontend' });
});

t.test('validate tells what would be warned of, and what is wrong with the folder', async (t) => {
  const folder = makeFolder(t, 'validate');
  const { certificateFile, keyFile } = await makeTestCertificate(folder, [FRONTEND_NAME]);
  const validate = (root: string, env: Readonly<Record<string, string>> = {}) =>
    spawnSync(process.execPath, [LAUNCHER, 'validate'], {
      encoding: 'utf8',
      env: {
        FRONTEND_DNS: FRONTEND_NAME,
        FRONTEND_ROOT: root,
        BACKEND_SERVICE: 'backend',
        SSL_CRT: certificateFile,
        SSL_KEY: keyFile,
        ...env,
      },
    });
  writeFiles(join(folder, 'root'), FILES);
  const fine = validate(join(folder, 'root'), {
    TC_PARAMS_TENANT: 'x',
    TC_PARAMS_USERNAME: 'somebody',
    TC_PARAMS_PASSWORD: 'hunter2',
    TC_PARAMS_API_BASEROUTE: 'https://elsewhere.example/secret-path',
  });
  t.equal(fine.status, 0, 'warnings alone');
  t.match(fine.stdout, /^ok/m);
  t.match(fine.stderr, /warning: TC_PARAMS_API_BASEROUTE leads to nothing that is served here.*\/_api/);
  t.match(fine.stderr, /warning: scripts\/tc-params.js gives everybody the USERNAME/);
  t.match(fine.stderr, /warning: scripts\/tc-params.js gives everybody the PASSWORD/);
  t.notMatch(fine.stdout + fine.stderr, /hunter2|somebody|secret-path/);
  const left = validate(join(folder, 'root'));
  t.match(left.stderr, 'still holds the placeholder __TENANT_PLACEHOLDER__');
  const wrong = validate(join(folder, 'none'), { FRONTEND_SERVICE: 'frontend' });
  t.equal(wrong.status, 1);
  t.match(wrong.stderr, /FRONTEND_ROOT is set, and FRONTEND_SERVICE too/);
  t.match(wrong.stderr, /FRONTEND_ROOT is ".*none", which is not there/);
});

t.test('ranges as nginx serves them', async (t) => {
  if (!needParts(t, ['curl', 'nginx'])) return;
  const { curl, root } = await start(t);
  const folder = makeFolder(t, 'nginx');
  const port = await freePort();
  await startNginx(t, folder, port, `server { listen 127.0.0.1:${port}; root ${root}; }`);
  const facts = (answer: CurlAnswer) => {
    const boundary = /boundary=(\S+)/.exec(answer.header('content-type'))?.[1];
    const body = answer.body.toString('latin1');
    return {
      status: answer.status,
      range: answer.header('content-range'),
      length: boundary === undefined && answer.status !== 416 ? answer.body.length : undefined,
      // Each has its boundary, and its own words for the type and for errors.
      body:
        answer.status === 416
          ? ''
          : boundary === undefined
            ? body
            : body.replaceAll(boundary, 'BOUNDARY').replace(/^Content-Type: .*$/gm, 'Content-Type: x'),
    };
  };
  for (const range of [
    '0-0',
    '10-19',
    '1999990-',
    '-7',
    '0-',
    '5-99999999',
    '99999999-',
    '-99999999',
    '0-4,10-14,-3',
    '10-14,0-4',
    '0-0,99999999-',
    '-0',
  ]) {
    for (const path of [BUNDLE, '/tucana-version.txt']) {
      const theirs = facts(await curl(`http://127.0.0.1:${port}${path}`, '-H', `Range: bytes=${range}`));
      for (const [protocol, flag] of PROTOCOLS) {
        const ours = facts(await curl(SITE + path, flag, '-H', `Range: bytes=${range}`));
        t.strictSame(ours, theirs, `${protocol} ${path} ${range}`);
      }
    }
  }
});
