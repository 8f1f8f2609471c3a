// The access line: one for each exchange, at its end.

import type { Exchange } from '../model/exchange.ts';
import { isoTime, jsonText, PIPE_BUF } from './line.ts';
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

/** No value of the client's choice is longer than `most` characters. Put together by hand: half the time of an object and JSON.stringify. */
function lineWith(exchange: Exchange, endTime: number, most: number): string {
  const { head, origin, route, failure } = exchange;
  const { target, authority } = head;
  const question = target.indexOf('?');
  const path = redactPath(question === -1 ? target : target.slice(0, question));
  let line = `{"time":"${isoTime(exchange.startedAt + (endTime - exchange.startTime))}","level":"info","msg":"access"`;
  line += `,"request_id":${jsonText(exchange.id)}`;
  if (exchange.traceId !== '') line += `,"trace_id":"${exchange.traceId}"`;
  line += `,"listener":${jsonText(origin.listener)}`;
  if (route !== undefined) line += `,"route":${jsonText(route.name)}`;
  line += `,"client_ip":${cut(exchange.clientAddress, most)},"peer_ip":${jsonText(origin.peerAddress)}`;
  line += `,"method":${cut(head.method, most)}`;
  if (authority !== undefined) line += `,"host":${cut(redactPath(authority), most)}`;
  line += `,"path":${cut(path, most)}`;
  if (question !== -1) line += `,"query":${cut(redactQuery(target.slice(question + 1)), most)}`;
  line += `,"protocol":"${head.protocol}"`;
  if (origin.tlsVersion !== undefined) line += `,"tls":"${origin.tlsVersion}"`;
  // Nothing else of it: subjects name people.
  if (origin.client !== undefined && origin.client.fingerprint !== '') {
    line += `,"client_cert_sha256":"${origin.client.fingerprint}"`;
  }
  line += `,"status":${exchange.status},"bytes_in":${exchange.bytesIn},"bytes_out":${exchange.bytesOut}`;
  line += `,"duration_ms":${round(endTime - exchange.startTime)}`;
  if (exchange.upstream !== '') line += `,"upstream":${jsonText(exchange.upstream)}`;
  if (exchange.upstreamAddress !== '') line += `,"upstream_address":${jsonText(exchange.upstreamAddress)}`;
  if (exchange.upstreamStatus !== 0) line += `,"upstream_status":${exchange.upstreamStatus}`;
  if (exchange.connectTime >= 0) line += `,"upstream_connect_ms":${round(exchange.connectTime)}`;
  if (exchange.firstByteTime >= 0) line += `,"upstream_first_byte_ms":${round(exchange.firstByteTime)}`;
  if (exchange.retries !== 0) line += `,"retries":${exchange.retries}`;
  if (failure !== undefined) line += `,"ended_by":"${failure.side}","failure":"${failure.code}"`;
  else if (exchange.endedBy !== '') line += `,"ended_by":"${exchange.endedBy}"`;
  if (exchange.detail !== '') line += `,"detail":${cut(exchange.detail, most)}`;
  return `${line}}`;
}

/** As JSON. */
function cut(text: string, most: number): string {
  return jsonText(text.length <= most ? text : `${text.slice(0, most)}...`);
}

function round(ms: number): number {
  return Math.round(ms * 100) / 100;
}
