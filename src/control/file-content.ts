// From the keys of a configuration file to the configuration, and what is wrong between them.

import { dirname, resolve } from 'node:path';
import { type Action, type HeaderRules, LIMITS, type Parameters } from '../model/snapshot.ts';
import type {
  CertificatePair,
  Configuration,
  ConfiguredClientAuth,
  ConfiguredHost,
  ConfiguredListener,
  ConfiguredPool,
  ConfiguredRoute,
  DnsProof,
  Environment,
  Hsts,
  Issuance,
  Issuer,
  Reach,
  Setting,
} from './configuration.ts';
import { DEFAULT_CERTS_DIRECTORY, DEFAULT_WORKERS, EVERYBODY } from './environment.ts';
import type { FORMAT } from './file-format.ts';
import { apiBaseRoute, leadsToRoute, parameterRemarks, rootProblem, withBaseRoute } from './frontend-root.ts';
import { DEFAULT_DIRECTORY, defaultChallenges, problemOfName, readDirectory, rehearsalOf } from './issuers.ts';
import { DEFAULT_ADMIN_PORT } from './reach.ts';
import type { Place, Placed } from './shape.ts';
import { isEverybody } from './values.ts';
import type { Variables } from './variables.ts';

type Content = NonNullable<ReturnType<typeof FORMAT.read>>;
type Values<M> = M extends ReadonlyMap<string, infer T | undefined> ? NonNullable<T> : never;
type Pool = Values<NonNullable<Content['pools']>>['value'];
type Host = Values<Content['hosts']>['value'];
type Route = Host['routes']['value'][number];
type Certificate = NonNullable<Content['certificates']>[number];
type Rules = NonNullable<Route['request']>;
type Acme = NonNullable<Content['acme']>[number]['value'];
type AcmeIssuer = NonNullable<Acme['issuers']>[number];

const GIVE_AS_FILE = 'leave it out here, and give its certificate as a file';

