// The content: what the keys of a configuration file become, and what is wrong between them.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { LIMITS } from '../../src/model/snapshot.ts';
import { changed, problemsIn, readText, SMALL } from '../support/configuration-file.ts';
import { makeFolder } from '../support/folder.ts';

const route = (more: string) => changed('- proxy:', `      - proxy: backend\n${more}`);
const routes = (...each: string[]) => changed('- proxy:', each.map((one) => `      - ${one}`).join('\n'));

t.test('the least: everything else has its default', async (t) => {
  const { listeners, hosts, pools, certificates, admin, ...rest } = readText(SMALL);
  t.match(listeners, [{ name: 'https', kind: 'tls', address: undefined, port: 8000 }]);
  t.strictSame(listeners[0]!.setting, {
    place: 'portico.yaml:4:11 listeners.https.port:',
    name: 'listeners.https.port',
  });
  t.match(certificates, [
    { certFile: /\/a\.crt$/, keyFile: /\/a\.key$/, certSetting: { name: 'certificates[0].cert' } },
  ]);
  t.match(admin, { address: '127.0.0.1', port: 9180 });
  t.match(pools, [{ name: 'backend', endpoints: [{ host: 'backend', port: 80, tls: false }] }]);
  t.strictSame(hosts, [
    {
      name: 'a.example',
      routes: [
        {
          ...{ name: 'a.example/', path: '', prefix: '', action: { kind: 'proxy', pool: 'backend', base: false } },
          ...{ answers: 'page', compress: false, limits: {} },
        },
      ],
    },
  ]);
  t.match(rest, { demo: false, publicPort: 443, logLevel: 'info', trustedProxies: [], limits: LIMITS, warnings: [] });
  t.equal(rest.logFormat, 'json');
});

t.test('the format of access lines', async (t) => {
  t.equal(readText(`${SMALL}log: { format: combined }\n`).logFormat, 'combined');
  t.match(problemsIn(`${SMALL}log: { format: apache }\n`), [/log\.format: .*json, combined/]);
});

t.test('the base of pages: only where it is said, and only where a path is taken off', async (t) => {
  const strip = '        path: /a\n        stripPrefix: true\n';
  const baseOf = (more: string) => readText(route(`${strip}${more}`)).hosts[0]!.routes[0]!.action;
  t.match(baseOf(''), { base: false });
  t.match(baseOf('        base: true'), { base: true });
  t.match(baseOf('        base: false'), { base: false });
  const effect = /base: has no effect here \(base belongs to proxy and files with stripPrefix: true\)/;
  t.match(problemsIn(route('        path: /a\n        base: true')), [effect]);
  const redirect = `path: /a\n        stripPrefix: true\n        base: true\n        redirect: { to: /b }`;
  t.match(problemsIn(routes(redirect, 'proxy: backend')), [effect]);
});

