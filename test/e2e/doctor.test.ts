// The doctor beside a running instance: what it prints, and how it exits.

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { LAUNCHER, startPortico } from '../support/portico.ts';
import { freePort } from '../support/ports.ts';
import { startProcess } from '../support/process.ts';

t.test('a running instance, then an upstream that is gone', async (t) => {
  const backend = createServer((_request, response) => {
    response.setHeader('Content-Type', 'application/json').end('{"version":"v1"}');
  }).listen(0, '127.0.0.1');
  await once(backend, 'listening');
  t.teardown(() => {
    backend.close();
    backend.closeAllConnections();
  });
  const service = `127.0.0.1:${(backend.address() as AddressInfo).port}`;
  // No resolver is asked for a name that is an address.
  const names = { FRONTEND_DNS: '127.0.0.1', FRONTEND_SERVICE: service, BACKEND_SERVICE: service };
  const door = await startPortico(t, { ...names, PUBLIC_HTTPS_PORT: String(await freePort()) });
  const doctor = async (env: Record<string, string>) => {
    const command = { command: process.execPath, args: [LAUNCHER, 'doctor'], cwd: door.cwd };
    const running = await startProcess(t, { ...command, env: { ...door.env, ...env } });
    const { code } = await running.exited;
    return { code, lines: running.stdout().trimEnd().split('\n'), stderr: running.stderr() };
  };
  const well = await doctor({ PUBLIC_HTTPS_PORT: String(door.httpsPort) });
  t.match(well, { code: 0, stderr: '' });
  for (const line of well.lines) t.match(line, /^(?:\[ok\] {3}|\[warn\] | {7}-> |\d+ ok, \d+ warnings, 0 failures$)/);
  const text = well.lines.join('\n');
  t.match(text, `[ok]   instance: process ${door.process.pid} runs and is ready\n`);
  t.match(text, `[ok]   port ${door.adminPort} (admin): held by the running instance\n`);
  t.match(
    text,
    `[ok]   public name 127.0.0.1: leads to 127.0.0.1, port ${door.httpsPort}, which shows our certificate\n`,
  );

  const ill = await doctor({ BACKEND_SERVICE: `127.0.0.1:${await freePort()}` });
  t.equal(ill.code, 1);
  t.match(ill.lines.join('\n'), /\[fail\] upstream backend .* refuses connections\n {7}-> start it/);
});
