// What llhttp (strict, as node:http uses it) reads in some bytes: connections without sockets, so that thousands of cases take seconds.

import { ClientRequest, createServer, type IncomingMessage, type Server } from 'node:http';
import { Duplex } from 'node:stream';
import type { Headers } from '../../src/http/headers.ts';
import { countOf, firstValue } from '../../src/http/headers.ts';
import type { Asked, ReadMessage } from './codec.ts';

export interface Llhttp {
  readonly messages: ReadMessage[];
  /** A 101, an upgrade or a CONNECT: what follows it is no HTTP. */
  tunnel: boolean;
  /** What came behind the head of the tunnel, as latin1. */
  rest: string;
  /** `HPE_INVALID_HEADER_TOKEN`; '' while all was well. */
  error: string;
}

/** A stream that nobody is at the other end of: bytes arrive by `emit('data')`, and are parsed before that returns. */
class Wire extends Duplex {
  constructor() {
    super({ emitClose: false });
    this.on('error', () => {});
  }

  override _read(): void {}

  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    done();
  }
}

/** Reads requests. `close` when all is done. */
export class LlhttpServer {
  readonly #server: Server;
  #seen: Llhttp = nothing();

  constructor() {
    this.#server = createServer({
      insecureHTTPParser: false,
      requireHostHeader: false,
      maxHeaderSize: 256 * 1024,
      // The same choice as the product's, so that only the reading of bytes is compared.
      shouldUpgradeCallback: (request: IncomingMessage) =>
        request.method === 'GET' &&
        request.httpVersionMinor === 1 &&
        countOf(request.rawHeaders, 'upgrade') === 1 &&
        firstValue(request.rawHeaders, 'upgrade')!.toLowerCase() === 'websocket' &&
        countOf(request.rawHeaders, 'content-length') + countOf(request.rawHeaders, 'transfer-encoding') === 0,
    });
    this.#server.maxHeadersCount = 0;
    const onRequest = (request: IncomingMessage) => {
      const start = `${request.method} ${request.url} HTTP/${request.httpVersion}`;
      this.#seen.messages.push(follow(request, start));
    };
    const onTunnel = (request: IncomingMessage, _socket: unknown, first: Buffer) => {
      onRequest(request);
      this.#seen.messages.at(-1)!.complete = false;
      this.#seen.tunnel = true;
      this.#seen.rest = first.toString('latin1');
    };
    this.#server.on('request', onRequest);
    this.#server.on('checkContinue', onRequest);
    this.#server.on('checkExpectation', onRequest);
    this.#server.on('upgrade', onTunnel);
    this.#server.on('connect', onTunnel);
    this.#server.on('clientError', (error: NodeJS.ErrnoException) => {
      this.#seen.error ||= error.code ?? error.message;
    });
  }

  read(bytes: string): Llhttp {
    const seen = nothing();
    this.#seen = seen;
    const wire = new Wire();
    this.#server.emit('connection', wire);
    wire.emit('data', Buffer.from(bytes, 'latin1'));
    wire.destroy();
    return seen;
  }

  close(): void {
    this.#server.close();
  }
}

/** Reads the response to `asked` out of bytes that come one after another; resolves with what was known after each. */
export async function readResponseByLlhttp(pieces: readonly string[], ended: boolean, asked: Asked): Promise<Llhttp[]> {
  const wire = new Wire();
  const seen = nothing();
  const request = new ClientRequest({
    method: asked.method,
    headers: asked.upgrade ? ['Host', 'a', 'Connection', 'Upgrade', 'Upgrade', 'websocket'] : ['Host', 'a'],
    // The part of an agent that a request calls: the connection is there.
    agent: {
      protocol: 'http:',
      defaultPort: 80,
      addRequest: (asking: ClientRequest) => asking.onSocket(wire as never),
    },
    maxHeaderSize: 256 * 1024,
    insecureHTTPParser: false,
  } as never);
  request.maxHeadersCount = 0;
  request.on('error', (error: NodeJS.ErrnoException) => {
    seen.error ||= error.code ?? error.message;
  });
  request.on('information', (info) => {
    const start = `HTTP/${info.httpVersion} ${info.statusCode}`;
    seen.messages.push(message(start, info.rawHeaders, true));
  });
  request.on('response', (response) => {
    seen.messages.push(follow(response, `HTTP/${response.httpVersion} ${response.statusCode}`));
  });
  if (asked.upgrade) {
    request.on('upgrade', (response, _socket, first) => {
      seen.messages.push(message(`HTTP/${response.httpVersion} ${response.statusCode}`, response.rawHeaders, true));
      seen.tunnel = true;
      seen.rest = first.toString('latin1');
    });
  }
  request.end();
  await new Promise((resolve) => setImmediate(resolve));
  const states: Llhttp[] = [];
  for (const piece of pieces) {
    if (piece !== '') wire.emit('data', Buffer.from(piece, 'latin1'));
    states.push({ ...seen, messages: seen.messages.map((each) => ({ ...each })) });
  }
  if (ended) {
    wire.emit('end');
    states.push({ ...seen, messages: seen.messages.map((each) => ({ ...each })) });
  }
  request.destroy();
  return states;
}

/** Takes a message's body at once, where its stream would hand it out later. */
function follow(incoming: IncomingMessage, start: string): ReadMessage {
  const read = message(start, incoming.rawHeaders, false);
  incoming.push = (chunk: Buffer | null) => {
    if (chunk !== null) {
      read.body += chunk.toString('latin1');
    } else if (incoming.complete) {
      read.complete = true;
      read.trailers = [...incoming.rawTrailers];
    }
    return true;
  };
  return read;
}

function message(start: string, headers: Headers, interim: boolean): ReadMessage {
  return {
    start,
    headers: [...headers],
    body: '',
    trailers: [],
    complete: interim,
    keepAlive: true,
    interim,
    untilClose: false,
  };
}

function nothing(): Llhttp {
  return { messages: [], tunnel: false, rest: '', error: '' };
}
