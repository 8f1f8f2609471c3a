// The door of a worker: the active snapshot, the live state that outlives it, and the exchanges under way.

import { Files } from '../files/serve.ts';
import { trustOf } from '../http/forwarded.ts';
import type { Exchange, Transport } from '../model/exchange.ts';
import type { Family } from '../model/measures.ts';
import { Roster } from '../model/roster.ts';
import type { ClientTrust, Endpoint, Host, Limits, Pool, Snapshot } from '../model/snapshot.ts';
import type { Turn } from '../model/turn.ts';
import { type EndpointState, noteReached, noteUnreached } from '../policy/balance.ts';
import { findHost } from '../policy/route.ts';
import { FailedExchanges } from '../telemetry/failed-exchanges.ts';
import type { Log } from '../telemetry/log.ts';
import { gauge, Metrics } from '../telemetry/metrics.ts';
import { Notices } from '../telemetry/notices.ts';
import { abortStalled } from './blame.ts';

/** A snapshot with its tables built. An exchange keeps the one that it started with. */
export interface Active {
  readonly snapshot: Snapshot;
  readonly limits: Limits;
  readonly hosts: ReadonlyMap<string, Host>;
  readonly pools: ReadonlyMap<string, LivePool>;
  readonly isTrusted: (address: string) => boolean;
  readonly isKnownHost: (host: string) => boolean;
  /** By whom clients of this name are vouched for, where they are asked for a certificate; undefined: no host asks. */
  readonly clientTrustOf: ((host: string) => ClientTrust | undefined) | undefined;
}

export interface LivePool {
  readonly pool: Pool;
  readonly states: readonly EndpointState[];
  /** `host:port` of each endpoint, in lower case. */
  readonly authorities: readonly string[];
  /** These, and the Host that they get: what their own redirects may name. */
  readonly innerAuthorities: readonly string[];
  cursor: number;
}

/** Something whose deadline is looked at once a second. */
export interface Watched {
  /** Of the steady clock, in ms; Infinity for none. */
  deadline: number;
  onDeadline(): void;
}

export class Door {
  active: Active;
  /** While its listeners drain: a connection that was told of no end lives on until its next answer tells it. */
  patient = false;
  readonly transport: Transport;
  readonly log: Log;
  readonly metrics = new Metrics();
  readonly failed = new FailedExchanges();
  readonly notices: Notices;
  /** What is served from disk, and what is kept of it. */
  readonly files: Files;
  /** The steady clock, in ms. */
  readonly now: () => number;
  readonly turn: Turn;
  readonly newId: () => string;
  /** Those under way; their deadlines are those of who acts on them. */
  readonly exchanges = new Roster<Exchange>();
  readonly watched = new Roster<Watched>();
  /** Closes each open tunnel. */
  readonly tunnels = new Roster<() => void>();
  readonly #states = new Map<string, EndpointState>();

  constructor(snapshot: Snapshot, transport: Transport, log: Log, now: () => number, turn: Turn, newId: () => string) {
    this.transport = transport;
    this.log = log;
    this.now = now;
    this.turn = turn;
    this.newId = newId;
    this.notices = new Notices(log, now);
    this.files = new Files({ now, wallNow: Date.now });
    this.active = this.#build(snapshot);
  }

  /** From now on new exchanges are served by this snapshot. */
  activate(snapshot: Snapshot): void {
    this.active = this.#build(snapshot);
    this.files.keepOnly(foldersOf(snapshot));
  }

  /**
   * Once a second: whoever is past its deadline is told, clients that do not take the end of their answer are cut, and endpoints
   * that could not be reached are looked at again.
   */
  sweep(): void {
    const now = this.now();
    this.#lookAgain(now);
    for (const each of this.watched) if (each.deadline <= now) each.onDeadline();
    for (const exchange of this.exchanges) {
      if (exchange.acting !== undefined && exchange.acting.deadline <= now) exchange.acting.onDeadline();
      if (!exchange.answered || exchange.status === 101) continue;
      if (exchange.answeredAt === 0) exchange.answeredAt = now;
      else if (now - exchange.answeredAt > (exchange.route?.limits ?? this.active.limits).upstreamIdleTimeout) {
        abortStalled(exchange);
      }
    }
  }

