// Where the configuration comes from: a file, or the environment alone.

import type { Configuration, Environment, Sought } from './configuration.ts';
import { readEnvironment } from './environment.ts';
import { readConfigurationFile, readReach } from './file.ts';
import { readEnvironmentReach } from './reach.ts';

export interface Source {
  /** undefined: the environment. */
  readonly file: string | undefined;
  /** Reads it, anew each time. Throws a ConfigError. */
  load(): Configuration;
  /** Only where the instance that runs by it is reached: nothing else in it needs to be right. */
  reach(): Sought;
}

/** `--config FILE`, else PORTICO_CONFIG, else the environment. */
export function sourceOf(given: string | undefined, environment: Environment): Source {
  const file = given ?? (environment.PORTICO_CONFIG?.trim() || undefined);
  if (file !== undefined) {
    return { file, load: () => readConfigurationFile(file, environment), reach: () => readReach(file, environment) };
  }
  return { file, load: () => readEnvironment(environment), reach: () => readEnvironmentReach(environment) };
}
