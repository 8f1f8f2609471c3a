// The environment's variables, read to a configuration: all that is wrong at once, each with what to set.

import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import {
  type Endpoint,
  LIMITS,
  type Listener,
  type LogFormat,
  type LogLevel,
  type Parameters,
} from '../model/snapshot.ts';
import type {
  CertificatePair,
  Configuration,
  ConfiguredHost,
  ConfiguredPool,
  ConfiguredRoute,
  Environment,
} from './configuration.ts';
import {
  apiBaseRoute,
  leadsToRoute,
  parameterRemarks,
  readParameters,
  rootProblem,
  withBaseRoute,
} from './frontend-root.ts';
import { readIssuance } from './issuers.ts';
import { problemOfOwnPort } from './own-ports.ts';
import { ConfigError } from './problem.ts';
import { reachOf } from './reach.ts';
import { isEverybody, writeEndpoint } from './values.ts';
import { DROP_IN, misspeltVariables } from './variable-names.ts';
import { VariableReader } from './variable-reader.ts';

/** The two names of the demo; `.localhost` is this machine for every browser (RFC 6761 §6.3). */
const DEMO_FRONTEND = 'toucan.localhost';
const DEMO_BACKEND = 'api-toucan.localhost';

/** Where SO_REUSEPORT spreads connections over the workers; elsewhere one worker serves. */
const SHARES_PORTS = process.platform === 'linux';
/** Relative to the working directory. */
export const DEFAULT_CERTS_DIRECTORY = 'certs';
export const DEFAULT_WORKERS = SHARES_PORTS ? availableParallelism() : 1;
export const MOST_WORKERS = SHARES_PORTS ? 256 : 1;

export const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'silent'];
export const LOG_FORMATS: readonly LogFormat[] = ['json', 'combined'];

/** The frontend and its backend: on two names, or on one with the backend under a prefix. */
interface Sites {
  readonly frontendName: string;
  /** undefined: one domain. */
  readonly backendName: string | undefined;
  readonly apiPrefix: string;
  readonly frontend: readonly Endpoint[];
  readonly backend: readonly Endpoint[];
  /** The folder with the frontend's files; undefined: it has a server of its own. */
  readonly root: string | undefined;
  /** The Host that the frontend is asked for; undefined: the client's own. */
  readonly frontendHost: string | undefined;
  /** Parameters are written into the answers of the frontend's own server. */
  readonly rewrites: boolean;
  /** Whose answers are compressed on their way. */
  readonly compress: { readonly frontend: boolean; readonly backend: boolean };
}