  /** All that was counted, and how things stand now. */
  measures(): Family[] {
    const endpoints = [...this.active.pools.values()].flatMap((each) =>
      each.authorities.map((endpoint, i) => ({
        labels: { pool: each.pool.name, endpoint },
        value: each.states[i]!.failures === 0 ? 1 : 0,
      })),
    );
    const one = (value: number) => [{ labels: {}, value }];
    const inFlight = this.exchanges.size - this.tunnels.size;
    return [
      ...this.metrics.publish(),
      gauge('portico_http_requests_in_flight', 'Requests whose answer is not complete', one(inFlight)),
      gauge('portico_websocket_connections', 'Open websockets', one(this.tunnels.size)),
      gauge('portico_upstream_up', '0 when the last connect to the endpoint failed, for any worker', endpoints, 'min'),
    ];
  }

  /** Where nobody asks for it, an endpoint that is back would be told to be down for ever. */
  #lookAgain(now: number): void {
    for (const { pool, states } of this.active.pools.values()) {
      states.forEach((state, i) => {
        if (state.failures > 0 && state.avoidUntil <= now) this.#probe(state, pool.endpoints[i]!);
      });
    }
  }

  #probe(state: EndpointState, endpoint: Endpoint): void {
    // Until this is known, others are asked first, and it is not looked at twice.
    state.avoidUntil = Number.POSITIVE_INFINITY;
    this.transport.probe(endpoint, (opens) => {
      if (opens) noteReached(state);
      else noteUnreached(state, this.now());
    });
  }

  #build(snapshot: Snapshot): Active {
    const hosts = new Map(snapshot.hosts.map((host) => [host.name, host]));
    return {
      snapshot,
      limits: snapshot.limits,
      hosts,
      pools: new Map(snapshot.pools.map((pool) => [pool.name, this.#livePool(pool)])),
      isTrusted: trustOf(snapshot.trustedProxies),
      isKnownHost: (host) => findHost(hosts, host) !== undefined,
      clientTrustOf: clientTrustsOf(snapshot.clientTrusts ?? [], hosts),
    };
  }

  #livePool(pool: Pool): LivePool {
    const authorities = pool.endpoints.map(({ host, port }) =>
      `${host.includes(':') ? `[${host}]` : host}:${port}`.toLowerCase(),
    );
    const states = authorities.map((authority) => this.#stateOf(authority));
    return { pool, authorities, innerAuthorities: [...authorities, ...hostAuthorities(pool)], states, cursor: 0 };
  }

  #stateOf(authority: string): EndpointState {
    let state = this.#states.get(authority);
    if (state === undefined) {
      state = { avoidUntil: 0, failures: 0 };
      this.#states.set(authority, state);
    }
    return state;
  }
}

/** Those that are served. */
function foldersOf({ hosts }: Snapshot): Set<string> {
  const actions = hosts.flatMap(({ routes }) => routes.map(({ action }) => action));
  return new Set(actions.flatMap((action) => (action.kind === 'files' ? [action.root] : [])));
}

/** The replaced Host of a pool, as `host:port` for each port that it may stand for. */
function hostAuthorities({ host, endpoints }: Pool): string[] {
  if (host === undefined) return [];
  const lower = host.toLowerCase();
  return /:\d+$/.test(lower) ? [lower] : [...new Set(endpoints.map(({ tls }) => `${lower}:${tls ? 443 : 80}`))];
}

function clientTrustsOf(all: readonly ClientTrust[], hosts: ReadonlyMap<string, Host>): Active['clientTrustOf'] {
  if (all.length === 0) return undefined;
  const trusts = new Map(all.map((trust) => [trust.id, trust]));
  return (name) => {
    const auth = findHost(hosts, name)?.clientAuth;
    return auth === undefined ? undefined : trusts.get(auth.trust);
  };
}
