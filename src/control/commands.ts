// The commands that read the configuration, or ask the instance that runs by it.

import type { Finding } from './certificate-source.ts';
import type { Environment } from './configuration.ts';
import { type Answer, askInstance, socketPlaces } from './control-socket.ts';
import { loadFiles } from './materials.ts';
import { printConfiguration } from './print.ts';
import { ConfigError, formatProblem } from './problem.ts';
import type { Signals } from './signals.ts';
import { type Source, sourceOf } from './source.ts';
import { EXIT, supervise } from './supervisor.ts';

/** `portico run`: serves until it is stopped. `takesOver`: in place of an instance that runs. */
export async function run(
  file: string | undefined,
  takesOver: boolean,
  environment: Environment,
  signals: Signals,
): Promise<number> {
  try {
    return await supervise(sourceOf(file, environment), takesOver, signals);
  } catch (error) {
    return complain('Portico did not start', error);
  }
}

/** `portico validate`: says what is wrong, and changes nothing. `print`: the effective configuration goes to standard output. */
export async function validate(file: string | undefined, print: boolean, environment: Environment): Promise<number> {
  const source = sourceOf(file, environment);
  try {
    const configuration = source.load();
    warn(configuration.warnings);
    if (!configuration.demo) tellFindings(loadFiles(configuration, new Date()).certificates.findings());
    if (!print) {
      process.stdout.write(configuration.demo ? 'ok: no variable is set, the demo would be served\n' : 'ok\n');
      return EXIT.ok;
    }
    if (configuration.demo) {
      return complain(
        'nothing is printed',
        new Error('no variable is set: the demo would be served, and no file says that'),
      );
    }
    const { text, masked } = printConfiguration(configuration);
    if (masked > 0) warn([`${masked} secrets are not shown: put them in before this is used`]);
    process.stdout.write(text);
    return EXIT.ok;
  } catch (error) {
    return complain('the configuration is wrong', error);
  }
}

/** `portico reload`: has the running instance read its configuration again, and waits for the outcome. */
export async function reload(file: string | undefined, environment: Environment): Promise<number> {
  try {
    const answer = await ask(sourceOf(file, environment), environment, 'reload');
    warn(answer.warnings);
    if (!answer.ok) return tellFailure(answer);
    process.stdout.write(`${answer.message}\n`);
    return EXIT.ok;
  } catch (error) {
    return complain('nothing was reloaded', error);
  }
}

/** `portico status`: what stands, what passes and what failed, as the running instance tells it. */
export async function status(file: string | undefined, environment: Environment): Promise<number> {
  try {
    const answer = await ask(sourceOf(file, environment), environment, 'overview');
    if (!answer.ok) return tellFailure(answer);
    process.stdout.write(answer.message);
    return EXIT.ok;
  } catch (error) {
    return complain('no instance told its status', error);
  }
}

/** Asks the instance where it may listen: what is set for it is what is set for us. `within` is in ms. */
export async function ask(source: Source, environment: Environment, command: string, within?: number): Promise<Answer> {
  const set = environment.PORTICO_SOCKET?.trim();
  if (set) return askInstance([set], command, within);
  const sought = source.reach();
  return askInstance(socketPlaces(sought, environment), command, within).catch((error: Error) => {
    // The instance is to say that its file is broken; if it is not where it was sought, we do.
    throw sought.doubt ?? error;
  });
}

function tellFailure({ message, problems }: Answer): number {
  const lines = problems.flatMap((problem) => problem.split('\n')).map((line) => `  ${line}\n`);
  process.stderr.write(`portico: ${message}${lines.length === 0 ? '' : ':'}\n${lines.join('')}`);
  return EXIT.failed;
}

function tellFindings(findings: readonly Finding[]): void {
  for (const finding of findings) process.stderr.write(`${finding.severity}: ${formatProblem(finding)}\n`);
}

function warn(warnings: readonly string[]): void {
  for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
}

/** Says what is wrong, and that nothing came of `what`. */
export function complain(what: string, error: unknown): number {
  if (error instanceof ConfigError) {
    const lines = error.message.split('\n').map((line) => `  ${line}`);
    process.stderr.write(`portico: ${what}:\n${lines.join('\n')}\n`);
  } else {
    process.stderr.write(`portico: ${what}: ${error instanceof Error ? error.message : String(error)}\n`);
  }
  return EXIT.failed;
}
