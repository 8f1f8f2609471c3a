// Parameters of a configuration file: completed and judged by where all of its routes lead.

import type { Action, Parameters } from '../model/snapshot.ts';
import type { ConfiguredHost, ConfiguredRoute } from './configuration.ts';
import type { Reading, Route } from './content-reading.ts';
import { apiBaseRoute, leadsToRoute, parameterRemarks, withBaseRoute } from './frontend-root.ts';
import type { Placed } from './shape.ts';

export function noteParameters(
  reading: Reading,
  { parameters, files, proxy }: Route,
  host: string,
  route: ConfiguredRoute,
): void {
  if (parameters === undefined || (files === undefined && proxy === undefined)) return;
  const plain = (values: Placed<ReadonlyMap<string, unknown>> | undefined) => Object.fromEntries(values?.value ?? []);
  const own = { script: plain(parameters.value.script), embed: plain(parameters.value.embed) } as Parameters;
  const root = route.action.kind === 'files' ? route.action.root : undefined;
  reading.parameters.push({ at: parameters.at, host, root, own, route });
}

/** Where the API is follows from the routes, unless it was said. */
export function writeBaseRoutes(
  reading: Reading,
  hosts: readonly ConfiguredHost[],
  publicPort: number,
): ConfiguredHost[] {
  const written = new Map<ConfiguredRoute, ConfiguredRoute>();
  for (const { at, host, root, own, route } of reading.parameters) {
    const base = apiBaseRoute(host, hosts, publicPort);
    const parameters = withBaseRoute(own, base);
    written.set(route, { ...route, action: { ...route.action, parameters } as Action });
    if (parameters.script.API_BASEROUTE === undefined) {
      reading.warn(
        at,
        'API_BASEROUTE is not set, and the routes do not tell where the API is (one with answers: json)',
      );
    }
    for (const given of [own.script.API_BASEROUTE, own.embed.API_BASEROUTE]) {
      if (given === undefined || leadsToRoute(given, host, hosts, publicPort)) continue;
      const instead = base === undefined ? '' : `; the API is at ${base}`;
      reading.warn(at, `API_BASEROUTE leads to nothing that is served here${instead}`);
    }
    if (root !== undefined) for (const remark of parameterRemarks(root, parameters)) reading.warn(at, remark);
  }
  return hosts.map((host) => ({ ...host, routes: host.routes.map((route) => written.get(route) ?? route) }));
}
