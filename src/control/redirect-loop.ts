// Redirects that lead to the route that they are of: a browser follows them for a while, and then gives up.

import { hasPrefix } from '../http/target.ts';
import type { ConfiguredHost, ConfiguredRoute } from './configuration.ts';

/** Whether what `to` names is served by this very route again. */
export function leadsToItself(to: string, host: ConfiguredHost, route: ConfiguredRoute, publicPort: number): boolean {
  const uri = route.prefix === '' ? route.path || '/' : '/';
  const target = to.replaceAll('{host}', host.name).replaceAll('{uri}', uri);
  const [, authority, path = '/'] = /^(?:https?:\/\/([^/?#]*))?(\/[^?#]*)?/i.exec(target)!;
  const isHere = authority === undefined || [host.name, `${host.name}:${publicPort}`].includes(authority.toLowerCase());
  return isHere && host.routes.find((each) => hasPrefix(path, each.path)) === route;
}
