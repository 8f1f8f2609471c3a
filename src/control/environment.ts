// The environment's variables, read to a configuration: all that is wrong at once, each with what to set.

import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { hasDotSegment, readAuthority } from '../http/target.ts';
import { type Endpoint, LIMITS, type LogFormat, type LogLevel, type Parameters } from '../model/snapshot.ts';
import type { CertificatePair, Configuration, FrontendFiles, Sites } from './configuration.ts';
import { isParameterVariable, parameterWarnings, readParameters, rootProblem } from './frontend-root.ts';
import { ConfigError, type Problem } from './problem.ts';

/** Any of these set means drop-in; otherwise the demo is served. */
const DROP_IN: readonly string[] = [
  'FRONTEND_DNS',
  'FRONTEND_SERVICE',
  'FRONTEND_ROOT',
  'BACKEND_DNS',
  'BACKEND_SERVICE',
  'SSL_CRT',
  'SSL_KEY',
];

/** The two names of the demo; `.localhost` is this machine for every browser (RFC 6761 §6.3). */
export const DEMO_FRONTEND = 'toucan.localhost';
export const DEMO_BACKEND = 'api-toucan.localhost';

/** Where SO_REUSEPORT spreads connections over the workers; elsewhere one worker serves. */
const SHARES_PORTS = process.platform === 'linux';

const LOG_LEVELS: readonly string[] = ['debug', 'info', 'warn', 'error', 'silent'];
const LOG_FORMATS: readonly string[] = ['json', 'combined'];
const MAX_ENDPOINTS = 31;
/** In ms. Timers of more than 24 days would run out at once. */
const MAX_DURATION = 24 * 3_600_000;

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads the configuration. Throws a ConfigError that lists every problem. */
export function readEnvironment(environment: Environment): Configuration {
  const reader = new Reader(environment);
  const demo = DROP_IN.every((name) => reader.text(name) === undefined);
  const httpPort = reader.port('HTTP_PORT', 7000);
  const httpsPort = reader.port('HTTPS_PORT', 8000);
  const adminPort = reader.port('ADMIN_PORT', 9180);
  reader.mustDiffer({ HTTP_PORT: httpPort, HTTPS_PORT: httpsPort, ADMIN_PORT: adminPort });
  const configuration: Configuration = {
    demo,
    listenHost: reader.address('LISTEN_HOST'),
    httpPort,
    httpsPort,
    // Nothing maps the demo's ports: the public port is the one that is bound.
    publicHttpsPort: reader.port('PUBLIC_HTTPS_PORT', demo ? httpsPort : 443),
    adminHost: reader.address('ADMIN_HOST') ?? '127.0.0.1',
    adminPort,
    sites: demo ? demoSites(reader) : readSites(reader),
    certificate: demo ? undefined : readCertificatePair(reader),
    trustedProxies: reader.networks('TRUSTED_PROXIES'),
    workers: reader.whole('WORKERS', SHARES_PORTS ? availableParallelism() : 1, 1, SHARES_PORTS ? 256 : 1),
    logLevel: reader.oneOf('LOG_LEVEL', LOG_LEVELS, 'info') as LogLevel,
    logFormat: reader.oneOf('LOG_FORMAT', LOG_FORMATS, 'json') as LogFormat,
    compress: { frontend: reader.onOff('FRONTEND_COMPRESS', true), backend: reader.onOff('BACKEND_COMPRESS', false) },
    limits: {
      ...LIMITS,
      headBytes: reader.bytes('HEAD_LIMIT', LIMITS.headBytes, 1_024, 1_048_576),
      bodyBytes: reader.bytes('BODY_LIMIT', LIMITS.bodyBytes, 0, Number.MAX_SAFE_INTEGER),
      headTimeout: reader.duration('HEAD_TIMEOUT', LIMITS.headTimeout, 1_000),
      responseTimeout: reader.duration('RESPONSE_TIMEOUT', LIMITS.responseTimeout, 1_000),
      drainTimeout: reader.duration('DRAIN_TIMEOUT', LIMITS.drainTimeout),
    },
    warnings: reader.warnings,
  };
  const { files, rewrites } = configuration.sites;
  if (files === undefined && rewrites === undefined && reader.parameters().length > 0) {
    reader.warnings.push('TC_PARAMS_* and EMBED_PARAMS_* have no effect without FRONTEND_ROOT or REWRITE_PARAMS=on');
  }
  if (reader.problems.length > 0) throw new ConfigError(reader.problems);
  reader.warnings.push(...parameterWarnings(configuration));
  return configuration;
}

function demoSites(reader: Reader): Sites {
  return {
    frontendName: DEMO_FRONTEND,
    backendName: DEMO_BACKEND,
    apiPrefix: reader.prefix('API_PREFIX', '/_api'),
    frontend: [],
    backend: [],
    files: undefined,
    frontendHost: undefined,
    rewrites: undefined,
  };
}

