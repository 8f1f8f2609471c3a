// Routes of a configuration file: one action each, and what fits to it.

import type { Action, HeaderRules } from '../model/snapshot.ts';
import type { ConfiguredRoute } from './configuration.ts';
import { noteParameters } from './content-parameters.ts';
import type { Reading, Route, Rules } from './content-reading.ts';
import { rootProblem } from './frontend-root.ts';
import type { Place, Placed } from './shape.ts';

export function readRoute(
  reading: Reading,
  host: string,
  path: string,
  route: Route,
  at: Place,
  index: number,
): ConfiguredRoute | undefined {
  const strips = route.stripPrefix?.value === true;
  if (strips && path === '') {
    route.stripPrefix!.at.problem('there is no path to take off', 'give the route a path, or leave this out');
  }
  const action = readAction(reading, route, at, index);
  if (action === undefined) return undefined;
  const request = headerRules(route.request);
  const response = headerRules(route.response);
  const made: ConfiguredRoute = {
    name: route.name ?? `${host}${path || '/'}`,
    path,
    prefix: strips ? path : '',
    action,
    answers: route.answers ?? 'page',
    compress: route.compress ?? false,
    limits: Object.fromEntries(route.limits ?? []),
    ...(request === undefined ? {} : { requestRules: request }),
    ...(response === undefined ? {} : { responseRules: response }),
  };
  noteParameters(reading, route, host, made);
  return made;
}

function readAction(reading: Reading, route: Route, at: Place, index: number): Action | undefined {
  const { proxy, files, redirect, reply } = route;
  const given = [proxy, files, redirect, reply].filter((each) => each !== undefined);
  if (given.length !== 1) {
    const where = given[1]?.at ?? at;
    const what = given.length === 0 ? `route ${index} has no action` : 'is a second action of the route';
    return where.problem(what, 'give one of proxy, files, redirect, reply');
  }
  if (given[0]!.value === undefined) return undefined;
  refuseWithoutEffect(route);
  const base = route.base?.value ?? false;
  if (proxy?.value !== undefined) {
    usePool(reading, { value: proxy.value, at: proxy.at });
    return { kind: 'proxy', pool: proxy.value, base };
  }
  if (files?.value !== undefined) {
    const { root: placed, fallback = true } = files.value;
    const root = reading.path(placed.value);
    const problem = rootProblem(root, fallback);
    if (problem !== undefined) placed.at.problem(problem.message, problem.hint);
    return { kind: 'files', root, parameters: undefined, fallback, base };
  }
  if (redirect?.value !== undefined) return { kind: 'redirect', to: redirect.value.to, status: redirect.value.status };
  const { status, body = '', type = 'text/plain; charset=utf-8' } = reply!.value!;
  return { kind: 'reply', status, body, type };
}

function refuseWithoutEffect({ proxy, files, base, parameters, stripPrefix }: Route): void {
  const answersPages = (proxy ?? files) !== undefined;
  if (base !== undefined && !(answersPages && stripPrefix?.value === true)) {
    base.at.problem('has no effect here', 'base belongs to proxy and files with stripPrefix: true');
  }
  if (parameters !== undefined && !answersPages) {
    parameters.at.problem('has no effect here', 'parameters belong to proxy and files');
  }
}

function usePool(reading: Reading, { value: name, at }: Placed<string>): void {
  reading.usedPools.add(name);
  const { pools } = reading.content;
  if (pools?.has(name) === true) return;
  const names = [...(pools?.keys() ?? [])];
  const hint = names.length === 0 ? 'add it below pools' : `the pools are ${names.slice(0, 20).join(', ')}`;
  at.problem(`no pool is named "${name}"`, hint);
}

function headerRules(given: Rules | undefined): HeaderRules | undefined {
  if (given === undefined) return undefined;
  const flat = (fields: Rules['set']) =>
    [...(fields ?? [])].flatMap(([name, value]) => (value === undefined ? [] : [name, value]));
  const remove = (given.remove ?? []).map((name) => name.toLowerCase());
  return { remove, set: flat(given.set), add: flat(given.add) };
}
