// The access line: one for each exchange, at its end.

import type { Exchange } from '../model/exchange.ts';
import { jsonLine, PIPE_BUF } from './line.ts';
import { redactPath, redactQuery } from './redact.ts';

/** Longer values are cut: they are a client's to choose, and a line has to fit one write. */
const MAX_TEXT = 1_024;
const MIN_TEXT = 64;

/** The line of a settled exchange, as JSON. `endTime` is of the steady clock, in ms. */
export function accessLine(exchange: Exchange, endTime: number): string {
  let most = MAX_TEXT;
  let line = lineWith(exchange, endTime, most);
  // Several long values, or many escapes in them.
  while (line.length >= PIPE_BUF && most > MIN_TEXT) {
    most /= 4;
    line = lineWith(exchange, endTime, most);
  }
  return line;
}

/** No value of the client's choice is longer than `most` characters. */
function lineWith(exchange: Exchange, endTime: number, most: number): string {
  const cut = (text: string) => (text.length <= most ? text : `${text.slice(0, most)}...`);
  const { head, origin } = exchange;
  const question = head.target.indexOf('?');
  const path = redactPath(question === -1 ? head.target : head.target.slice(0, question));
  const query = question === -1 ? undefined : redactQuery(head.target.slice(question + 1));
  const upstream = exchange.upstream === '' ? undefined : exchange.upstream;
  return jsonLine({
    time: new Date(exchange.startedAt + (endTime - exchange.startTime)).toISOString(),
    level: 'info',
    msg: 'access',
    request_id: exchange.id,
    listener: origin.listener,
    route: exchange.route?.name,
    client_ip: cut(exchange.clientAddress),
    peer_ip: origin.peerAddress,
    method: cut(head.method),
    host: head.authority === undefined ? undefined : cut(redactPath(head.authority)),
    path: cut(path),
    query: query === undefined ? undefined : cut(query),
    protocol: head.protocol,
    tls: origin.tlsVersion,
    status: exchange.status,
    bytes_in: exchange.bytesIn,
    bytes_out: exchange.bytesOut,
    duration_ms: round(endTime - exchange.startTime),
    upstream,
    upstream_address: exchange.upstreamAddress === '' ? undefined : exchange.upstreamAddress,
    upstream_status: exchange.upstreamStatus === 0 ? undefined : exchange.upstreamStatus,
    upstream_connect_ms: exchange.connectTime < 0 ? undefined : round(exchange.connectTime),
    upstream_first_byte_ms: exchange.firstByteTime < 0 ? undefined : round(exchange.firstByteTime),
    retries: exchange.retries === 0 ? undefined : exchange.retries,
    ended_by: exchange.failure?.side,
    failure: exchange.failure?.code,
    detail: exchange.detail === '' ? undefined : cut(exchange.detail),
  });
}

function round(ms: number): number {
  return Math.round(ms * 100) / 100;
}
