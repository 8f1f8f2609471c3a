// Compile: a configuration and its certificates become a snapshot. Pure: no files, no clock, no randomness.

import {
  type Action,
  type Certificate,
  freeze,
  type Host,
  type Listener,
  type Parameters,
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
  const pools: Pool[] = [{ name: 'backend', endpoints: sites.backend, host: undefined }];
  if (sites.files === undefined) {
    pools.unshift({ name: 'frontend', endpoints: sites.frontend, host: sites.frontendHost });
  }
  return freeze({
    generation: materials.generation,
    listeners,
    hosts: compileHosts(configuration),
    pools,
    certificates: materials.certificates,
    ticketKeys: materials.ticketKeys,
    trustedProxies: configuration.trustedProxies,
    publicPort: configuration.publicHttpsPort,
    limits: configuration.limits,
    logLevel: configuration.logLevel,
    logFormat: configuration.logFormat,
  });
}

function compileHosts(configuration: Configuration): Host[] {
  const { sites, compress } = configuration;
  const frontend: Route = {
    name: 'frontend',
    prefix: '',
    action: frontendAction(configuration),
    answers: 'page',
    compress: compress.frontend,
  };
  const backend: Route = {
    name: 'backend',
    prefix: '',
    action: { kind: 'proxy', pool: 'backend', parameters: undefined, base: false },
    answers: 'json',
    compress: compress.backend,
  };
  if (sites.backendName === undefined) {
    return [{ name: sites.frontendName, routes: [{ ...backend, prefix: sites.apiPrefix }, frontend] }];
  }
  return [
    { name: sites.frontendName, routes: [frontend] },
    { name: sites.backendName, routes: [backend] },
  ];
}

function frontendAction(configuration: Configuration): Action {
  const { files, rewrites } = configuration.sites;
  const given = files === undefined ? rewrites : files.parameters;
  const parameters = given === undefined ? undefined : frontendParameters(configuration, given);
  if (files === undefined) return { kind: 'proxy', pool: 'frontend', parameters, base: true };
  return { kind: 'files', root: files.root, parameters, fallback: true, base: true };
}

/** The parameters as they are written: both files learn where the API is, unless it was said. */
export function frontendParameters(configuration: Configuration, { script, embed }: Parameters): Parameters {
  const base = script.API_BASEROUTE ?? apiBaseRoute(configuration);
  return { script: { API_BASEROUTE: base, ...script }, embed: { API_BASEROUTE: base, ...embed } };
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
