// Act by proxy: one exchange carried to an endpoint, tried again only where that is provably safe.

import { type Rewrite, rewriteOf } from '../files/rewrite.ts';
import { firstValue, type Headers } from '../http/headers.ts';
import type { Mapping } from '../http/location.ts';
import { stripPrefix } from '../http/target.ts';
import { writeTraceparent } from '../http/trace-context.ts';
import type { Acting, Attempt, ByteStream, Exchange, Receiver, UpstreamRequest } from '../model/exchange.ts';
import { FAILURES, type Failure } from '../model/failure.ts';
import type { Endpoint, ProxyAction, Route } from '../model/snapshot.ts';
import type { Admitted } from '../policy/admit.ts';
import { noteReached, noteUnreached, pickEndpoint } from '../policy/balance.ts';
import { isTooSlow, underRate } from '../policy/body-rate.ts';
import { largeField, requestHeaders } from '../policy/request-headers.ts';
import { responseHeaders, trailers as safeTrailers } from '../policy/response-headers.ts';
import { mayRetry } from '../policy/retry.ts';
import { askForRewriting } from '../policy/rewriting.ts';
import { isTooLarge, overLimit } from '../policy/screen.ts';
import { increment, type PoolMetrics } from '../telemetry/metrics.ts';
import { relay } from '../upstream/relay.ts';
import { abortStalled, blame } from './blame.ts';
import { Delivery, type Outlet, type OutletReceiver } from './delivery.ts';
import type { Active, Door, LivePool } from './door.ts';
import { fail } from './reply.ts';
import { Rewriting } from './rewriting.ts';
import { settle } from './settle.ts';

/** Attempts for one exchange, all endpoints together. */
const MAX_ATTEMPTS = 4;
/** Where a head is too large for an upstream, its own answer seldom says so. */
const LARGE_FIELD =
  'a request has a field of more than 8 KiB: many upstreams refuse such, often by a 400 without a reason';

export class Forward implements Acting, Receiver, OutletReceiver {
  deadline = Number.POSITIVE_INFINITY;
  readonly #door: Door;
  readonly #exchange: Exchange;
  readonly #route: Route;
  readonly #pool: LivePool;
  readonly #request: UpstreamRequest;
  readonly #mapping: Mapping;
  readonly #metrics: PoolMetrics;
  /** The answer may be changed on its way down. */
  readonly #mayChange: boolean;
  readonly #rewrite: Rewrite | undefined;
  /** What changes it; undefined: it goes down as it comes. */
  #outlet: Outlet | undefined;
  #attempt: Attempt | undefined;
  #attemptStart = 0;
  /** The endpoint of the attempt, by its place in the pool. */
  #index = 0;
  /** A bit for each endpoint that was tried. */
  #tried = 0;
  #attempts = 0;
  #bodyStarted = false;
  /** The request's body has ended; what stood behind it. */
  #requestTrailers: Headers | undefined;
  #answerStarted = false;
  #uploadHeld = false;
  /** The client sends its body when it is told to (RFC 9110 §10.1.1), and the upstream has not said so yet. */
  #awaitsContinue: boolean;
  /** Since when it is not the client's turn to send, and for how long it was not before, in ms: that is not its slowness. */
  #heldAt: number;
  #heldTime = 0;
  #answerHeld = false;
  /** All of the answer has come; what changes it may still hold some. */
  #answerEnded = false;
  #released = false;

