// The metrics of a worker: counted in integers on the way of a request, named only when they are published.

import type { Family, Value } from '../model/measures.ts';

/** Upper bounds of duration buckets, in seconds: long queries are ordinary here. */
export const DURATION_BUCKETS = Object.freeze([
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300,
]);
/** And for connects. */
const CONNECT_BUCKETS = Object.freeze([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]);

/** Methods that get a label of their own; a client may send any token, and labels must stay few. */
const METHODS: readonly string[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
const CODES = 1_000;

/** Where a client was when it left. */
export type AbortPhase = 'request' | 'waiting' | 'response' | 'websocket';

/** A distribution of durations. */
export class Histogram {
  readonly #bounds: readonly number[];
  /** One more than bounds: what is above the last. */
  readonly #counts: number[];
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Array<number>(bounds.length + 1).fill(0);
  }

  /** In seconds. */
  observe(seconds: number): void {
    let i = 0;
    while (i < this.#bounds.length && seconds > this.#bounds[i]!) i++;
    this.#counts[i] = this.#counts[i]! + 1;
    this.#sum += seconds;
  }

  publish(name: string, labels: Readonly<Record<string, string>>): Value[] {
    const values: Value[] = [];
    let cumulative = 0;
    for (let i = 0; i <= this.#bounds.length; i++) {
      cumulative += this.#counts[i]!;
      const le = i < this.#bounds.length ? this.#bounds[i]! : '+Inf';
      values.push({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: cumulative });
    }
    values.push({ metricName: `${name}_sum`, labels, value: this.#sum });
    values.push({ metricName: `${name}_count`, labels, value: cumulative });
    return values;
  }
}

/** What is counted for a route on a listener. */
export class RouteMetrics {
  readonly listener: string;
  readonly route: string;
  readonly duration = new Histogram(DURATION_BUCKETS);
  /** Requests by `method index * CODES + status`. */
  readonly codes = new Map<number, number>();
  bytesIn = 0;
  bytesOut = 0;

  constructor(listener: string, route: string) {
    this.listener = listener;
    this.route = route;
  }

  count(method: string, status: number, seconds: number): void {
    const index = METHODS.indexOf(method);
    const key = (index === -1 ? METHODS.length : index) * CODES + status;
    this.codes.set(key, (this.codes.get(key) ?? 0) + 1);
    this.duration.observe(seconds);
  }
}

/** What is counted for a pool. */
export class PoolMetrics {
  readonly pool: string;
  readonly request = new Histogram(DURATION_BUCKETS);
  readonly connect = new Histogram(CONNECT_BUCKETS);
  /** By the failure's code. */
  readonly retries = new Map<string, number>();
  readonly errors = new Map<string, number>();

  constructor(pool: string) {
    this.pool = pool;
  }
}

/** All that a worker counts. Names of routes, pools and listeners come from the configuration, so series are bounded. */
export class Metrics {
  readonly #routes = new Map<string, Map<string, RouteMetrics>>();
  readonly #pools = new Map<string, PoolMetrics>();
  /** By listener, and by the failure's code. */
  readonly #rejections = new Map<string, Map<string, number>>();
  readonly #aborts = new Map<AbortPhase, number>();
  readonly #handshakes = new Map<string, [full: number, resumed: number]>();

  /** The counters of a route; the same object for the same names. */
  route(listener: string, route: string): RouteMetrics {
    let routes = this.#routes.get(listener);
    if (routes === undefined) {
      routes = new Map();
      this.#routes.set(listener, routes);
    }
    let metrics = routes.get(route);
    if (metrics === undefined) {
      metrics = new RouteMetrics(listener, route);
      routes.set(route, metrics);
    }
    return metrics;
  }

  pool(name: string): PoolMetrics {
    let metrics = this.#pools.get(name);
    if (metrics === undefined) {
      metrics = new PoolMetrics(name);
      this.#pools.set(name, metrics);
    }
    return metrics;
  }

  reject(listener: string, reason: string): void {
    let reasons = this.#rejections.get(listener);
    if (reasons === undefined) {
      reasons = new Map();
      this.#rejections.set(listener, reasons);
    }
    increment(reasons, reason);
  }

  abort(phase: AbortPhase): void {
    increment(this.#aborts, phase);
  }

  handshake(version: string, resumed: boolean): void {
    let counts = this.#handshakes.get(version);
    if (counts === undefined) {
      counts = [0, 0];
      this.#handshakes.set(version, counts);
    }
    counts[resumed ? 1 : 0]++;
  }

  publish(): Family[] {
    const routes = [...this.#routes.values()].flatMap((each) => [...each.values()]);
    const pools = [...this.#pools.values()];
    const counter = (name: string, help: string, values: readonly Value[]): Family => ({
      name,
      help,
      type: 'counter',
      aggregator: 'sum',
      values,
    });
    const histogram = (name: string, help: string, values: readonly Value[]): Family => ({
      name,
      help,
      type: 'histogram',
      aggregator: 'sum',
      values,
    });
    const byPool = (name: string, pick: (pool: PoolMetrics) => Histogram) =>
      pools.flatMap((each) => pick(each).publish(name, { pool: each.pool }));
    const byReason = (pick: (pool: PoolMetrics) => ReadonlyMap<string, number>) =>
      pools.flatMap((each) =>
        [...pick(each)].map(([reason, value]) => ({ labels: { pool: each.pool, reason }, value })),
      );
    const perRoute = (value: (route: RouteMetrics) => number) =>
      routes.map((each) => ({ labels: { listener: each.listener, route: each.route }, value: value(each) }));
    const duration = 'portico_http_request_duration_seconds';
    return [
      counter(
        'portico_http_requests_total',
        'Requests answered, by the name of their route',
        routes.flatMap(publishCodes),
      ),
      histogram(
        duration,
        'Time from the request head to the last byte of the answer; of a websocket, until it opened',
        routes.flatMap((each) => each.duration.publish(duration, { listener: each.listener, route: each.route })),
      ),
      counter(
        'portico_http_rejections_total',
        'Connections refused because what came could not be read as a request, by the failure',
        [...this.#rejections].flatMap(([listener, reasons]) =>
          [...reasons].map(([reason, value]) => ({ labels: { listener, reason }, value })),
        ),
      ),
      counter(
        'portico_http_request_body_bytes_total',
        'Bytes of request bodies and of websockets going up',
        perRoute((each) => each.bytesIn),
      ),
      counter(
        'portico_http_response_body_bytes_total',
        'Bytes of answers and of websockets coming down',
        perRoute((each) => each.bytesOut),
      ),
      histogram(
        'portico_upstream_request_duration_seconds',
        'Time from the start of an attempt to the end of its answer',
        byPool('portico_upstream_request_duration_seconds', (each) => each.request),
      ),
      histogram(
        'portico_upstream_connect_duration_seconds',
        'Time to open a connection to an endpoint; kept connections are not counted',
        byPool('portico_upstream_connect_duration_seconds', (each) => each.connect),
      ),
      counter(
        'portico_upstream_retries_total',
        'Attempts made again, by the failure before',
        byReason((each) => each.retries),
      ),
      counter(
        'portico_upstream_errors_total',
        'Attempts that failed, by the failure',
        byReason((each) => each.errors),
      ),
      counter(
        'portico_client_aborts_total',
        'Clients that left before their answer was complete, by what they were waiting for',
        [...this.#aborts].map(([phase, value]) => ({ labels: { phase }, value })),
      ),
      counter(
        'portico_tls_handshakes_total',
        'TLS handshakes completed',
        [...this.#handshakes].flatMap(([version, [full, resumed]]) => [
          { labels: { version, resumed: 'false' }, value: full },
          { labels: { version, resumed: 'true' }, value: resumed },
        ]),
      ),
    ];
  }
}

/** Adds one. */
export function increment<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function publishCodes(each: RouteMetrics): Value[] {
  return [...each.codes].map(([key, value]) => ({
    labels: {
      listener: each.listener,
      route: each.route,
      method: METHODS[Math.floor(key / CODES)] ?? 'other',
      code: String(key % CODES),
    },
    value,
  }));
}

/** A gauge of one worker, to be summed unless told otherwise. */
export function gauge(
  name: string,
  help: string,
  values: readonly Value[],
  aggregator: Family['aggregator'] = 'sum',
): Family {
  return { name, help, type: 'gauge', aggregator, values };
}
