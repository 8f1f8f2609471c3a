// Replies: the answers that we make ourselves. They name the hop and the reason: JSON for programs, a page for people.

import { prefersPage } from '../http/accept.ts';
import type { Headers } from '../http/headers.ts';
import { escapeHtml } from '../http/html.ts';
import { STATUS_TEXT } from '../http/status.ts';
import type { Exchange } from '../model/exchange.ts';
import { FAILURES, type Failure } from '../model/failure.ts';
import type { RedirectAction, ReplyAction } from '../model/snapshot.ts';
import { applyRules } from '../policy/header-rules.ts';
import { blame } from './blame.ts';

/** What the Allow of a 405 names (RFC 9110 §15.5.6). */
const FILE_METHODS = 'GET, HEAD';
const PROXY_METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';

/** Answers with a failure: a reply while no head has left, else an abort that cannot be taken for a whole answer. */
export function fail(exchange: Exchange, failure: Failure, detail: string): void {
  if (exchange.settled || exchange.answered) return;
  blame(exchange, failure, detail);
  if (exchange.responded) {
    if (!exchange.downstream.retract()) return exchange.downstream.abort();
    exchange.responded = false;
    exchange.bytesOut = 0;
  }
  const headers: Headers = ['Proxy-Status', `portico; error=${failure.proxyStatus}; details="${failure.code}"`];
  if (failure.status === 503) headers.push('Retry-After', '5');
  if (failure.status === 405) headers.push('Allow', failure === FAILURES.notForFiles ? FILE_METHODS : PROXY_METHODS);
  send(exchange, failure.status, headers, sentence(failure, detail));
}

/** Sends a client to HTTPS. */
export function redirectToHttps(exchange: Exchange, location: string): void {
  send(exchange, redirectStatus(exchange), ['Location', location], `this site is served over HTTPS: ${location}`);
}

/** Act by redirect: `uri` is path and query without what the route takes off. */
export function redirect(exchange: Exchange, action: RedirectAction, host: string, uri: string): void {
  const location = action.to.replace(/\{(host|uri)\}/g, (_whole, name: string) => (name === 'host' ? host : uri));
  send(exchange, action.status ?? redirectStatus(exchange), ['Location', location], `this is now at ${location}`);
}

/** Act by reply: the answer is in the configuration. */
export function reply(exchange: Exchange, action: ReplyAction): void {
  // RFC 9110 §15.4.5 and §15.3.5: neither has a body, and so nothing that would describe one.
  if (action.status === 204 || action.status === 304) sendBytes(exchange, action.status, [], undefined);
  else sendBytes(exchange, action.status, ['Content-Type', action.type], Buffer.from(action.body));
}

/** 301 where a browser may follow by GET, 308 where method and body must stay (RFC 9110 §15.4). */
function redirectStatus(exchange: Exchange): number {
  return exchange.head.method === 'GET' || exchange.head.method === 'HEAD' ? 301 : 308;
}

/** Which side it is, in words. */
function sentence(failure: Failure, detail: string): string {
  switch (failure.side) {
    case 'downstream':
      return `Portico did not accept this request: ${detail}.`;
    case 'upstream':
      return `Portico got no answer for this request: ${detail}.`;
    case 'internal':
      return `Portico could not serve this request: ${detail}.`;
  }
}

function send(exchange: Exchange, status: number, headers: Headers, message: string): void {
  const [type, body] = render(exchange, status, message);
  headers.push('Content-Type', type, 'Cache-Control', 'no-store');
  sendBytes(exchange, status, headers, Buffer.from(body));
}

/** `bytes` undefined: an answer that has no body. */
function sendBytes(exchange: Exchange, status: number, headers: Headers, bytes: Uint8Array | undefined): void {
  const { head, downstream } = exchange;
  headers.push('X-Request-Id', exchange.id);
  const fields = applyRules(headers, exchange.responseRules);
  if (bytes !== undefined) fields.push('Content-Length', String(bytes.length));
  exchange.status = status;
  exchange.responded = true;
  downstream.respond(status, fields);
  if (bytes !== undefined && bytes.length > 0 && head.method !== 'HEAD') {
    exchange.bytesOut += bytes.length;
    downstream.write(bytes);
  }
  exchange.answered = true;
  downstream.end([]);
}

function render(exchange: Exchange, status: number, message: string): [type: string, body: string] {
  const title = `${status} ${STATUS_TEXT[status] ?? ''}`.trim();
  if (prefersPage(exchange.head.headers)) return ['text/html; charset=utf-8', page(title, message, exchange.id)];
  if (exchange.route?.answers === 'json') {
    const body = { error: STATUS_TEXT[status] ?? 'error', status, message, request_id: exchange.id };
    // Exactly this type, without a charset: the frontend compares it so.
    return ['application/json', `${JSON.stringify(body)}\n`];
  }
  return ['text/plain; charset=utf-8', `${title}\n${message}\nrequest id: ${exchange.id}\n`];
}

function page(title: string, message: string, id: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${escapeHtml(title)}</title>
<style>
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 15vh auto; max-width: 38rem; padding: 0 1.5rem }
h1 { font-size: 1.5rem }
p { overflow-wrap: anywhere }
small { opacity: .7 }
</style>
<h1>${escapeHtml(title)}</h1>
<p>${escapeHtml(message)}</p>
<p><small>Request id: <code>${escapeHtml(id)}</code> &middot; give it to whoever runs this site, and they will find the line in the log.</small></p>
</html>
`;
}
