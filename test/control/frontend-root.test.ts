// The frontend's folder and its parameters: read from variables, checked, compiled into the route, and warned of.

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import t, { type Test } from 'tap';
import { compile } from '../../src/control/compile.ts';
import { readEnvironment } from '../../src/control/environment.ts';
import { apiBaseRoute } from '../../src/control/frontend-root.ts';
import { ConfigError, type Problem } from '../../src/control/problem.ts';
import { makeFolder } from '../support/folder.ts';

type Variables = Record<string, string>;

function makeRoot(t: Test, files: Variables = {}): string {
  const root = makeFolder(t, 'root');
  mkdirSync(join(root, 'scripts'));
  const all = { 'index.html': 'x', 'scripts/tc-params.js': 'window.TC_PARAMS = { API_BASEROUTE: "x" };', ...files };
  for (const [path, content] of Object.entries(all)) writeFileSync(join(root, path), content);
  return root;
}

const read = (root: string, more: Variables = {}) =>
  readEnvironment({
    FRONTEND_DNS: 'toucan.example',
    FRONTEND_ROOT: root,
    BACKEND_SERVICE: 'backend',
    SSL_CRT: 'a',
    SSL_KEY: 'b',
    ...more,
  });

function problemsOf(root: string, more: Variables = {}): readonly Problem[] {
  try {
    read(root, more);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

function actionOf(root: string, more: Variables = {}) {
  const materials = { generation: 1, certificates: [], authorities: new Map(), ticketKeys: new Uint8Array(48) };
  const snapshot = compile(read(root, more), materials);
  t.strictSame(structuredClone(snapshot), snapshot);
  return { snapshot, action: snapshot.hosts[0]!.routes.at(-1)!.action };
}

t.test('the folder becomes the route of the frontend, without a pool', async (t) => {
  const root = makeRoot(t);
  const { snapshot, action } = actionOf(root);
  t.strictSame(action, {
    kind: 'files',
    root,
    parameters: {
      script: { API_BASEROUTE: 'https://toucan.example/_api' },
      embed: { API_BASEROUTE: 'https://toucan.example/_api' },
    },
    fallback: true,
    base: false,
  });
  t.strictSame(
    snapshot.pools.map(({ name }) => name),
    ['backend'],
  );
  t.ok(Object.isFrozen((action as { parameters: object }).parameters));
});

t.test('parameters come from variables; what is plainly JSON is JSON', async (t) => {
  const { action } = actionOf(makeRoot(t), {
    TC_PARAMS_API_BASEROUTE: 'https://toucan.example/_api/',
    TC_PARAMS_GDPR_SETTINGS: '{"a": [1]}',
    TC_PARAMS_TENANT: ' spaces stay ',
    TC_PARAMS_SANITIZE_HTML: 'true',
    TC_PARAMS_NUMBER: '42',
    TC_PARAMS_EMPTY: '',
    TC_PARAMS_: 'no key',
    TC_PARAMS___proto__: 'no key',
    EMBED_PARAMS_EMBED: 'disable',
  });
  t.match(action, {
    parameters: {
      script: {
        API_BASEROUTE: 'https://toucan.example/_api/',
        GDPR_SETTINGS: { a: [1] },
        TENANT: ' spaces stay ',
        SANITIZE_HTML: true,
        NUMBER: '42',
      },
      embed: { API_BASEROUTE: 'https://toucan.example/_api/', EMBED: 'disable' },
    },
  });
  const { parameters } = action as { parameters: { script: object; embed: object } };
  t.equal(Object.keys(parameters.script).length, 5);
  t.equal(Object.keys(parameters.embed).length, 2);
});

t.test('two domains, another public port: the computed API_BASEROUTE', async (t) => {
  const { action } = actionOf(makeRoot(t), { BACKEND_DNS: 'api.example', PUBLIC_HTTPS_PORT: '8443' });
  t.match(action, { parameters: { script: { API_BASEROUTE: 'https://api.example:8443' } } });
});

t.test('a folder that cannot be served is a problem with a place and a hint', async (t) => {
  const root = makeRoot(t);
  const empty = makeFolder(t, 'empty');
  const linked = makeFolder(t, 'linked');
  symlinkSync(join(root, 'index.html'), join(linked, 'index.html'));
  for (const [given, message] of [
    [join(root, 'none'), /is not there/],
    [join(root, 'index.html'), /is no folder/],
    [empty, /no index\.html/],
    [linked, /whose index\.html is not served: it is no file, or a symlink that leads out of the folder/],
  ] as const) {
    const problems = problemsOf(given);
    t.equal(problems.length, 1);
    t.match(problems[0], { place: 'FRONTEND_ROOT', message, hint: /\w{3}/ });
  }
  t.match(problemsOf(root, { FRONTEND_SERVICE: 'frontend' }), [
    { place: 'FRONTEND_ROOT', message: /FRONTEND_SERVICE too/ },
  ]);
  t.equal(problemsOf(empty, { FRONTEND_SERVICE: 'frontend', BACKEND_SERVICE: '' }).length, 3, 'all at once');
});

t.test('a folder that may be entered, but not read, is a problem: a worker opens it', async (t) => {
  const root = makeRoot(t);
  chmodSync(root, 0o711);
  // Root may read all.
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid!(65_534);
  try {
    t.match(problemsOf(root), [{ place: 'FRONTEND_ROOT', message: /cannot be read \(EACCES\)/, hint: /let the user/ }]);
  } finally {
    if (isRoot) process.seteuid!(0);
  }
});

t.test('FRONTEND_ROOT alone means the drop-in, not the demo', async (t) => {
  const root = makeRoot(t);
  try {
    readEnvironment({ FRONTEND_ROOT: root });
    t.fail();
  } catch (error) {
    const places = (error as ConfigError).problems.map(({ place }) => place);
    t.strictSame(places.sort(), ['BACKEND_SERVICE', 'FRONTEND_DNS', 'SSL_CRT', 'SSL_KEY']);
  }
});

t.test('an API_BASEROUTE that no route serves is warned of, without its value', async (t) => {
  const root = makeRoot(t);
  const warned = (value: string, more: Variables = {}) =>
    read(root, { TC_PARAMS_API_BASEROUTE: value, ...more }).warnings.some((each) => /leads to nothing/.test(each));
  const two = { BACKEND_DNS: 'api.example' };
  for (const value of [
    'https://toucan.example/_api',
    'https://toucan.example/_api/',
    'https://TOUCAN.example:443/_api/v1',
    '/_api',
  ]) {
    t.notOk(warned(value), value);
  }
  t.notOk(warned('https://api.example', two));
  t.notOk(warned('https://api.example:8443/', { ...two, PUBLIC_HTTPS_PORT: '8443' }));
  for (const value of [
    'https://mydomain.com/_api',
    'http://toucan.example/_api',
    'https://toucan.example/',
    'https://toucan.example/_apix',
    'https://toucan.example:8443/_api',
    '__API_BASEROUTE_PLACEHOLDER__',
    'true',
    'https://u:p@toucan.example/_api',
  ]) {
    t.ok(warned(value), value);
  }
  t.ok(warned('https://toucan.example/_api', two));
  const { warnings } = read(root, { EMBED_PARAMS_API_BASEROUTE: 'https://hunter2.example' });
  t.match(warnings, [/^EMBED_PARAMS_API_BASEROUTE leads to nothing.*https:\/\/toucan\.example\/_api/]);
  t.notMatch(warnings.join(), 'hunter2');
});

t.test('what the files hold in the end is warned of, without values', async (t) => {
  const root = makeRoot(t, {
    'scripts/tc-params.js': 'window.TC_PARAMS = { TENANT: "__TENANT_PLACEHOLDER__", PASSWORD: "hunter2" };',
    'embed-params.json': '{"X": "__X_PLACEHOLDER__", }',
  });
  const { warnings } = read(root);
  t.equal(warnings.length, 3);
  t.match(warnings.join('\n'), 'scripts/tc-params.js still holds the placeholder __TENANT_PLACEHOLDER__');
  t.match(warnings.join('\n'), 'scripts/tc-params.js gives everybody the PASSWORD');
  t.match(warnings.join('\n'), 'embed-params.json is served as it is: it is no valid JSON');
  t.notMatch(warnings.join(), 'hunter2');
  t.strictSame(read(makeRoot(t)).warnings, []);
});

t.test('what would keep parameters out of their files is warned of, with what to do', async (t) => {
  const outside = join(makeFolder(t, 'outside'), 'tc-params.js');
  writeFileSync(outside, 'window.TC_PARAMS = {};');
  for (const [place, words] of [
    [
      (file: string) => writeFileSync(file, Buffer.from('// \xe9\nTC_PARAMS = {}', 'latin1')),
      'is served as it is: it is no UTF-8 (save it as UTF-8)',
    ],
    [
      (file: string) => writeFileSync(file, `TC_PARAMS = {}${' '.repeat(1_100_000)}`),
      'is not served: it is larger than 1048576 bytes, and parameters are to be written into it (move out of it what is no parameter)',
    ],
    [
      (file: string) => symlinkSync(outside, file),
      'is not served: it is no file, or a symlink that leads out of the folder (put the file itself into the folder)',
    ],
    [
      (file: string) => mkdirSync(file),
      'is not served: it is no file, or a symlink that leads out of the folder (put the file itself into the folder)',
    ],
    [() => {}, 'is not there: the frontend gets no parameters'],
  ] as const) {
    const root = makeRoot(t);
    rmSync(join(root, 'scripts/tc-params.js'));
    place(join(root, 'scripts/tc-params.js'));
    t.strictSame(read(root).warnings, [`scripts/tc-params.js ${words}`]);
  }
});

t.test('symlinks inside of the folder are followed, as a mounted ConfigMap has them', async (t) => {
  const root = makeRoot(t);
  mkdirSync(join(root, '..data'));
  for (const path of ['index.html', 'scripts/tc-params.js']) {
    renameSync(join(root, path), join(root, '..data', basename(path)));
    symlinkSync(join(root, '..data', basename(path)), join(root, path));
  }
  t.strictSame(read(root).warnings, []);
});

t.test('a pipe in the place of a file is not waited for', { skip: process.platform === 'win32' }, async (t) => {
  const root = makeRoot(t);
  rmSync(join(root, 'scripts/tc-params.js'));
  execFileSync('mkfifo', [join(root, 'scripts/tc-params.js'), join(root, 'embed-params.json')]);
  t.match(read(root).warnings, [/^scripts\/tc-params\.js is not served: it is no file/, /^embed-params\.json is not/]);
  rmSync(join(root, 'index.html'));
  execFileSync('mkfifo', [join(root, 'index.html')]);
  t.match(problemsOf(root), [{ message: /whose index\.html is not served: it is no file/ }]);
});

t.test('parameters without the folder have no effect, but for REWRITE_PARAMS, and that is said', async (t) => {
  t.match(readEnvironment({ TC_PARAMS_TENANT: 'x' }).warnings, [
    /no effect without FRONTEND_ROOT or REWRITE_PARAMS=on/,
  ]);
  const proxied = {
    FRONTEND_DNS: 'toucan.example',
    FRONTEND_SERVICE: 'frontend',
    BACKEND_SERVICE: 'b',
    SSL_CRT: 'c',
    SSL_KEY: 'k',
  };
  const { hosts, warnings } = readEnvironment({ ...proxied, REWRITE_PARAMS: 'on', TC_PARAMS_TENANT: 'x' });
  t.strictSame(warnings, []);
  const API_BASEROUTE = 'https://toucan.example/_api';
  t.strictSame(hosts[0]!.routes[1]!.action, {
    ...{ kind: 'proxy', pool: 'frontend', base: false },
    parameters: { script: { API_BASEROUTE, TENANT: 'x' }, embed: { API_BASEROUTE } },
  });
  const lost = readEnvironment({ ...proxied, REWRITE_PARAMS: 'on', TC_PARAMS_API_BASEROUTE: 'https://s3cr3t.example' });
  t.match(lost.warnings, [/^TC_PARAMS_API_BASEROUTE leads to nothing that is served here/]);
  t.notMatch(lost.warnings.join(), /s3cr3t/);
  t.equal(
    read(makeRoot(t), { REWRITE_PARAMS: 'on' }).warnings.filter((each) => /^REWRITE_PARAMS has no effect/.test(each))
      .length,
    1,
  );
});

t.test('where the API is, as far as the routes tell', async (t) => {
  const base = (variables: Variables) => {
    const { hosts, publicPort } = readEnvironment(variables);
    return apiBaseRoute(hosts[0]!.name, hosts, publicPort);
  };
  const common = {
    FRONTEND_DNS: 'toucan.example',
    FRONTEND_SERVICE: 'f',
    BACKEND_SERVICE: 'b',
    SSL_CRT: 'a',
    SSL_KEY: 'b',
  };
  t.equal(base({ ...common, BACKEND_DNS: 'api.example' }), 'https://api.example');
  t.equal(base({ ...common, API_PREFIX: '/api/v1', PUBLIC_HTTPS_PORT: '8443' }), 'https://toucan.example:8443/api/v1');
  t.equal(base({}), 'https://api-toucan.localhost:8000');
  t.equal(apiBaseRoute('a', [], 443), undefined);
});
