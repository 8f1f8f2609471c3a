// The configuration file, read to a configuration: its keys by the format, and then what only shows between them.

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Configuration, Environment, Sought } from './configuration.ts';
import { adminOf, readContent } from './file-content.ts';
import { FORMAT, REACH } from './file-format.ts';
import { ConfigError, inOrder, type Problem } from './problem.ts';
import { Place, type Shape } from './shape.ts';
import { wordsForForbidden } from './source-file.ts';
import { variablesThatConfigure } from './variable-names.ts';
import { Variables } from './variables.ts';
import { type Node, readYaml } from './yaml.ts';

/** Reads the configuration. Throws a ConfigError that lists every problem. */
export function readConfigurationFile(file: string, environment: Environment): Configuration {
  return readConfiguration(readBytes(file), file, environment);
}

/** From the bytes of a file; `file` is what it is called, and what its relative paths start from. */
export function readConfiguration(bytes: Uint8Array, file: string, environment: Environment): Configuration {
  const problems: Problem[] = [];
  const tree = readYaml(bytes, file, problems);
  if (tree === undefined) throw new ConfigError(problems);
  const variables = new Variables(environment, file, problems);
  const content = FORMAT.read(variables.expand(tree), new Place(file, problems, tree, ''));
  refuseUnused(variables, environment, file, problems);
  const configuration = content === undefined ? undefined : readContent(file, content, environment, variables);
  // What is checked between the keys adds to the same list.
  if (problems.length > 0 || configuration === undefined) {
    throw new ConfigError(inOrder(problems).map((problem) => hideValues(problem, variables)));
  }
  return { ...configuration, warnings: configuration.warnings.map((each) => variables.hide(each)) };
}

/** Where the instance that runs by this file is to be sought, as far as the file can be made out. */
export function readReach(file: string, environment: Environment): Sought {
  const problems: Problem[] = [];
  const read = salvage(file, problems);
  const tree = read === undefined ? undefined : new Variables(environment, file, []).expand(read);
  const readKey = <T>(key: string, shape: Shape<T>): T | undefined => {
    const entry = tree?.kind === 'map' ? tree.entries.find((each) => each.key.text === key) : undefined;
    return entry === undefined ? undefined : shape.read(entry.value, new Place(file, [], entry.key, key));
  };
  const admin = readKey('admin', REACH.admin);
  const socket = readKey('controlSocket', REACH.controlSocket);
  return {
    ...adminOf(file, admin),
    controlSocket: socket === undefined ? undefined : resolve(dirname(file), socket),
    doubt: problems.length === 0 ? undefined : new ConfigError(problems),
  };
}

function salvage(file: string, problems: Problem[]): Node | undefined {
  try {
    return readYaml(readBytes(file), file, problems, true);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    problems.push(...error.problems);
    return undefined;
  }
}

/** Larger files are refused by their size, and unread: a few bytes more than that are enough to see it. */
const READ_AT_MOST = 1024 * 1024 + 1;

function readBytes(file: string): Uint8Array {
  const place = `${file}:1:1`;
  let descriptor: number;
  try {
    // Without waiting: a pipe that nobody writes to would hold us for ever.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw new ConfigError([{ place, ...wordsForUnopened((error as NodeJS.ErrnoException).code, file) }]);
  }
  try {
    if (!fstatSync(descriptor).isFile()) {
      throw new ConfigError([{ place, message: 'is not a regular file', hint: 'let --config name a YAML file' }]);
    }
    const bytes = Buffer.alloc(READ_AT_MOST);
    let length = 0;
    for (let read = -1; read !== 0 && length < READ_AT_MOST; length += read) {
      read = readSync(descriptor, bytes, length, READ_AT_MOST - length, null);
    }
    return bytes.subarray(0, length);
  } finally {
    closeSync(descriptor);
  }
}

function wordsForUnopened(code: string | undefined, file: string): Omit<Problem, 'place'> {
  if (code === 'EACCES' || code === 'EPERM') return wordsForForbidden(file);
  const message = code === 'ENOENT' ? 'the file is not there' : `the file cannot be opened (${code})`;
  return { message, hint: 'correct --config (or PORTICO_CONFIG); in a container it must be mounted' };
}

/** A variable that would have configured us, and now does nothing, is a mistake that nobody would see. */
function refuseUnused(variables: Variables, environment: Environment, file: string, problems: Problem[]): void {
  for (const name of variablesThatConfigure(environment)) {
    if (variables.used.has(name)) continue;
    const message = `is set, but ${file} is the configuration, and does not mention it`;
    problems.push({ place: name, message, hint: `unset it, or write \${${name}} in the file where it belongs` });
  }
}

function hideValues({ place, message, hint }: Problem, variables: Variables): Problem {
  const said = { place: variables.hide(place), message: variables.hide(message) };
  return hint === undefined ? said : { ...said, hint: variables.hide(hint) };
}
