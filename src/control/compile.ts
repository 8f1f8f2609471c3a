// Compile: a configuration and its certificates become a snapshot. Pure: no files, no clock, no randomness.

import {
  type AcmeAnswers,
  type Certificate,
  type ClientAuth,
  type ClientTrust,
  type Endpoint,
  freeze,
  type HeaderRules,
  type Host,
  type Limits,
  type Pool,
  type RouteLimits,
  type Snapshot,
} from '../model/snapshot.ts';
import {
  type Configuration,
  type ConfiguredClientAuth,
  type ConfiguredHost,
  type ConfiguredPool,
  type Hsts,
  trustKey,
} from './configuration.ts';

/** What the compiler is given beside the configuration. */
export interface Materials {
  readonly generation: number;
  readonly certificates: readonly Certificate[];
  readonly acme?: AcmeAnswers;
  /** Who vouches for clients, by the files that say so. */
  readonly clientTrusts?: ReadonlyMap<string, ClientTrust>;
  /** PEM by the name of its file: who vouches for upstreams. */
  readonly authorities: ReadonlyMap<string, string>;
  /** 48 random bytes. */
  readonly ticketKeys: Uint8Array;
  readonly previousTicketKeys?: Uint8Array;
}

export function compile(configuration: Configuration, materials: Materials): Snapshot {
  const { limits } = configuration;
  return freeze({
    generation: materials.generation,
    listeners: configuration.listeners.map(({ setting: _, addressSetting: __, ...listener }) => listener),
    hosts: configuration.hosts.map((host) => compileHost(host, limits, materials.clientTrusts)),
    pools: compilePools(configuration, materials.authorities),
    certificates: materials.certificates,
    ...(materials.clientTrusts === undefined ? {} : { clientTrusts: distinct(materials.clientTrusts) }),
    ...(materials.acme === undefined ? {} : { acme: materials.acme }),
    ticketKeys: materials.ticketKeys,
    ...(materials.previousTicketKeys === undefined ? {} : { previousTicketKeys: materials.previousTicketKeys }),
    trustedProxies: configuration.trustedProxies,
    publicPort: configuration.publicPort,
    limits,
    logLevel: configuration.logLevel,
    logFormat: configuration.logFormat,
  });
}

export function compilePools({ pools }: Configuration, authorities: Materials['authorities']): Pool[] {
  return pools.map((pool) => compilePool(pool, authorities));
}

/** The names that certificates must cover. */
export function namesOf(configuration: Configuration): string[] {
  return configuration.hosts.map((host) => host.name);
}

function compileHost(
  { name, clientAuth, routes, hsts }: ConfiguredHost,
  limits: Limits,
  clientTrusts: Materials['clientTrusts'],
): Host {
  return {
    name,
    ...(clientAuth === undefined ? {} : { clientAuth: compileClientAuth(clientAuth, clientTrusts!) }),
    ...(hsts === undefined ? {} : { secureResponseRules: withHsts(undefined, hsts) }),
    routes: routes.map((route) => ({
      ...route,
      limits: { ...routeLimits(limits), ...route.limits },
      ...(hsts === undefined ? {} : { secureResponseRules: withHsts(route.responseRules, hsts) }),
    })),
  };
}

function compileClientAuth(
  { files, required, forward }: ConfiguredClientAuth,
  clientTrusts: ReadonlyMap<string, ClientTrust>,
): ClientAuth {
  return { trust: clientTrusts.get(trustKey(files))!.id, required, forward };
}

/** Other files may say the same. */
function distinct(clientTrusts: ReadonlyMap<string, ClientTrust>): ClientTrust[] {
  return [...new Map([...clientTrusts.values()].map((trust) => [trust.id, trust])).values()];
}

/** In place of the upstream's own; what the route itself says of the field stands. */
function withHsts(rules: HeaderRules | undefined, { days, includeSubdomains, preload }: Hsts): HeaderRules {
  const { remove = [], set = [], add = [] } = rules ?? {};
  const isSaid = set.some((name, i) => i % 2 === 0 && name.toLowerCase() === 'strict-transport-security');
  const value = `max-age=${days * 86_400}${includeSubdomains ? '; includeSubDomains' : ''}${preload ? '; preload' : ''}`;
  return { remove, set: isSaid ? set : [...set, 'Strict-Transport-Security', value], add };
}

function routeLimits(limits: Limits): RouteLimits {
  const { bodyBytes, bodyTimeout, bodyRate, bodyRateGrace, responseTimeout, upstreamIdleTimeout, tunnelIdleTimeout } =
    limits;
  return { bodyBytes, bodyTimeout, bodyRate, bodyRateGrace, responseTimeout, upstreamIdleTimeout, tunnelIdleTimeout };
}

function compilePool(pool: ConfiguredPool, authorities: ReadonlyMap<string, string>): Pool {
  const trust: Pick<Endpoint, 'ca' | 'serverName'> = {
    ...(pool.ca === undefined ? {} : { ca: authorities.get(pool.ca.file)! }),
    ...(pool.serverName === undefined ? {} : { serverName: pool.serverName }),
  };
  return {
    name: pool.name,
    endpoints: pool.endpoints.map((endpoint) => (endpoint.tls ? { ...endpoint, ...trust } : endpoint)),
    ...(pool.host === undefined ? {} : { host: pool.host }),
  };
}