t.test('TLS of a listener, HSTS of a host, and a certificate file that holds its key', async (t) => {
  const text = SMALL.replace('port: 8000', 'port: 8000\n    tls: { policy: modern, strictSni: true }')
    .replace('    key: a.key\n', '    passwordFile: a.txt\n')
    .replace('  a.example:\n', '  a.example:\n    hsts: { days: 400, includeSubdomains: true, preload: true }\n');
  const { listeners, certificates, hosts } = readText(text);
  t.match(listeners, [{ tlsPolicy: 'modern', strictSni: true }]);
  t.match(certificates, [
    { keyFile: undefined, passwordFile: /\/a\.txt$/, keySetting: { name: 'certificates[0].key' } },
  ]);
  t.strictSame(hosts[0]!.hsts, { days: 400, includeSubdomains: true, preload: true });
  t.match(readText(SMALL).listeners, [{ tlsPolicy: 'intermediate', strictSni: false }]);
  t.equal(readText(SMALL).hosts[0]!.hsts, undefined);
  for (const [from, to, problem] of [
    ['kind: tls', 'kind: plain', /listeners\.https\.tls: belongs to a listener of kind tls/],
    ['policy: modern', 'policy: old', /listeners\.https\.tls\.policy: is "old" \(/],
    ['days: 400', 'days: 364', /hosts\["a\.example"\]\.hsts\.preload: is refused by the preload list.*365 days/],
    ['includeSubdomains: true, ', '', /hsts\.preload: is refused/],
    ['days: 400, ', '', /days is missing/],
  ] as const) {
    t.match(problemsIn(text.replace(from, to)).join('\n'), problem);
  }
});

t.test('routes: the longest path first, whatever their order; stripped only where it is said', async (t) => {
  const { hosts } = readText(
    routes(
      'proxy: backend',
      'path: /a\n        proxy: backend',
      'path: /a/b/\n        stripPrefix: true\n        proxy: backend',
    ),
  );
  t.strictSame(
    hosts[0]!.routes.map(({ path, prefix, name }) => [path, prefix, name]),
    [
      ['/a/b', '/a/b', 'a.example/a/b'],
      ['/a', '', 'a.example/a'],
      ['', '', 'a.example/'],
    ],
  );
});

t.test('each action', async (t) => {
  const root = makeFolder(t, 'root');
  writeFileSync(join(root, 'index.html'), '');
  const action = (text: string) => readText(routes(text)).hosts[0]!.routes[0]!.action;
  t.strictSame(action(`files:\n          root: ${root}`), {
    kind: 'files',
    root,
    parameters: undefined,
    fallback: true,
    base: false,
  });
  t.strictSame(action('redirect:\n          to: https://b.example{uri}\n          status: 307'), {
    ...{ kind: 'redirect', to: 'https://b.example{uri}', status: 307 },
  });
  t.strictSame(
    action('reply:\n          status: 200\n          body: |\n            User-agent: *\n            Disallow:'),
    {
      ...{ kind: 'reply', status: 200, body: 'User-agent: *\nDisallow:\n', type: 'text/plain; charset=utf-8' },
    },
  );
  t.strictSame(action('reply:\n          status: 204'), {
    ...{ kind: 'reply', status: 204, body: '', type: 'text/plain; charset=utf-8' },
  });
});

t.test('limits of all and of a route, by the names that answers give', async (t) => {
  const { limits, hosts } = readText(
    `${route('        limits:\n          upstream:\n            idleTimeout: 5m\n          tunnel:\n            idleTimeout: 1h')}limits:
  downstream:
    headBytes: 32k
    bodyBytes: 1g
    connections: 50
  upstream:
    responseTimeout: 90
  drainTimeout: 0
`,
  );
  t.strictSame(limits, {
    ...LIMITS,
    ...{ headBytes: 32_768, bodyBytes: 2 ** 30, connections: 50, responseTimeout: 90_000, drainTimeout: 0 },
  });
  t.strictSame(hosts[0]!.routes[0]!.limits, { upstreamIdleTimeout: 300_000, tunnelIdleTimeout: 3_600_000 });
});

t.test('pools: several endpoints, another Host, an authority', async (t) => {
  const { pools } = readText(
    changed(
      '- http://backend',
      '      - https://b1.internal\n      - https://b2.internal:8443/\n    host: bucket.example:8443\n    ca: ca.pem\n    serverName: B.internal',
    ),
  );
  t.match(pools, [
    {
      endpoints: [
        { host: 'b1.internal', port: 443, tls: true },
        { host: 'b2.internal', port: 8443, tls: true },
      ],
      host: 'bucket.example:8443',
      ca: { file: /\/ca\.pem$/, setting: { name: 'pools.backend.ca' } },
      serverName: 'b.internal',
    },
  ]);
});

t.test('header rules', async (t) => {
  const { hosts } = readText(
    route(
      '        request:\n          set:\n            X-A: 1\n          remove: [Accept-Encoding]\n        response:\n          add:\n            Vary: Origin',
    ),
  );
  const [read] = hosts[0]!.routes;
  t.strictSame(read!.requestRules, { remove: ['accept-encoding'], set: ['X-A', '1'], add: [] });
  t.strictSame(read!.responseRules, { remove: [], set: [], add: ['Vary', 'Origin'] });
});

t.test('parameters: where the API is follows from the routes', async (t) => {
  const root = makeFolder(t, 'root');
  mkdirSync(join(root, 'scripts'));
  writeFileSync(join(root, 'index.html'), '');
  writeFileSync(join(root, 'scripts', 'tc-params.js'), 'window.TC_PARAMS = {};');
  const frontend = `files:\n          root: ${root}\n        parameters:\n          script:\n            N: 42\n            T: "42"\n            J: \${J}\n            V: \${V}
            L: [[1, [2]], null, []]
            I: 12345678901234567890`;
  const api = 'path: /_api\n        proxy: backend\n        answers: json';
  const read = readText(routes(frontend, api), { J: '{"a":[1]}', V: '42' });
  t.match(read.hosts[0]!.routes[1]!.action, {
    parameters: {
      script: {
        ...{ API_BASEROUTE: 'https://a.example/_api', N: 42, T: '42', J: { a: [1] }, V: '42' },
        ...{ L: [[1, [2]], null, []], I: '12345678901234567890' },
      },
      embed: { API_BASEROUTE: 'https://a.example/_api' },
    },
  });
  t.strictSame(read.warnings, []);
  const alone = readText(
    changed('- proxy:', `      - ${frontend}\n  b.example:\n    routes:\n      - proxy: backend`),
    { J: '1', V: '1' },
  );
  t.match(alone.warnings, [
    /^portico\.yaml:17:9 hosts\["a\.example"\]\.routes\[0\]\.parameters: API_BASEROUTE is not set/,
  ]);
  const wrong = readText(routes(frontend.replace('N: 42', 'API_BASEROUTE: https://hunter2.example/'), api), {
    J: '1',
    V: '1',
  });
  t.match(wrong.warnings, [/leads to nothing that is served here; the API is at https:\/\/a\.example\/_api$/]);
  t.notMatch(wrong.warnings.join(), 'hunter2');
});

t.test('what is wrong between the keys', async (t) => {
  const cases: [text: string, place: string, message: RegExp][] = [
    [
      changed('- proxy:', '      - proxy: backed'),
      '15:16 hosts["a.example"].routes[0].proxy:',
      /no pool is named "backed" \(the pools are backend\)/,
    ],
    [
      routes('proxy: backend', 'path: /\n        proxy: backend'),
      '16:15 hosts["a.example"].routes[1].path:',
      /never reached/,
    ],
    [
      routes('path: /a\n        proxy: backend', 'path: /a/\n        proxy: backend'),
      '17:15 ',
      /\/a has a route already/,
    ],
    [
      changed('a.example:', '  a.example:\n    routes:\n      - proxy: backend\n  A.Example:'),
      '16:3 hosts["A.Example"]:',
      /twice, first in line 13/,
    ],
    [changed('a.example:', '  a.example:\n    routes: []\n  b.example:'), '14:13 ', /is an empty list/],
    [changed('- proxy:', '      - compress: true'), '14:5 hosts["a.example"].routes:', /route 0 has no action/],
    [route('        reply:\n          status: 204'), '16:9 ', /second action/],
    [route('        stripPrefix: true'), '16:22 ', /no path to take off/],
    [changed('- http://backend', '      - http://b\n      - http://B:80/'), '12:9 ', /stands here twice/],
    [changed('- http://backend', '      []'), '10:5 pools.backend.endpoints:', /is an empty list/],
    [changed('- http://backend', '      - https://localhost:8000'), '11:9 ', /port 8000 there is Portico's own/],
    [changed('- http://backend', '      - http://b\n    ca: ca.pem'), '12:9 pools.backend.ca:', /https only/],
    [changed('certificates:', '', 3), '2:3 listeners.https:', /tls listener, and there is no certificate/],
    [changed('kind: tls', '    kind: redirect'), '1:1 listeners:', /nothing here serves the routes/],
    [changed('port:', '    port: 9180'), '4:11 listeners.https.port:', /the same port as that of admin/],
    [
      changed('port:', '    port: 1\n  b:\n    kind: redirect\n    address: 10.0.0.1\n    port: 1'),
      '8:11 ',
      /the same port as that of https/,
    ],
    [changed('a.example:', '  {}', 3), '12:1 hosts:', /an empty map/],
    [
      changed('- proxy:', '      - reply:\n          status: 200\n        parameters: {}'),
      '17:21 ',
      /has no effect here/,
    ],
    [changed('- proxy:', '      - files:\n          root: /nowhere/at/all'), '16:17 ', /is not there/],
  ];
  for (const [text, place, message] of cases) {
    const [unused] = problemsIn(text).filter((each) => message.test(each));
    t.ok(unused?.startsWith(`portico.yaml:${place}`), `${place} ${message}: ${problemsIn(text).join(' | ')}`);
    t.match(unused, / \(.{3,}\)$/, 'with a hint');
  }
});

t.test('two listeners on one port are told apart by their addresses', async (t) => {
  const two = (one: string, other: string) =>
    changed(
      'port:',
      `    port: 1\n    address: ${one}\n  b:\n    kind: redirect\n    port: 1\n    address: "${other}"`,
    );
  t.strictSame(problemsIn(two('127.0.0.1', '127.0.0.2')), []);
  for (const other of ['127.0.0.1', '0.0.0.0', '::']) t.equal(problemsIn(two('127.0.0.1', other)).length, 1, other);
  t.strictSame(problemsIn(changed('port:', '    port: 9180\n    address: 10.0.0.1')), [], 'nor is admin in the way');
});

t.test('a redirect to its own route is worth a word', async (t) => {
  const warningsOf = (to: string, more = '') =>
    readText(routes(`redirect: { to: "${to}" }${more}`, 'path: /b\n        proxy: backend')).warnings;
  const strip = '\n        path: /a\n        stripPrefix: true';
  for (const [to, more] of [
    ['https://{host}{uri}', ''],
    ['https://A.example:443{uri}', ''],
    ['http://a.example', ''],
    ['/', ''],
    ['/c?d', ''],
    ['/a/c', '\n        path: /a'],
    ['https://{host}/a{uri}', strip],
  ] as const)
    t.match(warningsOf(to, more), [/^portico\.yaml:15:19 .*redirect: leads to this same route again/], to);
  for (const [to, more] of [
    ['https://www.a.example{uri}', ''],
    ['https://a.example:8443{uri}', ''],
    ['/b', ''],
    ['/c', '\n        path: /a'],
    ['https://{host}{uri}', strip],
  ] as const)
    t.strictSame(warningsOf(to, more), [], to);
});

t.test('trust in everybody is worth a word', async (t) => {
  const { warnings, trustedProxies } = readText(`${SMALL}trustedProxies: [0.0.0.0/0]\n`);
  t.strictSame(trustedProxies, ['0.0.0.0/0']);
  t.match(warnings, [/^portico\.yaml:16:17 trustedProxies: lists all addresses/]);
});

t.test('a pool that nobody uses is worth a word', async (t) => {
  const { warnings } = readText(changed('pools:', 'pools:\n  old:\n    endpoints: [http://old]'));
  t.match(warnings, [/^portico\.yaml:9:3 pools\.old: no route uses this pool$/]);
});

t.test(
  'client certificates: files relative to the file, defaults, and a word where they cannot be asked for',
  async (t) => {
    const text = changed('routes:', '    clientAuth: { ca: ca.pem }\n    routes:');
    t.match(readText(text).hosts[0]!.clientAuth, {
      ...{ required: true, forward: 'certificate' },
      files: { ca: { file: /\/ca\.pem$/, setting: { name: 'hosts["a.example"].clientAuth.ca' } }, crl: undefined },
    });
    const other = 'clientAuth: { ca: /a, crl: /b, mode: optional, forward: none }';
    t.match(readText(text.replace('clientAuth: { ca: ca.pem }', other)).hosts[0]!.clientAuth, {
      ...{ required: false, forward: 'none' },
      files: { ca: { file: '/a' }, crl: { file: '/b' } },
    });
    t.strictSame(readText(text).warnings, []);
    const plain = text.replace('listeners:\n', 'listeners:\n  http:\n    kind: plain\n    port: 81\n');
    t.match(readText(plain).warnings, [/clientAuth: the listener of kind plain does not serve this host/]);
  },
);
