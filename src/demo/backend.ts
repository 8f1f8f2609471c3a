// The demo's backend: a miniature of the product's REST API, with everything that a front door can get wrong.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { Refusal, readForm, readJson } from './body.ts';
import { type Listening, listenOnLoopback } from './loopback.ts';
import { acceptWebsockets, offeredToken } from './websocket.ts';

const USER = 'demo';
const PASSWORD = 'demo';
const COOKIE = 'portico_demo_session';

const LARGEST_JSON = 256 * 1024;
const LARGEST_FORM = 256 * 1024;
/** Uploads are held in memory while they are parsed, hence both bounds. */
const LARGEST_UPLOAD = 16 * 1024 * 1024;
const MOST_UPLOADS = 4;

const QUERY_SECONDS = 1.5;
const LONGEST_QUERY_SECONDS = 30;
const EVENTS = 5;
const EVENT_GAP_MS = 400;

/** What `/auth/check` shows, so that a person sees what the door tells the backend. Authorization and cookies stay out. */
const SHOWN = [
  'Host',
  'X-Forwarded-For',
  'X-Forwarded-Proto',
  'X-Forwarded-Host',
  'X-Forwarded-Port',
  'X-Forwarded-Prefix',
  'X-Request-Id',
] as const;

interface Backend {
  readonly started: string;
  /** Good for this run only. */
  readonly token: string;
  uploads: number;
}

interface Exchange {
  readonly backend: Backend;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
  /** Aborts when the peer has gone, or has its answer. */
  readonly gone: AbortSignal;
}

type Action = (exchange: Exchange) => void | Promise<void>;

const ROUTES: ReadonlyMap<string, Action> = new Map<string, Action>([
  ['GET /', sendStatus],
  ['POST /login', logIn],
  ['GET /auth/check', sendWhatWasSeen],
  ['GET /auth/providers', sendProviders],
  ['POST /auth/provider/demo/acs', acceptAssertion],
  ['GET /auth/session', sendSession],
  ['POST /demo/data', queryRows],
  ['POST /demo/data/sources', takeUpload],
  ['GET /redirect', redirect],
  ['GET /events', sendEvents],
  ['GET /ws', refuseWithoutUpgrade],
]);

export async function startDemoBackend(): Promise<Listening> {
  const backend: Backend = {
    started: new Date().toISOString(),
    token: randomBytes(32).toString('base64url'),
    uploads: 0,
  };
  // An upgrade that is refused here is answered like any other request, by refuseWithoutUpgrade.
  const shouldUpgradeCallback = (request: IncomingMessage) => mayUpgrade(request, backend);
  const server = createServer({ shouldUpgradeCallback }, (request, response) => {
    void serve(request, response, backend);
  });
  const endWebsockets = acceptWebsockets(server);
  const listening = await listenOnLoopback(server);
  return {
    port: listening.port,
    close: () => {
      endWebsockets();
      return listening.close();
    },
  };
}

async function serve(request: IncomingMessage, response: ServerResponse, backend: Backend): Promise<void> {
  const closed = new AbortController();
  response.once('close', () => closed.abort());
  const [path, query] = splitTarget(request.url!);
  const exchange = { backend, request, response, query: new URLSearchParams(query), gone: closed.signal };
  allowOrigin(request, response);
  try {
    if (request.method === 'OPTIONS') {
      response.writeHead(204).end();
      return;
    }
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    const action = ROUTES.get(`${method} ${path}`);
    if (action === undefined) throw new Refusal(404, `Nothing is at ${method} ${path}.`);
    await action(exchange);
  } catch (cause) {
    // Somebody who left gets no answer; a head that is out cannot be taken back.
    if (response.headersSent || response.destroyed) response.destroy();
    else if (cause instanceof Refusal) reply(exchange, cause.status, { error: cause.message });
    else reply(exchange, 500, { error: 'The demo failed.' });
  }
}

/** By hand: `new URL('//login', base)` would read a host. An API_BASEROUTE with a trailing slash asks for `//login`. */
function splitTarget(target: string): [path: string, query: string] {
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  return [path.replace(/^\/+/, '/'), mark === -1 ? '' : target.slice(mark + 1)];
}

/** CORS is the backend's own business. Any origin may call: nothing here is worth protecting from one. */
function allowOrigin({ headers, method }: IncomingMessage, response: ServerResponse): void {
  response.setHeader('Vary', 'Origin');
  if (headers.origin === undefined) return;
  response.setHeader('Access-Control-Allow-Origin', headers.origin);
  response.setHeader('Access-Control-Allow-Credentials', 'true');
  response.setHeader('Access-Control-Expose-Headers', 'X-Request-Id');
  // Lets the page show which protocol the browser spoke to another origin.
  response.setHeader('Timing-Allow-Origin', headers.origin);
  if (method !== 'OPTIONS') return;
  response.setHeader('Access-Control-Allow-Methods', 'GET, HEAD, POST');
  response.setHeader('Access-Control-Allow-Headers', 'Authorization, Content-Type, x-json-flavor');
  response.setHeader('Access-Control-Max-Age', '600');
}

/** The product's UI compares the content type with exactly `application/json`. */
function reply({ response }: Exchange, status: number, value: unknown, headers: OutgoingHttpHeaders = {}): void {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  response.setHeader('Content-Type', 'application/json');
  response.setHeader('Content-Length', body.length);
  response.setHeader('Cache-Control', 'no-store');
  if (status === 401) response.setHeader('WWW-Authenticate', 'Bearer');
  response.writeHead(status, headers).end(body);
}

function sendStatus(exchange: Exchange): void {
  reply(exchange, 200, { name: 'portico-demo-backend', version: '0.0.0-demo', started: exchange.backend.started });
}

