// The frontend's folder: whether it can be served, which parameters it gets, and what is worth a word about them.

import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PARAMETER_FILES, readValue, writeParameters } from '../files/params.ts';
import type { Json, Parameters } from '../model/snapshot.ts';
import { findHost, findRoute } from '../policy/route.ts';
import type { ConfiguredHost, ConfiguredRoute } from './configuration.ts';

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
    if (name.startsWith(SCRIPT_PREFIX)) script.push([name.slice(SCRIPT_PREFIX.length), readParameter(text)]);
    else if (name.startsWith(EMBED_PREFIX)) embed.push([name.slice(EMBED_PREFIX.length), readParameter(text)]);
  }
  return { script: Object.fromEntries(script), embed: Object.fromEntries(embed) };
}

/** The value of a parameter that a variable holds. */
export function readParameter(text: string): Json {
  return readValue(text);
}

/** Why a folder cannot be served; undefined when it can. `whole`: as a frontend, with an index.html for navigations. */
export function rootProblem(
  folder: string,
  whole: boolean,
): { readonly message: string; readonly hint: string } | undefined {
  const hint = 'set it to the folder that the frontend was extracted to: index.html is directly in it';
  try {
    const stats = statSync(folder, { throwIfNoEntry: false });
    if (stats === undefined) return { message: `is "${folder}", which is not there`, hint };
    if (!stats.isDirectory()) return { message: `is "${folder}", which is no folder`, hint };
    const index = join(folder, 'index.html');
    if (!whole) {
      accessSync(folder, constants.R_OK | constants.X_OK);
      return undefined;
    }
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

/** Both files learn where the API is, unless it was said. */
export function withBaseRoute({ script, embed }: Parameters, base: string | undefined): Parameters {
  const value = script.API_BASEROUTE ?? base;
  if (value === undefined) return { script, embed };
  return { script: { API_BASEROUTE: value, ...script }, embed: { API_BASEROUTE: value, ...embed } };
}

/**
 * Where the public reaches the API of a frontend: the route for programs on its own host, else the one on another host, when there is
 * only one. undefined when the routes do not tell.
 */
export function apiBaseRoute(
  frontend: string,
  hosts: readonly ConfiguredHost[],
  publicPort: number,
): string | undefined {
  const found = hosts.flatMap(({ name, routes }) => routes.filter(isApi).map((route) => ({ name, path: route.path })));
  const own = found.filter(({ name }) => name === frontend);
  const [api, second] = own.length > 0 ? own : found;
  if (api === undefined || second !== undefined || api.name.startsWith('*')) return undefined;
  return `https://${api.name}${publicPort === 443 ? '' : `:${publicPort}`}${api.path}`;
}

/** True when an API_BASEROUTE leads to a route that is passed on, seen from a page of the frontend. */
export function leadsToRoute(
  value: Json,
  frontend: string,
  hosts: readonly ConfiguredHost[],
  publicPort: number,
): boolean {
  if (typeof value !== 'string') return false;
  const base = `https://${frontend.replace('*', 'any')}${publicPort === 443 ? '' : `:${publicPort}`}/`;
  const url = URL.parse(value, base);
  if (url === null || url.protocol !== 'https:' || url.username !== '' || url.password !== '') return false;
  if (Number(url.port === '' ? 443 : url.port) !== publicPort) return false;
  const host = findHost(new Map(hosts.map((each) => [each.name, each])), url.hostname);
  return host !== undefined && findRoute(host, url.pathname)?.answers === 'json';
}

function isApi({ action, answers }: ConfiguredRoute): boolean {
  return action.kind === 'proxy' && answers === 'json';
}

/** Sentences about the parameters as they would be served from a folder. No value is in them. */
export function parameterRemarks(root: string, parameters: Parameters): string[] {
  const warnings: string[] = [];
  for (const [path, kind] of Object.entries(PARAMETER_FILES)) {
    for (const remark of remarksOn(join(root, path), kind, parameters)) warnings.push(`${path} ${remark}`);
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
