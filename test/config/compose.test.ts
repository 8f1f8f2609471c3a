// The compose files: what they set is what Portico understands, and the public names lead to it inside the network too.

import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { readEnvironment } from '../../src/control/environment.ts';

interface Compose {
  readonly services: {
    readonly portico: {
      readonly environment: Record<string, string>;
      readonly ports: readonly string[];
      readonly volumes: readonly string[];
      readonly networks: { readonly default: { readonly aliases: readonly string[] } };
      readonly stop_grace_period: string;
      readonly read_only: boolean;
      readonly cap_drop: readonly string[];
    };
    readonly frontend: { readonly environment: Record<string, string>; readonly expose: readonly string[] };
    readonly backend: { readonly expose: readonly string[]; readonly deploy?: unknown };
  };
}

function read(name: string): Compose {
  return parse(readFileSync(new URL(`../../config/compose/${name}`, import.meta.url), 'utf8'));
}

for (const [file, names, apiBaseRoute] of [
  ['two-domains.yaml', ['toucan.domain.com', 'api-toucan.domain.com'], 'https://api-toucan.domain.com'],
  ['one-domain.yaml', ['toucan.domain.com'], 'https://toucan.domain.com/_api/'],
] as const) {
  t.test(file, async (t) => {
    const { portico, frontend, backend } = read(file).services;
    const configuration = readEnvironment(portico.environment);
    const { hosts, pools, listeners } = configuration;
    t.notOk(configuration.demo);
    t.same(configuration.warnings, []);
    t.same(
      hosts.map(({ name }) => name),
      names,
    );
    t.match(pools, [
      { name: 'frontend', endpoints: [{ host: 'frontend', port: Number(frontend.expose[0]), tls: false }] },
      { name: 'backend', endpoints: [{ host: 'backend', port: Number(backend.expose[0]), tls: false }] },
    ]);
    t.same(portico.networks.default.aliases, names, 'containers reach the public names');
    t.same(portico.ports, ['80:80', '443:443']);
    t.match(
      listeners,
      [
        { kind: 'tls', port: 443 },
        { kind: 'redirect', port: 80 },
      ],
      'on the ports that the public uses, inside as well',
    );
    t.same(
      portico.volumes.map((volume) => volume.split(':')[1]),
      [...new Set([portico.environment.SSL_CRT!, portico.environment.SSL_KEY!].map((path) => posix.dirname(path)))],
      'the files are mounted where the variables say',
    );
    t.ok(Number.parseInt(portico.stop_grace_period, 10) * 1_000 > configuration.limits.drainTimeout, 'a drain may end');
    t.ok(portico.read_only, 'on a read-only file system');
    t.same(portico.cap_drop, ['ALL']);
    t.equal(frontend.environment.API_BASEROUTE, apiBaseRoute);
    t.equal(backend.deploy, undefined, 'never more than one backend');
  });
}
