// The frontend's folder: whether it can be served, which parameters it gets, and what is worth a word about them.

import { accessSync, closeSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Lookup, Root } from '../files/lookup.ts';
import { PARAMETER_FILES, readValue } from '../files/params.ts';
import { MAX_REWRITTEN, type ParametersRewrite, rewriteWhole, TOO_LARGE } from '../files/rewrite.ts';
import type { Json, Parameters } from '../model/snapshot.ts';
import { findHost, findRoute } from '../policy/route.ts';
import type { ConfiguredHost, ConfiguredRoute } from './configuration.ts';

const SCRIPT_PREFIX = 'TC_PARAMS_';
const EMBED_PREFIX = 'EMBED_PARAMS_';

const LET_READ = 'let the user that runs Portico read it';
const OUTSIDE = 'is not served: it is no file, or a symlink that leads out of the folder';
const PUT_INSIDE = 'put the file itself into the folder';

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
    if (!whole) {
      accessSync(folder, constants.R_OK | constants.X_OK);
      return undefined;
    }
    const index = findIn(folder, 'index.html', (found) => found);
    if (index.kind === 'file') return undefined;
    if (index.kind === 'broken') return { message: `is "${folder}", in which ${index.detail}`, hint: LET_READ };
    return existsSync(join(folder, 'index.html'))
      ? { message: `is "${folder}", whose index.html ${OUTSIDE}`, hint: PUT_INSIDE }
      : { message: `is "${folder}", in which there is no index.html`, hint };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { message: `is "${folder}", which cannot be read (${code})`, hint: LET_READ };
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
export function parameterRemarks(folder: string, parameters: Parameters): string[] {
  return Object.entries(PARAMETER_FILES).flatMap(([file, kind]) => {
    const rewrite = { kind, file, parameters };
    const remarks = findIn(folder, file, (found, root) => remarksOn(root, found, rewrite));
    return remarks.map((remark) => `${file} ${remark}`);
  });
}

/** Looks for a file as a worker does. */
function findIn<T>(folder: string, path: string, judge: (found: Lookup, root: Root) => T): T {
  const root = new Root(folder, [], { now: () => performance.now(), wallNow: Date.now });
  try {
    return judge(root.find(`/${path}`), root);
  } finally {
    root.close();
  }
}

function remarksOn(root: Root, found: Lookup, rewrite: ParametersRewrite): readonly string[] {
  if (found.kind === 'broken') return [`is not served: ${found.detail}`];
  if (found.kind !== 'file') {
    if (existsSync(join(root.folder, rewrite.file))) return [`${OUTSIDE} (${PUT_INSIDE})`];
    // Older frontends have no embeds.
    return rewrite.kind === 'script' ? ['is not there: the frontend gets no parameters'] : [];
  }
  if (found.facts.size > MAX_REWRITTEN) return [`${TOO_LARGE} (move out of it what is no parameter)`];
  const descriptor = root.open(found);
  // It changes right now: a worker tells of what it finds.
  if (descriptor === undefined) return [];
  try {
    return rewriteWhole(readFileSync(descriptor), rewrite).remarks;
  } finally {
    closeSync(descriptor);
  }
}
