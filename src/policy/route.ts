// Route: which host and which path a request is for.

import { hasPrefix } from '../http/target.ts';

/** As far as this decision looks at hosts and routes. */
interface Routes<R> {
  /** Longest path first. */
  readonly routes: readonly R[];
}

/** The host of a name in lower case: exact, else the wildcard that stands for its first label. */
export function findHost<H>(hosts: ReadonlyMap<string, H>, name: string): H | undefined {
  const exact = hosts.get(name);
  if (exact !== undefined) return exact;
  const dot = name.indexOf('.');
  return dot > 0 ? hosts.get(`*${name.slice(dot)}`) : undefined;
}

/** The first (longest) path that fits; `*` (OPTIONS for all of the server) is the route's that serves all paths. */
export function findRoute<R extends { readonly path: string }>({ routes }: Routes<R>, path: string): R | undefined {
  for (let i = 0; i < routes.length; i++) {
    if (hasPrefix(path, routes[i]!.path)) return routes[i]!;
  }
  return undefined;
}