async function logIn(exchange: Exchange): Promise<void> {
  const { username, password } = await readJson(exchange.request, LARGEST_JSON);
  if (username !== USER || password !== PASSWORD) throw new Refusal(401, 'The user name or the password is wrong.');
  reply(exchange, 200, { token: exchange.backend.token }, { 'Set-Cookie': sessionCookie(exchange) });
}

/** The frontend may be on another site than the backend; such a cookie must be Secure, which the door's scheme decides. */
function sessionCookie({ backend, request }: Exchange): string {
  const secure = request.headers['x-forwarded-proto'] === 'https';
  return `${COOKIE}=${backend.token}; Path=/; HttpOnly; ${secure ? 'Secure; SameSite=None' : 'SameSite=Lax'}`;
}

function requireUser({ backend, request }: Exchange): void {
  const [scheme, token] = (request.headers.authorization ?? '').split(' ');
  if (scheme?.toLowerCase() !== 'bearer') throw new Refusal(401, 'No "Authorization: Bearer" came with the request.');
  if (!isToken(token, backend)) throw new Refusal(401, 'The token is not one of this run; log in again.');
}

function isToken(given: string | undefined, { token }: Backend): boolean {
  return given?.length === token.length && timingSafeEqual(digest(given), digest(token));
}

function digest(value: string | Uint8Array): Buffer {
  return createHash('sha256').update(value).digest();
}

function sendWhatWasSeen(exchange: Exchange): void {
  requireUser(exchange);
  const { method, url, headers } = exchange.request;
  const seen = Object.fromEntries(SHOWN.map((name) => [name, headers[name.toLowerCase()] ?? null]));
  reply(exchange, 200, { user: USER, method, target: url, headers: seen });
}

function sendProviders(exchange: Exchange): void {
  reply(exchange, 200, [{ id: 'demo', name: 'Demo single sign-on', acs: '/auth/provider/demo/acs' }]);
}

/** Where an identity provider's page posts to, from another site; the answer leads on by a Location without a host. */
async function acceptAssertion(exchange: Exchange): Promise<void> {
  const form = await readForm(exchange.request, LARGEST_FORM, 'application/x-www-form-urlencoded');
  if (!form.get('SAMLResponse')) throw new Refusal(400, 'The form has no SAMLResponse.');
  const headers = { Location: '/auth/session', 'Set-Cookie': sessionCookie(exchange) };
  reply(exchange, 302, { location: headers.Location }, headers);
}

function sendSession(exchange: Exchange): void {
  const cookies = (exchange.request.headers.cookie ?? '').split(';').map((cookie) => cookie.trim());
  const session = cookies.find((cookie) => cookie.startsWith(`${COOKIE}=`))?.slice(COOKIE.length + 1);
  reply(exchange, 200, { user: isToken(session, exchange.backend) ? USER : null });
}

async function queryRows(exchange: Exchange): Promise<void> {
  requireUser(exchange);
  await readJson(exchange.request, LARGEST_JSON);
  const seconds = Number(exchange.query.get('seconds') ?? QUERY_SECONDS);
  if (!(seconds >= 0)) throw new Refusal(400, 'seconds must be a number, 0 or more.');
  const taken = Math.min(seconds, LONGEST_QUERY_SECONDS);
  await setTimeout(taken * 1000, undefined, { signal: exchange.gone });
  const rows = ['Aubagne', 'Brest', 'Colmar', 'Dijon', 'Évry', 'Figeac'].map((city, at) => ({
    city,
    orders: 120 + ((at * 37) % 90),
    revenue: 8_400 + ((at * 1_913) % 5_000),
  }));
  reply(exchange, 200, { seconds: taken, rows });
}

async function takeUpload(exchange: Exchange): Promise<void> {
  requireUser(exchange);
  const { backend, request } = exchange;
  if (backend.uploads >= MOST_UPLOADS) throw new Refusal(503, 'Too many uploads at once; try again.');
  backend.uploads++;
  try {
    const form = await readForm(request, LARGEST_UPLOAD, 'multipart/form-data');
    const files = [];
    for (const [field, value] of form) {
      if (typeof value === 'string') continue;
      const sha256 = digest(await value.bytes()).toString('hex');
      files.push({ field, name: value.name, type: value.type, bytes: value.size, sha256 });
    }
    reply(exchange, 200, { files });
  } finally {
    backend.uploads--;
  }
}

function redirect(exchange: Exchange): void {
  reply(exchange, 302, { location: '/' }, { Location: '/' });
}

async function sendEvents({ request, response, gone }: Exchange): Promise<void> {
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
  for (let tick = 1; tick <= EVENTS && request.method !== 'HEAD'; tick++) {
    if (tick > 1) await setTimeout(EVENT_GAP_MS, undefined, { signal: gone });
    response.write(`id: ${tick}\nevent: tick\ndata: ${JSON.stringify({ tick, of: EVENTS })}\n\n`);
  }
  response.end();
}

function mayUpgrade(request: IncomingMessage, backend: Backend): boolean {
  const [path] = splitTarget(request.url!);
  return (
    path === '/ws' &&
    request.headers.upgrade?.toLowerCase() === 'websocket' &&
    isToken(offeredToken(request.headers['sec-websocket-protocol']), backend)
  );
}

function refuseWithoutUpgrade({ request, response }: Exchange): void {
  if (request.headers.upgrade?.toLowerCase() === 'websocket') {
    throw new Refusal(401, 'Offer the subprotocols "portico-demo" and the token.');
  }
  response.setHeader('Upgrade', 'websocket');
  response.setHeader('Connection', 'Upgrade');
  throw new Refusal(426, 'This is a websocket.');
}
