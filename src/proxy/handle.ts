// The spine: the way of a request, top to bottom. Admit, route, screen, act, settle.

import { readChain } from '../http/forwarded.ts';
import { allValues, firstValue, type Headers } from '../http/headers.ts';
import { stripPrefix } from '../http/target.ts';
import { readTraceId, traceIdOf } from '../http/trace-context.ts';
import type { Exchange } from '../model/exchange.ts';
import { FAILURES, type Failure } from '../model/failure.ts';
import type { Route } from '../model/snapshot.ts';
import { type Admitted, admit } from '../policy/admit.ts';
import { findAnswer } from '../policy/challenge.ts';
import { clientFields, identifyClient } from '../policy/client-auth.ts';
import { findHost, findRoute } from '../policy/route.ts';
import { screen } from '../policy/screen.ts';
import { blame } from './blame.ts';
import type { Active, Door } from './door.ts';
import { Forward } from './forward.ts';
import { fail, redirect, redirectToHttps, reply } from './reply.ts';
import { ServeFiles } from './serve-files.ts';
import { settle } from './settle.ts';

/** As RFC 8555 §8.3 wants it. */
const ACME_TYPE = 'application/octet-stream';

/** Takes an exchange from the downstream side, as soon as its head is read. */
export function handle(door: Door, exchange: Exchange): void {
  const active = door.active;
  exchange.place = door.exchanges.add(exchange);
  identify(door, active, exchange);

  const admitted = admit(exchange.head, active.limits);
  if ('failure' in admitted) return fail(exchange, admitted.failure, admitted.detail);

  const { acme } = active.snapshot;
  if (acme !== undefined) {
    const text = findAnswer(acme, exchange.head.method, admitted.authority.host, admitted.path);
    if (text !== undefined) return reply(exchange, { kind: 'reply', status: 200, body: text, type: ACME_TYPE });
  }
  const host = findHost(active.hosts, admitted.authority.host);
  if (host === undefined) return refuseHost(exchange, admitted.authority.host);

  if (exchange.origin.redirects) {
    return redirectToHttps(exchange, publicUrl(active, admitted.authority.host, admitted.path));
  }
  const route = findRoute(host, admitted.path);
  exchange.route = route;
  const isSecure = exchange.origin.scheme === 'https';
  const { clientAuth } = host;
  if (clientAuth !== undefined) {
    const stranger = identifyClient(admitted.authority.host, clientAuth, exchange.origin, exchange.startedAt);
    if (stranger !== undefined) {
      exchange.isLast = stranger.isStale;
      return fail(exchange, stranger.failure, stranger.detail);
    }
    exchange.clientFields = clientFields(exchange.origin.client!, clientAuth.forward);
  }
  if (route === undefined) {
    if (isSecure) exchange.responseRules = host.secureResponseRules;
    return refusePath(exchange, admitted.authority.host);
  }
  exchange.responseRules = isSecure ? (route.secureResponseRules ?? route.responseRules) : route.responseRules;

  const refused = screen(exchange.head, route.limits);
  if (refused !== undefined) return fail(exchange, refused.failure, refused.detail);

  act(door, active, exchange, route, admitted);
}

export function onRequestChunk(exchange: Exchange, chunk: Uint8Array): void {
  exchange.bytesIn += chunk.length;
  exchange.acting?.onRequestChunk(chunk);
}

export function onRequestEnd(exchange: Exchange, trailers: Headers): void {
  exchange.requestEnded = true;
  exchange.acting?.onRequestEnd(trailers);
}

export function onDownstreamDrain(exchange: Exchange): void {
  exchange.acting?.onDownstreamDrain();
}

/** The answer was handed to the kernel, to its end. */
export function onDownstreamFinished(door: Door, exchange: Exchange): void {
  settle(door, exchange);
}

/** The request's bytes turned out to be wrong behind its head. */
export function onRequestBroken(exchange: Exchange, failure: Failure, detail: string): void {
  fail(exchange, failure, detail);
}

/** The connection or stream ended before the answer did. */
export function onDownstreamGone(door: Door, exchange: Exchange): void {
  if (exchange.settled) return;
  // An abort of ours ends in the same way, and has its reason already.
  if (exchange.failure === undefined) {
    blame(exchange, FAILURES.clientGone, 'the client closed the connection before the answer was complete');
    if (!exchange.responded) exchange.status = FAILURES.clientGone.status;
  }
  settle(door, exchange);
}

function act(door: Door, active: Active, exchange: Exchange, route: Route, admitted: Admitted): void {
  const { action } = route;
  switch (action.kind) {
    case 'proxy':
      return start(exchange, new Forward(door, active, exchange, route, action, admitted));
    case 'files':
      return start(exchange, new ServeFiles(door, exchange, route, action, admitted));
    case 'redirect': {
      const uri = admitted.path === '*' ? '/' : stripPrefix(admitted.path, route.prefix);
      return redirect(exchange, action, admitted.authority.host, uri);
    }
    case 'reply':
      return reply(exchange, action);
  }
}

function start(exchange: Exchange, acting: Forward | ServeFiles): void {
  exchange.acting = acting;
  acting.start();
}

/** Who asks, as far as it can be believed, and what we call the request. */
function identify(door: Door, active: Active, exchange: Exchange): void {
  const { callerAddress } = exchange.origin;
  const { headers } = exchange.head;
  exchange.trusted = active.isTrusted(callerAddress);
  if (exchange.trusted) {
    const chain = readChain(allValues(headers, 'x-forwarded-for'), callerAddress, active.isTrusted);
    exchange.clientAddress = chain.client;
    exchange.chain = chain.value;
    const given = firstValue(headers, 'x-request-id');
    exchange.id = given !== undefined && /^[\w.+/=:-]{1,128}$/.test(given) ? given : door.newId();
  } else {
    exchange.clientAddress = callerAddress;
    exchange.chain = callerAddress;
    exchange.id = door.newId();
  }
  const traceId = readTraceId(headers);
  exchange.beginsTrace = traceId === undefined;
  exchange.traceId = traceId ?? traceIdOf(exchange.trusted ? door.newId() : exchange.id);
}

/** No site of that name: never the first one instead. */
function refuseHost(exchange: Exchange, host: string): void {
  const { serverName } = exchange.origin;
  if (serverName !== undefined && serverName !== host) {
    const detail = `no site is named ${host}, and this connection was opened for ${serverName}`;
    fail(exchange, FAILURES.misdirected, detail);
  } else {
    fail(exchange, FAILURES.noRoute, `no site is named ${host}`);
  }
}

/** The site has no route for this path: never that of another path instead. */
function refusePath(exchange: Exchange, host: string): void {
  fail(exchange, FAILURES.noRoute, `no route of ${host} is for this path`);
}

function publicUrl(active: Active, host: string, path: string): string {
  const { publicPort } = active.snapshot;
  return `https://${host}${publicPort === 443 ? '' : `:${publicPort}`}${path === '*' ? '/' : path}`;
}
