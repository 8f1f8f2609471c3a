// What a configuration names: certificates by name, authorities of upstreams, all problems at once.

import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { compile } from '../../src/control/compile.ts';
import { loadFiles } from '../../src/control/materials.ts';
import { ConfigError, formatProblem } from '../../src/control/problem.ts';
import { makeAuthority, makeCertificate } from '../support/certificates.ts';
import { changed, readText, SMALL } from '../support/configuration-file.ts';
import { makeFolder } from '../support/folder.ts';

const folder = makeFolder(t, 'materials');
const authority = await makeAuthority();
const write = (name: string, text: string) => {
  writeFileSync(join(folder, name), text, { mode: 0o600 });
  return join(folder, name);
};
async function pair(name: string, names: readonly string[]): Promise<string> {
  const leaf = await makeCertificate({ names });
  return `  - cert: ${write(`${name}.crt`, leaf.certificate)}\n    key: ${write(`${name}.key`, leaf.key)}`;
}
const now = new Date();
const one = await pair('one', ['a.example']);
const wild = await pair('wild', ['*.w.example', 'b.example']);
const certificates = (...pairs: string[]) => changed('- cert', pairs.join('\n'), 2);
const hosts = (text: string, ...names: string[]) =>
  `${text}${names.map((name) => `  "${name}":\n    routes:\n      - proxy: backend\n`).join('')}`;

t.test('each host has a certificate among several, or is warned of', async (t) => {
  const covered = readText(hosts(certificates(one, wild), 'b.example', '*.w.example', 'x.w.example'));
  const { certificates: store } = loadFiles(covered, now);
  t.strictSame(store.findings(), []);
  t.strictSame(
    store.current().map(({ certificate }) => certificate.names),
    [['a.example'], ['*.w.example', 'b.example']],
  );
  const bare = readText(hosts(certificates(one, wild), 'c.example', '*.v.example', 'x.y.w.example'));
  t.strictSame(
    loadFiles(bare, now).certificates.findings().map(formatProblem),
    ['c.example', '*.v.example', 'x.y.w.example'].map(
      (name) =>
        `${name} is covered by no certificate: clients refuse it there (have a certificate issued for this name, too)`,
    ),
  );
});

