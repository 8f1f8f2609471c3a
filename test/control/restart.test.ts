// What a reload cannot change stays, and is told.

import t from 'tap';
import { keepUntilRestart } from '../../src/control/restart.ts';
import { LIMITS } from '../../src/model/snapshot.ts';
import { readText, SMALL } from '../support/configuration-file.ts';

const running = readText(`${SMALL}workers: 1\n`);

t.test('nothing changed: nothing to say', async (t) => {
  t.strictSame(keepUntilRestart(running, running), { configuration: running, warnings: [] });
});

t.test('what changes at once is taken', async (t) => {
  const wanted = {
    ...running,
    ...{ publicPort: 8443, trustedProxies: ['::1'], hosts: [], listeners: [] },
    limits: { ...LIMITS, bodyBytes: 5, responseTimeout: 5, headBytes: 5, drainTimeout: 0 },
  };
  t.strictSame(keepUntilRestart(running, wanted), { configuration: wanted, warnings: [] });
});

t.test('what does not is kept, each with a word', async (t) => {
  const wanted = {
    ...running,
    ...{ workers: 2, controlSocket: '/x', logLevel: 'debug' as const, admin: { ...running.admin, port: 1 } },
    limits: { ...LIMITS, bodyBytes: 5, waiting: 5, connectTimeout: 5, upstreamConnections: 5 },
  };
  const { configuration, warnings } = keepUntilRestart(running, wanted);
  t.match(configuration, { workers: 1, controlSocket: undefined, logLevel: 'info', admin: { port: 9180 } });
  t.strictSame(
    configuration.limits,
    { ...LIMITS, bodyBytes: 5 },
    'a worker that starts anew gets what the others have',
  );
  const subjects = [
    'workers',
    'admin',
    'controlSocket',
    'log.level',
    'limits.upstream.connectTimeout',
    'limits.upstream.connections',
    'limits.upstream.waiting',
  ];
  t.equal(warnings.length, subjects.length);
  for (const [i, subject] of subjects.entries()) {
    t.ok(warnings[i]!.startsWith(`a restart is needed for the change of ${subject}`), subject);
  }
  t.strictSame(keepUntilRestart(configuration, wanted).warnings, warnings, 'the next reload says so again');
});
