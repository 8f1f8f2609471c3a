// portico adapt: the two Caddyfiles of the FAQ become configurations that say what its variables say; all else is refused by its line.

import t from 'tap';
import { adapt, adaptCaddyfile } from '../../src/control/adapt.ts';
import { compile } from '../../src/control/compile.ts';
import type { Configuration } from '../../src/control/configuration.ts';
import { readEnvironment } from '../../src/control/environment.ts';
import { ConfigError, type Problem } from '../../src/control/problem.ts';
import { readText } from '../support/configuration-file.ts';

const SITE = (name: string, service: string, path = '', more = '') => `
http://{$${name}}:8000${path}, https://{$${name}}:8000${path} {
${more}  tls {$SSL_CRT} {$SSL_KEY}
  reverse_proxy {$${service}}:80
}
`;
const HEAD = `# Port 7000 is for incoming http -> redirect it to https
:7000 {
  redir https://{host}{uri}
}`;
const TWO_DOMAINS = HEAD + SITE('FRONTEND_DNS', 'FRONTEND_SERVICE') + SITE('BACKEND_DNS', 'BACKEND_SERVICE');
const ONE_DOMAIN =
  HEAD +
  SITE('FRONTEND_DNS', 'FRONTEND_SERVICE') +
  SITE('FRONTEND_DNS', 'BACKEND_SERVICE', '/_api/*', '  uri strip_prefix _api\n');
const VARIABLES = {
  ...{ FRONTEND_DNS: 'toucan.example', FRONTEND_SERVICE: 'frontend', BACKEND_SERVICE: 'backend' },
  ...{ SSL_CRT: '/certs/a.crt', SSL_KEY: '/certs/a.key' },
};

/** What decides where a request goes; names and what our own answers look like are not in a Caddyfile. */
function essence(configuration: Configuration) {
  const { listeners, hosts, pools, publicPort } = compile(configuration, {
    ...{ generation: 1, certificates: [], authorities: new Map(), ticketKeys: new Uint8Array(48) },
  });
  const routes = hosts.map((host) => [
    host.name,
    host.routes.map(({ path, prefix, action }) => ({ path, prefix, action })),
  ]);
  return {
    listeners,
    routes,
    pools,
    publicPort,
    certificates: configuration.certificates.map(({ certFile, keyFile }) => [certFile, keyFile]),
  };
}