t.test('a single certificate that fits not all is warned of with what it covers', async (t) => {
  const findings = (...pairs: string[]) =>
    loadFiles(readText(hosts(certificates(...pairs), 'b.example', '*.v.example')), now)
      .certificates.findings()
      .map(formatProblem);
  t.match(findings(one), [
    /^b\.example is not covered by \/.*one\.crt, which is for a\.example: clients refuse it there \(/,
    /^\*\.v\.example is not covered by/,
  ]);
  const many = await pair(
    'many',
    Array.from({ length: 12 }, (_, i) => `n${i}.example`),
  );
  t.match(findings(many)[0], /which is for n0\.example, .*, n9\.example and 2 more:/);
  const nameless = await makeCertificate({ subject: 'CN=a.example' });
  const files = `  - cert: ${write('cn.crt', nameless.certificate)}\n    key: ${write('cn.key', nameless.key)}`;
  t.match(
    findings(files)[0],
    /^a\.example is not covered by .*which is for no name at all \(it has no subjectAltName\)/,
  );
});

t.test('what is wrong with files comes at once, by the place that names them', async (t) => {
  const broken = certificates(
    `  - cert: ${folder}/none.crt\n    key: ${folder}/one.key`,
    `  - cert: ${folder}/one.key\n    key: ${folder}/one.crt`,
  );
  const text = broken
    .replace('- http://backend:80', `- https://backend\n    ca: ${write('empty.pem', 'x')}`)
    .replace('    routes:', `    clientAuth: { ca: ${folder}/none.pem }\n    routes:`);
  try {
    loadFiles(readText(text), now);
    t.fail('it is refused');
  } catch (error) {
    t.match((error as ConfigError).problems, [
      {
        place: 'portico.yaml:6:11 certificates[0].cert:',
        message: /does not exist/,
        hint: /correct certificates\[0\]\.cert/,
      },
      {
        place: 'portico.yaml:8:11 certificates[1].cert:',
        message: /swapped/,
        hint: 'exchange certificates[1].cert and certificates[1].key',
      },
      { place: 'portico.yaml:17:23 hosts["a.example"].clientAuth.ca:', message: /does not exist/ },
      { place: 'portico.yaml:14:9 pools.backend.ca:', message: /holds no certificate/ },
    ]);
    t.ok(error instanceof ConfigError);
  }
});

t.test('who vouches for clients becomes a part of the snapshot, once for all hosts that say the same', async (t) => {
  const ca = write('clients.pem', authority.certificate);
  const again = write('clients-again.pem', `again\n${authority.certificate}`);
  const host = (name: string, file: string) =>
    `  ${name}:\n    clientAuth: { ca: ${file}, mode: optional, forward: none }\n    routes:\n      - proxy: backend\n`;
  const configuration = readText(`${certificates(one)}${host('b.example', ca)}${host('c.example', again)}`);
  const { certificates: store, authorities } = loadFiles(configuration, now);
  const clientTrusts = store.clientTrusts()!;
  const made = { generation: 1, certificates: [], authorities, clientTrusts, ticketKeys: new Uint8Array(48) };
  const snapshot = compile(configuration, made);
  t.equal(snapshot.clientTrusts!.length, 1);
  const { id } = snapshot.clientTrusts![0]!;
  const clientAuth = { trust: id, required: false, forward: 'none' };
  t.strictSame(
    snapshot.hosts.map((each) => each.clientAuth),
    [undefined, clientAuth, clientAuth],
  );
  t.equal(store.current().length, 1, 'they are no certificates of ours');
});

t.test("an authority's file becomes the trust of its pool's secure endpoints", async (t) => {
  const ca = write('ca.pem', `# ours\n${authority.certificate}`);
  const text = certificates(one).replace(
    '- http://backend:80',
    `- https://backend\n      - http://plain\n    ca: ${ca}\n    serverName: inner.example\n    host: bucket.example`,
  );
  const configuration = readText(text);
  const { authorities } = loadFiles(configuration, now);
  const [pool] = compile(configuration, {
    generation: 1,
    certificates: [],
    authorities,
    ticketKeys: new Uint8Array(48),
  }).pools;
  t.match(pool, {
    name: 'backend',
    host: 'bucket.example',
    endpoints: [
      { host: 'backend', tls: true, serverName: 'inner.example', ca: /^-----BEGIN CERTIFICATE-----/ },
      { host: 'plain' },
    ],
  });
  t.notOk('ca' in pool!.endpoints[1]!);
  const leafOnly = text.replace(
    ca,
    write('key-only.pem', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'),
  );
  t.throws(() => loadFiles(readText(leafOnly), now), { message: /holds no certificate/ });
  const damaged = text.replace(
    ca,
    write('damaged.pem', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'),
  );
  t.throws(() => loadFiles(readText(damaged), now), { message: /damaged certificate in block 1/ });
});

t.test('without TLS there is nothing to load', async (t) => {
  const plain = SMALL.replace('kind: tls', 'kind: plain').replace(/certificates:[\s\S]*?pools:/, 'pools:');
  const { certificates: store, authorities } = loadFiles(readText(plain), now);
  t.strictSame([store.current(), store.findings(), authorities], [[], [], new Map()]);
});

t.test('what is said of the key that changes DNS is said with the certificates', async (t) => {
  const bin = makeFolder(t, 'bin');
  writeFileSync(join(bin, 'nsupdate'), '', { mode: 0o755 });
  const before = process.env.PATH;
  process.env.PATH = bin;
  t.teardown(() => {
    process.env.PATH = before;
  });
  const keyFile = join(bin, 'tsig.key');
  writeFileSync(keyFile, 'key "door" { };', { mode: 0o644 });
  const acme = `acme:\n  - names: [b.example]\n    dns: { update: { server: ns1.example, keyFile: ${keyFile} } }\n`;
  const found = () => loadFiles(readText(certificates(one) + acme), now).certificates.findings();
  t.match(found(), [{ code: 'permissions', severity: 'warning', place: /^portico\.yaml:\d+:\d+ acme\[0\]\.dns/ }]);
  chmodSync(keyFile, 0o640);
  t.strictSame(found(), []);
});
