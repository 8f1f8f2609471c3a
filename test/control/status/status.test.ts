// The status of an instance: it looks when it begins, and tells what its sources say now.

import t from 'tap';
import { Status, type StatusSources } from '../../../src/control/status/status.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';

const sources: StatusSources = {
  checks: async () => [{ name: 'listeners', ok: false }],
  families: async () => {
    const metrics = new Metrics();
    metrics.route('https', 'backend').count('GET', 200, 1);
    return [metrics.publish()];
  },
  certificates: () => [['names'], ['a.example']],
  failed: () => [],
};

t.test('what the sources say now', async (t) => {
  const status = new Status(sources);
  t.match(await status.overview(), { ready: false, checks: [{ name: 'listeners' }], tables: [{ rows: [] }] });
  status.begin();
  // The first look has been made when what it waits for has.
  await sources.families();
  await new Promise(setImmediate);
  t.match((await status.overview()).tables[0]!.rows, [['https', 'backend']]);
});

t.test('a source that fails is told to who asks, and to nobody else', async (t) => {
  const families = () => Promise.reject(new Error('a worker did not answer'));
  const status = new Status({ ...sources, families });
  status.begin();
  await new Promise(setImmediate);
  await t.rejects(status.overview(), { message: 'a worker did not answer' });
});
