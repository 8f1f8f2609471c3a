// An HTTP/2 client that sends fields in the order given, and keeps everything that comes back.

import { type ClientHttp2Stream, connect, constants } from 'node:http2';
import { connect as connectTls } from 'node:tls';
import type { Headers } from '../../src/http/headers.ts';
import { type ClientAnswer, type ClientRequest, type Door, type Inform, PATIENCE } from './exchange.ts';

/** Sends one request on a connection of its own. */
export function sendHttp2(door: Door, request: ClientRequest): Promise<ClientAnswer> {
  return new Promise((resolve, reject) => {
    const session = connect(`https://${door.serverName}`, {
      createConnection: () =>
        connectTls({
          port: door.port,
          host: '127.0.0.1',
          ca: door.ca,
          servername: door.serverName,
          ALPNProtocols: ['h2'],
        }),
    });
    const timer = setTimeout(() => fail(new Error(`no whole answer within ${PATIENCE} ms`)), PATIENCE);
    const fail = (error: Error) => {
      clearTimeout(timer);
      session.destroy();
      reject(error);
    };
    session.on('error', fail);
    const isWhole = request.body === undefined && request.chunked !== true;
    const stream = session.request(fieldsOf(request), { endStream: isWhole, waitForTrailers: true });
    hear(stream, (answer) => {
      clearTimeout(timer);
      session.destroy();
      if (answer instanceof Error) reject(answer);
      else resolve(answer);
    });
    if (!isWhole) sendBody(stream, request);
  });
}

function fieldsOf(request: ClientRequest): string[] {
  const fields = [':method', request.method, ':scheme', 'https', ':authority', request.authority];
  fields.push(':path', request.target);
  for (let i = 0; i < request.headers.length; i += 2) {
    fields.push(request.headers[i]!.toLowerCase(), request.headers[i + 1]!);
  }
  if (request.waitForContinue === true) fields.push('expect', '100-continue');
  if (request.chunked !== true && request.body !== undefined) {
    fields.push('content-length', String(request.body.length));
  }
  return fields;
}

function sendBody(stream: ClientHttp2Stream, request: ClientRequest): void {
  const send = () => stream.end(request.body);
  stream.on('wantTrailers', () => {
    const fields: Record<string, string> = {};
    const trailers = request.trailers ?? [];
    for (let i = 0; i < trailers.length; i += 2) fields[trailers[i]!.toLowerCase()] = trailers[i + 1]!;
    stream.sendTrailers(fields);
  });
  if (request.waitForContinue === true) stream.once('continue', send);
  else send();
}

function hear(stream: ClientHttp2Stream, settle: (answer: ClientAnswer | Error) => void): void {
  const informs: Inform[] = [];
  const body: Buffer[] = [];
  let headers: Headers | undefined;
  let trailers: Headers = [];
  let status = 0;
  let hasEnded = false;
  // `continue` comes without its fields; `headers` are the other interim answers.
  stream.on('continue', () => informs.push({ status: 100, headers: [] }));
  stream.on('headers', (inform, _flags, raw) => {
    const code = Number(inform[':status']);
    if (code !== 100) informs.push({ status: code, headers: withoutPseudo(raw) });
  });
  stream.on('response', (head, _flags, raw) => {
    status = Number(head[':status']);
    headers = withoutPseudo(raw);
  });
  stream.on('trailers', (_fields, _flags, raw) => {
    trailers = withoutPseudo(raw);
  });
  stream.on('data', (chunk: Buffer) => body.push(chunk));
  stream.on('end', () => {
    hasEnded = true;
  });
  // An error is followed by `close`, and a reset that comes after a whole head is a cut answer.
  stream.on('error', () => {});
  stream.on('close', () => {
    if (headers === undefined) return settle(new Error(`the stream was reset (${stream.rstCode}) before an answer`));
    const isWhole = hasEnded && stream.rstCode === constants.NGHTTP2_NO_ERROR;
    settle({ status, headers, body: Buffer.concat(body), trailers, informs, end: isWhole ? 'complete' : 'cut' });
  });
}

function withoutPseudo(raw: readonly string[]): Headers {
  const headers: Headers = [];
  for (let i = 0; i < raw.length; i += 2) {
    if (!raw[i]!.startsWith(':')) headers.push(raw[i]!, raw[i + 1]!);
  }
  return headers;
}
