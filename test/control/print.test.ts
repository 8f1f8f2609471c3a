// validate -T: what is printed is read back to the same snapshot, and no secret is in it.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { compile } from '../../src/control/compile.ts';
import type { Configuration } from '../../src/control/configuration.ts';
import { readEnvironment } from '../../src/control/environment.ts';
import { readConfiguration } from '../../src/control/file.ts';
import { printConfiguration } from '../../src/control/print.ts';
import { changed, problemsIn, readText } from '../support/configuration-file.ts';
import { makeFolder } from '../support/folder.ts';

const snapshotOf = (configuration: Configuration) =>
  compile(configuration, { generation: 1, certificates: [], authorities: new Map(), ticketKeys: new Uint8Array(48) });

const pathsOf = ({ certificates }: Configuration) =>
  certificates.map(({ certFile, keyFile, passwordFile }) => [certFile, keyFile, passwordFile]);

const COMMON = {
  ...{ FRONTEND_DNS: 'toucan.example', FRONTEND_SERVICE: 'f1:81,https://f2,[::1]:5000', BACKEND_SERVICE: 'backend' },
  ...{ SSL_CRT: '/certs/a.crt', SSL_KEY: '/certs/a.key' },
};

t.test('the environment, printed and read back', async (t) => {
  const cases: Record<string, string>[] = [
    COMMON,
    { ...COMMON, SSL_KEY: '', SSL_KEY_PASSWORD_FILE: '/run/secrets/pfx' },
    { ...COMMON, BACKEND_DNS: 'api.example', LISTEN_HOST: '::1', ADMIN_HOST: '0.0.0.0', ADMIN_PORT: '1', WORKERS: '1' },
    {
      ...COMMON,
      TRUSTED_PROXIES: '10.0.0.0/8,::1',
      PROXY_PROTOCOL_FROM: '10.0.0.7,fd00::/8',
      LOG_LEVEL: 'debug',
      PUBLIC_HTTPS_PORT: '8443',
      API_PREFIX: "/a~$&'b",
    },
    {
      ...COMMON,
      HEAD_LIMIT: '33333',
      BODY_LIMIT: '3g',
      HEAD_TIMEOUT: '61',
      RESPONSE_TIMEOUT: '3h',
      DRAIN_TIMEOUT: '0',
    },
    {
      ...COMMON,
      LOG_FORMAT: 'combined',
      FRONTEND_HOST: 'bucket.example:81',
      FRONTEND_COMPRESS: 'off',
      BACKEND_COMPRESS: 'on',
      REWRITE_PARAMS: 'on',
      TC_PARAMS_TENANT: 'x',
    },
  ];
  for (const variables of cases) {
    const configuration = readEnvironment(variables);
    const { text, masked } = printConfiguration(configuration);
    t.equal(masked, 0);
    const again = readConfiguration(Buffer.from(text), '/elsewhere/portico.yaml', {});
    t.strictSame(snapshotOf(again), snapshotOf(configuration), text);
    const { workers, controlSocket } = configuration;
    t.strictSame(pathsOf(again), pathsOf(configuration), 'of the same files, wherever the printed one lies');
    t.match(again, { workers, controlSocket, admin: { ...configuration.admin, setting: {}, addressSetting: {} } });
    t.equal(printConfiguration(again).text, text, 'and printed again it is the same text');
  }
});

t.test('the base of pages is printed where it counts, and read back', async (t) => {
  const more = (base: string) =>
    `      - path: /a\n        stripPrefix: true\n        proxy: backend\n${base}      - proxy: backend`;
  for (const base of ['', '        base: true\n']) {
    const configuration = readText(changed('- proxy:', more(base)));
    const { text } = printConfiguration(configuration);
    t.strictSame(text.match(/\bbase: \w+/g), [base === '' ? 'base: false' : 'base: true']);
    t.strictSame(snapshotOf(readText(text)).hosts, snapshotOf(configuration).hosts);
  }
});

t.test('secrets are masked by what they are called, and refused when they are read back so', async (t) => {
  const root = '        parameters:\n          script:\n';
  const keys =
    '            PASSWORD: hunter2\n            NESTED: { api_key: hunter2, plain: seen }\n            URL: https://u:hunter2@x/\n            TOKENS: []\n            ENABLED: "$$5"';
  const fields =
    '        request:\n          set:\n            Authorization: Bearer hunter2\n            X-Api-Key: hunter2\n            X-Plain: seen too';
  const text = changed(
    '- proxy:',
    `      - proxy: backend\n${root}${keys}\n${fields}\n      - path: /out\n        redirect: { to: "https://x/?token=hunter2" }`,
  );
  const { text: printed, masked } = printConfiguration(readText(text));
  t.equal(masked, 6);
  t.notMatch(printed, 'hunter2');
  for (const shown of ['plain: seen', 'X-Plain: seen too', 'TOKENS: []', 'ENABLED: $$5'])
    t.ok(printed.includes(shown), shown);
  const refused = problemsIn(printed);
  t.equal(refused.length, 6);
  for (const problem of refused)
    t.match(problem, /^portico\.yaml:\d+:\d+ .*: is a secret that was not printed \(put the secret in/);
});

t.test('what came from a file for secrets is masked wherever it stands', async (t) => {
  const configuration = {
    ...readText(changed('- proxy:', '      - reply: { status: 200, body: "a hunter2 b" }')),
    secrets: ['hunter2'],
  };
  const { text, masked } = printConfiguration(configuration);
  t.notMatch(text, 'hunter2');
  t.equal(masked, 1);
});

t.test('a file for secrets that is JSON is masked as a whole, and as a part', async (t) => {
  const file = join(makeFolder(t, 'secrets'), 'json');
  writeFileSync(file, '{"inner": ["hunter2", 31337], "more": {"plain": "hunter2"}}\n');
  const parameters = `        parameters:
          script:
            WHOLE: \${JS}
            TEXT: "\${JS}"
            PART:
              - \${JS}
              - shown
            NUMBER: \${PIN}
            OTHER: \${OTHER}`;
  const text = changed('- proxy:', `      - proxy: backend\n${parameters}`);
  const pin = join(makeFolder(t, 'secrets'), 'pin');
  writeFileSync(pin, '987654321');
  const { text: printed, masked } = printConfiguration(
    readText(text, { JS_FILE: file, PIN_FILE: pin, OTHER: '{"also": "shown"}' }),
  );
  t.equal(masked, 4);
  t.notMatch(printed, /hunter2|31337|inner|987654321/);
  t.match(printed, /- \(secret, not shown\)\n +- shown\n/);
  t.match(printed, 'also: shown');
});

t.test(
  'what came from a variable that is called secret is masked wherever it stands, but not the name of a file',
  async (t) => {
    const route = `      - proxy: backend
        request: { set: { X-Env: "\${MY_PASSWORD}" } }
      - path: /out
        redirect: { to: "https://x.example/\${SMTP_PASS}/" }`;
    const text = changed('- proxy:', route).replace('a.key', '${SSL_KEY}');
    const variables = { MY_PASSWORD: 'hunter2', SMTP_PASS: 'hunter3', SSL_KEY: '/run/secrets/key' };
    const { text: printed, masked } = printConfiguration(readText(text, variables));
    t.equal(masked, 2);
    t.notMatch(printed, /hunter/);
    t.match(printed, 'key: /run/secrets/key');
  },
);
