// The unit: systemd understands it, it is hardened, and it fits what Portico does.

import { spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { readEnvironment } from '../../src/control/environment.ts';
import { makeFolder } from '../support/folder.ts';
import { needPart } from '../support/parts.ts';

const FOLDER = fileURLToPath(new URL('../../config/systemd/', import.meta.url));
const unit = readFileSync(join(FOLDER, 'portico.service'), 'utf8');
const settings = new Map(
  unit
    .split('\n')
    .filter((line) => /^\w+=/.test(line))
    .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
);

t.test('systemd finds nothing wrong with it, and little exposed', async (t) => {
  const analyze = needPart(t, 'systemd-analyze');
  if (analyze === undefined) return;
  const file = join(makeFolder(t), 'portico.service');
  // The executable is not installed here.
  writeFileSync(file, unit.replaceAll('/usr/bin/portico', '/bin/true'));
  const run = (...args: string[]) => spawnSync(analyze, [...args, file], { encoding: 'utf8', timeout: 30_000 });
  const verified = run('verify', '--man=no');
  t.equal(`${verified.stdout}${verified.stderr}`, '');
  t.equal(verified.status, 0);
  const judged = run('security', '--offline=true', '--no-pager', '--threshold=20');
  t.equal(judged.status, 0, judged.stdout.slice(-200));

  const readme = readFileSync(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8');
  const offered = /`(LogRateLimit\w+=\w+)`/.exec(readme)?.[1] ?? 'nothing';
  writeFileSync(file, unit.replace('[Service]', `[Service]\n${offered}`).replaceAll('/usr/bin/portico', '/bin/true'));
  t.equal(run('verify', '--man=no').stderr, '', `and understands ${offered}`);

  copyFileSync(join(FOLDER, 'portico.service'), file);
  writeFileSync(file, unit.replace('Type=notify', 'Type=notfy').replaceAll('/usr/bin/portico', '/bin/true'));
  t.match(run('verify', '--man=no').stderr, 'notfy', 'a mistake would be seen');
});

t.test('what it must and must not say', async (t) => {
  const expected = {
    Type: 'notify',
    NotifyAccess: 'all',
    User: 'portico',
    ExecStart: '/usr/bin/portico run',
    ExecReload: '/usr/bin/portico reload',
    RuntimeDirectory: 'portico',
    RuntimeDirectoryMode: '0700',
    Environment: 'PORTICO_SOCKET=/run/portico/control.sock',
    NoNewPrivileges: 'yes',
    ProtectSystem: 'strict',
    PrivateTmp: 'yes',
    AmbientCapabilities: 'CAP_NET_BIND_SERVICE',
    CapabilityBoundingSet: 'CAP_NET_BIND_SERVICE',
    EnvironmentFile: '-/etc/portico/portico.env',
  };
  for (const [name, value] of Object.entries(expected)) t.equal(settings.get(name), value, name);
  t.notOk(settings.has('MemoryDenyWriteExecute'), 'V8 compiles');
  const families = settings.get('RestrictAddressFamilies')!.split(' ');
  for (const family of ['AF_INET', 'AF_INET6', 'AF_UNIX']) t.ok(families.includes(family), family);
  const { drainTimeout } = readEnvironment({}).limits;
  t.ok(Number.parseInt(settings.get('TimeoutStopSec')!, 10) * 1_000 > drainTimeout, 'a drain may end');
});

t.test('the example of its variables: as it is the demo, filled in a whole configuration', async (t) => {
  const lines = readFileSync(join(FOLDER, 'portico.env'), 'utf8').split('\n');
  const variablesOf = (wanted: readonly string[]) => Object.fromEntries(wanted.map((line) => line.split('=', 2)));
  t.strictSame(
    lines.filter((line) => !/^(?:#|$)/.test(line)),
    [],
    'nothing is set',
  );
  const filled = variablesOf(lines.filter((line) => /^#\w+=/.test(line)).map((line) => line.slice(1)));
  t.ok(Object.keys(filled).length >= 8);
  const { FRONTEND_ROOT, PORTICO_CONFIG, ACME_EMAIL, ...withoutFiles } = filled;
  t.type(FRONTEND_ROOT, 'string');
  t.equal(PORTICO_CONFIG, '/etc/portico/portico.yaml');
  const configuration = readEnvironment(withoutFiles);
  t.strictSame(configuration.warnings, []);
  t.match(configuration, {
    listeners: [
      { kind: 'tls', port: 443 },
      { kind: 'redirect', port: 80 },
    ],
    certificates: [{ keyFile: '/etc/portico/portico.key' }],
  });
  const { SSL_CRT, SSL_KEY, ...withoutPair } = withoutFiles;
  t.match(readEnvironment({ ...withoutPair, ACME_EMAIL }), {
    certificates: [],
    issuance: [{ names: ['toucan.domain.com', 'api-toucan.domain.com'] }],
  });
});
