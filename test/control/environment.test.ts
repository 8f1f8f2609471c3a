// The environment's variables: what each means, what is wrong with a wrong one, and all that is wrong at once.

import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import t, { type Test } from 'tap';
import { readEnvironment } from '../../src/control/environment.ts';
import { ConfigError, type Problem } from '../../src/control/problem.ts';
import { LIMITS } from '../../src/model/snapshot.ts';

type Variables = Record<string, string | undefined>;

const TWO_DOMAINS: Variables = {
  FRONTEND_DNS: 'toucan.example',
  FRONTEND_SERVICE: 'frontend',
  BACKEND_DNS: 'api.example',
  BACKEND_SERVICE: 'backend',
  SSL_CRT: '/certs/a.crt',
  SSL_KEY: '/certs/a.key',
};

function problemsOf(variables: Variables): readonly Problem[] {
  try {
    readEnvironment(variables);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

/** Exactly one problem, whose place is the variable, with something to do about it. */
function refused(t: Test, variables: Variables, place: string, message: RegExp): void {
  const problems = problemsOf(variables);
  const name = `${place}=${variables[place]}`;
  t.strictSame(
    problems.map((problem) => problem.place),
    [place],
    name,
  );
  t.match(problems[0]?.message, message, `${name}: what is wrong`);
  t.match(problems[0]?.hint, /\w{3}/, `${name}: what to do`);
}

/** What the variables say, found again in the configuration that they become. */
function read(variables: Variables) {
  const configuration = readEnvironment(variables);
  const { listeners, admin, hosts, pools } = configuration;
  const port = (name: string) => listeners.find((each) => each.name === name)!.port;
  const endpoints = (name: string) => pools.find((pool) => pool.name === name)?.endpoints;
  return {
    ...configuration,
    listenHost: listeners[0]!.address,
    httpPort: port('http'),
    httpsPort: port('https'),
    adminHost: admin.address,
    adminPort: admin.port,
    sites: {
      frontendName: hosts[0]!.name,
      backendName: hosts[1]?.name,
      apiPrefix: hosts[0]!.routes[0]!.path,
      frontend: endpoints('frontend'),
      backend: endpoints('backend'),
    },
  };
}

const dropIn = (more: Variables = {}) => read({ ...TWO_DOMAINS, ...more });

t.test('nothing set: the demo, on its own names and ports', async (t) => {
  const { listeners, admin, hosts, pools, ...rest } = readEnvironment({});
  t.strictSame(rest, {
    demo: true,
    controlSocket: undefined,
    publicPort: 8000,
    certificates: [],
    issuance: [],
    certsDirectory: resolve('certs'),
    ocspStapling: true,
    trustedProxies: [],
    workers: availableParallelism(),
    logLevel: 'info',
    logFormat: 'json',
    limits: LIMITS,
    warnings: [],
    secrets: [],
  });
  t.strictSame(listeners, [
    {
      name: 'https',
      kind: 'tls',
      address: undefined,
      port: 8000,
      tlsPolicy: 'intermediate',
      strictSni: false,
      setting: { place: 'HTTPS_PORT', name: 'HTTPS_PORT' },
      addressSetting: { place: 'LISTEN_HOST', name: 'LISTEN_HOST' },
    },
    {
      name: 'http',
      kind: 'redirect',
      address: undefined,
      port: 7000,
      tlsPolicy: 'intermediate',
      strictSni: false,
      setting: { place: 'HTTP_PORT', name: 'HTTP_PORT' },
      addressSetting: { place: 'LISTEN_HOST', name: 'LISTEN_HOST' },
    },
  ]);
  t.strictSame(admin, {
    ...{ address: '127.0.0.1', addressSetting: { place: 'ADMIN_HOST', name: 'ADMIN_HOST' } },
    ...{ port: 9180, setting: { place: 'ADMIN_PORT', name: 'ADMIN_PORT' } },
  });
  t.match(hosts, [
    {
      name: 'toucan.localhost',
      routes: [{ path: '', action: { kind: 'proxy', pool: 'frontend', base: false }, answers: 'page' }],
    },
    {
      name: 'api-toucan.localhost',
      routes: [{ path: '', action: { kind: 'proxy', pool: 'backend', base: false }, answers: 'json' }],
    },
  ]);
  t.strictSame(
    pools.map(({ name, endpoints }) => [name, endpoints]),
    [
      ['frontend', []],
      ['backend', []],
    ],
    'its ports are not known before it runs',
  );
});

t.test('the six variables set: the drop-in for two domains', async (t) => {
  const { demo, sites, certificates, httpPort, httpsPort, publicPort, warnings } = dropIn();
  t.strictSame([demo, httpPort, httpsPort, publicPort, warnings], [false, 7000, 8000, 443, []]);
  t.strictSame(sites, {
    frontendName: 'toucan.example',
    backendName: 'api.example',
    apiPrefix: '',
    frontend: [{ host: 'frontend', port: 80, tls: false }],
    backend: [{ host: 'backend', port: 80, tls: false }],
  });
  t.match(certificates, [{ certFile: '/certs/a.crt', keyFile: '/certs/a.key', certSetting: { place: 'SSL_CRT' } }]);
});

t.test(
  'compression is on for the frontend and off for the backend, and only the prefix of one domain is stripped',
  async (t) => {
    const routes = (more: Variables) =>
      dropIn(more).hosts.flatMap((host) =>
        host.routes.map(({ name, path, prefix, compress }) => [name, path, prefix, compress]),
      );
    t.strictSame(routes({}), [
      ['frontend', '', '', true],
      ['backend', '', '', false],
    ]);
    t.strictSame(routes({ BACKEND_DNS: '' }), [
      ['backend', '/_api', '/_api', false],
      ['frontend', '', '', true],
    ]);
  },
);

t.test('the variables of which the README says so mean the drop-in, each by itself', async (t) => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const [, table] =
    /Any of the first nine set, `ACME_EMAIL` or `ACME_DIRECTORY` means[\s\S]*?\n\|---.*\n([\s\S]*?)\n\n/.exec(readme)!;
  const names = table!.split('\n').map((row) => /^\| `(\w+)/.exec(row)![1]!);
  for (const name of [...names.slice(0, 9), 'ACME_EMAIL', 'ACME_DIRECTORY'])
    t.throws(() => readEnvironment({ [name]: 'x' }), /(?:FRONTEND|BACKEND)_\w+ is not set/, name);
  t.equal(names[9], 'ACME_EMAIL');
});

t.test('ports alone still mean the demo, any of the six the drop-in', async (t) => {
  t.match(read({ HTTPS_PORT: '8443', HTTP_PORT: '8080', ADMIN_PORT: '1', LOG_LEVEL: 'warn' }), {
    demo: true,
    publicPort: 8443,
  });
  t.ok(readEnvironment({ FRONTEND_DNS: '', SSL_CRT: '  ' }).demo, 'an empty one is not set');
  for (const [name, value] of Object.entries(TWO_DOMAINS)) {
    const places = problemsOf({ [name]: value }).map((problem) => problem.place);
    const required = ['FRONTEND_DNS', 'FRONTEND_SERVICE', 'BACKEND_SERVICE', 'SSL_CRT', 'SSL_KEY'];
    // The certificate file may hold the key, too.
    const missing = required.filter((each) => each !== name && !(name === 'SSL_CRT' && each === 'SSL_KEY'));
    t.strictSame(places.sort(), missing.sort(), `${name} alone`);
  }
});

t.test('one domain: BACKEND_DNS unset, or the same as FRONTEND_DNS', async (t) => {
  for (const name of [undefined, '', ' ', 'toucan.example', 'TOUCAN.example']) {
    t.match(
      dropIn({ BACKEND_DNS: name }).sites,
      { frontendName: 'toucan.example', backendName: undefined },
      String(name),
    );
  }
});

t.test('names of sites', async (t) => {
  t.equal(dropIn({ FRONTEND_DNS: ' Toucan.EXAMPLE ' }).sites.frontendName, 'toucan.example');
  for (const place of ['FRONTEND_DNS', 'BACKEND_DNS']) {
    for (const value of [
      'https://toucan.example',
      'toucan.example:443',
      'toucan.example/x',
      '*.example',
      'a b',
      'a,b',
      'a..b',
      '-a',
      '::1',
      '[::::]',
      '10.0.0.256',
      `${'a'.repeat(64)}.example`,
      `${'a.'.repeat(126)}ab`,
    ]) {
      refused(t, { ...TWO_DOMAINS, [place]: value }, place, /no host name/);
    }
    t.match(problemsOf({ ...TWO_DOMAINS, [place]: 'bücher.example' })[0], { hint: /xn--bcher-kva\.example$/ });
  }
  const hint = (FRONTEND_DNS: string) => problemsOf({ ...TWO_DOMAINS, FRONTEND_DNS })[0]!.hint;
  t.equal(hint('b\xfccher.example'), 'write it as xn--bcher-kva.example');
  t.equal(hint('toucan.example.'), 'leave out the dot at its end');
});

t.test('API_PREFIX', async (t) => {
  const prefix = (value: string) => dropIn({ BACKEND_DNS: '', API_PREFIX: value }).sites.apiPrefix;
  t.equal(prefix(''), '/_api');
  t.equal(prefix('/api/v1/'), '/api/v1');
  t.equal(prefix('/a~b@c//'), '/a~b@c');
  for (const value of [
    '/',
    '//',
    'api',
    '/a//b',
    '/..',
    '/a/../b',
    '/.',
    '/a?b',
    '/a#b',
    '/a b',
    '/a%2fb',
    '/\xe9',
    'https://a/x',
    '/..;',
    '\\a',
  ]) {
    refused(t, { ...TWO_DOMAINS, BACKEND_DNS: '', API_PREFIX: value }, 'API_PREFIX', /no path prefix/);
  }
  const star = { ...TWO_DOMAINS, BACKEND_DNS: '', API_PREFIX: '/_api/*' };
  refused(t, star, 'API_PREFIX', /is "\/_api\/\*"/);
  t.match(problemsOf(star)[0]!.hint, /leave out the \*/);
  t.match(dropIn({ API_PREFIX: '/x' }).warnings, [/API_PREFIX has no effect/], 'with two domains a warning');
  t.strictSame(dropIn({ API_PREFIX: '/x', BACKEND_DNS: '' }).warnings, []);
});

t.test('endpoints: host, host and port, or a URL', async (t) => {
  const cases: [string, string, number, boolean][] = [
    ['backend', 'backend', 80, false],
    ['backend:5000', 'backend', 5000, false],
    ['BackEnd_1.stack', 'backend_1.stack', 80, false],
    ['http://backend', 'backend', 80, false],
    ['http://backend:8080/', 'backend', 8080, false],
    ['https://backend', 'backend', 443, true],
    ['HTTPS://backend:8443', 'backend', 8443, true],
    ['10.0.0.7', '10.0.0.7', 80, false],
    ['::1', '::1', 80, false],
    ['[::1]:5000', '::1', 5000, false],
    ['http://[FE80::1]', 'fe80::1', 80, false],
  ];
  for (const [value, host, port, tls] of cases) {
    t.strictSame(dropIn({ BACKEND_SERVICE: value }).sites.backend, [{ host, port, tls }], value);
  }
  const bad = [
    'backend:',
    'backend:0',
    'backend:65536',
    'backend:http',
    'http://',
    'ftp://backend',
    'unix:/run/x',
    'http://a/path',
    '/x',
  ];
  for (const value of [
    ...bad,
    'http://a?b',
    'http://user:pass@a',
    'user@a',
    'a b',
    'a/b',
    'http://a#b',
    'backend:80:80',
    'http//a',
    ...['http://[::::]', '[abcd]:80', '[10.0.0.7]', '10.0.0.256', '010.0.0.7', '127.1', '0x7f.1', '1'],
    `${'a'.repeat(64)}.example`,
  ]) {
    refused(t, { ...TWO_DOMAINS, BACKEND_SERVICE: value }, 'BACKEND_SERVICE', /lists ".*": \w/);
    refused(t, { ...TWO_DOMAINS, FRONTEND_SERVICE: value }, 'FRONTEND_SERVICE', /lists ".*": \w/);
  }
});

t.test('what is said of an endpoint with a password does not show it', async (t) => {
  for (const [value, shown] of [
    ['http://user:s3cr3t@a', /lists "http:\/\/\*{3}@a": /],
    ['user:s3c@r3t@a:80', /lists "\*{3}@a:80": /],
    ['https://user:s3cr3t@a/path', /lists "https:\/\/\*{3}@a\/path": /],
  ] as const) {
    refused(t, { ...TWO_DOMAINS, BACKEND_SERVICE: value }, 'BACKEND_SERVICE', shown);
  }
});

t.test('the frontend may have several endpoints', async (t) => {
  t.strictSame(dropIn({ FRONTEND_SERVICE: ' a, b:81 ,,http://c, ' }).sites.frontend, [
    { host: 'a', port: 80, tls: false },
    { host: 'b', port: 81, tls: false },
    { host: 'c', port: 80, tls: false },
  ]);
  refused(t, { ...TWO_DOMAINS, FRONTEND_SERVICE: 'a,A:80' }, 'FRONTEND_SERVICE', /twice/);
  refused(t, { ...TWO_DOMAINS, FRONTEND_SERVICE: ' , ,' }, 'FRONTEND_SERVICE', /no endpoint/);
  const many = Array.from({ length: 32 }, (_, i) => `f${i}`);
  refused(t, { ...TWO_DOMAINS, FRONTEND_SERVICE: many.join() }, 'FRONTEND_SERVICE', /32 endpoints/);
  t.equal(dropIn({ FRONTEND_SERVICE: many.slice(1).join() }).sites.frontend!.length, 31);
});

t.test('the backend may not, and the reason is told', async (t) => {
  refused(t, { ...TWO_DOMAINS, BACKEND_SERVICE: 'a,b' }, 'BACKEND_SERVICE', /2 endpoints.* only once/);
  t.match(problemsOf({ ...TWO_DOMAINS, BACKEND_SERVICE: 'a,b' })[0]?.hint, /two backend containers .* corrupt/);
  refused(
    t,
    { ...TWO_DOMAINS, BACKEND_SERVICE: '5000' },
    'BACKEND_SERVICE',
    /a port, and the host before it is missing/,
  );
  refused(t, { ...TWO_DOMAINS, BACKEND_SERVICE: ',' }, 'BACKEND_SERVICE', /no endpoint/);
});

t.test('ports', async (t) => {
  const read = dropIn({ HTTP_PORT: '80', HTTPS_PORT: ' 443 ', ADMIN_PORT: '65535', PUBLIC_HTTPS_PORT: '8443' });
  t.match(read, { httpPort: 80, httpsPort: 443, adminPort: 65_535, publicPort: 8_443 });
  for (const place of ['HTTP_PORT', 'HTTPS_PORT', 'ADMIN_PORT', 'PUBLIC_HTTPS_PORT']) {
    for (const value of ['0', '65536', '-1', '+80', '80.0', '8e3', '0x50', 'http', '80 81', '99999999999']) {
      refused(t, { [place]: value }, place, /is "/);
    }
  }
});

t.test('two listeners on one port', async (t) => {
  refused(t, { HTTP_PORT: '8000' }, 'HTTPS_PORT', /8000, the same port as HTTP_PORT/);
  refused(t, { ADMIN_PORT: '7000' }, 'ADMIN_PORT', /the same port as HTTP_PORT/);
  t.equal(problemsOf({ HTTP_PORT: '1', HTTPS_PORT: '1', ADMIN_PORT: '1' }).length, 2);
});

t.test('addresses to listen on', async (t) => {
  for (const value of ['0.0.0.0', '127.0.0.1', '::', '::1', 'fe80::1%eth0']) {
    t.match(read({ LISTEN_HOST: value, ADMIN_HOST: value }), { listenHost: value, adminHost: value }, value);
  }
  for (const place of ['LISTEN_HOST', 'ADMIN_HOST']) {
    for (const value of ['localhost', '256.0.0.1', '*', '[::1]', '127.0.0.1:80', '10.0.0.0/8']) {
      refused(t, { [place]: value }, place, /no IP address/);
    }
  }
});

t.test('TRUSTED_PROXIES', async (t) => {
  t.strictSame(readEnvironment({ TRUSTED_PROXIES: ' 10.0.0.7, 172.16.0.0/12,,::1 , fd00::/8' }).trustedProxies, [
    ...['10.0.0.7', '172.16.0.0/12', '::1', 'fd00::/8'],
  ]);
  t.strictSame(readEnvironment({ TRUSTED_PROXIES: ' , ' }).trustedProxies, []);
  for (const value of [
    'proxy',
    '10.0.0',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/x',
    '10.0.0.0/8/8',
    '::/129',
    '/8',
    '10.0.0.0/-1',
    '10.0.0.1-9',
    '*',
    'fe80::1%eth0',
    'fe80::%eth0/64',
  ]) {
    refused(t, { TRUSTED_PROXIES: value }, 'TRUSTED_PROXIES', /no address or network/);
  }
  t.equal(problemsOf({ TRUSTED_PROXIES: 'a,10.0.0.1,b' }).length, 2, 'each wrong entry is told');
  const everybody = readEnvironment({ TRUSTED_PROXIES: '10.0.0.7, ::/0' }).warnings;
  t.match(everybody, [/^TRUSTED_PROXIES lists all addresses/]);
});

t.test('PROXY_PROTOCOL_FROM holds for both listeners, and everybody is warned of', async (t) => {
  const { listeners, warnings } = readEnvironment({ PROXY_PROTOCOL_FROM: '10.0.0.7, fd00::/8' });
  t.strictSame(
    listeners.map(({ proxyProtocol }) => proxyProtocol),
    [
      ['10.0.0.7', 'fd00::/8'],
      ['10.0.0.7', 'fd00::/8'],
    ],
  );
  t.strictSame(warnings, []);
  t.notOk(readEnvironment({}).listeners.some((each) => 'proxyProtocol' in each));
  t.match(readEnvironment({ PROXY_PROTOCOL_FROM: '0.0.0.0/0' }).warnings, [/^PROXY_PROTOCOL_FROM lists all addresses/]);
  refused(t, { PROXY_PROTOCOL_FROM: 'on' }, 'PROXY_PROTOCOL_FROM', /no address or network/);
});

t.test('WORKERS', async (t) => {
  t.equal(readEnvironment({ WORKERS: '1' }).workers, 1);
  t.equal(readEnvironment({ WORKERS: '256' }).workers, 256);
  for (const value of ['0', '257', '-1', '1.5', 'auto', '1e2']) refused(t, { WORKERS: value }, 'WORKERS', /is "/);
});

t.test('LOG_LEVEL', async (t) => {
  for (const level of ['debug', 'info', 'warn', 'error', 'silent']) {
    t.equal(readEnvironment({ LOG_LEVEL: level.toUpperCase() }).logLevel, level);
  }
  for (const value of ['trace', 'warning', '1', 'toString']) refused(t, { LOG_LEVEL: value }, 'LOG_LEVEL', /is "/);
});

t.test('DRAIN_TIMEOUT', async (t) => {
  const cases: [string, number][] = [
    ['0', 0],
    ['30', 30_000],
    ['45s', 45_000],
    ['2m', 120_000],
    ['2 h', 7_200_000],
    ['24h', 86_400_000],
  ];
  for (const [value, ms] of cases) t.equal(readEnvironment({ DRAIN_TIMEOUT: value }).limits.drainTimeout, ms, value);
  for (const value of ['-1', '1.5s', '1d', '30ms', 's', '1h30m', '1e3', '0x10'])
    refused(t, { DRAIN_TIMEOUT: value }, 'DRAIN_TIMEOUT', /no duration/);
  for (const value of ['25h', '999999m', '999999h', '86401'])
    refused(t, { DRAIN_TIMEOUT: value }, 'DRAIN_TIMEOUT', /too long/);
});

t.test('all that is wrong comes at once, a line each', async (t) => {
  const wrong: Variables = {
    ...{ FRONTEND_DNS: 'https://x', FRONTEND_SERVICE: 'a/b', BACKEND_DNS: 'a:1', BACKEND_SERVICE: 'a,b', SSL_CRT: '' },
    ...{ API_PREFIX: 'x', HTTP_PORT: 'x', HTTPS_PORT: 'x', ADMIN_PORT: 'x', PUBLIC_HTTPS_PORT: 'x', LISTEN_HOST: 'x' },
    ...{ ADMIN_HOST: 'x', TRUSTED_PROXIES: 'x', WORKERS: 'x', LOG_LEVEL: 'x', DRAIN_TIMEOUT: 'x' },
  };
  const problems = problemsOf(wrong);
  const places = problems.map((problem) => problem.place).sort();
  t.strictSame(places, [...Object.keys(wrong), 'SSL_KEY'].sort());
  const { message } = new ConfigError(problems);
  t.equal(message.split('\n').length, problems.length);
  for (const problem of problems)
    t.ok(message.includes(`${problem.place} ${problem.message} (${problem.hint})`), problem.place);
});

t.test('a service that is this door itself', async (t) => {
  const own = /port \d+ there is Portico's own/;
  for (const value of ['127.0.0.1:8000', 'localhost:7000', 'https://localhost:8000', '[::1]:8000', '0.0.0.0:7000']) {
    refused(t, { ...TWO_DOMAINS, FRONTEND_SERVICE: value }, 'FRONTEND_SERVICE', own);
  }
  refused(t, { ...TWO_DOMAINS, BACKEND_SERVICE: 'localhost', HTTP_PORT: '80' }, 'BACKEND_SERVICE', own);
  refused(t, { ...TWO_DOMAINS, BACKEND_SERVICE: '127.0.0.1:9180' }, 'BACKEND_SERVICE', own);
  refused(t, { ...TWO_DOMAINS, BACKEND_SERVICE: '10.0.0.7:8000', LISTEN_HOST: '10.0.0.7' }, 'BACKEND_SERVICE', own);
  for (const elsewhere of [
    { BACKEND_SERVICE: '127.0.0.1:8001' },
    { BACKEND_SERVICE: 'backend:8000' },
    { BACKEND_SERVICE: '127.0.0.1:8000', LISTEN_HOST: '10.0.0.7' },
    { BACKEND_SERVICE: '[::1]:8000', LISTEN_HOST: '0.0.0.0' },
  ]) {
    t.strictSame(problemsOf({ ...TWO_DOMAINS, ...elsewhere }), [], JSON.stringify(elsewhere));
  }
});

t.test('a name that is nearly that of a variable is told of', async (t) => {
  const warnings = (more: Variables) => dropIn(more).warnings;
  t.strictSame(warnings({ TRUSTED_PROXYIES: '10.0.0.7' }), [
    'TRUSTED_PROXYIES is not known here, and has no effect: did you mean "TRUSTED_PROXIES"?',
  ]);
  t.match(warnings({ body_limit: '2g' }), [/^body_limit is not known here/]);
  t.strictSame(warnings({ BODY_LIMITS: '' }), [], 'an empty one says nothing');
  const missing = problemsOf({ ...TWO_DOMAINS, FRONTEND_SERVICE: '', FRONTEND_SERVCE: 'frontend' });
  t.match(missing, [
    { place: 'FRONTEND_SERVICE', message: 'is not set' },
    { place: 'FRONTEND_SERVCE', hint: 'did you mean "FRONTEND_SERVICE"?' },
  ]);
  // Those of Kubernetes and of proxies are somebody else's.
  const others = {
    FRONTEND_PORT: 'tcp://10.0.0.1:80',
    BACKEND_SERVICE_HOST: '10.0.0.1',
    HTTP_PROXY: 'x',
    LOG_FILE: 'x',
  };
  t.strictSame(warnings(others), []);
});

t.test('quotes that came with a value', async (t) => {
  for (const place of ['FRONTEND_DNS', 'FRONTEND_SERVICE', 'HTTP_PORT', 'LOG_LEVEL']) {
    const [problem] = problemsOf({ ...TWO_DOMAINS, [place]: '"x"' });
    t.match(problem, { place, hint: /^leave out the quotes/ });
  }
});

t.test('other variables do not matter', async (t) => {
  t.ok(readEnvironment({ PATH: '/bin', HTTP_PROXY: 'http://evil.example', frontend_dns: 'x' }).demo);
});

t.test('sizes and times of the common limits', async (t) => {
  const { limits } = readEnvironment({
    HEAD_LIMIT: '32k',
    BODY_LIMIT: '2g',
    HEAD_TIMEOUT: '5',
    RESPONSE_TIMEOUT: '20m',
  });
  t.equal(limits.headBytes, 32 * 1024);
  t.equal(limits.bodyBytes, 2 * 1024 ** 3);
  t.equal(limits.headTimeout, 5_000);
  t.equal(limits.responseTimeout, 20 * 60_000);
  t.equal(readEnvironment({ BODY_LIMIT: '50MiB' }).limits.bodyBytes, 50 * 1024 ** 2);
  for (const [name, value] of [
    ['HEAD_LIMIT', '10'],
    ['HEAD_LIMIT', '2m'],
    ['BODY_LIMIT', '2 t'],
    ['BODY_LIMIT', '-1'],
    ['HEAD_TIMEOUT', '0'],
    ['RESPONSE_TIMEOUT', '25h'],
    ['RESPONSE_TIMEOUT', 'soon'],
  ] as const) {
    const problems = problemsOf({ [name]: value });
    t.same(
      problems.map(({ place }) => place),
      [name],
      `${name}=${value}`,
    );
    t.type(problems[0]?.hint, 'string');
  }
});

t.test(
  "the Host of the frontend: an https URL brings its own, all else gets what is said, or the client's",
  async (t) => {
    const hostOf = (service: string, host?: string) => {
      const { pools } = readEnvironment({
        ...TWO_DOMAINS,
        FRONTEND_SERVICE: service,
        ...(host === undefined ? {} : { FRONTEND_HOST: host }),
      });
      t.equal(pools[1]!.host, undefined, "the backend gets the client's");
      return pools[0]!.host;
    };
    t.equal(hostOf('frontend'), undefined);
    t.equal(hostOf('http://bucket.example'), undefined);
    t.equal(hostOf('https://Bucket.s3.example'), 'bucket.s3.example');
    t.equal(hostOf('https://bucket.s3.example:8443'), 'bucket.s3.example:8443');
    t.equal(hostOf('https://bucket.example:1,https://bucket.example:2'), 'bucket.example');
    t.equal(hostOf('https://one.example,https://two.example'), undefined, 'there is no one name');
    t.equal(hostOf('https://192.0.2.1'), undefined, 'an address is no name');
    t.equal(hostOf('https://bucket.example', 'toucan.example'), 'toucan.example');
    t.equal(hostOf('frontend', 'inner.example:81'), 'inner.example:81');
    t.throws(() => hostOf('frontend', 'https://inner.example/'), /FRONTEND_HOST.*is no host name/);
  },
);

t.test('switches are on or off', async (t) => {
  const read = (more: Record<string, string>) => readEnvironment({ ...TWO_DOMAINS, ...more });
  const compressed = (more: Record<string, string>) =>
    read(more).hosts.flatMap(({ routes }) => routes.map(({ name, compress }) => [name, compress]));
  t.strictSame(compressed({ FRONTEND_COMPRESS: 'off', BACKEND_COMPRESS: 'ON' }), [
    ['frontend', false],
    ['backend', true],
  ]);
  t.equal(read({ LOG_FORMAT: 'combined' }).logFormat, 'combined');
  t.throws(() => read({ BACKEND_COMPRESS: 'yes' }), /BACKEND_COMPRESS is "yes"/);
  t.throws(() => read({ LOG_FORMAT: 'apache' }), /choose one of json, combined/);
});