/** Reads the configuration. Throws a ConfigError that lists every problem. */
export function readEnvironment(environment: Environment): Configuration {
  const reader = new VariableReader(environment);
  const demo = DROP_IN.every((name) => reader.text(name) === undefined);
  const httpPort = reader.port('HTTP_PORT', 7000);
  const httpsPort = reader.port('HTTPS_PORT', 8000);
  const reach = reachOf(reader);
  reader.mustDiffer({ HTTP_PORT: httpPort, HTTPS_PORT: httpsPort, ADMIN_PORT: reach.admin.port });
  const addressSetting = variable('LISTEN_HOST');
  const listener = { ...LISTENER, address: reader.address('LISTEN_HOST'), addressSetting, ...readSenders(reader) };
  // Nothing maps the demo's ports: the public port is the one that is bound.
  const publicPort = reader.port('PUBLIC_HTTPS_PORT', demo ? httpsPort : 443);
  const sites = demo ? demoSites(reader) : readSites(reader);
  const bound = [httpPort, httpsPort].map((port) => ({ address: listener.address, port }));
  refuseOwnPorts(reader, sites, [...bound, reach.admin]);
  const parameters = readParameters(reader.parameters());
  const hosts = makeHosts(sites, parameters, publicPort);
  const issuance = readIssuance(
    reader,
    hosts.map(({ name }) => name).filter((name) => name !== ''),
  );
  const configuration: Configuration = {
    demo,
    listeners: [
      { ...listener, name: 'https', kind: 'tls', port: httpsPort, setting: variable('HTTPS_PORT') },
      { ...listener, name: 'http', kind: 'redirect', port: httpPort, setting: variable('HTTP_PORT') },
    ],
    ...reach,
    publicPort,
    workers: reader.whole('WORKERS', DEFAULT_WORKERS, 1, MOST_WORKERS),
    logLevel: reader.oneOf('LOG_LEVEL', LOG_LEVELS, 'info') as LogLevel,
    logFormat: reader.oneOf('LOG_FORMAT', LOG_FORMATS, 'json') as LogFormat,
    trustedProxies: readTrusted(reader),
    certificates: demo || issuance !== undefined ? [] : [readCertificatePair(reader)],
    issuance: issuance === undefined ? [] : [issuance],
    certsDirectory: reader.file('CERTS_DIR') ?? resolve(DEFAULT_CERTS_DIRECTORY),
    ocspStapling: reader.onOff('OCSP_STAPLING', true),
    limits: { ...LIMITS, ...reader.limits() },
    pools: makePools(sites),
    hosts,
    warnings: reader.warnings,
    secrets: (issuance?.issuers ?? []).flatMap(({ eab }) => eab?.hmac ?? []),
  };
  const writesParameters = sites.root !== undefined || sites.rewrites;
  if (!writesParameters && reader.parameters().length > 0) {
    reader.warnings.push('TC_PARAMS_* and EMBED_PARAMS_* have no effect without FRONTEND_ROOT or REWRITE_PARAMS=on');
  }
  tellMisspelt(reader, environment);
  if (reader.problems.length > 0) throw new ConfigError(reader.problems);
  if (writesParameters) reader.warnings.push(...warnOfParameters(sites, parameters, configuration));
  return configuration;
}

/** The one that is meant may be missing: then the reason stands beside it. */
function tellMisspelt(reader: VariableReader, environment: Environment): void {
  for (const { name, hint } of misspeltVariables(environment)) {
    if (reader.problems.length > 0) reader.problem(name, 'is not known here', hint);
    else reader.warnings.push(`${name} is not known here, and has no effect: ${hint}`);
  }
}

/** What variables do not say. */
const LISTENER = { tlsPolicy: 'intermediate', strictSni: false } as const;

/** Said of networks with whoever speaks the PROXY protocol. */
export const EVERYBODY = 'lists all addresses: whoever reaches this port may say that it is somebody else';

/** Said of networks with whoever may write X-Forwarded-*. */
export const EVERYBODY_TRUSTED =
  'lists all addresses: whoever reaches this door may say that he is somebody else; list your own proxies only';

function readTrusted(reader: VariableReader): string[] {
  const trusted = reader.networks('TRUSTED_PROXIES');
  if (trusted.some(isEverybody)) reader.warnings.push(`TRUSTED_PROXIES ${EVERYBODY_TRUSTED}`);
  return trusted;
}

function readSenders(reader: VariableReader): Pick<Listener, 'proxyProtocol'> {
  const proxyProtocol = reader.networks('PROXY_PROTOCOL_FROM');
  if (proxyProtocol.some(isEverybody)) reader.warnings.push(`PROXY_PROTOCOL_FROM ${EVERYBODY}`);
  return proxyProtocol.length === 0 ? {} : { proxyProtocol };
}

const variable = (name: string) => ({ place: name, name });

function makePools({ root, frontend, backend, frontendHost }: Sites): ConfiguredPool[] {
  const pool = (name: string, endpoints: readonly Endpoint[], host?: string): ConfiguredPool => ({
    ...{ name, endpoints, host },
    ...{ ca: undefined, serverName: undefined },
  });
  const backends = pool('backend', backend);
  return root === undefined ? [pool('frontend', frontend, frontendHost), backends] : [backends];
}

