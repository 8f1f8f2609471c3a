// What systemd hears, by its own systemd-notify: ready, alive while a worker answers, reloading, stopping.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { childrenOf } from '../support/children.ts';
import { openNotifySocket } from '../support/notify-socket.ts';
import { needParts } from '../support/parts.ts';
import { startPortico } from '../support/portico.ts';
import { waitFor } from '../support/ports.ts';

const WATCHDOG = 3_000;

t.test('ready, alive, reloading, stopping', async (t) => {
  if (!needParts(t, ['python3', 'systemd-notify'])) return;
  const systemd = await openNotifySocket(t);
  const told = (text: string) => systemd.messages().filter((message) => message.includes(text)).length;
  const sites = { FRONTEND_DNS: 'door.test', FRONTEND_SERVICE: '127.0.0.1:9', BACKEND_SERVICE: '127.0.0.1:9' };
  const WATCHDOG_USEC = String(WATCHDOG * 1_000);
  const door = await startPortico(t, { ...sites, NOTIFY_SOCKET: systemd.path, WATCHDOG_USEC });

  await waitFor(() => told('READY=1') === 1, 10_000, 'it to be ready');
  t.strictSame(systemd.messages()[0], ['READY=1', 'STATUS=serving'], 'that is the first that is heard');
  await waitFor(() => told('WATCHDOG=1') > 1, 10_000, 'it to be alive');

  door.process.signal('SIGHUP');
  await waitFor(() => told('READY=1') === 2, 10_000, 'the reload');
  const order = systemd.messages().filter((message) => !message.includes('WATCHDOG=1'));
  t.match(order[1], ['RELOADING=1', /^MONOTONIC_USEC=[1-9]\d+$/, 'STATUS=reloading']);
  t.strictSame(order[2], ['READY=1', 'STATUS=serving']);
  writeFileSync(join(door.cwd, 'certificate.pem'), 'no certificate');
  door.process.signal('SIGHUP');
  await waitFor(() => told('READY=1') === 3, 10_000, 'the reload that fails');
  t.match(systemd.messages().findLast((message) => message.includes('READY=1'))?.[1], 'the last reload failed');

  // A worker that hangs is a process that lives: only its silence tells.
  const worker = childrenOf(door.process.pid)[0]!;
  process.kill(worker, 'SIGSTOP');
  let [heard, since] = [told('WATCHDOG=1'), performance.now()];
  const isSilent = () => {
    if (told('WATCHDOG=1') !== heard) [heard, since] = [told('WATCHDOG=1'), performance.now()];
    return performance.now() - since > WATCHDOG;
  };
  await waitFor(isSilent, 20_000, 'nothing to be heard for as long as systemd would wait');
  process.kill(worker, 'SIGCONT');
  await waitFor(() => told('WATCHDOG=1') > heard, 10_000, 'it to be alive again');

  t.same(await door.stop(), { code: 0, signal: null });
  await waitFor(() => told('STOPPING=1') === 1, 10_000, 'the stop');
  t.match(
    systemd.messages().find((message) => message.includes('STOPPING=1')),
    ['STOPPING=1', 'EXTEND_TIMEOUT_USEC=40000000', /^STATUS=stopping/],
  );
});