  constructor(door: Door, active: Active, exchange: Exchange, route: Route, action: ProxyAction, admitted: Admitted) {
    const { head } = exchange;
    const { publicPort } = active.snapshot;
    const authority = head.authority!;
    this.#door = door;
    this.#exchange = exchange;
    this.#route = route;
    this.#pool = active.pools.get(action.pool)!;
    this.#metrics = door.metrics.pool(action.pool);
    const target = admitted.path === '*' ? '*' : stripPrefix(admitted.path, route.prefix);
    const headers = requestHeaders(head, {
      trusted: exchange.trusted,
      chain: exchange.chain,
      scheme: exchange.origin.scheme,
      authority,
      host: this.#pool.pool.host,
      publicPort,
      prefix: route.prefix,
      requestId: exchange.id,
      traceparent: exchange.beginsTrace ? writeTraceparent(exchange.traceId) : undefined,
      clientFields: exchange.clientFields,
      rules: route.requestRules,
    });
    const large = largeField(headers);
    if (large !== undefined) door.notices.seldom(LARGE_FIELD, { field: large, route: route.name });
    const rewrite =
      action.parameters !== undefined || action.base ? rewriteOf(action, route.prefix, head.method, target) : undefined;
    this.#rewrite = rewrite;
    this.#mayChange = route.compress || rewrite !== undefined;
    this.#awaitsContinue = !exchange.requestEnded && head.protocol !== 'HTTP/1.0' && expectsContinue(head.headers);
    this.#heldAt = exchange.startTime;
    this.#request = {
      // Of parameters the head can only be told by their bytes.
      method: rewrite === undefined || rewrite.kind === 'base' ? head.method : 'GET',
      target,
      headers: rewrite === undefined ? headers : askForRewriting(headers, rewrite.kind),
      bodyLength: head.bodyLength,
      upgrade: head.upgrade,
    };
    this.#mapping = {
      prefix: route.prefix,
      publicAuthority: authority,
      publicHost: admitted.authority.host,
      publicPort,
      innerAuthorities: this.#pool.innerAuthorities,
      isKnownHost: active.isKnownHost,
    };
  }

  start(): void {
    this.#try(false);
  }

  #try(sameEndpoint: boolean): void {
    const pool = this.#pool;
    if (!sameEndpoint) {
      const cursor = this.#attempts === 0 ? pool.cursor : this.#index;
      this.#index = pickEndpoint(pool.states, cursor, this.#tried, this.#door.now());
      if (this.#attempts === 0) pool.cursor = (this.#index + 1) % pool.states.length;
      this.#tried |= 1 << this.#index;
    }
    this.#attempts++;
    const exchange = this.#exchange;
    exchange.upstream = pool.authorities[this.#index]!;
    // Until a connection is there, the body waits with the client: a failed connect then costs nothing.
    if (!exchange.requestEnded) this.#holdUpload();
    // The transport has the deadline of the connect, but a place in its waiting line counts as waiting for the answer.
    this.#attemptStart = this.#door.now();
    this.deadline = this.#attemptStart + this.#route.limits.responseTimeout;
    this.#attempt = this.#door.transport.open(this.#request, this.#endpoint, this, sameEndpoint);
    if (this.#attempt.connected) this.onConnected();
  }

  get #endpoint(): Endpoint {
    return this.#pool.pool.endpoints[this.#index]!;
  }

  // ---- from the downstream side

  onRequestChunk(chunk: Uint8Array): void {
    if (this.#released || this.#answerEnded || this.#exchange.answered) return;
    if (isTooLarge(this.#exchange.bytesIn, this.#route.limits)) {
      this.#end(FAILURES.bodyTooLarge, `the request body has ${overLimit(this.#route.limits)}`);
      return;
    }
    this.#endWait();
    const time = this.#door.now() - this.#exchange.startTime - this.#heldTime;
    if (isTooSlow(this.#exchange.bytesIn, time, this.#route.limits)) {
      this.#end(FAILURES.bodyTooSlow, `the request body came too slowly: ${underRate(this.#route.limits)}`);
      return;
    }
    this.#bodyStarted = true;
    if (!this.#attempt!.write(chunk)) this.#holdUpload();
    this.#moveDeadline();
  }

  onRequestEnd(trailers: Headers): void {
    if (this.#released || this.#answerEnded || this.#exchange.answered) return;
    this.#requestTrailers = safeTrailers(trailers);
    this.#attempt!.end(this.#requestTrailers);
    this.#moveDeadline();
  }

  onDownstreamDrain(): void {
    if (this.#outlet === undefined) this.onRoom();
    else this.#outlet.onDrain();
  }

  release(): void {
    this.#released = true;
    this.#outlet?.stop();
    this.#attempt?.abort();
  }

  // ---- from the upstream side

  onConnected(): void {
    const exchange = this.#exchange;
    const attempt = this.#attempt!;
    noteReached(this.#pool.states[this.#index]!);
    exchange.upstreamAddress = attempt.address;
    exchange.connectTime = attempt.connectTime;
    if (!attempt.reused) this.#metrics.connect.observe(attempt.connectTime / 1_000);
    // An empty body may have ended before there was a connection, or with the attempt before.
    if (this.#requestTrailers !== undefined) attempt.end(this.#requestTrailers);
    this.#letUpload();
    this.#moveDeadline();
  }

  onInform(status: number, headers: Headers): void {
    this.#answerStarted = true;
    // RFC 9110 §15.2: HTTP/1.0 has no interim answers.
    if (this.#exchange.head.protocol === 'HTTP/1.0' || status === 101) return;
    if (status === 100) this.#endWait();
    this.#exchange.downstream.inform(status, responseHeaders(status, headers, this.#mapping, this.#exchange.id));
    this.#moveDeadline();
  }

  onHead(status: number, headers: Headers): void {
    const exchange = this.#exchange;
    this.#answerStarted = true;
    exchange.upstreamStatus = status;
    exchange.firstByteTime = this.#door.now() - exchange.startTime;
    // What is rewritten becomes another answer, to which the rules are applied then.
    const rules = this.#rewrite === undefined ? exchange.responseRules : undefined;
    const fields = responseHeaders(status, headers, this.#mapping, exchange.id, rules);
    if (this.#mayChange) {
      this.#outlet = this.#openOutlet();
      this.#outlet.respond(status, fields);
    } else {
      exchange.status = status;
      exchange.responded = true;
      exchange.downstream.respond(status, fields);
    }
    this.#moveDeadline();
  }

  onChunk(chunk: Uint8Array): void {
    const exchange = this.#exchange;
    if (this.#outlet === undefined) exchange.bytesOut += chunk.length;
    if (!(this.#outlet ?? exchange.downstream).write(chunk)) {
      this.#answerHeld = true;
      this.#attempt!.pause();
    }
    this.#moveDeadline();
  }

  onEnd(trailers: Headers): void {
    const exchange = this.#exchange;
    this.#answerEnded = true;
    this.#metrics.request.observe((this.#door.now() - this.#attemptStart) / 1_000);
    // An upload that is still under way has its answer: the rest goes nowhere, on neither side.
    if (!exchange.requestEnded) this.#attempt!.abort();
    this.#letUpload();
    if (this.#outlet !== undefined) {
      this.#moveDeadline();
      this.#outlet.end(safeTrailers(trailers));
      return;
    }
    exchange.answered = true;
    exchange.downstream.end(safeTrailers(trailers));
    this.onDelivered();
  }

  onDrain(): void {
    this.#letUpload();
    this.#moveDeadline();
  }

  onTunnel(headers: Headers, stream: ByteStream, first: Uint8Array): void {
    const exchange = this.#exchange;
    const fields = responseHeaders(101, headers, this.#mapping, exchange.id, exchange.responseRules);
    const protocol = firstValue(headers, 'upgrade');
    const down = protocol?.toLowerCase() === 'websocket' ? exchange.downstream.tunnel(fields) : undefined;
    if (down === undefined) {
      stream.destroy();
      fail(exchange, FAILURES.malformedResponse, `${this.#hop()} switched to a protocol that nobody asked for`);
      return;
    }
    exchange.upstreamStatus = 101;
    exchange.firstByteTime = this.#door.now() - exchange.startTime;
    exchange.status = 101;
    exchange.responded = true;
    exchange.answered = true;
    this.deadline = Number.POSITIVE_INFINITY;
    if (first.length > 0) down.write(first);
    const close = relay(down, stream, this.#route.limits.tunnelIdleTimeout, (how) => {
      this.#door.tunnels.remove(place);
      exchange.endedBy = how.by;
      exchange.bytesIn += how.up;
      exchange.bytesOut += how.down + first.length;
      if (how.broken) {
        const failure = how.by === 'upstream' ? FAILURES.truncated : FAILURES.clientGone;
        if (failure === FAILURES.truncated) increment(this.#metrics.errors, failure.code);
        blame(exchange, failure, `the websocket was broken off by the ${how.by} side`);
      }
      settle(this.#door, exchange);
    });
    const place = this.#door.tunnels.add(close);
  }

  onFailure(failure: Failure, detail: string): void {
    const exchange = this.#exchange;
    // An endpoint whose line is full is anything but down.
    if (failure.unsent && failure !== FAILURES.busy) {
      noteUnreached(this.#pool.states[this.#index]!, this.#door.now());
    }
    increment(this.#metrics.errors, failure.code);
    const again = mayRetry({
      failure,
      method: exchange.head.method,
      reused: this.#attempt!.reused,
      bodyStarted: this.#bodyStarted,
      answerStarted: this.#answerStarted,
      upgrade: exchange.head.upgrade,
    });
    const untried = pickEndpoint(this.#pool.states, this.#index, this.#tried, this.#door.now()) !== -1;
    if (this.#attempts < MAX_ATTEMPTS && (again === 'fresh-connection' || (again === 'other-endpoint' && untried))) {
      exchange.retries++;
      increment(this.#metrics.retries, failure.code);
      this.#try(again === 'fresh-connection');
      return;
    }
    this.#end(failure, `${this.#hop()} ${detail}`);
  }

  // ---- from what changes the answer

  onRoom(): void {
    if (!this.#answerHeld) return;
    this.#answerHeld = false;
    this.#attempt?.resume();
    this.#moveDeadline();
  }

  onProgress(): void {
    this.#moveDeadline();
  }

  onDelivered(): void {
    // From here on the sweep looks whether the client takes it.
    this.deadline = Number.POSITIVE_INFINITY;
  }

  onUndeliverable(failure: Failure, detail: string): void {
    increment(this.#metrics.errors, failure.code);
    this.#end(failure, `${this.#hop()} ${detail}`);
  }

  #openOutlet(): Outlet {
    const delivery = new Delivery(this.#exchange, this.#route.compress, this);
    if (this.#rewrite === undefined) return delivery;
    return new Rewriting(this.#exchange, this.#rewrite, delivery, this, this.#door.notices);
  }

  /** Nothing moved for too long. Which side is to blame depends on whom we waited for. */
  onDeadline(): void {
    const { limits } = this.#route;
    const exchange = this.#exchange;
    if (this.#answerHeld || this.#answerEnded) {
      this.deadline = Number.POSITIVE_INFINITY;
      this.#attempt?.abort();
      abortStalled(exchange);
    } else if (exchange.upstreamStatus !== 0) {
      const limit = `${limits.upstreamIdleTimeout / 1_000} s (limit upstream.idleTimeout)`;
      increment(this.#metrics.errors, FAILURES.upstreamIdle.code);
      this.#end(FAILURES.upstreamIdle, `${this.#hop()} has sent nothing for ${limit}`);
    } else if (!exchange.requestEnded && !this.#isKept) {
      const limit = `${limits.bodyTimeout / 1_000} s (limit downstream.bodyTimeout)`;
      this.#end(FAILURES.bodyTimeout, `the request body stood still for ${limit}`);
    } else {
      const limit = `${limits.responseTimeout / 1_000} s (limit upstream.responseTimeout)`;
      increment(this.#metrics.errors, FAILURES.responseTimeout.code);
      this.#end(FAILURES.responseTimeout, `${this.#hop()} did not begin to answer within ${limit}`);
    }
  }

  #end(failure: Failure, detail: string): void {
    this.deadline = Number.POSITIVE_INFINITY;
    this.#attempt?.abort();
    this.#outlet?.stop();
    this.#letUpload();
    fail(this.#exchange, failure, detail);
  }

  #moveDeadline(): void {
    const { limits } = this.#route;
    const exchange = this.#exchange;
    if (exchange.answered) return;
    const isAnswering = exchange.upstreamStatus !== 0;
    const waitsForClient = !isAnswering && !exchange.requestEnded && !this.#isKept;
    const span = isAnswering
      ? limits.upstreamIdleTimeout
      : waitsForClient
        ? limits.bodyTimeout
        : limits.responseTimeout;
    this.deadline = this.#door.now() + span;
  }

  /** It is not the client's turn to send. */
  get #isKept(): boolean {
    return this.#uploadHeld || this.#awaitsContinue;
  }

  #holdUpload(): void {
    if (this.#uploadHeld) return;
    if (!this.#isKept) this.#heldAt = this.#door.now();
    this.#uploadHeld = true;
    this.#exchange.downstream.pause();
  }

  #letUpload(): void {
    if (!this.#uploadHeld) return;
    this.#uploadHeld = false;
    if (!this.#isKept) this.#heldTime += this.#door.now() - this.#heldAt;
    this.#exchange.downstream.resume();
  }

  /** The client was told to send its body, or does so without a word. */
  #endWait(): void {
    if (!this.#awaitsContinue) return;
    this.#awaitsContinue = false;
    if (!this.#isKept) this.#heldTime += this.#door.now() - this.#heldAt;
  }

  /** The hop, as people know it: `the backend (backend:80)`. */
  #hop(): string {
    return `the ${this.#pool.pool.name} (${this.#pool.authorities[this.#index]})`;
  }
}

function expectsContinue(headers: Headers): boolean {
  return firstValue(headers, 'expect')?.toLowerCase() === '100-continue';
}
