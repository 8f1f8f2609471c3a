// A door in the test's own process: a snapshot written by hand, real listeners on loopback, and its access lines in a list.

import { randomBytes, randomUUID } from 'node:crypto';
import { type OpenListener, openListener } from '../../src/downstream/listener.ts';
import { buildCertificateTable } from '../../src/downstream/tls.ts';
import {
  type Certificate,
  type ClientTrust,
  type Endpoint,
  freeze,
  type Host,
  LIMITS,
  type Limits,
  type Listener,
  type ProxyAction,
  type Route,
  type RouteLimits,
  type Snapshot,
} from '../../src/model/snapshot.ts';
import { Turn } from '../../src/model/turn.ts';
import { Door } from '../../src/proxy/door.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { Http1Transport } from '../../src/upstream/http1.ts';
import { Resolver } from '../../src/upstream/resolver.ts';
import { makeAuthority, makeCertificate } from './certificates.ts';

/** The one host of a test door: `/_api` (stripped) is the backend's, all else the frontend's. */
export const HOST = 'door.test';
/** What redirects and mapped Locations name. */
export const PUBLIC_PORT = 443;

export interface DoorOptions {
  readonly frontend: readonly Endpoint[];
  readonly backend: readonly Endpoint[];
  readonly limits?: Partial<Limits>;
  readonly trustedProxies?: readonly string[];
  readonly resolver?: Resolver;
  /** In place of the two. */
  readonly routes?: readonly TestRoute[];
  readonly frontendHost?: string;
  /** In place of one for HOST. */
  readonly certificates?: readonly Certificate[];
  /** Of the TLS listener. */
  readonly tls?: Partial<Pick<Listener, 'tlsPolicy' | 'strictSni'>>;
  /** Hosts beside HOST, with the same routes. */
  readonly otherHosts?: readonly Pick<Host, 'name' | 'clientAuth'>[];
  readonly clientTrusts?: readonly ClientTrust[];
  /** Of all listeners. */
  readonly proxyProtocol?: readonly string[];
  /** How often deadlines are looked at, in ms: once a second, as a worker does. */
  readonly sweepEvery?: number;
}

/** A route, with what differs from the limits of the door. */
export interface TestRoute extends Omit<Route, 'limits'> {
  readonly limits?: Partial<RouteLimits>;
}

export interface TestDoor {
  readonly plainPort: number;
  readonly tlsPort: number;
  readonly redirectPort: number;
  readonly ca: string;
  /** Access lines, parsed. */
  readonly lines: Record<string, unknown>[];
  readonly door: Door;
  /** How many connections are open. */
  readonly connections: number;
  /** What a worker does with a new snapshot. */
  reload(change: Partial<Snapshot>): void;
  /** What a worker does when it is told to stop. */
  drain(): void;
  close(): void;
}

export interface TestIdentity {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

let identity: Promise<TestIdentity> | undefined;

/** One authority and certificate for all doors of a test file. */
export function testIdentity(): Promise<TestIdentity> {
  identity ??= makeIdentity();
  return identity;
}

async function makeIdentity(): Promise<TestIdentity> {
  const authority = await makeAuthority();
  const leaf = await makeCertificate({ names: [HOST], issuer: authority });
  return { ca: authority.certificate, certificate: leaf.certificate, key: leaf.key };
}

/** An endpoint on loopback. */
export function local(port: number, host = '127.0.0.1'): Endpoint {
  return { host, port, tls: false };
}

/** A route to a pool of openDoor's, as plain as can be but for `more`. */
export function proxyRoute(
  name: string,
  prefix: string,
  pool: 'frontend' | 'backend',
  more: Partial<Omit<Route, 'name' | 'action' | 'limits'> & Pick<ProxyAction, 'parameters' | 'base'>> = {},
): TestRoute {
  const { parameters, base = false, ...rest } = more;
  const action: ProxyAction = { kind: 'proxy', pool, base, ...(parameters === undefined ? {} : { parameters }) };
  const answers = pool === 'backend' ? 'json' : 'page';
  return { name, path: prefix, prefix, action, answers, compress: false, ...rest };
}

export async function openDoor(options: DoorOptions): Promise<TestDoor> {
  const { ca, certificate, key } = await testIdentity();
  const lines: Record<string, unknown>[] = [];
  const log = createLog('info', {
    put: (line) => lines.push(JSON.parse(line) as Record<string, unknown>),
    flush: () => Promise.resolve(),
  });
  const now = () => performance.now();
  const limits = { ...LIMITS, ...options.limits };
  const snapshot: Snapshot = freeze({
    generation: 1,
    listeners: [listen('plain'), { ...listen('tls'), ...options.tls }, listen('redirect')].map((each) => ({
      ...each,
      ...(options.proxyProtocol === undefined ? {} : { proxyProtocol: options.proxyProtocol }),
    })),
    hosts: [{ name: HOST }, ...(options.otherHosts ?? [])].map((host) => ({
      ...host,
      routes: (options.routes ?? [proxyRoute('api', '/_api', 'backend'), proxyRoute('site', '', 'frontend')]).map(
        (route) => ({ ...route, limits: { ...limits, ...route.limits } }),
      ),
    })),
    ...(options.clientTrusts === undefined ? {} : { clientTrusts: options.clientTrusts }),
    pools: [
      {
        ...{ name: 'frontend', endpoints: options.frontend },
        ...(options.frontendHost === undefined ? {} : { host: options.frontendHost }),
      },
      { name: 'backend', endpoints: options.backend },
    ],
    certificates: options.certificates ?? [{ names: [HOST], chain: certificate, key }],
    ticketKeys: randomBytes(48),
    trustedProxies: options.trustedProxies ?? [],
    publicPort: PUBLIC_PORT,
    limits,
    logLevel: 'info',
    logFormat: 'json',
  });
  const turn = new Turn((run) => setImmediate(run));
  const transport = new Http1Transport(limits, now, turn, options.resolver ?? new Resolver(now));
  const door = new Door(snapshot, transport, log, now, turn, randomUUID);
  const table = buildCertificateTable(snapshot);
  const open: OpenListener[] = [];
  for (const listener of snapshot.listeners) {
    open.push(await openListener(door, listener, snapshot, table, false));
  }
  const timer = setInterval(() => {
    door.sweep();
    transport.sweep();
  }, options.sweepEvery ?? 1_000);
  return {
    plainPort: open[0]!.port,
    tlsPort: open[1]!.port,
    redirectPort: open[2]!.port,
    ca,
    lines,
    door,
    get connections() {
      return open.reduce((sum, { connections }) => sum + connections, 0);
    },
    reload: (change) => {
      const next = freeze({ ...door.active.snapshot, ...change });
      door.activate(next);
      for (const [i, listener] of next.listeners.entries()) open[i]!.renew(listener, next, buildCertificateTable(next));
    },
    drain: () => {
      for (const listener of open) listener.drain(false);
    },
    close: () => {
      clearInterval(timer);
      for (const close of door.tunnels) close();
      for (const listener of open) listener.close();
      transport.close();
    },
  };
}

function listen(kind: Listener['kind']): Listener {
  return { name: kind, kind, address: '127.0.0.1', port: 0, tlsPolicy: 'intermediate', strictSni: false };
}