function makeHosts(sites: Sites, parameters: Parameters, publicPort: number): ConfiguredHost[] {
  const { frontendName, backendName, apiPrefix, root, rewrites, compress } = sites;
  const backend: ConfiguredRoute = {
    ...{ name: 'backend', path: '', prefix: '', action: { kind: 'proxy', pool: 'backend', base: false } },
    ...{ answers: 'json', compress: compress.backend, limits: {} },
  };
  const makeFrontend = (written: Parameters): ConfiguredRoute => ({
    ...{ name: 'frontend', path: '', prefix: '' },
    action:
      root === undefined
        ? { kind: 'proxy', pool: 'frontend', ...(rewrites ? { parameters: written } : {}), base: false }
        : { kind: 'files', root, parameters: written, fallback: true, base: false },
    ...{ answers: 'page', compress: compress.frontend, limits: {} },
  });
  const arrange = (frontend: ConfiguredRoute): ConfiguredHost[] =>
    backendName === undefined
      ? [{ name: frontendName, routes: [{ ...backend, path: apiPrefix, prefix: apiPrefix }, frontend] }]
      : [
          { name: frontendName, routes: [frontend] },
          { name: backendName, routes: [backend] },
        ];
  // Where the API is follows from the routes, and the frontend is told so.
  const base = apiBaseRoute(frontendName, arrange(makeFrontend(parameters)), publicPort)!;
  return arrange(makeFrontend(withBaseRoute(parameters, base)));
}

function warnOfParameters(
  { frontendName, root }: Sites,
  own: Parameters,
  { hosts, publicPort }: Configuration,
): string[] {
  const base = apiBaseRoute(frontendName, hosts, publicPort)!;
  const warnings: string[] = [];
  for (const [name, value] of [
    ['TC_PARAMS_API_BASEROUTE', own.script.API_BASEROUTE],
    ['EMBED_PARAMS_API_BASEROUTE', own.embed.API_BASEROUTE],
  ] as const) {
    if (value === undefined || leadsToRoute(value, frontendName, hosts, publicPort)) continue;
    warnings.push(
      `${name} leads to nothing that is served here: the API is at ${base} (without the variable that is what is written)`,
    );
  }
  // What a server of its own has in its files is not known before it is asked: a worker tells of that.
  return root === undefined ? warnings : [...warnings, ...parameterRemarks(root, withBaseRoute(own, base))];
}

function demoSites(reader: VariableReader): Sites {
  return {
    frontendName: DEMO_FRONTEND,
    backendName: DEMO_BACKEND,
    apiPrefix: reader.prefix('API_PREFIX', '/_api'),
    frontend: [],
    backend: [],
    root: undefined,
    frontendHost: undefined,
    rewrites: false,
    compress: readCompress(reader),
  };
}

function readSites(reader: VariableReader): Sites {
  const frontendName = reader.hostName(
    'FRONTEND_DNS',
    'set it to the public name of the frontend, like toucan.example.com',
  );
  const backendName = reader.text('BACKEND_DNS') === undefined ? undefined : reader.hostName('BACKEND_DNS', '');
  const oneDomain = backendName === undefined || backendName === frontendName;
  if (!oneDomain && reader.text('API_PREFIX') !== undefined) {
    reader.warnings.push(
      'API_PREFIX has no effect with two domains (BACKEND_DNS is set): the backend has its own name',
    );
  }
  const root = readRoot(reader);
  const frontend =
    root === undefined
      ? reader.endpoints('FRONTEND_SERVICE', 'set it to where the frontend listens, like frontend or frontend:80')
      : [];
  const backend = reader.endpoints(
    'BACKEND_SERVICE',
    'set it to where the backend listens, like backend or backend:5000',
  );
  if (backend.length > 1) {
    reader.problem(
      'BACKEND_SERVICE',
      `lists ${backend.length} endpoints, but the backend may run only once`,
      'two backend containers at a time corrupt its state; name one endpoint, and scale its workers instead',
    );
  }
  return {
    frontendName: frontendName ?? '',
    backendName: oneDomain ? undefined : backendName,
    apiPrefix: reader.prefix('API_PREFIX', '/_api'),
    frontend,
    backend,
    root,
    frontendHost: readFrontendHost(reader, root, frontend),
    rewrites: readRewrites(reader, root),
    compress: readCompress(reader),
  };
}

