// Starting servers for the benchmark, each on its core, and ending them by their own id.

import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { partPath } from '../support/parts.ts';
import { waitFor } from '../support/ports.ts';

export interface Started {
  readonly pid: number;
  stop(): Promise<void>;
}

export type Command = readonly [program: string, ...args: string[]];

/** The command on one core only. */
export function pinned(core: 0 | 1, ...command: Command): Command {
  return [partPath('taskset'), '-c', String(core), ...command];
}

/** Starts a server and waits until its port accepts. */
export async function startServer(
  [program, ...args]: Command,
  port: number,
  env: Readonly<Record<string, string>> = {},
): Promise<Started> {
  const child = spawn(program, args, {
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4_000);
  });
  const exited = new Promise<void>((ended) => child.once('exit', () => ended()));
  const accepts = () =>
    new Promise<boolean>((answer) => {
      if (child.exitCode !== null) throw new Error(`${program} ${args.join(' ')} ended: ${said}`);
      const socket = connect({ port, host: '127.0.0.1' });
      socket.once('connect', () => {
        socket.destroy();
        answer(true);
      });
      socket.once('error', () => answer(false));
    });
  await waitFor(accepts, 20_000, `${program} to listen on ${port}: ${said}`);
  return {
    pid: child.pid!,
    stop: async () => {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await exited;
      clearTimeout(timer);
    },
  };
}