function readSites(reader: Reader): Sites {
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
  const files = readFiles(reader);
  const frontend =
    files === undefined
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
    files,
    frontendHost: readFrontendHost(reader, files, frontend),
    rewrites: readRewrites(reader, files),
  };
}

/** The frontend from disk: its folder, and the parameters that are written into its files. */
function readFiles(reader: Reader): FrontendFiles | undefined {
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
  const problem = rootProblem(root);
  if (problem !== undefined) reader.problem('FRONTEND_ROOT', problem.message, problem.hint);
  return { root, parameters: readParameters(reader.parameters()) };
}

/** The parameters that are written into the answers of the frontend's own server. */
function readRewrites(reader: Reader, files: FrontendFiles | undefined): Parameters | undefined {
  if (!reader.onOff('REWRITE_PARAMS', false)) return undefined;
  if (files === undefined) return readParameters(reader.parameters());
  reader.warnings.push('REWRITE_PARAMS has no effect with FRONTEND_ROOT, whose files get their parameters in any case');
  return undefined;
}

/**
 * A server behind an https:// URL (a bucket, another site) knows itself by the name in it, which its certificate has too. One on the
 * inner network gets the client's Host, as from the sample's Caddy.
 */
function readFrontendHost(
  reader: Reader,
  files: FrontendFiles | undefined,
  endpoints: readonly Endpoint[],
): string | undefined {
  const given = reader.text('FRONTEND_HOST');
  if (given !== undefined) {
    if (files !== undefined) reader.warnings.push('FRONTEND_HOST has no effect with FRONTEND_ROOT: nobody is asked');
    if (readAuthority(given) !== undefined) return given;
    reader.problem(
      'FRONTEND_HOST',
      `is "${given}", which is no host name`,
      'give a name, or name:port, without https://',
    );
    return undefined;
  }
  const [first, ...others] = endpoints;
  if (first === undefined || !first.tls || isIP(first.host) !== 0) return undefined;
  if (others.some((other) => !other.tls || other.host !== first.host)) return undefined;
  return first.port === 443 || others.length > 0 ? first.host : `${first.host}:${first.port}`;
}

function readCertificatePair(reader: Reader): CertificatePair {
  return {
    certFile: reader.required(
      'SSL_CRT',
      'set it to the path of the certificate file (PEM, leaf first), as seen from here',
    ),
    keyFile: reader.required('SSL_KEY', 'set it to the path of the private key file (PEM), as seen from here'),
  };
}

