// What a configuration names: certificates by name, authorities of upstreams, all problems at once.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { compile } from '../../src/control/compile.ts';
import { loadFiles } from '../../src/control/materials.ts';
import { ConfigError } from '../../src/control/problem.ts';
import { makeAuthority, makeCertificate } from '../support/certificates.ts';
import { changed, readText, SMALL } from '../support/configuration-file.ts';
import { makeFolder } from '../support/folder.ts';

const folder = makeFolder(t, 'materials');
const authority = await makeAuthority();
const write = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
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
  const files = loadFiles(covered, now);
  t.strictSame(files.warnings, []);
  t.strictSame(
    files.certificates.map(({ certificate }) => certificate.names),
    [['a.example'], ['*.w.example', 'b.example']],
  );
  const bare = readText(hosts(certificates(one, wild), 'c.example', '*.v.example', 'x.y.w.example'));
  t.strictSame(
    loadFiles(bare, now).warnings,
    ['c.example', '*.v.example', 'x.y.w.example'].map(
      (name) => `no certificate covers the host ${name}: clients refuse it there`,
    ),
  );
});

t.test('a single certificate that fits not all is warned of with what it covers', async (t) => {
  const { warnings } = loadFiles(readText(hosts(certificates(one), 'b.example', '*.v.example')), now);
  t.match(warnings, [
    /certificates\[0\]\.cert: .*one\.crt does not cover b\.example: .*it covers a\.example/,
    /no certificate covers the host \*\.v\.example/,
  ]);
});

t.test('what is wrong with files comes at once, by the place that names them', async (t) => {
  const broken = certificates(
    `  - cert: ${folder}/none.crt\n    key: ${folder}/one.key`,
    `  - cert: ${folder}/one.key\n    key: ${folder}/one.crt`,
  );
  const text = broken.replace('- http://backend:80', `- https://backend\n    ca: ${write('empty.pem', 'x')}`);
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
      { place: 'portico.yaml:14:9 pools.backend.ca:', message: /is not PEM/ },
    ]);
    t.ok(error instanceof ConfigError);
  }
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
  t.strictSame(loadFiles(readText(plain), now), { certificates: [], authorities: new Map(), warnings: [] });
});
