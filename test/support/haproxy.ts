// Runs the real HAProxy as a load balancer that passes on bytes, with a PROXY header before them.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { makeFolder } from './folder.ts';
import { partPath } from './parts.ts';
import { freePort } from './ports.ts';
import { answersOnPort, startProcess } from './process.ts';

/** `option` is what its `server` line says, like `send-proxy-v2`. The port that leads to `port`; it ends with the test. */
export async function startHaproxy(t: Test, port: number, option: string): Promise<number> {
  const own = await freePort();
  const file = join(makeFolder(t, 'haproxy'), 'haproxy.cfg');
  writeFileSync(
    file,
    `global
  maxconn 100
defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend in
  bind 127.0.0.1:${own}
  default_backend door
backend door
  server door 127.0.0.1:${port} ${option} check inter 100ms
`,
  );
  await startProcess(t, {
    command: partPath('haproxy'),
    args: ['-q', '-db', '-f', file],
    isReady: () => answersOnPort(own),
  });
  return own;
}
