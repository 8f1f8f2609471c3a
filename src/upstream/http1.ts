// The transport over HTTP/1.1: one attempt is one node:http client request on a connection of ours.

import { type Agent, type ClientRequest, type IncomingMessage, request as openRequest } from 'node:http';
import type { Socket } from 'node:net';
import { fieldPairs, firstValue, type Headers } from '../http/headers.ts';
import {
  type Attempt,
  NO_BODY,
  type Receiver,
  type Transport,
  UNTIL_END,
  type UpstreamRequest,
} from '../model/exchange.ts';
import { FAILURES, type Failure } from '../model/failure.ts';
import type { Endpoint, Limits } from '../model/snapshot.ts';
import { Connections, type Seeker } from './connections.ts';
import { Resolver } from './resolver.ts';

/** Heads of answers up to this size, in bytes: an SSO answer with its cookies fits, an attack on our memory does not. */
const MAX_RESPONSE_HEAD = 256 * 1024;

/** Connects to endpoints over HTTP/1.1, plain or TLS, and keeps the connections. */
export class Http1Transport implements Transport {
  readonly #limits: Limits;
  readonly #resolver: Resolver;
  readonly #now: () => number;
  readonly #connections = new Map<string, Connections>();

  constructor(limits: Limits, now: () => number, resolver = new Resolver(now)) {
    this.#limits = limits;
    this.#now = now;
    this.#resolver = resolver;
  }

