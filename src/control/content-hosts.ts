// Hosts of a configuration file, with what holds for all of their routes.

import type { ConfiguredClientAuth, ConfiguredHost, ConfiguredRoute, Hsts } from './configuration.ts';
import type { Host, Reading } from './content-reading.ts';
import { readRoute } from './content-routes.ts';
import { leadsToItself } from './redirect-loop.ts';
import type { Place } from './shape.ts';

/** A route that redirects, and where the file says so. */
interface Redirect {
  readonly at: Place;
  readonly route: ConfiguredRoute;
}

export function readHosts(reading: Reading): ConfiguredHost[] {
  const hosts: ConfiguredHost[] = [];
  for (const [name, placed] of reading.content.hosts) {
    if (placed === undefined) continue;
    const { routes } = placed.value;
    const seen = new Set<string>();
    const redirects: Redirect[] = [];
    const read = routes.value.flatMap((route, i) => {
      const path = route.path?.value ?? '';
      if (seen.has(path)) {
        const at = route.path?.at ?? routes.at;
        at.problem(
          `${path || '/'} has a route already, so this one is never reached`,
          'keep one, or give it another path',
        );
      }
      seen.add(path);
      const made = readRoute(reading, name, path, route, route.path?.at ?? routes.at, i);
      if (made !== undefined && route.redirect !== undefined) redirects.push({ at: route.redirect.at, route: made });
      return made ?? [];
    });
    const hsts = readHsts(placed.value.hsts);
    const sorted = read.toSorted((a, b) => b.path.length - a.path.length);
    const clientAuth = readClientAuth(reading, placed.value.clientAuth);
    const host = {
      name,
      routes: sorted,
      ...(clientAuth === undefined ? {} : { clientAuth }),
      ...(hsts === undefined ? {} : { hsts }),
    };
    warnOfLoops(reading, host, redirects);
    hosts.push(host);
  }
  return hosts;
}

function warnOfLoops(reading: Reading, host: ConfiguredHost, redirects: readonly Redirect[]): void {
  const publicPort = reading.content.publicPort ?? 443;
  for (const { at, route } of redirects) {
    if (route.action.kind === 'redirect' && leadsToItself(route.action.to, host, route, publicPort))
      reading.warn(at, 'leads to this same route again: browsers give up after some rounds');
  }
}

function readClientAuth(reading: Reading, given: Host['clientAuth']): ConfiguredClientAuth | undefined {
  if (given === undefined) return undefined;
  const listeners = [...reading.content.listeners.value.values()].flatMap((each) => each?.value ?? []);
  if (!listeners.some(({ kind }) => kind === 'tls')) {
    given.at.problem('needs TLS, and there is no listener of kind tls', 'add one, or leave this out');
  } else if (listeners.some(({ kind }) => kind === 'plain')) {
    reading.warn(given.at, 'the listener of kind plain does not serve this host: certificates of clients need TLS');
  }
  const { ca, crl, mode = 'required', forward = 'certificate' } = given.value;
  const files = { ca: reading.fileAt(ca), crl: crl === undefined ? undefined : reading.fileAt(crl) };
  return { files, required: mode === 'required', forward };
}

function readHsts(given: Host['hsts']): Hsts | undefined {
  if (given === undefined) return undefined;
  const { days, includeSubdomains = false, preload } = given;
  if (preload?.value === true && (!includeSubdomains || days.value < 365)) {
    const hint = 'give at least 365 days and includeSubdomains: true, or leave preload out';
    preload.at.problem('is refused by the preload list for this host', hint);
  }
  return { days: days.value, includeSubdomains, preload: preload?.value ?? false };
}
