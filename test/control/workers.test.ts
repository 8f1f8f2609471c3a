// Workers: one that hangs is replaced while another one answers.

import t from 'tap';
import { compile } from '../../src/control/compile.ts';
import { readEnvironment } from '../../src/control/environment.ts';
import { Workers } from '../../src/control/workers.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { childrenOf } from '../support/children.ts';
import { freePort, waitFor } from '../support/ports.ts';

const skip = process.platform === 'linux' ? false : 'there is one worker only, and no /proc';
/** In ms; less than the reports of a busy machine are late. */
const HUNG_AFTER = 6_000;

t.test('a worker that hangs is ended and replaced, the other one serves on', { skip }, async (t) => {
  const logged: Record<string, unknown>[] = [];
  const log = createLog('info', { put: (line) => logged.push(JSON.parse(line)), flush: () => Promise.resolve() });
  const configuration = readEnvironment({
    ...{ FRONTEND_DNS: 'a.test', FRONTEND_SERVICE: '127.0.0.1:9', BACKEND_SERVICE: '127.0.0.1:9' },
    ...{ SSL_CRT: 'none', SSL_KEY: 'none', LOG_LEVEL: 'silent', LISTEN_HOST: '127.0.0.1' },
    ...{ HTTP_PORT: String(await freePort()), HTTPS_PORT: String(await freePort()) },
  });
  // Without the listener that would need a certificate.
  const plain = { ...configuration, listeners: configuration.listeners.filter(({ kind }) => kind !== 'tls') };
  const parts = { generation: 1, certificates: [], authorities: new Map(), ticketKeys: new Uint8Array(48) };
  const others = childrenOf(process.pid);
  const workers = new Workers(2, log, HUNG_AFTER);
  await workers.start(compile(plain, parts));
  t.teardown(() => workers.kill());
  const ours = () => childrenOf(process.pid).filter((pid) => !others.includes(pid));
  const [hung, well] = ours() as [number, number];
  process.kill(hung, 'SIGSTOP');
  t.equal(workers.serving, 2, 'a process that hangs is a process all the same');
  await waitFor(() => ours().length === 2 && !ours().includes(hung) && workers.serving === 2, 40_000, 'a new worker');
  t.ok(ours().includes(well));
  t.match(
    logged.map(({ msg }) => msg),
    ['a worker hangs: it is ended', /^a worker ended; the others serve on/],
  );
});
