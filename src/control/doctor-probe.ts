// What the doctor asks over the network: an upstream for a page, a public name for its certificate. Bounded in time and size.

import type { X509Certificate } from 'node:crypto';
import { type ClientRequest, get, type IncomingMessage, type RequestOptions } from 'node:http';
import { get as getTls } from 'node:https';
import { isIP } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import type { Endpoint } from '../model/snapshot.ts';

/** What is around us; replaced in tests. */
export interface World {
  /** The addresses of a name. Rejects when there are none. */
  readonly addressesOf: (name: string) => Promise<readonly string[]>;
  readonly ownAddresses: () => readonly string[];
  readonly now: () => Date;
  /** How long an answer may take, in ms. */
  readonly patience: number;
}

export interface Page {
  readonly status: number;
  /** The media type, without parameters; '' when there is none. */
  readonly type: string;
  /** At most MAX_BODY of it. */
  readonly body: string;
  /** What the other side's clock says, in ms. */
  readonly date: number | undefined;
}

const MAX_BODY = 64 * 1024;

/** Asks as a browser of the site would be passed on. Resolves to an error when there is no answer. */
export function askPage(
  endpoint: Endpoint,
  host: string,
  path: string,
  patience: number,
): Promise<Page | NodeJS.ErrnoException> {
  const { tls, ca, serverName } = endpoint;
  const name = serverName ?? (isIP(endpoint.host) === 0 ? endpoint.host : undefined);
  const options: RequestOptions & { servername?: string; ca?: string } = {
    ...{ host: endpoint.host, port: endpoint.port, path, agent: false, maxHeaderSize: 64 * 1024 },
    headers: { Host: host, 'X-Forwarded-Proto': 'https', Accept: '*/*', Connection: 'close' },
    signal: AbortSignal.timeout(patience),
    ...(name === undefined ? {} : { servername: name }),
    ...(ca === undefined ? {} : { ca }),
  };
  return new Promise((answered) => {
    const request: ClientRequest = tls ? getTls(options) : get(options);
    request.on('error', (error) => answered(firstOf(error)));
    request.on('response', (response) => readPage(response).then(answered));
    // Without this an answer with 101 would end the request without a word.
    request.on('upgrade', ({ statusCode }, socket) => {
      socket.destroy();
      answered(new Error(`it answers with status ${statusCode}`));
    });
  });
}

function readPage(response: IncomingMessage): Promise<Page> {
  const date = Date.parse(response.headers.date ?? '');
  let body = '';
  response.setEncoding('utf8');
  response.on('data', (chunk: string) => {
    body += chunk;
    if (body.length > MAX_BODY) response.destroy();
  });
  return new Promise((read) => {
    // What was cut off is judged by what came.
    response.on('error', () => {});
    response.on('close', () =>
      read({
        status: response.statusCode ?? 0,
        type: /^[\w.+-]+\/[\w.+-]+/.exec(response.headers['content-type'] ?? '')?.[0].toLowerCase() ?? '',
        body: body.slice(0, MAX_BODY),
        date: Number.isNaN(date) ? undefined : date,
      }),
    );
  });
}

/** Which certificate is shown there under this name, whoever vouches for it. Resolves to an error when there is no handshake. */
export function askCertificate(
  address: string,
  port: number,
  name: string,
  patience: number,
): Promise<X509Certificate | Error> {
  // An address is no name to ask a handshake for (RFC 6066 §3).
  const sni = isIP(name) === 0 ? { servername: name } : {};
  return new Promise((answered) => {
    const socket: TLSSocket = connect({ host: address, port, ...sni, rejectUnauthorized: false });
    const settle = (outcome: X509Certificate | Error) => {
      clearTimeout(timer);
      socket.destroy();
      answered(outcome);
    };
    const timer = setTimeout(() => settle(new Error(`no answer within ${patience / 1_000} s`)), patience);
    socket.on('error', (error) => settle(firstOf(error)));
    socket.on('secureConnect', () => settle(socket.getPeerX509Certificate() ?? new Error('no certificate was shown')));
  });
}

/** Of a race over several addresses the first one's. */
function firstOf(error: Error): Error {
  return error instanceof AggregateError ? (error.errors[0] as Error) : error;
}