for (const [name, caddyfile, variables] of [
  ['two domains', TWO_DOMAINS, { ...VARIABLES, BACKEND_DNS: 'api.example' }],
  ['one domain', ONE_DOMAIN, VARIABLES],
] as const) {
  t.test(name, async (t) => {
    const { text, warnings } = adaptCaddyfile(caddyfile, 'Caddyfile');
    t.strictSame(essence(readText(text, variables)), essence(readEnvironment(variables)), text);
    t.match(warnings, [/301 \(308/, /HTTPS only/]);
  });
}

t.test('names and ports as they are, and several upstreams', async (t) => {
  const { text } = adaptCaddyfile(
    'a.example, https://b.example:8443 {\n tls "/c d.crt" `/c d.key` # files\n reverse_proxy x:1 https://y {$Z:z}\n}',
    'Caddyfile',
  );
  const read = readText(text);
  t.match(essence(read), {
    listeners: [
      { name: 'https-8443', port: 8443 },
      { name: 'https-443', port: 443 },
      { name: 'http', kind: 'redirect', port: 80 },
    ],
    routes: [['a.example'], ['b.example']],
    certificates: [['/c d.crt', '/c d.key']],
  });
  t.strictSame(read.pools[0]!.endpoints, [
    { host: 'x', port: 1, tls: false },
    { host: 'y', port: 443, tls: true },
    { host: 'z', port: 80, tls: false },
  ]);
});

t.test('quotes are read as Caddy reads them', async (t) => {
  const site = (line: string) => `a.example {\n  tls ${line}\n  reverse_proxy b # "\n}`;
  const { text } = adaptCaddyfile(site('"/c d\\x/a\\"b.crt" `/c\\d.key`'), 'Caddyfile');
  t.match(essence(readText(text)), { certificates: [['/c d\\x/a"b.crt', '/c\\d.key']] });
  for (const line of ['"/a.crt /b.key', '/a.crt `/b.key']) {
    t.throws(() => adaptCaddyfile(site(line), 'Caddyfile'), /^Caddyfile:2:1 a quote has no end in its line/m, line);
  }
});

t.test('a path that Caddy would take alone is warned of', async (t) => {
  const warnings = (address: string) =>
    adaptCaddyfile(`${address} {\n  tls c k\n  reverse_proxy b\n}`, 'Caddyfile').warnings;
  t.match(warnings('a.example/x'), [/^a\.example\/x is for \/x and all below it, where Caddy takes it for \/x alone$/]);
  t.match(warnings('a.example/x*'), [/^a\.example\/x\* is for \/x and all below it, where Caddy .* begins with \/x$/]);
  t.strictSame([...warnings('a.example/x/*'), ...warnings('a.example')], []);
});

t.test('what is not understood is refused by its line, all at once', async (t) => {
  const text = `{
  email a@b.example
}
(snippet) {
}
a.example {
  tls c k
  reverse_proxy /api/* x:1
  encode gzip
  handle /x {
  }
}
:80 {
  redir https://x.example/
}
b.example {
  reverse_proxy b
}
c.example/x {
  tls c k
  uri strip_prefix /y
  reverse_proxy c
}
import other
open.example {
`;
  try {
    adaptCaddyfile(text, 'Caddyfile');
    t.fail('it is refused');
  } catch (error) {
    t.ok(error instanceof ConfigError);
    const { problems } = error as ConfigError;
    const lines = new Set(problems.map(({ place }) => Number(/^Caddyfile:(\d+):1$/.exec(place)![1])));
    for (const line of [1, 2, 4, 8, 9, 10, 14, 16, 19, 24, 25]) t.ok(lines.has(line), `line ${line}`);
    for (const { hint } of problems) t.match(hint, /\w{3}/);
  }
});

const site = (addresses: string, ...lines: string[]) =>
  [`${addresses} {`, ...lines.map((line) => `  ${line}`), '}', ''].join('\n');
const FILES = 'tls c k';

function problemsOf(text: string): readonly Problem[] {
  try {
    adaptCaddyfile(text, 'Caddyfile');
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

t.test('port 80 is redirected to a site on 443, as Caddy does by itself', async (t) => {
  const listenersOf = (text: string) =>
    readText(adaptCaddyfile(text, 'Caddyfile').text).listeners.map(({ kind, port }) => `${kind} ${port}`);
  t.strictSame(listenersOf(site('a.example', FILES, 'reverse_proxy x')), ['tls 443', 'redirect 80']);
  t.strictSame(listenersOf(site('a.example:8443', FILES, 'reverse_proxy x')), ['tls 8443']);
  const redirected = site(':80', 'redir https://{host}{uri}') + site('a.example', FILES, 'reverse_proxy x');
  t.strictSame(listenersOf(redirected), ['tls 443', 'redirect 80']);
});

t.test('names in capitals, upstreams with an IPv6 address, certificates that share a file', async (t) => {
  const a = site('A.Example', 'tls c k1', 'reverse_proxy [::1]:81');
  const b = site('a.example/b/*', 'tls c k2', 'reverse_proxy x');
  const { hosts, pools, certificates } = readText(adaptCaddyfile(a + b, 'Caddyfile').text);
  t.match(hosts, [{ name: 'a.example', routes: [{ path: '/b' }, { path: '' }] }]);
  t.strictSame(pools[0]!.endpoints, [{ host: '::1', port: 81, tls: false }]);
  t.match(certificates, [{ keyFile: /k1$/ }, { keyFile: /k2$/ }]);
});

t.test('what the result could not be read with is refused', async (t) => {
  const proxied = (address: string, upstream = 'x') => site(address, FILES, `reverse_proxy ${upstream}`);
  for (const [text, line, message] of [
    ['', 1, /no site/],
    ['# nothing\n', 1, /no site/],
    [proxied('a.example') + proxied('A.example:443', 'y'), 5, /a\.example\/ is served by a site above/],
    [proxied('a.example:99999'), 1, /99999 is no port/],
    [proxied('a.example:0'), 1, /0 is no port/],
    [proxied('a.example', 'x:99999'), 3, /not understood/],
  ] as const) {
    t.match(problemsOf(text), [{ place: `Caddyfile:${line}:1`, message }], text);
    t.equal(problemsOf(text).length, 1, text);
  }
});

t.test('each thing is told once, in the order of the file, and what follows is still read', async (t) => {
  const text = [
    '(common) {',
    '  encode gzip',
    '}',
    'a.example {',
    '  import common',
    '  tls internal',
    '  handle_path /_api/* {',
    '    reverse_proxy backend:80',
    '  }',
    '  reverse_proxy frontend:80 {',
    '    header_up Host {upstream_hostport}',
    '  }',
    '}',
    'b.example {',
    '  reverse_proxy b',
    '}',
  ].join('\n');
  const problems = problemsOf(text);
  t.strictSame(
    problems.map(({ place }) => place),
    [1, 2, 5, 6, 7, 10, 14].map((line) => `Caddyfile:${line}:1`),
  );
  t.match(problems.at(-1)!.hint, /acme:/, 'certificates are issued, too');
});

t.test('a file that cannot be read is told of in words', async (t) => {
  for (const [file, message] of [
    ['/nowhere/Caddyfile', /\/nowhere\/Caddyfile does not exist/],
    ['/', /\/ is a directory/],
    ['/dev/zero', /\/dev\/zero is not a regular file/],
  ] as const) {
    const said = t.capture(process.stderr, 'write', () => true);
    t.equal(adapt(file), 1);
    t.match(String(said()[0]!.args[0]), message);
  }
});
