// The configuration file: what its keys become, and what is wrong between them, each with place and hint, all at once.

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { readConfigurationFile, readReach } from '../../src/control/file.ts';
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
  const frontend = `files:\n          root: ${root}\n        parameters:\n          script:\n            N: 42\n            T: "42"\n            J: \${J}\n            V: \${V}`;
  const api = 'path: /_api\n        proxy: backend\n        answers: json';
  const read = readText(routes(frontend, api), { J: '{"a":[1]}', V: '42' });
  t.match(read.hosts[0]!.routes[1]!.action, {
    parameters: {
      script: { API_BASEROUTE: 'https://a.example/_api', N: 42, T: '42', J: { a: [1] }, V: '42' },
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

t.test('a pool that nobody uses is worth a word', async (t) => {
  const { warnings } = readText(changed('pools:', 'pools:\n  old:\n    endpoints: [http://old]'));
  t.match(warnings, [/^portico\.yaml:9:3 pools\.old: no route uses this pool$/]);
});

t.test('single values: what is wrong with them', async (t) => {
  const cases: [text: string, place: string, message: RegExp][] = [
    [
      changed('port:', '    port: eighty'),
      '4:11 listeners.https.port:',
      /is "eighty" \(give a whole number from 1 to 65535\)/,
    ],
    [changed('port:', '    port: [1]'), '4:11 ', /is a list, where a port should be/],
    [changed('port:', '    port:'), '4:5 ', /is empty/],
    [changed('kind:', '    kind: TLS'), '3:11 ', /did you mean "tls"\?/],
    [
      changed('listeners:', 'listners:'),
      '1:1 ',
      /listners: is not known here \(did you mean "listeners"\?\)|listeners is missing/,
    ],
    [
      route('        limits: { downstream: { headBytes: 1k } }'),
      '16:33 ',
      /set limits\.downstream\.headBytes at the top/,
    ],
    [route('        limits: { drainTimeout: 1 }'), '16:19 ', /set limits\.drainTimeout at the top/],
    [route('        limits: { upstream: { idleTimeout: 25h } }'), '16:44 ', /too long/],
    [route('        request: { set: { Host: x } }'), '16:27 ', /set the host of the pool instead/],
    [route('        request: { set: { X-Forwarded-For: x } }'), '16:27 ', /see trustedProxies/],
    [route('        request: { set: { X-SSL-Client-Verify: x } }'), '16:27 ', /who the client is/],
    [changed('routes:', '    clientAuth: {}\n    routes:'), '14:17 ', /ca is missing/],
    [
      changed('routes:', '    clientAuth: { ca: a, mode: off }\n    routes:'),
      '14:32 ',
      /choose one of required, optional/,
    ],
    [
      changed('routes:', '    clientAuth: { ca: a, forward: yes }\n    routes:'),
      '14:35 ',
      /choose one of none, certificate/,
    ],
    [
      changed('kind: tls', '    kind: plain').replace('    routes:', '    clientAuth: { ca: a }\n    routes:'),
      '14:17 ',
      /needs TLS, and there is no listener of kind tls/,
    ],
    [route('        response: { remove: [transfer-encoding] }'), '16:30 ', /no rule may change/],
    [route('        response: { set: { "X A": x } }'), '16:28 ', /no name of a field/],
    [route('        response: { set: { X-A: "a\\r\\nb: c" } }'), '16:33 ', /not the value of a header field/],
    [changed('- proxy:', '      - redirect: { to: "{uri}" }'), '15:25 ', /give a URL/],
    [changed('- proxy:', '      - redirect: { to: "https://{uri}" }'), '15:25 ', /give a URL/],
    [changed('- proxy:', '      - redirect: { to: "//evil.example" }'), '15:25 ', /give a URL/],
    [changed('- proxy:', '      - redirect: { to: "https://u:p@x" }'), '15:25 ', /give a URL/],
    [changed('- proxy:', '      - redirect: { to: "https://x/{path}" }'), '15:25 ', /only \{host\} and \{uri\}/],
    [changed('- proxy:', '      - redirect: { to: https://x, status: 200 }'), '15:44 ', /choose one of 301/],
    [changed('- http://backend', '      - backend:80'), '11:9 ', /write it as a URL: http:\/\/backend:80/],
    [changed('- http://backend', '      - http://u:p@b'), '11:9 ', /user name or password/],
    [changed('a.example:', '  "*":'), '13:3 ', /unknown names get a 404/],
    [changed('a.example:', '  "*.*.example":'), '13:3 ', /no host name/],
    [changed('a.example:', '  a.example:443:'), '13:3 ', /no host name/],
    [changed('pools:', 'trustedProxies: [10.0.0.0/33]\npools:'), '8:18 trustedProxies[0]:', /no address or network/],
    [
      changed('port: 8000', '    port: 8000\n    proxyProtocol: on'),
      '5:20 listeners.https.proxyProtocol:',
      /keys should be/,
    ],
    [changed('port: 8000', '    port: 8000\n    proxyProtocol: { from: [lb] }'), '5:29 ', /no address or network/],
    [changed('port: 8000', '    port: 8000\n    proxyProtocol: { from: [] }'), '5:28 ', /empty list/],
    [changed('- proxy:', '      - path: api\n        proxy: backend'), '15:15 ', /start it with a slash/],
    [changed('- proxy:', '      - path: /a/../b\n        proxy: backend'), '15:15 ', /no path prefix/],
  ];
  for (const [text, place, message] of cases) {
    const found = problemsIn(text).filter((each) => message.test(each));
    t.ok(found[0]?.startsWith(`portico.yaml:${place}`), `${place} ${message}: ${problemsIn(text).join(' | ')}`);
  }
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

t.test('all that is wrong comes at once, in the order of the file', async (t) => {
  const text = SMALL.replace('tls', 'tsl')
    .replace('8000', 'x')
    .replace('cert:', 'crt:')
    .replace('proxy: backend', 'proxy: no');
  const lines = problemsIn(text, { HTTP_PORT: '80' }).map((each) => /^portico\.yaml:(\d+)|^\w+/.exec(each)![1] ?? each);
  t.match(lines, ['3', '4', '6', '6', '15', /^HTTP_PORT is set, but portico\.yaml is the configuration/]);
});

t.test('variables that would have configured us are refused, unless the file asks for them', async (t) => {
  t.match(problemsIn(SMALL, { FRONTEND_DNS: 'a', LOG_LEVEL: 'info', TC_PARAMS_X: '1', EMPTY: '', BODY_LIMIT: ' ' }), [
    /^FRONTEND_DNS is set/,
    /^LOG_LEVEL is set/,
    /^TC_PARAMS_X is set.*unset it, or write \$\{TC_PARAMS_X\} in the file/,
  ]);
  const asks = changed('port:', '    port: ${HTTPS_PORT}');
  t.equal(readText(asks, { HTTPS_PORT: '8443', PORTICO_CONFIG: 'x', PATH: '/bin' }).listeners[0]!.port, 8443);
  t.equal(readText(SMALL, { PORTICO_SOCKET: '/run/x.sock' }).controlSocket, '/run/x.sock');
});

t.test('paths are relative to the file', async (t) => {
  const folder = makeFolder(t, 'config');
  const file = join(folder, 'portico.yaml');
  writeFileSync(file, `${SMALL}controlSocket: control.sock\n`);
  const read = readConfigurationFile(file, {});
  t.equal(read.certificates[0]!.certFile, join(folder, 'a.crt'));
  t.equal(read.controlSocket, join(folder, 'control.sock'));
});

t.test('files that cannot be read are told of, with a place', async (t) => {
  const folder = makeFolder(t, 'config');
  const big = join(folder, 'big.yaml');
  writeFileSync(big, `${SMALL}# ${'x'.repeat(1024 * 1024)}`);
  symlinkSync('loop.yaml', join(folder, 'loop.yaml'));
  for (const [file, message] of [
    [join(folder, 'none.yaml'), /:1:1 the file is not there/],
    [folder, /:1:1 is not a regular file/],
    ['/dev/zero', /\/dev\/zero:1:1 is not a regular file/],
    [join(folder, 'loop.yaml'), /:1:1 the file cannot be opened \(ELOOP\)/],
    [big, /:1:1 the file has 10\d+ bytes, more than the 1048576/],
  ] as const) {
    t.throws(() => readConfigurationFile(file, {}), { message }, file);
    const { admin, controlSocket, doubt } = readReach(file, {});
    t.match([admin.port, controlSocket, doubt], [9180, undefined, { problems: [{}] }]);
  }
});

t.test('where an instance is reached is found in a file whatever else is wrong with it', async (t) => {
  const folder = makeFolder(t, 'config');
  const file = join(folder, 'portico.yaml');
  const reach = (text: string) => {
    writeFileSync(file, text);
    const { admin, controlSocket } = readReach(file, { P: '1' });
    return [admin.address, admin.port, controlSocket];
  };
  t.strictSame(reach('x: y'), ['127.0.0.1', 9180, undefined]);
  t.strictSame(reach('listeners: 3\nadmin:\n  port: ${P}\n  address: ::1\ncontrolSocket: s'), [
    '::1',
    1,
    join(folder, 's'),
  ]);
  t.strictSame(reach('admin: 7'), ['127.0.0.1', 9180, undefined]);
  t.equal(readReach(file, {}).doubt, undefined);
  t.strictSame(reach('admin: { port: 7 }\ncontrolSocket: s\nhosts: ['), ['127.0.0.1', 7, join(folder, 's')]);
  t.match(readReach(file, {}).doubt, { message: /portico\.yaml:3:8 this \[ is not closed/ });
});

t.test('what a variable holds is not told, whatever is wrong with it', async (t) => {
  const variables = { TOKEN: 'hunter2', PORT: '70000', P: 'x' };
  t.match(problemsIn(changed('kind:', '    kind: ${TOKEN}'), variables), [/kind: is "\$\{TOKEN\}" \(choose/]);
  t.match(problemsIn(changed('- proxy:', '      - proxy: a-${TOKEN}'), variables), [
    /no pool is named "a-\$\{TOKEN\}"/,
  ]);
  t.match(problemsIn(changed('a.example:', '  ${TOKEN}/:'), variables), [/hosts\["\$\{TOKEN\}\/"\]: is/]);
  t.match(problemsIn(changed('port:', '    port: ${PORT}'), variables), [/is "70000"/], 'a port is no secret');
  t.match(problemsIn(changed('kind:', '    kind: ${P}'), variables), [/kind: is "x" \(choose/]);
});
