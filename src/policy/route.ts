// Route: which host and which prefix a request is for.

import { hasPrefix } from '../http/target.ts';
import type { Host, Route } from '../model/snapshot.ts';

/** The first (longest) prefix that fits. Every host ends with a route for all paths; `*` is that route's. */
export function findRoute(host: Host, path: string): Route {
  const routes = host.routes;
  for (let i = 0; i < routes.length - 1; i++) {
    if (hasPrefix(path, routes[i]!.prefix)) return routes[i]!;
  }
  return routes[routes.length - 1]!;
}
