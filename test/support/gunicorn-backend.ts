// The backend as its container serves it: gunicorn with synchronous workers, alone or behind an inner nginx of its own.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { makeFolder } from './folder.ts';
import { startNginx } from './nginx-frontend.ts';
import { partPath } from './parts.ts';
import { freePort } from './ports.ts';
import { answersOnUrl, type Running, startProcess } from './process.ts';

export type BackendShape = 'gunicorn alone' | 'inner nginx';

export interface GunicornBackend {
  readonly port: number;
  /** As BACKEND_SERVICE takes it. */
  readonly service: string;
  /** gunicorn; the inner nginx, if there is one, goes on when it is stopped. */
  readonly process: Running;
  /** Stops gunicorn and starts it anew on the same port. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const WORKERS = 3;
const KEEPING = ['--worker-class', 'gthread', '--threads', '4'];

/**
 * Starts test/fixtures/backend.py in one of the two shapes; it ends with the test. The synchronous workers of gunicorn
 * keep no connection open, whatever they are told: with `keepAlive` (seconds) it has workers that do.
 */
export async function startGunicornBackend(t: Test, shape: BackendShape, keepAlive?: number): Promise<GunicornBackend> {
  const folder = makeFolder(t, 'gunicorn');
  const innerPort = await freePort();
  const port = shape === 'gunicorn alone' ? innerPort : await freePort();
  let running = await startGunicorn(t, folder, innerPort, `127.0.0.1:${port}`, keepAlive);
  if (shape === 'inner nginx') await startNginx(t, folder, port, innerSite(port, innerPort));
  const stop = async () => {
    await running.stop();
  };
  return {
    port,
    service: `127.0.0.1:${port}`,
    get process() {
      return running;
    },
    stop,
    restart: async () => {
      await stop();
      running = await startGunicorn(t, folder, innerPort, `127.0.0.1:${port}`, keepAlive);
    },
  };
}

function startGunicorn(
  t: Test,
  folder: string,
  port: number,
  authority: string,
  keepAlive: number | undefined,
): Promise<Running> {
  const workers = keepAlive === undefined ? ['--keep-alive', '2'] : KEEPING.concat('--keep-alive', String(keepAlive));
  return startProcess(t, {
    command: partPath('gunicorn'),
    args: [
      ...['--bind', `127.0.0.1:${port}`, '--workers', String(WORKERS), ...workers, '--timeout', '60'],
      ...['--graceful-timeout', '3', '--worker-tmp-dir', folder, 'backend:application'],
    ],
    cwd: fileURLToPath(new URL('../fixtures/', import.meta.url)),
    env: {
      BACKEND_STATE: join(folder, 'logins.json'),
      BACKEND_AUTHORITY: authority,
      PYTHONDONTWRITEBYTECODE: '1',
    },
    isReady: () => answersOnUrl(`http://127.0.0.1:${port}/`),
    readyWithin: 30_000,
  });
}

/** The limits that the container's own nginx is known to have. */
function innerSite(port: number, gunicornPort: number): string {
  return `
    gzip on;
    gzip_types application/json text/plain;
    upstream gunicorn { server 127.0.0.1:${gunicornPort} max_fails=0; }
    server {
      listen 127.0.0.1:${port};
      client_max_body_size 50m;
      client_body_timeout 5s;
      send_timeout 10s;
      large_client_header_buffers 4 8k;
      keepalive_timeout 65s;
      location / {
        proxy_pass http://gunicorn;
        proxy_set_header Host $http_host;
        proxy_redirect off;
        proxy_read_timeout 60s;
      }
    }`;
}