/** Reads single variables and collects what is wrong with them. A variable that is set but empty counts as unset. */
class Reader {
  readonly problems: Problem[] = [];
  readonly warnings: string[] = [];
  readonly #environment: Environment;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  problem(place: string, message: string, hint: string): void {
    this.problems.push({ place, message, hint });
  }

  text(name: string): string | undefined {
    const value = this.#environment[name]?.trim();
    return value === '' ? undefined : value;
  }

  /** The variables that set parameters, as they are: what is around a value may be part of it. */
  parameters(): [name: string, text: string][] {
    const names = Object.keys(this.#environment).filter(
      (name) => isParameterVariable(name) && this.text(name) !== undefined,
    );
    return names.sort().map((name) => [name, this.#environment[name]!]);
  }

  required(name: string, hint: string): string {
    const value = this.text(name);
    if (value === undefined) this.problem(name, 'is not set', hint);
    return value ?? '';
  }

  hostName(name: string, hint: string): string | undefined {
    const value = this.required(name, hint);
    if (value === '') return undefined;
    const authority = readAuthority(value);
    if (authority !== undefined && authority.port === undefined && !value.includes('/')) return authority.host;
    this.problem(name, `is "${value}", which is no host name`, 'give the name alone, without https://, port or path');
    return undefined;
  }

  whole(name: string, fallback: number, least: number, most: number): number {
    const value = this.text(name);
    if (value === undefined) return fallback;
    const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
    if (number >= least && number <= most) return number;
    this.problem(name, `is "${value}"`, `give a whole number from ${least} to ${most}`);
    return fallback;
  }

  port(name: string, fallback: number): number {
    return this.whole(name, fallback, 1, 65_535);
  }

  mustDiffer(ports: Readonly<Record<string, number>>): void {
    const seen = new Map<number, string>();
    for (const [name, port] of Object.entries(ports)) {
      const other = seen.get(port);
      if (other !== undefined)
        this.problem(name, `is ${port}, the same port as ${other}`, 'give each listener a port of its own');
      else seen.set(port, name);
    }
  }

  /** Seconds, or a number with s, m or h; in ms. */
  duration(name: string, fallback: number, least = 0): number {
    const value = this.text(name);
    if (value === undefined) return fallback;
    const parts = /^(\d{1,6})\s*(s|m|h)?$/.exec(value);
    if (parts === null) {
      this.problem(name, `is "${value}", which is no duration`, 'give seconds, like 30 or 30s, or minutes, like 2m');
      return fallback;
    }
    const duration = Number(parts[1]) * { s: 1_000, m: 60_000, h: 3_600_000 }[(parts[2] ?? 's') as 's' | 'm' | 'h'];
    if (duration >= least && duration <= MAX_DURATION) return duration;
    const [wrong, hint] =
      duration < least ? ['short', `give at least ${least / 1_000} s`] : ['long', 'give at most 24h'];
    this.problem(name, `is "${value}", which is too ${wrong}`, hint);
    return fallback;
  }

  /** A number of bytes, or with k, m or g (powers of 1024). */
  bytes(name: string, fallback: number, least: number, most: number): number {
    const value = this.text(name);
    if (value === undefined) return fallback;
    const parts = /^(\d{1,15})\s*([kmg])?(?:i?b)?$/i.exec(value);
    const unit = (parts?.[2] ?? '').toLowerCase() as '' | 'k' | 'm' | 'g';
    const bytes = parts === null ? Number.NaN : Number(parts[1]) * { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 }[unit];
    if (bytes >= least && bytes <= most) return bytes;
    this.problem(
      name,
      `is "${value}"`,
      `give bytes, or a number with k, m or g, like 64k; from ${least} to ${most} bytes`,
    );
    return fallback;
  }

  onOff(name: string, fallback: boolean): boolean {
    return this.oneOf(name, ['on', 'off'], fallback ? 'on' : 'off') === 'on';
  }

  oneOf(name: string, choices: readonly string[], fallback: string): string {
    const value = this.text(name)?.toLowerCase();
    if (value === undefined) return fallback;
    if (choices.includes(value)) return value;
    this.problem(name, `is "${value}"`, `choose one of ${choices.join(', ')}`);
    return fallback;
  }

  address(name: string): string | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    if (isIP(value) !== 0) return value;
    this.problem(
      name,
      `is "${value}", which is no IP address`,
      'give an address of this machine, like 0.0.0.0 or 127.0.0.1',
    );
    return undefined;
  }

  networks(name: string): string[] {
    const entries = this.list(name);
    for (const entry of entries) {
      const [address, bits, more] = entry.split('/');
      const family = isIP(address ?? '');
      const wellFormed =
        family !== 0 &&
        more === undefined &&
        (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)));
      if (!wellFormed) {
        this.problem(
          name,
          `lists "${entry}", which is no address or network`,
          'like 10.0.0.7 or 172.16.0.0/12, separated by commas',
        );
      }
    }
    return entries;
  }

  prefix(name: string, fallback: string): string {
    const value = this.text(name);
    if (value === undefined) return fallback;
    const trimmed = value.replace(/\/+$/, '');
    if (/^(?:\/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+$/.test(trimmed) && !hasDotSegment(trimmed)) return trimmed;
    this.problem(
      name,
      `is "${value}", which is no path prefix`,
      'start it with a slash and give at least one segment, like /_api',
    );
    return fallback;
  }

  list(name: string): string[] {
    return (this.text(name) ?? '')
      .split(',')
      .map((entry) => entry.trim())
      .filter((entry) => entry !== '');
  }

  endpoints(name: string, hint: string): Endpoint[] {
    this.required(name, hint);
    const entries = this.list(name);
    if (entries.length === 0 && this.text(name) !== undefined) this.problem(name, 'lists no endpoint', hint);
    if (entries.length > MAX_ENDPOINTS) {
      this.problem(name, `lists ${entries.length} endpoints`, `at most ${MAX_ENDPOINTS} are served`);
    }
    const endpoints: Endpoint[] = [];
    for (const entry of entries) {
      const endpoint = readEndpoint(entry);
      if (typeof endpoint === 'string')
        this.problem(name, `lists "${entry}": ${endpoint}`, 'give host, host:port, or an http:// or https:// URL');
      else if (endpoints.some((other) => other.host === endpoint.host && other.port === endpoint.port)) {
        this.problem(name, `lists "${entry}" twice`, 'name each endpoint once');
      } else endpoints.push(endpoint);
    }
    return endpoints;
  }
}

/** `host`, `host:port` or an http(s) URL without a path; a string is what is wrong with it. */
function readEndpoint(text: string): Endpoint | string {
  const url = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)(.*)$/i.exec(text);
  const scheme = url?.[1]?.toLowerCase() ?? 'http';
  if (scheme !== 'http' && scheme !== 'https') return `the scheme ${scheme} is not http or https`;
  const rest = url?.[3] ?? '';
  if (rest !== '' && rest !== '/') return 'it has a path, and paths are passed on as they come';
  const authority = url?.[2] ?? text;
  if (authority.includes('@')) return 'it has a user name or password, which is not sent to upstreams';
  // An IPv6 address without brackets would be read as host and port.
  const read = isIP(authority) === 6 ? { host: `[${authority}]`, port: undefined } : readAuthority(authority);
  if (read === undefined || read.port === 0) return 'this is no valid host and port';
  const tls = scheme === 'https';
  return { host: read.host.replace(/^\[|\]$/g, '').toLowerCase(), port: read.port ?? (tls ? 443 : 80), tls };
}
