// `portico explain URL`: which listener, host, route and action a request would get, from the configuration alone.

import { readAuthority, readTarget, stripPrefix } from '../http/target.ts';
import { findHost, findRoute } from '../policy/route.ts';
import type { Configuration, ConfiguredHost, ConfiguredRoute, Environment } from './configuration.ts';
import { LIMIT_SETTINGS, writeLimit } from './limits.ts';
import { ConfigError } from './problem.ts';
import { Secrets } from './secrets.ts';
import { MASKED } from './shape.ts';
import { sourceOf } from './source.ts';
import { writeEndpoint } from './values.ts';

export function explain(url: string, file: string | undefined, environment: Environment): number {
  try {
    const configuration = sourceOf(file, environment).load();
    const secrets = new Secrets(configuration);
    process.stdout.write(
      explanation(url, configuration)
        .map((line) => `${secrets.hide(line)}\n`)
        .join(''),
    );
    return 0;
  } catch (error) {
    const words =
      error instanceof ConfigError ? `the configuration is wrong:\n${error.message}` : (error as Error).message;
    process.stderr.write(`portico: ${words}\n`);
    return 1;
  }
}

/** The way of a request, a line a step. Throws when the URL is none. */
export function explanation(url: string, configuration: Configuration): string[] {
  // A websocket takes the way of its http request, and what is behind # stays in the browser.
  const parts = /^(?:(?:http|ws)(s?):\/\/)?([^/?#]+)([/?][^#]*)?(?:#.*)?$/i.exec(url);
  const authority = parts === null ? undefined : readAuthority(parts[2]!);
  if (parts === null || authority === undefined)
    throw new Error(`"${url}" is no URL of a site: give https://host/path`);
  const scheme = parts[1] === '' ? 'http' : 'https';
  const given = parts[3] ?? '/';
  const target = readTarget('GET', given.startsWith('/') ? given : `/${given}`);
  if (typeof target === 'string') return [`answer     400: ${target}`];
  const { host: name } = authority;
  const { path } = target;

  const lines = listenerLines(configuration, scheme);
  const hosts = new Map(configuration.hosts.map((host) => [host.name, host]));
  const host = findHost(hosts, name);
  if (host === undefined)
    return [
      ...lines,
      `host       none: no site is named ${name}`,
      'answer     404 (421 on a connection for another name)',
    ];
  lines.push(`host       ${host.name}`);
  if (scheme === 'http' && !configuration.listeners.some(({ kind }) => kind === 'plain')) {
    const port = configuration.publicPort === 443 ? '' : `:${configuration.publicPort}`;
    return [...lines, `answer     301 (308 for other methods than GET and HEAD): https://${name}${port}${path}`];
  }
  if (scheme === 'http' && host.clientAuth !== undefined) {
    return [...lines, 'answer     421: this host asks for a client certificate, and without TLS there is none'];
  }
  lines.push(...clientLines(host));
  const route = findRoute(host, path);
  if (route === undefined) return [...lines, 'route      none is for this path', 'answer     404'];
  lines.push(`route      ${route.name} (path ${route.path === '' ? '/' : route.path})`);
  lines.push(...actionLines(configuration, route, name, stripPrefix(path, route.prefix)));
  lines.push(...limitLines(configuration, route));
  return lines;
}

function listenerLines({ listeners }: Configuration, scheme: string): string[] {
  const kinds = scheme === 'https' ? ['tls'] : ['plain', 'redirect'];
  const fitting = listeners.filter(({ kind }) => kinds.includes(kind));
  if (fitting.length === 0) return [`listener   none speaks ${scheme}`];
  return fitting.map(({ name, kind, address, port, proxyProtocol }) => {
    const senders = proxyProtocol === undefined ? '' : `, behind a PROXY header from ${proxyProtocol.join(', ')}`;
    return `listener   ${name}: ${kind}, ${address ?? 'all addresses'} port ${port}${senders}`;
  });
}

function clientLines({ clientAuth }: ConfiguredHost): string[] {
  if (clientAuth === undefined) return [];
  const { files, required, forward } = clientAuth;
  const revocations = files.crl === undefined ? '' : `, unless revoked in ${files.crl.file}`;
  const told = {
    none: 'not told',
    certificate: 'told by Client-Cert',
    chain: 'told by Client-Cert and Client-Cert-Chain',
  };
  const mode = required ? 'required' : 'optional';
  return [`client     certificate ${mode}: vouched for by ${files.ca.file}${revocations}; pools are ${told[forward]}`];
}

function actionLines(configuration: Configuration, route: ConfiguredRoute, host: string, path: string): string[] {
  const { action } = route;
  switch (action.kind) {
    case 'proxy': {
      const pool = configuration.pools.find((each) => each.name === action.pool)!;
      return [
        `action     proxy to the pool ${pool.name}: ${pool.endpoints.map(writeEndpoint).join(', ') || 'the demo itself'}`,
        `upstream   ${path} with Host ${pool.host ?? host}`,
      ];
    }
    case 'files':
      return [
        `action     files of ${action.root}${action.fallback ? ', index.html for navigations elsewhere' : ''}`,
        `file       ${path.split('?')[0]}`,
      ];
    case 'redirect':
      return [`action     redirect ${action.status ?? '301 or 308'} to ${shownTarget(configuration, action.to)}`];
    case 'reply':
      return [`action     reply ${action.status}, ${action.type}`];
  }
}

function shownTarget(configuration: Configuration, to: string): string {
  return new Secrets(configuration).isInTarget(to) ? MASKED : to;
}

/** Those that differ from route to route; what the route says itself is marked. */
function limitLines({ limits }: Configuration, route: ConfiguredRoute): string[] {
  return LIMIT_SETTINGS.filter((setting) => setting.perRoute).map((setting) => {
    const own = (route.limits as Partial<Record<string, number>>)[setting.field];
    const value = own ?? limits[setting.field];
    const written = value === 0 ? 'none' : writeLimit(setting, value);
    return `limit      ${setting.key}: ${written}${own === undefined ? '' : ' (of the route)'}`;
  });
}
