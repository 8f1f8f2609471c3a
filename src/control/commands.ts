// The commands that read the configuration: run and validate.

import { namesOf } from './compile.ts';
import { readEnvironment } from './environment.ts';
import { ConfigError } from './problem.ts';
import { EXIT, loadPair, supervise } from './supervisor.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** `portico run`: serves until it is stopped. */
export async function run(environment: Environment): Promise<number> {
  try {
    return await supervise(readEnvironment(environment));
  } catch (error) {
    return complain('Portico did not start', error);
  }
}

/** `portico validate`: says what is wrong, and changes nothing. */
export async function validate(environment: Environment): Promise<number> {
  try {
    const configuration = readEnvironment(environment);
    const warnings = [...configuration.warnings];
    if (configuration.certificate !== undefined) {
      warnings.push(...loadPair(configuration.certificate, namesOf(configuration.sites)).warnings);
    }
    for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
    process.stdout.write(configuration.demo ? 'ok: no variable is set, the demo would be served\n' : 'ok\n');
    return EXIT.ok;
  } catch (error) {
    return complain('the configuration is wrong', error);
  }
}

function complain(what: string, error: unknown): number {
  if (error instanceof ConfigError) {
    const lines = error.message.split('\n').map((line) => `  ${line}`);
    process.stderr.write(`portico: ${what}:\n${lines.join('\n')}\n`);
  } else {
    process.stderr.write(`portico: ${what}: ${error instanceof Error ? error.message : String(error)}\n`);
  }
  return EXIT.failed;
}
