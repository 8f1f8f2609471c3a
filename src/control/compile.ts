// Compile: a configuration and its certificates become a snapshot. Pure: no files, no clock, no randomness.

import {
  type Certificate,
  freeze,
  type Host,
  type Listener,
  type Pool,
  type Route,
  type Snapshot,
} from '../model/snapshot.ts';
import type { Configuration, Sites } from './configuration.ts';

/** What the compiler is given beside the configuration. */
export interface Materials {
  readonly generation: number;
  readonly certificates: readonly Certificate[];
  /** 48 random bytes. */
  readonly ticketKeys: Uint8Array;
}

export function compile(configuration: Configuration, materials: Materials): Snapshot {
  const { listenHost, httpPort, httpsPort, sites } = configuration;
  const listeners: Listener[] = [
    { name: 'https', kind: 'tls', address: listenHost, port: httpsPort },
    { name: 'http', kind: 'redirect', address: listenHost, port: httpPort },
  ];
  const pools: Pool[] = [
    { name: 'frontend', endpoints: sites.frontend },
    { name: 'backend', endpoints: sites.backend },
  ];
  return freeze({
    generation: materials.generation,
    listeners,
    hosts: compileHosts(sites),
    pools,
    certificates: materials.certificates,
    ticketKeys: materials.ticketKeys,
    trustedProxies: configuration.trustedProxies,
    publicPort: configuration.publicHttpsPort,
    limits: configuration.limits,
    logLevel: configuration.logLevel,
  });
}

function compileHosts(sites: Sites): Host[] {
  const frontend: Route = { name: 'frontend', prefix: '', pool: 'frontend', answers: 'page' };
  const backend: Route = { name: 'backend', prefix: '', pool: 'backend', answers: 'json' };
  if (sites.backendName === undefined) {
    return [{ name: sites.frontendName, routes: [{ ...backend, prefix: sites.apiPrefix }, frontend] }];
  }
  return [
    { name: sites.frontendName, routes: [frontend] },
    { name: sites.backendName, routes: [backend] },
  ];
}

/** The names that a certificate must cover. */
export function namesOf(sites: Sites): string[] {
  return sites.backendName === undefined ? [sites.frontendName] : [sites.frontendName, sites.backendName];
}

/** Where the public reaches the backend, as the frontend's API_BASEROUTE. */
export function apiBaseRoute(configuration: Configuration): string {
  const { sites, publicHttpsPort } = configuration;
  const port = publicHttpsPort === 443 ? '' : `:${publicHttpsPort}`;
  if (sites.backendName !== undefined) return `https://${sites.backendName}${port}`;
  return `https://${sites.frontendName}${port}${sites.apiPrefix}`;
}
