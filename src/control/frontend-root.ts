// The frontend's folder: whether it can be served, which parameters it gets, and what is worth a word about them.

import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PARAMETER_FILES, readValue, writeParameters } from '../files/params.ts';
import { hasPrefix } from '../http/target.ts';
import type { Json, Parameters } from '../model/snapshot.ts';
import { apiBaseRoute, frontendParameters } from './compile.ts';
import type { Configuration } from './configuration.ts';

const SCRIPT_PREFIX = 'TC_PARAMS_';
const EMBED_PREFIX = 'EMBED_PARAMS_';

/** True for a variable that sets a parameter. */
export function isParameterVariable(name: string): boolean {
  return /^(?:TC|EMBED)_PARAMS_[A-Za-z]\w*$/.test(name);
}

/** The parameters of TC_PARAMS_* and EMBED_PARAMS_*, by key. */
export function readParameters(variables: Iterable<readonly [name: string, text: string]>): Parameters {
  const script: [string, Json][] = [];
  const embed: [string, Json][] = [];
  for (const [name, text] of variables) {
    if (name.startsWith(SCRIPT_PREFIX)) script.push([name.slice(SCRIPT_PREFIX.length), readValue(text)]);
    else if (name.startsWith(EMBED_PREFIX)) embed.push([name.slice(EMBED_PREFIX.length), readValue(text)]);
  }
  return { script: Object.fromEntries(script), embed: Object.fromEntries(embed) };
}

/** Why a folder cannot be the frontend's; undefined when it can. */
export function rootProblem(folder: string): { readonly message: string; readonly hint: string } | undefined {
  const hint = 'set it to the folder that the frontend was extracted to: index.html is directly in it';
  try {
    const stats = statSync(folder, { throwIfNoEntry: false });
    if (stats === undefined) return { message: `is "${folder}", which is not there`, hint };
    if (!stats.isDirectory()) return { message: `is "${folder}", which is no folder`, hint };
    const index = join(folder, 'index.html');
    if (statSync(index, { throwIfNoEntry: false })?.isFile() !== true) {
      return { message: `is "${folder}", in which there is no index.html`, hint };
    }
    accessSync(index, constants.R_OK);
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return {
      message: `is "${folder}", which cannot be read (${code})`,
      hint: 'let the user that runs Portico read it',
    };
  }
}

/** Sentences about the parameters as they would be served. No value is in them. */
export function parameterWarnings(configuration: Configuration): string[] {
  const { files, rewrites } = configuration.sites;
  const given = files === undefined ? rewrites : files.parameters;
  if (given === undefined) return [];
  const warnings: string[] = [];
  for (const [prefix, own] of [
    [SCRIPT_PREFIX, given.script],
    [EMBED_PREFIX, given.embed],
  ] as const) {
    const base = own.API_BASEROUTE;
    if (base !== undefined && !isServed(base, configuration)) {
      warnings.push(
        `${prefix}API_BASEROUTE leads to nothing that is served here: the API is at ${apiBaseRoute(configuration)} ` +
          '(without the variable that is what is written)',
      );
    }
  }
  // What a server of its own has in its files is not known before it is asked: a worker tells of that.
  if (files === undefined) return warnings;
  const parameters = frontendParameters(configuration, given);
  for (const [path, kind] of Object.entries(PARAMETER_FILES)) {
    for (const remark of remarksOn(join(files.root, path), kind, parameters)) warnings.push(`${path} ${remark}`);
  }
  return warnings;
}

function remarksOn(file: string, kind: 'script' | 'embed', parameters: Parameters): readonly string[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Older frontends have no embeds.
    if (code === 'ENOENT') return kind === 'script' ? ['is not there: the frontend gets no parameters'] : [];
    return [`cannot be read (${code})`];
  }
  return writeParameters(kind, text, parameters).remarks;
}

/** True when an API_BASEROUTE leads to the backend's route. */
function isServed(value: Json, { sites, publicHttpsPort }: Configuration): boolean {
  if (typeof value !== 'string') return false;
  const base = `https://${sites.frontendName}${publicHttpsPort === 443 ? '' : `:${publicHttpsPort}`}/`;
  const url = URL.parse(value, base);
  if (url === null || url.protocol !== 'https:' || url.username !== '' || url.password !== '') return false;
  if (Number(url.port === '' ? 443 : url.port) !== publicHttpsPort) return false;
  if (sites.backendName !== undefined) return url.hostname === sites.backendName;
  return url.hostname === sites.frontendName && hasPrefix(url.pathname, sites.apiPrefix);
}
