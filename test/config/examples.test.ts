// The example files: each reads without a warning, fits the JSON Schema, says the same as the variables do, and prints back to itself.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { compile } from '../../src/control/compile.ts';
import { type Configuration, trustKey } from '../../src/control/configuration.ts';
import { readEnvironment } from '../../src/control/environment.ts';
import { readConfiguration } from '../../src/control/file.ts';
import { jsonSchema } from '../../src/control/file-format.ts';
import { printConfiguration } from '../../src/control/print.ts';
import { makeFolder } from '../support/folder.ts';
import { schemaErrors } from '../support/json-schema.ts';

const FOLDER = new URL('../../config/examples/', import.meta.url);
const EXAMPLES = readdirSync(FOLDER).sort();
const SCHEMA = new URL('../../config/portico.schema.json', import.meta.url);
/** What an example asks for. */
const VARIABLES: Readonly<Record<string, Record<string, string>>> = {
  'one-domain.yaml': { FRONTEND_DNS: 'toucan.domain.com' },
  'several-sites.yaml': { DOOR_TOKEN: 'not-shown' },
};

const frontend = makeFolder(t, 'frontend');
mkdirSync(join(frontend, 'scripts'));
writeFileSync(join(frontend, 'index.html'), 'x');
writeFileSync(join(frontend, 'scripts', 'tc-params.js'), 'window.TC_PARAMS = { API_BASEROUTE: "x" };');

const textOf = (name: string) => readFileSync(new URL(name, FOLDER), 'utf8').replaceAll('/srv/frontend', frontend);
const read = (name: string) =>
  readConfiguration(Buffer.from(textOf(name)), `/etc/portico/${name}`, VARIABLES[name] ?? {});

/** Without what is not of the configuration's making, and without its places. */
function snapshotOf(configuration: Configuration) {
  const ca = configuration.pools.flatMap((pool) => pool.ca?.file ?? []);
  const authorities = new Map(ca.map((file) => [file, `PEM of ${file}`]));
  const clientTrusts = new Map(
    configuration.hosts.flatMap(({ clientAuth }) => {
      const key = clientAuth === undefined ? undefined : trustKey(clientAuth.files);
      return key === undefined
        ? []
        : [[key, { id: `of ${key}`, authorities: '', revocations: [], revocationEnds: [] }] as const];
    }),
  );
  const made = { generation: 1, certificates: [], authorities, clientTrusts, ticketKeys: new Uint8Array(48) };
  return compile(configuration, made);
}

t.test('the JSON Schema that is checked in is that of the format', async (t) => {
  const current = `${JSON.stringify(jsonSchema(), undefined, 2)}\n`;
  t.equal(readFileSync(SCHEMA, 'utf8'), current, 'else: node src/launch.mjs schema > config/portico.schema.json');
});

for (const name of EXAMPLES) {
  t.test(name, async (t) => {
    const text = textOf(name);
    t.match(text, /^# yaml-language-server: \$schema=\.\.\/portico\.schema\.json\n# \w/, 'editors find the schema');
    t.strictSame(schemaErrors(JSON.parse(readFileSync(SCHEMA, 'utf8')), parse(text)), []);
    const configuration = read(name);
    t.strictSame(configuration.warnings, []);
    const { text: printed, masked } = printConfiguration(configuration);
    t.notMatch(printed, 'not-shown');
    t.equal(masked, name === 'several-sites.yaml' ? 1 : 0);
    t.strictSame(
      schemaErrors(JSON.parse(readFileSync(SCHEMA, 'utf8')), parse(printed)),
      [],
      'what is printed fits, too',
    );
    const again = readConfiguration(Buffer.from(printed.replace('(secret, not shown)', 'not-shown')), 'x.yaml', {});
    t.strictSame(snapshotOf(again), snapshotOf(configuration), 'printed and read back it is the same');
  });
}

t.test('the examples for one and two domains say what the variables say', async (t) => {
  const common = { FRONTEND_SERVICE: 'frontend', BACKEND_SERVICE: 'backend' };
  const pair = { SSL_CRT: '/certs/domain.crt', SSL_KEY: '/certs/domain.key' };
  const two = { FRONTEND_DNS: 'toucan.domain.com', BACKEND_DNS: 'api-toucan.domain.com', ...common, ...pair };
  t.strictSame(snapshotOf(read('two-domains.yaml')), snapshotOf(readEnvironment(two)));
  const one = snapshotOf(read('one-domain.yaml'));
  const fromVariables = snapshotOf(
    readEnvironment({ FRONTEND_DNS: 'toucan.domain.com', ...common, ...pair, RESPONSE_TIMEOUT: '20m' }),
  );
  t.equal(one.hosts[0]!.routes[0]!.limits.bodyBytes, 2 * 1024 ** 3);
  t.strictSame(
    one.hosts[0]!.routes.map(({ limits: { bodyBytes: _, ...limits }, ...route }) => ({ ...route, limits })),
    fromVariables.hosts[0]!.routes.map(({ limits: { bodyBytes: _, ...limits }, ...route }) => ({ ...route, limits })),
  );
});

t.test('an editor is told of what the reader refuses', async (t) => {
  const schema = JSON.parse(readFileSync(SCHEMA, 'utf8'));
  const good = parse(textOf('two-domains.yaml'));
  for (const [change, message] of [
    [{ listners: {} }, /listners: not known/],
    [{ listeners: { https: { kind: 'tsl', port: 1 } } }, /kind: none of/],
    [{ listeners: { https: { kind: 'tls' } } }, /port: missing/],
    [{ workers: 'many' }, /workers: not like/],
    [{ pools: { x: { endpoints: 'http://a' } } }, /endpoints: no array/],
    [{ hosts: { x: { routes: [{ proxy: 'x', limits: { downstream: { headBytes: 1 } } }] } } }, /headBytes: not known/],
  ] as const) {
    t.match(schemaErrors(schema, { ...good, ...change }).join('\n'), message);
  }
});
