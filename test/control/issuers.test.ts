// What variables and the file say of issuers: what it becomes, and what is wrong with it.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Configuration } from '../../src/control/configuration.ts';
import { readEnvironment } from '../../src/control/environment.ts';
import { readConfiguration } from '../../src/control/file.ts';
import { printConfiguration } from '../../src/control/print.ts';
import { ConfigError } from '../../src/control/problem.ts';
import { changed, problemsIn, readText } from '../support/configuration-file.ts';
import { makeFolder } from '../support/folder.ts';

const SITES = {
  ...{ FRONTEND_DNS: 'toucan.example', FRONTEND_SERVICE: 'frontend' },
  ...{ BACKEND_DNS: 'api.example', BACKEND_SERVICE: 'backend' },
};
const LETSENCRYPT = 'https://acme-v02.api.letsencrypt.org/directory';
const STAGING = 'https://acme-staging-v02.api.letsencrypt.org/directory';
const HMAC = 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W';

function problemsOf(variables: Record<string, string>): string[] {
  try {
    readEnvironment({ ...SITES, ...variables });
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ place, message }) => `${place} ${message}`);
  }
}

t.test(
  "a mail address is enough: the names of the routes, from Let's Encrypt, tried out at its staging first",
  async (t) => {
    const { issuance, certificates, demo } = readEnvironment({ ...SITES, ACME_EMAIL: 'it@example.com' });
    t.equal(demo, false);
    t.strictSame(certificates, []);
    t.match(issuance, [
      {
        names: ['toucan.example', 'api.example'],
        challenges: ['http-01', 'tls-alpn-01'],
        issuers: [{ directory: LETSENCRYPT, email: 'it@example.com', rehearsal: STAGING, eab: undefined }],
      },
    ]);
  },
);

t.test('each variable', async (t) => {
  const file = join(makeFolder(t), 'hmac');
  writeFileSync(file, `${HMAC}\r\n`);
  const read = (more: Record<string, string>) => readEnvironment({ ...SITES, ...more });
  const issuerOf = (more: Record<string, string>) => read(more).issuance[0]!.issuers[0]!;
  t.match(issuerOf({ ACME_DIRECTORY: 'letsencrypt-staging' }), { directory: STAGING, rehearsal: undefined });
  t.match(issuerOf({ ACME_DIRECTORY: 'https://ca.example/acme' }), { directory: 'https://ca.example/acme' });
  const eab = { ACME_EMAIL: 'a@b', ACME_EAB_KID: 'kid' };
  t.strictSame(issuerOf({ ...eab, ACME_EAB_HMAC: HMAC }).eab, { kid: 'kid', hmac: HMAC });
  t.strictSame(issuerOf({ ...eab, ACME_EAB_HMAC_FILE: file }).eab, { kid: 'kid', hmac: HMAC });
  t.match(issuerOf({ ACME_EMAIL: 'a@b', ACME_CA_FILE: '/ca.pem', ACME_PROFILE: 'shortlived' }), {
    ...{ ca: { file: '/ca.pem', setting: { place: 'ACME_CA_FILE' } }, profile: 'shortlived' },
  });
  const ordered = read({ ACME_EMAIL: 'a@b', ACME_CHALLENGES: 'tls-alpn-01', CERTS_DIR: '/var/lib/certs' });
  t.strictSame(ordered.issuance[0]!.challenges, ['tls-alpn-01']);
  t.equal(ordered.certsDirectory, '/var/lib/certs');
});

t.test('dns-01 by variables: the way, where DNS can be changed, unless another order is asked for', async (t) => {
  const read = (more: Record<string, string>) => readEnvironment({ ...SITES, ACME_EMAIL: 'a@b', ...more }).issuance[0]!;
  t.equal(read({}).dns, undefined);
  t.match(read({ ACME_DNS_HOOK: '/hook', ACME_DNS_RESOLVERS: '192.0.2.1, [2001:db8::1]:5353' }), {
    ...{ challenges: ['dns-01'], dns: { kind: 'hook', file: '/hook' } },
    dns: { resolvers: ['192.0.2.1:53', '[2001:db8::1]:5353'] },
  });
  t.match(read({ ACME_DNS_SERVER: 'ns1.example', ACME_DNS_KEY_FILE: '/k', ACME_CHALLENGES: 'tls-alpn-01,dns-01' }), {
    challenges: ['tls-alpn-01', 'dns-01'],
    dns: { kind: 'update', host: 'ns1.example', port: 53, keyFile: '/k', resolvers: [] },
  });
  const six = { ACME_DNS_SERVER: '[2001:db8::1]:54', ACME_DNS_KEY_FILE: '/k' };
  t.match(read(six).dns, { host: '2001:db8::1', port: 54 });
});

