// Runs Portico as its users do: a process of its own, told everything by environment variables.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import type { Door } from './exchange.ts';
import { makeFolder } from './folder.ts';
import { freePort } from './ports.ts';
import { answersOnUrl, type Exit, type Running, startProcess } from './process.ts';
import { makeTestCertificate } from './tls.ts';

export interface Portico {
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly adminPort: number;
  /** PEM of the authority that its certificate is from, the test's or (in the demo) its own. */
  readonly ca: string;
  readonly caFile: string;
  readonly process: Running;
  /** What it was told. */
  readonly env: Readonly<Record<string, string>>;
  /** The folder that it runs in. */
  readonly cwd: string;
  /** Where a client connects to reach it under a name. */
  door(serverName: string): Door;
  /** Its log lines so far; a line that is no JSON is left out. */
  logs(): LogLine[];
  stop(signal?: NodeJS.Signals): Promise<Exit>;
}

export type LogLine = Readonly<Record<string, unknown>>;

/** The first file of the program. */
export const LAUNCHER = fileURLToPath(new URL('../../src/launch.mjs', import.meta.url));

/**
 * Starts Portico on free ports and waits until it is ready; it ends with the test. `env` is what a sysadmin would set;
 * a certificate for FRONTEND_DNS and BACKEND_DNS is made when those are set and SSL_CRT is not. `program` is what to run in
 * place of the source.
 */
export async function startPortico(
  t: Test,
  env: Readonly<Record<string, string>>,
  program: readonly [string, ...string[]] = [process.execPath, LAUNCHER],
): Promise<Portico> {
  const [command, ...before] = program;
  const cwd = makeFolder(t, 'door');
  const names = [env.FRONTEND_DNS, env.BACKEND_DNS].filter((name) => name !== undefined && name !== '') as string[];
  const httpPort = Number(env.HTTP_PORT ?? (await freePort()));
  const httpsPort = Number(env.HTTPS_PORT ?? (await freePort()));
  const adminPort = Number(env.ADMIN_PORT ?? (await freePort()));
  const made = names.length > 0 && env.SSL_CRT === undefined ? await makeTestCertificate(cwd, names) : undefined;
  const told = {
    HTTP_PORT: String(httpPort),
    HTTPS_PORT: String(httpsPort),
    ADMIN_PORT: String(adminPort),
    LISTEN_HOST: '127.0.0.1',
    WORKERS: '1',
    PORTICO_SOCKET: join(cwd, 'control.sock'),
    ...(made === undefined ? {} : { SSL_CRT: made.certificateFile, SSL_KEY: made.keyFile }),
    ...env,
  };
  const process_ = await startProcess(t, {
    command,
    args: [...before, 'run'],
    cwd,
    env: told,
    isReady: () => answersOnUrl(`http://127.0.0.1:${adminPort}/readyz`),
  });
  const caFile = made?.caFile ?? join(cwd, 'certs', 'local-ca.crt');
  const ca = existsSync(caFile) ? readFileSync(caFile, 'latin1') : '';
  return {
    httpPort,
    httpsPort,
    adminPort,
    ca,
    caFile,
    env: told,
    process: process_,
    cwd,
    door: (serverName) => ({ port: httpsPort, ca, serverName }),
    logs: () => readLog(process_.stdout()),
    stop: (signal) => process_.stop(signal),
  };
}

export function readLog(text: string): LogLine[] {
  const lines: LogLine[] = [];
  for (const line of text.split('\n')) {
    if (!line.startsWith('{')) continue;
    try {
      lines.push(JSON.parse(line) as LogLine);
    } catch {
      // The newest line may not be whole yet.
    }
  }
  return lines;
}
