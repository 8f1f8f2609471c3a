// Where an instance is reached, by the variables that it runs by.

import type { Environment, Reach, Sought } from './configuration.ts';
import { ConfigError } from './problem.ts';
import { VariableReader } from './variable-reader.ts';

export const DEFAULT_ADMIN_PORT = 9180;

/** Where the instance that runs by these variables is to be sought. */
export function readEnvironmentReach(environment: Environment): Sought {
  const reader = new VariableReader(environment);
  const reach = reachOf(reader);
  return { ...reach, doubt: reader.problems.length === 0 ? undefined : new ConfigError(reader.problems) };
}

export function reachOf(reader: VariableReader): Reach {
  const port = reader.port('ADMIN_PORT', DEFAULT_ADMIN_PORT);
  return {
    admin: {
      ...{ address: reader.address('ADMIN_HOST') ?? '127.0.0.1', addressSetting: variable('ADMIN_HOST') },
      ...{ port, setting: variable('ADMIN_PORT') },
    },
    controlSocket: reader.file('PORTICO_SOCKET'),
  };
}

const variable = (name: string) => ({ place: name, name });