t.test('what is wrong', async (t) => {
  const on = { ACME_EMAIL: 'a@b.example' };
  for (const [variables, expected] of [
    [{ ACME_DIRECTORY: 'http://ca.example/dir' }, /^ACME_DIRECTORY is "http:/],
    [{ ACME_DIRECTORY: 'buypass' }, /^ACME_DIRECTORY is "buypass"/],
    [{ ACME_EMAIL: 'IT <it@example.com>' }, /^ACME_EMAIL is /],
    [{ ...on, ACME_CHALLENGES: 'dns-02' }, /^ACME_CHALLENGES is "dns-02"/],
    [{ ...on, ACME_CHALLENGES: 'http-01,http-01' }, /^ACME_CHALLENGES is /],
    [{ ...on, ACME_EAB_KID: 'kid' }, /^ACME_EAB_HMAC is not set/],
    [{ ...on, ACME_EAB_HMAC: HMAC }, /^ACME_EAB_KID is not set/],
    [{ ...on, ACME_EAB_KID: 'kid', ACME_EAB_HMAC: 'päss' }, /^ACME_EAB_HMAC is no key in base64url/],
    [{ ...on, ACME_EAB_KID: 'kid', ACME_EAB_HMAC_FILE: '/nowhere' }, /^ACME_EAB_HMAC_FILE \/nowhere cannot be read/],
    [{ ...on, SSL_CRT: '/a.crt' }, /^SSL_CRT is set, and ACME_EMAIL too/],
    [{ ACME_PROFILE: 'x', SSL_CRT: '/a', SSL_KEY: '/b' }, /^ACME_PROFILE is set, and nothing is to be issued/],
    [{ ...on, BACKEND_DNS: '192.0.2.7' }, /192\.0\.2\.7 is an address/],
    [{ ...on, ACME_CHALLENGES: 'dns-01' }, /^ACME_CHALLENGES lists dns-01, and nothing says how DNS is changed/],
    [{ ...on, ACME_DNS_HOOK: '/h', ACME_CHALLENGES: 'http-01' }, /^ACME_DNS_HOOK is set, and ACME_CHALLENGES does not/],
    [{ ...on, ACME_DNS_HOOK: '/h', ACME_DNS_SERVER: 'ns1.example' }, /^ACME_DNS_SERVER is set, and ACME_DNS_HOOK too/],
    [{ ...on, ACME_DNS_SERVER: 'ns1.example' }, /^ACME_DNS_KEY_FILE is not set, but ACME_DNS_SERVER is/],
    [{ ...on, ACME_DNS_KEY_FILE: '/k' }, /^ACME_DNS_SERVER is not set, but ACME_DNS_KEY_FILE is/],
    [{ ...on, ACME_DNS_SERVER: 'ns1 x', ACME_DNS_KEY_FILE: '/k' }, /^ACME_DNS_SERVER is "ns1 x", which is no server/],
    [{ ...on, ACME_DNS_RESOLVERS: '192.0.2.1' }, /^ACME_DNS_RESOLVERS is set, and nothing changes DNS/],
    [{ ...on, ACME_DNS_HOOK: '/h', ACME_DNS_RESOLVERS: 'ns1' }, /^ACME_DNS_RESOLVERS lists "ns1", which is no address/],
    [{ ACME_DNS_HOOK: '/h', SSL_CRT: '/a', SSL_KEY: '/b' }, /^ACME_DNS_HOOK is set, and nothing is to be issued/],
  ] as const) {
    const problems = problemsOf(variables);
    t.equal(problems.length, 1, JSON.stringify(problems));
    t.match(problems[0], expected);
    t.notMatch(problems.join(), /päss/);
  }
});

const acme = (text: string) => changed('certificates:', `acme:\n${text}`, 3);

t.test('the file: several issuers for names of their own', async (t) => {
  const read = readText(
    acme(`  - names: [A.example, b.example]
    challenges: [tls-alpn-01, http-01]
    issuers:
      - { directory: "https://ca.example/dir", ca: ca.pem, eab: { kid: k, hmac: ${HMAC} } }
      - { email: a@b.example, preferredChain: ISRG Root X1 }`),
  );
  t.match(read.issuance, [
    {
      names: ['a.example', 'b.example'],
      challenges: ['tls-alpn-01', 'http-01'],
      issuers: [
        { directory: 'https://ca.example/dir', eab: { kid: 'k', hmac: HMAC }, rehearsal: undefined },
        { directory: LETSENCRYPT, email: 'a@b.example', preferredChain: 'ISRG Root X1', rehearsal: STAGING },
      ],
    },
  ]);
  t.match(read.issuance[0]!.issuers[0]!.ca!.file, /^\/.*\/ca\.pem$/);
});

t.test('the file: the names of the hosts, where none are said', async (t) => {
  const { issuance } = readText(acme('  - challenges: [http-01]'));
  t.strictSame(issuance[0]!.names, ['a.example']);
  t.match(issuance[0]!.issuers, [{ directory: LETSENCRYPT }]);
});

t.test('the file: wildcards, where DNS can be changed', async (t) => {
  const file = (text: string) =>
    acme(text).replace('  a.example:', '  "*.b.example": { routes: [{ proxy: backend }] }\n  a.example:');
  const dns = '    dns: { update: { server: "ns1.example:5353", keyFile: tsig.key } }';
  t.match(readText(file(`  - issuers: [{ email: a@b.example }]\n${dns}`)).issuance, [
    { names: ['*.b.example', 'a.example'], challenges: ['dns-01'], dns: { host: 'ns1.example', port: 5353 } },
  ]);
  t.match(readText(file(`  - names: ["*.B.example", b.example]\n${dns}`)).issuance[0]!.names, [
    ...['*.b.example', 'b.example'],
  ]);
  const without = readText(file('  - challenges: [http-01]')).issuance[0]!;
  t.strictSame([without.names, without.dns], [['a.example'], undefined], 'its certificate may come from a file');
});

t.test('the file: what is wrong', async (t) => {
  for (const [text, expected] of [
    ['  - names: ["*.a.example"]', /names\[0\]: \*\.a\.example is a wildcard, which only dns-01 can prove \(add dns:/],
    ['  - names: ["a.*.example"]', /is "a\.\*\.example", which is no host name/],
    ['  - challenges: [dns-01]', /challenges: lists dns-01, and nothing says how DNS is changed/],
    ['  - challenges: [http-01]\n    dns: { hook: /bin/x }', /dns: is given, and challenges does not list dns-01/],
    ['  - dns: { resolvers: [192.0.2.1] }', /dns: says not how/],
    ['  - dns: { hook: /bin/x, update: { server: ns1.example, keyFile: k } }', /dns: says it in two ways/],
    ['  - dns: { hook: /bin/x, resolvers: [ns1.example] }', /resolvers\[0\]: is "ns1\.example", which is no address/],
    ['  - dns: { update: { server: "ns1.example\\nzone x", keyFile: k } }', /server: is /],
    ['  - names: [192.0.2.7]', /192\.0\.2\.7 is an address/],
    ['  - names: [a.example]\n  - names: [A.example]', /a\.example is to be issued already/],
    ['  - issuers: []', /is an empty list/],
    ['  - issuers: [{ directory: "ftp://x" }]', /is "ftp:\/\/x"/],
    ['  - issuers: [{ eab: { kid: k } }]', /hmac is missing/],
    ['  - challenges: [dns-09]', /is "dns-09"/],
  ] as const) {
    const problems = problemsIn(acme(text));
    t.match(problems.join('\n'), expected, text);
  }
});

t.test('the file: a mistake in dns is told once, not for each wildcard again', async (t) => {
  const found = problemsIn(acme('  - names: ["*.a.example"]\n    dns: { resolvers: [192.0.2.1] }'));
  t.match(found, [/dns: says not how/]);
  t.equal(found.length, 1);
});

t.test('what is printed is read back, without the secret', async (t) => {
  const variables = { ...SITES, ACME_DIRECTORY: 'https://ca.example/acme', ACME_EAB_KID: 'kid', ACME_EAB_HMAC: HMAC };
  const before = readEnvironment({
    ...variables,
    CERTS_DIR: '/c',
    ACME_CHALLENGES: 'http-01',
    ACME_CA_FILE: '/ca.pem',
  });
  const { text, masked } = printConfiguration(before);
  t.equal(masked, 1);
  t.notMatch(text, HMAC);
  const again = readConfiguration(Buffer.from(text.replace('(secret, not shown)', HMAC)), '/portico.yaml', {});
  const told = ({ issuance, certsDirectory }: Configuration): unknown =>
    JSON.parse(JSON.stringify({ issuance, certsDirectory }, (key, value) => (key === 'setting' ? undefined : value)));
  t.strictSame(told(again), told(before));
  for (const dns of [{ ACME_DNS_HOOK: '/h' }, { ACME_DNS_SERVER: '[2001:db8::1]:5353', ACME_DNS_KEY_FILE: '/k' }]) {
    const one = readEnvironment({ ...SITES, ACME_EMAIL: 'a@b', ACME_DNS_RESOLVERS: '[::1], 192.0.2.1:54', ...dns });
    const printed = printConfiguration(one).text;
    t.strictSame(told(readConfiguration(Buffer.from(printed), '/portico.yaml', {})), told(one));
  }
});
