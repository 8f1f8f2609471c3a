// An upstream that writes down every request as it came, and answers as the request's path tells it to.

import { createHash, type Hash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Test } from 'tap';
import { WebSocketServer } from 'ws';
import type { Headers } from '../../src/http/headers.ts';
import { answerTo, FIXED_DATE, queryOf, steps } from './recorder-answers.ts';

/** A request as this upstream saw it. */
export interface Recorded {
  readonly method: string;
  readonly target: string;
  readonly protocol: string;
  /** Names in their spelling, order and duplicates kept. */
  readonly headers: Headers;
  readonly upgrade: boolean;
  /** The first 64 KiB and a chunk, to be echoed. */
  readonly body: Buffer[];
  bodyBytes: number;
  bodySha256: string;
  trailers: Headers;
  /** What this upstream answered, for comparing it with what arrived. */
  answered: { status: number; headers: Headers } | undefined;
  /** The answer did not wait for the body: how much of it came is chance. */
  answeredEarly: boolean;
  /** Text messages of a websocket. */
  readonly messages: string[];
  /** How its websocket closed. */
  closeCode: number | undefined;
  /** Settles when the request is over: the body has come and the answer is sent, or either was broken off. */
  readonly ended: Promise<'complete' | 'aborted'>;
}

export interface Recorder {
  readonly port: number;
  /** `127.0.0.1:port`, as a *_SERVICE variable takes it. */
  readonly service: string;
  readonly records: Recorded[];
  /** Forgets what came so far. */
  clear(): void;
  close(): Promise<void>;
}

/** Starts one; it ends with the test. */
export async function startRecorder(t: Test): Promise<Recorder> {
  const records: Recorded[] = [];
  const server = createServer({ maxHeaderSize: 256 * 1024, keepAliveTimeout: 30_000, requestTimeout: 0 });
  const websockets = new WebSocketServer({ noServer: true, handleProtocols: (offered) => [...offered][0] ?? false });
  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    const record = recordRequest(request, records, false);
    response.sendDate = false;
    answerTo({ request, response, record, ...steps(request.url ?? '/') });
  };
  server.on('request', onRequest);
  // 100 Continue is one of the answers that the path steers.
  server.on('checkContinue', onRequest);
  server.on('upgrade', (request, socket, head) => {
    onUpgrade(request, socket, head, recordRequest(request, records, true), websockets);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = () => closeServer(server, websockets);
  t.teardown(close);
  return { port, service: `127.0.0.1:${port}`, records, clear: () => records.splice(0), close };
}

/** The values of a field, name in lower case. */
export function seenValues(record: Recorded, name: string): string[] {
  return record.headers.filter((_value, i) => i % 2 === 1 && record.headers[i - 1]!.toLowerCase() === name);
}

function recordRequest(request: IncomingMessage, records: Recorded[], upgrade: boolean): Recorded {
  const hash = createHash('sha256');
  const record: Recorded = {
    method: request.method ?? '',
    target: request.url ?? '',
    protocol: `HTTP/${request.httpVersion}`,
    headers: [...request.rawHeaders],
    upgrade,
    body: [],
    bodyBytes: 0,
    bodySha256: '',
    trailers: [],
    answered: undefined,
    answeredEarly: false,
    messages: [],
    closeCode: undefined,
    ended: upgrade ? Promise.resolve('complete') : endOf(request),
  };
  records.push(record);
  if (!upgrade) recordBody(request, record, hash);
  return record;
}

function recordBody(request: IncomingMessage, record: Recorded, hash: Hash): void {
  request.on('data', (chunk: Buffer) => {
    if (record.bodyBytes < 65_536) record.body.push(chunk);
    record.bodyBytes += chunk.length;
    hash.update(chunk);
  });
  request.on('end', () => {
    record.trailers = [...request.rawTrailers];
    record.bodySha256 = hash.digest('hex');
  });
  request.on('error', () => {});
}

function endOf(request: IncomingMessage): Promise<'complete' | 'aborted'> {
  return new Promise((resolve) => {
    const settle = () => {
      request.socket.off('close', settle);
      resolve(request.complete ? 'complete' : 'aborted');
    };
    request.on('close', settle);
    // A request whose answer was sent before its body came is forgotten by node:http and never closes.
    request.socket.on('close', settle);
  });
}

function onUpgrade(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  record: Recorded,
  websockets: WebSocketServer,
): void {
  socket.on('error', () => {});
  const { name, query } = steps(request.url ?? '/');
  if (name !== 'ws' || query.has('refuse')) {
    const body = 'this upstream does not switch\n';
    const fields = ['Date', FIXED_DATE, 'Content-Type', 'text/plain', 'Content-Length', String(body.length)];
    const lines = fields.map((field, i) => (i % 2 === 0 ? `${field}: ` : `${field}\r\n`)).join('');
    record.answered = { status: 403, headers: fields };
    socket.end(`HTTP/1.1 403 Forbidden\r\n${lines}Connection: close\r\n\r\n${body}`);
    return;
  }
  websockets.handleUpgrade(request, socket, head, (websocket) => {
    websocket.on('error', () => {});
    websocket.on('message', (message: Buffer, isBinary) => {
      record.messages.push(isBinary ? `${message.length} bytes` : message.toString());
      websocket.send(message, { binary: isBinary });
      const code = queryOf(query, 'close');
      if (code !== undefined) websocket.close(Number(code), 'as asked');
    });
    websocket.on('close', (code) => {
      record.closeCode = code;
    });
  });
}

function closeServer(server: Server, websockets: WebSocketServer): Promise<void> {
  return new Promise((resolve) => {
    for (const websocket of websockets.clients) websocket.terminate();
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