/** Problems go to the places of the keys, warnings into the configuration. */
export class ContentReader {
  readonly #file: string;
  readonly #content: Content;
  readonly #warnings: string[] = [];
  readonly #usedPools = new Set<string>();
  /** Judged at the end, when all routes are known. */
  readonly #parameters: {
    at: Place;
    host: string;
    root: string | undefined;
    own: Parameters;
    route: ConfiguredRoute;
  }[] = [];

  constructor(file: string, content: Content) {
    this.#file = file;
    this.#content = content;
  }

  configuration(environment: Environment, variables: Variables): Configuration {
    const content = this.#content;
    const publicPort = content.publicPort ?? 443;
    const hosts = this.#hosts();
    const pools = this.#pools();
    const listeners = this.#listeners();
    const certificates = (content.certificates ?? []).map((certificate) => this.#certificate(certificate));
    const issuance = this.#issuance();
    const files = [
      ...certificates.flatMap(({ certFile, keyFile, passwordFile }) => [certFile, keyFile, passwordFile]),
      ...issuance.map(({ dns }) => (dns?.kind === 'update' ? dns.keyFile : undefined)),
    ];
    const withBase = this.#writeBaseRoutes(hosts, publicPort);
    return {
      demo: false,
      listeners,
      ...adminOf(this.#file, content.admin),
      controlSocket: environment.PORTICO_SOCKET
        ? resolve(environment.PORTICO_SOCKET)
        : this.#path(content.controlSocket),
      publicPort,
      workers: content.workers ?? DEFAULT_WORKERS,
      logLevel: content.log?.level ?? 'info',
      logFormat: content.log?.format ?? 'json',
      trustedProxies: content.trustedProxies ?? [],
      certificates,
      issuance,
      certsDirectory: this.#path(content.certsDirectory) ?? resolve(DEFAULT_CERTS_DIRECTORY),
      ocspStapling: content.ocspStapling ?? true,
      limits: { ...LIMITS, ...Object.fromEntries(content.limits ?? []) },
      pools,
      hosts: withBase,
      warnings: this.#warnings,
      // A variable that is called SSL_KEY holds the name of a file, which is no secret.
      secrets: [...variables.secrets].filter((secret) => !files.includes(resolve(dirname(this.#file), secret))),
    };
  }

  #path(given: string | undefined): string | undefined {
    return given === undefined ? undefined : resolve(dirname(this.#file), given);
  }

  #certificate({ cert, key, passwordFile }: Certificate): CertificatePair {
    // What is not there is told at the certificate, by the name that it would have.
    const beside = (name: string) => ({ place: cert.at.text, name: cert.at.path.replace(/cert$/, name) });
    return {
      certFile: this.#path(cert.value)!,
      keyFile: this.#path(key?.value),
      passwordFile: this.#path(passwordFile?.value),
      certSetting: settingAt(cert.at, this.#file, 'cert'),
      keySetting: key === undefined ? beside('key') : settingAt(key.at, this.#file, 'key'),
      passwordSetting:
        passwordFile === undefined ? beside('passwordFile') : settingAt(passwordFile.at, this.#file, 'passwordFile'),
    };
  }

  #issuance(): Issuance[] {
    const seen = new Set<string>();
    const hostNames = [...this.#content.hosts.keys()];
    return (this.#content.acme ?? []).map(({ value: { names, issuers, ...rest }, at }) => {
      const { challenges, dns } = this.#proofs(rest);
      // Of hosts that are not named here a wildcard may have its certificate as a file.
      const issuable = hostNames.filter((name) => !name.startsWith('*') || challenges.includes('dns-01'));
      const wanted = names?.value ?? issuable.map((value) => ({ value, at }));
      for (const { value, at } of wanted) {
        const problem = problemOfName(value, challenges);
        const hint = value.startsWith('*')
          ? 'add dns:, or leave it out here and give its certificate as a file'
          : GIVE_AS_FILE;
        if (problem !== undefined) at.problem(problem, hint);
        if (seen.has(value)) at.problem(`${value} is to be issued already`, 'keep one of them');
        seen.add(value);
      }
      return {
        names: wanted.map(({ value }) => value),
        issuers: (issuers ?? [{} as AcmeIssuer]).map((issuer) => this.#issuer(issuer)),
        ...{ challenges, dns, setting: settingAt(at, this.#file, 'acme') },
      };
    });
  }

  #proofs({ challenges: given, dns: placed }: Pick<Acme, 'challenges' | 'dns'>): Pick<Issuance, 'challenges' | 'dns'> {
    const dns = placed === undefined ? undefined : this.#dnsProof(placed);
    const challenges = given === undefined ? defaultChallenges(placed !== undefined) : [...new Set(given.value)];
    if (given !== undefined && challenges.includes('dns-01') && placed === undefined) {
      given.at.problem('lists dns-01, and nothing says how DNS is changed', 'add dns: with hook or update beside it');
    }
    if (placed !== undefined && given !== undefined && !challenges.includes('dns-01')) {
      placed.at.problem('is given, and challenges does not list dns-01', 'add dns-01 there, or leave this out');
    }
    return { challenges, dns };
  }

  #dnsProof({ value: { hook, update, resolvers = [] }, at }: NonNullable<Acme['dns']>): DnsProof | undefined {
    if ((hook === undefined) === (update === undefined)) {
      return at.problem(hook === undefined ? 'says not how' : 'says it in two ways', 'give hook or update');
    }
    if (hook !== undefined) {
      const setting = settingAt(hook.at, this.#file, 'hook');
      return { kind: 'hook', file: this.#path(hook.value)!, resolvers, setting };
    }
    const { server, keyFile } = update!;
    const setting = settingAt(keyFile.at, this.#file, 'keyFile');
    return { kind: 'update', ...server, keyFile: this.#path(keyFile.value)!, resolvers, setting };
  }

  #issuer({ directory, email, ca, eab, profile, preferredChain }: AcmeIssuer): Issuer {
    const url = directory ?? (readDirectory(DEFAULT_DIRECTORY) as string);
    return {
      ...{ directory: url, email, eab, profile, preferredChain, rehearsal: rehearsalOf(url) },
      ca: ca === undefined ? undefined : { file: this.#path(ca.value)!, setting: settingAt(ca.at, this.#file, 'ca') },
    };
  }

  #listeners(): ConfiguredListener[] {
    const { listeners, certificates, acme, admin } = this.#content;
    const found: ConfiguredListener[] = [];
    const adminPort = admin?.port?.value ?? DEFAULT_ADMIN_PORT;
    for (const [name, placed] of listeners.value) {
      if (placed === undefined) continue;
      const { kind, address, port, tls, proxyProtocol } = placed.value;
      if (tls !== undefined && kind !== 'tls') tls.at.problem('belongs to a listener of kind tls', 'leave it out');
      const other = found.find((each) => each.port === port.value && meet(each.address, address?.value));
      if (other !== undefined) {
        port.at.problem(
          `is ${port.value}, the same port as that of ${other.name}`,
          'give each listener a port of its own',
        );
      } else if (port.value === adminPort && meet(address?.value, admin?.address?.value ?? '127.0.0.1')) {
        port.at.problem(`is ${port.value}, the same port as that of admin`, 'give each listener a port of its own');
      }
      if (kind === 'tls' && certificates === undefined && acme === undefined) {
        const hint = 'add certificates: with cert and key, or acme: to have them issued';
        placed.at.problem('is a tls listener, and there is no certificate', hint);
      }
      const senders = proxyProtocol?.from;
      if (senders?.value.some(isEverybody)) this.#warn(senders.at, EVERYBODY);
      found.push({
        ...{ name, kind, address: address?.value, addressSetting: settingAt(address?.at, this.#file, name) },
        ...{ port: port.value, setting: settingAt(port.at, this.#file, name) },
        ...{ tlsPolicy: tls?.value.policy ?? 'intermediate', strictSni: tls?.value.strictSni ?? false },
        ...(senders === undefined ? {} : { proxyProtocol: senders.value }),
      });
    }
    const isWhole = [...listeners.value.values()].every((each) => each !== undefined);
    if (isWhole && found.length > 0 && !found.some(({ kind }) => kind !== 'redirect')) {
      listeners.at.problem('nothing here serves the routes', 'add a listener of kind tls (or plain)');
    }
    return found;
  }

  #pools(): ConfiguredPool[] {
    const pools: ConfiguredPool[] = [];
    for (const [name, placed] of this.#content.pools ?? []) {
      if (placed === undefined) continue;
      if (!this.#usedPools.has(name)) this.#warn(placed.at, 'no route uses this pool');
      pools.push(this.#pool(name, placed.value));
    }
    return pools;
  }

  #pool(name: string, { endpoints, host, ca, serverName }: Pool): ConfiguredPool {
    const seen = new Set<string>();
    for (const { value, at } of endpoints) {
      const authority = `${value.host}:${value.port}`;
      if (seen.has(authority)) at.problem('stands here twice', 'name each endpoint once');
      seen.add(authority);
    }
    const secure = endpoints.some(({ value }) => value.tls);
    for (const each of [ca, serverName]) {
      if (each !== undefined && !secure) each.at.problem('is for https only, and no endpoint is', 'leave it out');
    }
    return {
      name,
      endpoints: endpoints.map(({ value }) => value),
      host,
      ca: ca === undefined ? undefined : { file: this.#path(ca.value)!, setting: settingAt(ca.at, this.#file, 'ca') },
      serverName: serverName?.value,
    };
  }

  #hosts(): ConfiguredHost[] {
    const hosts: ConfiguredHost[] = [];
    for (const [name, placed] of this.#content.hosts) {
      if (placed === undefined) continue;
      const { routes } = placed.value;
      const seen = new Set<string>();
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
        return this.#route(name, path, route, route.path?.at ?? routes.at, i) ?? [];
      });
      const hsts = readHsts(placed.value.hsts);
      const sorted = read.toSorted((a, b) => b.path.length - a.path.length);
      const clientAuth = this.#clientAuth(placed.value.clientAuth);
      hosts.push({
        name,
        routes: sorted,
        ...(clientAuth === undefined ? {} : { clientAuth }),
        ...(hsts === undefined ? {} : { hsts }),
      });
    }
    return hosts;
  }

  #clientAuth(given: Host['clientAuth']): ConfiguredClientAuth | undefined {
    if (given === undefined) return undefined;
    const listeners = [...this.#content.listeners.value.values()].flatMap((each) => each?.value ?? []);
    if (!listeners.some(({ kind }) => kind === 'tls')) {
      given.at.problem('needs TLS, and there is no listener of kind tls', 'add one, or leave this out');
    } else if (listeners.some(({ kind }) => kind === 'plain')) {
      this.#warn(given.at, 'the listener of kind plain does not serve this host: certificates of clients need TLS');
    }
    const { ca, crl, mode = 'required', forward = 'certificate' } = given.value;
    const named = (each: Placed<string>, name: string) => ({
      ...{ file: this.#path(each.value)!, setting: settingAt(each.at, this.#file, name) },
    });
    const files = { ca: named(ca, 'ca'), crl: crl === undefined ? undefined : named(crl, 'crl') };
    return { files, required: mode === 'required', forward };
  }

  #route(host: string, path: string, route: Route, at: Place, index: number): ConfiguredRoute | undefined {
    const strips = route.stripPrefix?.value === true;
    if (strips && path === '') {
      route.stripPrefix!.at.problem('there is no path to take off', 'give the route a path, or leave this out');
    }
    const action = this.#action(route, at, index);
    if (action === undefined) return undefined;
    const request = headerRules(route.request);
    const response = headerRules(route.response);
    const made: ConfiguredRoute = {
      name: route.name ?? `${host}${path || '/'}`,
      path,
      prefix: strips ? path : '',
      action,
      answers: route.answers ?? 'page',
      compress: route.compress ?? false,
      limits: Object.fromEntries(route.limits ?? []),
      ...(request === undefined ? {} : { requestRules: request }),
      ...(response === undefined ? {} : { responseRules: response }),
    };
    this.#noteParameters(route, host, made);
    return made;
  }

  #action(route: Route, at: Place, index: number): Action | undefined {
    const { proxy, files, redirect, reply } = route;
    const given = [proxy, files, redirect, reply].filter((each) => each !== undefined);
    if (given.length !== 1) {
      const where = given[1]?.at ?? at;
      const what = given.length === 0 ? `route ${index} has no action` : 'is a second action of the route';
      return where.problem(what, 'give one of proxy, files, redirect, reply');
    }
    if (given[0]!.value === undefined) return undefined;
    const answersPages = (proxy ?? files) !== undefined;
    if (route.base !== undefined && !(answersPages && route.stripPrefix?.value === true)) {
      route.base.at.problem('has no effect here', 'base belongs to proxy and files with stripPrefix: true');
    }
    const base = route.base?.value ?? false;
    if (proxy === undefined && route.parameters !== undefined && files === undefined) {
      route.parameters.at.problem('has no effect here', 'parameters belong to proxy and files');
    }
    if (proxy?.value !== undefined) {
      this.#usedPools.add(proxy.value);
      const { pools } = this.#content;
      if (pools?.has(proxy.value) !== true) {
        const names = [...(pools?.keys() ?? [])];
        const hint = names.length === 0 ? 'add it below pools' : `the pools are ${names.slice(0, 20).join(', ')}`;
        proxy.at.problem(`no pool is named "${proxy.value}"`, hint);
      }
      return { kind: 'proxy', pool: proxy.value, base };
    }
    if (files?.value !== undefined) {
      const root = this.#path(files.value.root.value)!;
      const fallback = files.value.fallback ?? true;
      const problem = rootProblem(root, fallback);
      if (problem !== undefined) files.value.root.at.problem(problem.message, problem.hint);
      return { kind: 'files', root, parameters: undefined, fallback, base };
    }
    if (redirect?.value !== undefined)
      return { kind: 'redirect', to: redirect.value.to, status: redirect.value.status };
    const { status, body = '', type = 'text/plain; charset=utf-8' } = reply!.value!;
    return { kind: 'reply', status, body, type };
  }

  #noteParameters({ parameters, files, proxy }: Route, host: string, route: ConfiguredRoute): void {
    if (parameters === undefined || (files === undefined && proxy === undefined)) return;
    const plain = (values: Placed<ReadonlyMap<string, unknown>> | undefined) => Object.fromEntries(values?.value ?? []);
    const own = { script: plain(parameters.value.script), embed: plain(parameters.value.embed) } as Parameters;
    const root = route.action.kind === 'files' ? route.action.root : undefined;
    this.#parameters.push({ at: parameters.at, host, root, own, route });
  }

  /** Where the API is follows from the routes, unless it was said. */
  #writeBaseRoutes(hosts: readonly ConfiguredHost[], publicPort: number): ConfiguredHost[] {
    const written = new Map<ConfiguredRoute, ConfiguredRoute>();
    for (const { at, host, root, own, route } of this.#parameters) {
      const base = apiBaseRoute(host, hosts, publicPort);
      const parameters = withBaseRoute(own, base);
      written.set(route, { ...route, action: { ...route.action, parameters } as Action });
      if (parameters.script.API_BASEROUTE === undefined) {
        this.#warn(
          at,
          'API_BASEROUTE is not set, and the routes do not tell where the API is (one with answers: json)',
        );
      }
      for (const given of [own.script.API_BASEROUTE, own.embed.API_BASEROUTE]) {
        if (given === undefined || leadsToRoute(given, host, hosts, publicPort)) continue;
        const instead = base === undefined ? '' : `; the API is at ${base}`;
        this.#warn(at, `API_BASEROUTE leads to nothing that is served here${instead}`);
      }
      if (root !== undefined) for (const remark of parameterRemarks(root, parameters)) this.#warn(at, remark);
    }
    return hosts.map((host) => ({ ...host, routes: host.routes.map((route) => written.get(route) ?? route) }));
  }

  #warn(at: Place, words: string): void {
    this.#warnings.push(`${at.text} ${words}`);
  }
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

function headerRules(given: Rules | undefined): HeaderRules | undefined {
  if (given === undefined) return undefined;
  const flat = (fields: Rules['set']) =>
    [...(fields ?? [])].flatMap(([name, value]) => (value === undefined ? [] : [name, value]));
  const remove = (given.remove ?? []).map((name) => name.toLowerCase());
  return { remove, set: flat(given.set), add: flat(given.add) };
}

function settingAt(at: Place | undefined, file: string, name: string): Setting {
  return at === undefined ? { place: `${file}:1:1`, name } : { place: at.text, name: at.path };
}

/** True when one socket could not be bound beside the other. */
function meet(one: string | undefined, other: string | undefined): boolean {
  const isAll = (address: string | undefined) => address === undefined || address === '0.0.0.0' || address === '::';
  return one === other || isAll(one) || isAll(other);
}

export function adminOf(file: string, admin: Content['admin']): Pick<Reach, 'admin'> {
  return {
    admin: {
      address: admin?.address?.value ?? '127.0.0.1',
      addressSetting: settingAt(admin?.address?.at, file, 'admin.address'),
      port: admin?.port?.value ?? DEFAULT_ADMIN_PORT,
      setting: settingAt(admin?.port?.at, file, 'admin.port'),
    },
  };
}