  open(request: UpstreamRequest, endpoint: Endpoint, receiver: Receiver, fresh: boolean): Attempt {
    return new Http1Attempt(request, this.#connectionsTo(endpoint), receiver, fresh, this.#now);
  }

  /** Once a second. */
  sweep(): void {
    for (const [key, connections] of this.#connections) {
      connections.sweep();
      if (connections.count === 0) this.#connections.delete(key);
    }
  }

  close(): void {
    for (const connections of this.#connections.values()) connections.close();
  }

  #connectionsTo(endpoint: Endpoint): Connections {
    const key = `${endpoint.tls ? 'https' : 'http'}://${endpoint.host}:${endpoint.port}`;
    let connections = this.#connections.get(key);
    if (connections === undefined) {
      connections = new Connections(endpoint, this.#limits, this.#resolver, this.#now);
      this.#connections.set(key, connections);
    }
    return connections;
  }
}

class Http1Attempt implements Attempt, Seeker {
  connected = false;
  reused = false;
  address = '';
  connectTime = -1;
  readonly #request: UpstreamRequest;
  readonly #connections: Connections;
  readonly #receiver: Receiver;
  readonly #now: () => number;
  readonly #startTime: number;
  #client: ClientRequest | undefined;
  #answer: IncomingMessage | undefined;
  #keepAlive: number | undefined;
  /** Nothing is told to the receiver any more. */
  #over = false;

  constructor(
    request: UpstreamRequest,
    connections: Connections,
    receiver: Receiver,
    fresh: boolean,
    now: () => number,
  ) {
    this.#request = request;
    this.#connections = connections;
    this.#receiver = receiver;
    this.#now = now;
    this.#startTime = now();
    const repeatable = request.bodyLength === NO_BODY && (request.method === 'GET' || request.method === 'HEAD');
    const idle = fresh || request.upgrade ? undefined : connections.takeIdle(repeatable);
    if (idle === undefined) connections.seek(this);
    else this.#start(idle, true);
  }

  write(chunk: Uint8Array): boolean {
    return this.#client === undefined || this.#client.destroyed || this.#client.write(chunk);
  }

  end(trailers: Headers): void {
    const client = this.#client;
    if (client === undefined || client.destroyed) return;
    if (trailers.length > 0) client.addTrailers(fieldPairs(trailers));
    client.end();
  }

  pause(): void {
    this.#answer?.pause();
  }

  resume(): void {
    this.#answer?.resume();
  }

  abort(): void {
    this.#over = true;
    this.#connections.leave(this);
    this.#client?.destroy();
  }

  onSocket(socket: Socket, reused: boolean): void {
    if (this.#over) {
      this.#connections.giveBack(socket, undefined);
      return;
    }
    this.#start(socket, reused);
    this.#receiver.onConnected();
  }

  onNoSocket(failure: Failure, detail: string): void {
    this.#fail(failure, detail);
  }

  #start(socket: Socket, reused: boolean): void {
    const { method, target, bodyLength, upgrade } = this.#request;
    this.connected = true;
    this.reused = reused;
    this.address = socket.remoteAddress ?? '';
    this.connectTime = this.#now() - this.#startTime;
    let client: ClientRequest;
    try {
      client = openRequest({
        method,
        path: target,
        headers: framed(this.#request),
        agent: handOver(socket) as Agent,
        maxHeaderSize: MAX_RESPONSE_HEAD,
        insecureHTTPParser: false,
      });
    } catch (error) {
      socket.destroy();
      const detail = `cannot be asked this over HTTP/1.1 (${(error as Error).message})`;
      process.nextTick(() => this.#fail(FAILURES.malformed, detail));
      return;
    }
    this.#client = client;
    // node:http stops listing fields at this number; the size of the head is the limit.
    client.maxHeadersCount = 0;
    client.on('error', (error: NodeJS.ErrnoException) => this.#onError(error));
    client.on('information', (info) => {
      if (!this.#over) this.#receiver.onInform(info.statusCode, info.rawHeaders);
    });
    client.on('response', (answer) => this.#onResponse(answer));
    client.on('drain', () => {
      if (!this.#over) this.#receiver.onDrain();
    });
    client.on('close', () => {
      // With an answer there, its own events tell: what is left of it may still wait to be read.
      if (this.#answer === undefined) this.#fail(FAILURES.lost, 'closed the connection before it answered');
    });
    if (upgrade) client.on('upgrade', (answer, stream: Socket, first) => this.#onUpgrade(answer, stream, first));
    socket.once('free', () => this.#connections.giveBack(socket, this.#keepAlive));
    if (bodyLength === NO_BODY || bodyLength === 0) client.end();
    // The upstream sees the head at once, however late the body comes.
    else client.flushHeaders();
  }

  #onResponse(answer: IncomingMessage): void {
    if (this.#over) {
      answer.resume();
      return;
    }
    this.#answer = answer;
    this.#keepAlive = keepAliveTimeout(answer.rawHeaders);
    answer.on('data', (chunk: Uint8Array) => {
      if (!this.#over) this.#receiver.onChunk(chunk);
    });
    answer.on('end', () => {
      if (this.#over || !answer.complete) return;
      this.#over = true;
      this.#receiver.onEnd(answer.rawTrailers);
    });
    answer.on('error', (error) => this.#onAnswerError(error));
    answer.on('close', () => this.#fail(FAILURES.truncated, 'closed the connection in the middle of its answer'));
    this.#receiver.onHead(answer.statusCode ?? 502, answer.rawHeaders);
  }

  #onUpgrade(answer: IncomingMessage, stream: Socket, first: Uint8Array): void {
    if (this.#over) {
      stream.destroy();
      return;
    }
    this.#over = true;
    this.#receiver.onTunnel(answer.rawHeaders, stream, first);
  }

  #onError(error: NodeJS.ErrnoException): void {
    if (error.code?.startsWith('HPE_') === true) {
      this.#fail(FAILURES.malformedResponse, `answered with what is no valid HTTP (${error.message})`);
    } else if (this.#answer === undefined) {
      this.#fail(FAILURES.lost, `broke the connection off before it answered (${error.message})`);
    } else if (!this.#answer.complete) {
      // A whole answer that waits to be read is not spoilt by what happens to its connection.
      this.#onAnswerError(error);
    }
  }

  #onAnswerError(error: Error): void {
    this.#fail(FAILURES.truncated, `broke off in the middle of its answer (${error.message})`);
  }

  #fail(failure: Failure, detail: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#client?.destroy();
    this.#receiver.onFailure(failure, detail);
  }
}

/** Methods that ordinarily have no body, and for which node:http frames none. */
const BODILESS: readonly string[] = ['GET', 'HEAD', 'DELETE', 'OPTIONS'];

/** The fields as they go out: the end-to-end ones, then what frames this message and this connection. */
function framed(request: UpstreamRequest): Headers {
  const headers = request.headers.slice();
  if (request.upgrade) headers.push('Connection', 'Upgrade', 'Upgrade', 'websocket');
  // RFC 9110 §10.1.4: whoever sends TE nominates it.
  else headers.push('Connection', firstValue(headers, 'te') === undefined ? 'keep-alive' : 'keep-alive, TE');
  if (request.bodyLength >= 0) headers.push('Content-Length', String(request.bodyLength));
  else if (request.bodyLength === UNTIL_END) headers.push('Transfer-Encoding', 'chunked');
  // RFC 9110 §8.6: a method that may expect a body says so when there is none; else some servers answer 411 or wait, and
  // node:http would say "chunked".
  else if (!BODILESS.includes(request.method)) headers.push('Content-Length', '0');
  return headers;
}

/** The part of an http.Agent that ClientRequest calls: it takes the connection that is there, and asks to keep it. */
function handOver(socket: Socket): object {
  return {
    keepAlive: true,
    maxSockets: 1,
    protocol: 'http:',
    defaultPort: 80,
    addRequest: (client: ClientRequest) => client.onSocket(socket),
  };
}

function keepAliveTimeout(headers: Headers): number | undefined {
  const seconds = /(?:^|[,;\s])timeout\s*=\s*(\d{1,6})/i.exec(firstValue(headers, 'keep-alive') ?? '')?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1_000;
}
