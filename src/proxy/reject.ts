// Rejections: what is told to a connection whose bytes never became an exchange.

import { STATUS_TEXT } from '../http/status.ts';
import type { Origin } from '../model/exchange.ts';
import type { Failure } from '../model/failure.ts';
import type { Door } from './door.ts';

/** The whole answer as HTTP/1.1 bytes (latin1), and a line in the log. */
export function rejectConnection(door: Door, origin: Origin, failure: Failure, detail: string): string {
  const id = door.newId();
  door.metrics.reject(origin.listener, failure.code);
  const status = `${failure.status} ${STATUS_TEXT[failure.status] ?? ''}`;
  const body = `${status}\nPortico did not accept this request: ${detail}.\nrequest id: ${id}\n`;
  door.log.line(
    JSON.stringify({
      time: new Date().toISOString(),
      level: 'info',
      msg: 'rejected',
      request_id: id,
      listener: origin.listener,
      client_ip: origin.callerAddress,
      peer_ip: origin.peerAddress,
      status: failure.status,
      failure: failure.code,
      detail,
    }),
  );
  return (
    `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
    `Cache-Control: no-store\r\nProxy-Status: portico; error=${failure.proxyStatus}; details="${failure.code}"\r\n` +
    `X-Request-Id: ${id}\r\nConnection: close\r\n\r\n${body}`
  );
}
