// Ports: found out before anything starts whether they can be bound, so that the error names the setting to change.

import { createServer } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { Setting } from './configuration.ts';
import { ConfigError, type Problem } from './problem.ts';

/** Whether several processes of a user may bind one port; `src/worker.ts` does so under the same condition. */
export const SHARES_PORTS = process.platform === 'linux';

export interface WantedPort {
  /** Of the port. */
  readonly setting: Setting;
  readonly addressSetting: Setting;
  readonly address: string | undefined;
  readonly port: number;
}

/**
 * Binds each port for a moment, without sharing. Throws a ConfigError with all that cannot be bound. `ours`: ports that we hold, at
 * whatever address: that one of them is taken says nothing.
 */
export async function checkPorts(wanted: readonly WantedPort[], ours: readonly number[] = []): Promise<void> {
  const problems: Problem[] = [];
  for (const each of wanted) {
    const error = await bindOnce(each);
    if (error === undefined || (error.code === 'EADDRINUSE' && ours.includes(each.port))) continue;
    const problem = portProblem(each, error);
    // An address that several ports share is told once.
    if (!problems.some((other) => isDeepStrictEqual(other, problem))) problems.push(problem);
  }
  if (problems.length > 0) throw new ConfigError(problems);
}

/** Binds it for a moment, without sharing. Resolves to what is wrong. */
export async function tryPort(wanted: WantedPort): Promise<Problem | undefined> {
  const error = await bindOnce(wanted);
  return error === undefined ? undefined : portProblem(wanted, error);
}

/** The system's error in words. */
export function portProblem(
  { setting: { place, name }, addressSetting, address, port }: WantedPort,
  error: NodeJS.ErrnoException,
): Problem {
  const where = `${address === undefined ? '' : `${address} `}port ${port}`;
  switch (error.code) {
    case 'EADDRINUSE':
      return {
        place,
        message: `${where} is taken by another process`,
        hint: `stop that one, or set ${name} to a free port`,
      };
    case 'EACCES':
      return { place, message: `${where} needs privileges`, hint: `set ${name} to a port above 1023` };
    case 'EADDRNOTAVAIL':
      return {
        place: addressSetting.place,
        message: `${address}: this machine has no such address`,
        hint: 'give an address of this machine, or leave it out',
      };
    default:
      return { place, message: `${where} cannot be bound: ${error.message}` };
  }
}

/** Resolves to the system's error. */
function bindOnce({ address, port }: WantedPort): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', done);
    server.listen({ ...(address === undefined ? {} : { host: address }), port, exclusive: true }, () =>
      server.close(() => done(undefined)),
    );
  });
}