function refuseOwnPorts(
  reader: VariableReader,
  { frontend, backend }: Sites,
  bound: readonly Pick<Listener, 'address' | 'port'>[],
): void {
  for (const [name, endpoints] of [
    ['FRONTEND_SERVICE', frontend],
    ['BACKEND_SERVICE', backend],
  ] as const) {
    for (const endpoint of endpoints) {
      const wrong = problemOfOwnPort(endpoint, bound);
      if (wrong !== undefined) reader.problem(name, `lists "${writeEndpoint(endpoint)}": ${wrong.message}`, wrong.hint);
    }
  }
}

/** On for the frontend and off for the backend, whose answers may hold secrets beside what was asked. */
function readCompress(reader: VariableReader): Sites['compress'] {
  return { frontend: reader.onOff('FRONTEND_COMPRESS', true), backend: reader.onOff('BACKEND_COMPRESS', false) };
}

/** The frontend from disk: its folder. */
function readRoot(reader: VariableReader): string | undefined {
  const given = reader.text('FRONTEND_ROOT');
  if (given === undefined) return undefined;
  const root = resolve(given);
  if (reader.text('FRONTEND_SERVICE') !== undefined) {
    reader.problem(
      'FRONTEND_ROOT',
      'is set, and FRONTEND_SERVICE too: the frontend is served from a folder or passed on, not both',
      'leave out the one that is not meant',
    );
  }
  const problem = rootProblem(root, true);
  if (problem !== undefined) reader.problem('FRONTEND_ROOT', problem.message, problem.hint);
  return root;
}

function readRewrites(reader: VariableReader, root: string | undefined): boolean {
  const rewrites = reader.onOff('REWRITE_PARAMS', false);
  if (!rewrites || root === undefined) return rewrites;
  reader.warnings.push('REWRITE_PARAMS has no effect with FRONTEND_ROOT, whose files get their parameters in any case');
  return false;
}

/**
 * A server behind an https:// URL (a bucket, another site) knows itself by the name in it, which its certificate has too. One on the
 * inner network gets the client's Host, as from the sample's Caddy.
 */
function readFrontendHost(
  reader: VariableReader,
  root: string | undefined,
  endpoints: readonly Endpoint[],
): string | undefined {
  if (reader.text('FRONTEND_HOST') !== undefined) {
    if (root !== undefined) reader.warnings.push('FRONTEND_HOST has no effect with FRONTEND_ROOT: nobody is asked');
    return reader.authority('FRONTEND_HOST');
  }
  const [first, ...others] = endpoints;
  if (first === undefined || !first.tls || isIP(first.host) !== 0) return undefined;
  if (others.some((other) => !other.tls || other.host !== first.host)) return undefined;
  return first.port === 443 || others.length > 0 ? first.host : `${first.host}:${first.port}`;
}

function readCertificatePair(reader: VariableReader): CertificatePair {
  const certFile = reader.required(
    'SSL_CRT',
    'set it to the path of the certificate file, as seen from here; or set ACME_EMAIL to have certificates issued',
  );
  // A file with both needs no second one; whether it holds a key is seen when it is read.
  if (certFile === '') reader.required('SSL_KEY', 'set it to the path of the private key file, as seen from here');
  return {
    certFile: resolve(certFile),
    keyFile: reader.file('SSL_KEY'),
    passwordFile: reader.file('SSL_KEY_PASSWORD_FILE'),
    certSetting: variable('SSL_CRT'),
    keySetting: variable('SSL_KEY'),
    passwordSetting: variable('SSL_KEY_PASSWORD_FILE'),
  };
}
