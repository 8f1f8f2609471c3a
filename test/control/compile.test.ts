// Compile: configurations become snapshots that are frozen, can be cloned, and look as the golden files say.

import { readFileSync } from 'node:fs';
import t from 'tap';
import { compile, type Materials, namesOf } from '../../src/control/compile.ts';
import type { Configuration } from '../../src/control/configuration.ts';
import { readEnvironment } from '../../src/control/environment.ts';
import { readConfiguration } from '../../src/control/file.ts';
import type { Snapshot } from '../../src/model/snapshot.ts';

/** Who vouches for clients only where somebody asks. */
const materials = ({ hosts }: Configuration): Materials => ({
  ...(hosts.some(({ clientAuth }) => clientAuth !== undefined)
    ? {
        clientTrusts: new Map([
          [
            '/etc/portico/devices-ca.pem\n/etc/portico/devices.crl',
            { id: 'TRUST', authorities: 'AUTHORITIES', revocations: ['LIST'], revocationEnds: [] },
          ],
        ]),
      }
    : {}),
  generation: 7,
  certificates: [{ names: ['toucan.example'], chain: 'CHAIN', key: 'KEY' }],
  authorities: new Map([['/etc/portico/internal-ca.pem', 'AUTHORITY']]),
  ticketKeys: new Uint8Array(48).fill(9),
});

const COMMON = {
  FRONTEND_DNS: 'toucan.example',
  FRONTEND_SERVICE: 'frontend-1,https://frontend-2:8443',
  BACKEND_SERVICE: 'backend:5000',
  SSL_CRT: 'a.crt',
  SSL_KEY: 'a.key',
};
/** Each has a golden file of its name. */
const CASES: Readonly<Record<string, Record<string, string>>> = {
  'two-domains': { ...COMMON, BACKEND_DNS: 'api.example', TRUSTED_PROXIES: '10.0.0.0/8,::1', DRAIN_TIMEOUT: '5s' },
  'one-domain': {
    ...COMMON,
    API_PREFIX: '/api/v1',
    LISTEN_HOST: '127.0.0.1',
    PUBLIC_HTTPS_PORT: '8443',
    LOG_LEVEL: 'warn',
  },
  demo: {},
};

/** Of example files: each has a golden file of its name, `file-` before it. */
const FILES: Readonly<Record<string, Record<string, string>>> = {
  'several-sites': { DOOR_TOKEN: 'of-the-test' },
  'one-domain': { FRONTEND_DNS: 'toucan.example' },
  'client-certificates': {},
};

function readExample(name: string): Configuration {
  const text = readFileSync(new URL(`../../config/examples/${name}.yaml`, import.meta.url));
  return readConfiguration(text, `/etc/portico/${name}.yaml`, FILES[name]!);
}

const configurations: readonly (readonly [name: string, configuration: Configuration])[] = [
  ...Object.entries(CASES).map(([name, environment]) => [name, readEnvironment(environment)] as const),
  ...Object.keys(FILES).map((name) => [`file-${name}`, readExample(name)] as const),
];

/** As JSON, without what is secret: a golden file holds no keys. */
function shape(snapshot: Snapshot): unknown {
  const { ticketKeys: _ticketKeys, certificates, ...rest } = snapshot;
  return JSON.parse(JSON.stringify({ ...rest, certificates: certificates.map(({ names }) => ({ names })) }));
}

for (const [name, configuration] of configurations) {
  t.test(`golden: ${name}`, async (t) => {
    const golden = new URL(`../golden/compile/${name}.json`, import.meta.url);
    const snapshot = compile(configuration, materials(configuration));
    t.strictSame(shape(snapshot), JSON.parse(readFileSync(golden, 'utf8')));
    t.notMatch(readFileSync(golden, 'utf8'), /KEY|"key"|ticket/, 'no key is in it');
  });

  t.test(`${name}: frozen all the way down, and cloned without loss`, async (t) => {
    const snapshot = compile(configuration, materials(configuration));
    const thawed: string[] = [];
    const look = (value: unknown, path: string) => {
      if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return;
      if (!Object.isFrozen(value)) thawed.push(path);
      for (const [key, inner] of Object.entries(value)) look(inner, `${path}.${key}`);
    };
    look(snapshot, 'snapshot');
    t.strictSame(thawed, []);
    t.strictSame(structuredClone(snapshot), snapshot);
  });

  t.test(`${name}: what routes rely on`, async (t) => {
    const { hosts, pools, listeners } = compile(configuration, materials(configuration));
    const names = pools.map((pool) => pool.name);
    for (const host of hosts) {
      const lengths = host.routes.map((route) => route.path.length);
      t.strictSame(
        lengths,
        lengths.toSorted((a, b) => b - a),
        'longest prefix first',
      );
      for (const { name, action } of host.routes) {
        t.ok(action.kind !== 'proxy' || names.includes(action.pool), `${name} has its pool`);
      }
    }
    t.equal(new Set(listeners.map((each) => each.name)).size, listeners.length, 'listeners have names of their own');
  });
}

t.test('the same input gives the same snapshot', async (t) => {
  const configuration = readEnvironment(CASES['two-domains']!);
  t.strictSame(compile(configuration, materials(configuration)), compile(configuration, materials(configuration)));
});

t.test('the names that a certificate must cover', async (t) => {
  t.strictSame(namesOf(readEnvironment(CASES['two-domains']!)), ['toucan.example', 'api.example']);
  t.strictSame(namesOf(readEnvironment(CASES['one-domain']!)), ['toucan.example']);
});
