// Runs Portico by a configuration file in a folder of its own, and changes that file under it.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { makeFolder } from './folder.ts';
import { LAUNCHER, type LogLine, readLog } from './portico.ts';
import { freePort } from './ports.ts';
import { answersOnUrl, type Exit, type Running, startProcess } from './process.ts';
import { makeTestCertificate, type TestCertificate } from './tls.ts';

export interface FilePortico {
  readonly cwd: string;
  readonly file: string;
  readonly httpsPort: number;
  readonly adminPort: number;
  readonly certificate: TestCertificate;
  readonly process: Running;
  logs(): LogLine[];
  write(text: string): void;
  /** A command with `--config`, run to its end. */
  command(...args: string[]): Promise<Exit & { readonly stdout: string; readonly stderr: string }>;
}

/** What a file is made from: its own ports, and the certificate for the names. */
export interface Ground {
  readonly httpsPort: number;
  readonly adminPort: number;
}

/**
 * The head of a file: a listener `https`, admin, control socket and certificate. `workers` are two, so that a reload
 * has somebody to agree with.
 */
export function fileHead({ httpsPort, adminPort }: Ground): string {
  return `listeners:
  https:
    kind: tls
    address: 127.0.0.1
    port: ${httpsPort}
admin:
  port: ${adminPort}
controlSocket: control.sock
workers: ${process.platform === 'linux' ? 2 : 1}
certificates:
  - cert: certificate.pem
    key: key.pem
`;
}

export async function startByFile(
  t: Test,
  names: readonly string[],
  text: (ground: Ground) => string,
): Promise<FilePortico> {
  const cwd = makeFolder(t, 'file');
  const file = join(cwd, 'portico.yaml');
  const certificate = await makeTestCertificate(cwd, names);
  const ground: Ground = { httpsPort: await freePort(), adminPort: await freePort() };
  writeFileSync(file, text(ground));
  const process_ = await startProcess(t, {
    command: process.execPath,
    args: [LAUNCHER, 'run', '--config', file],
    cwd,
    isReady: () => answersOnUrl(`http://127.0.0.1:${ground.adminPort}/readyz`),
  });
  return {
    ...{ cwd, file, certificate, process: process_ },
    ...ground,
    logs: () => readLog(process_.stdout()),
    write: (next) => writeFileSync(file, next),
    command: async (...args) => {
      const running = await startProcess(t, {
        command: process.execPath,
        args: [LAUNCHER, ...args, '--config', file],
        cwd,
      });
      const exit = await running.exited;
      return { ...exit, stdout: running.stdout(), stderr: running.stderr() };
    },
  };
}
