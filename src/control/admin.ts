// The admin listener: the health of this instance, for orchestrators and for people. On loopback unless told otherwise.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { isIP, Server } from 'node:net';
import { prefersPage } from '../http/accept.ts';
import { whenQuiet } from '../model/quiet.ts';
import type { Scrape } from '../telemetry/scrape.ts';
import { type Check, checkLine } from './checks.ts';
import { SHARES_PORTS } from './ports.ts';
import type { Overview } from './status/overview.ts';
import { PAGE_POLICY, statusPage } from './status/page.ts';
import { statusText } from './status/text.ts';

/** How long a request may take to arrive, in ms. */
const REQUEST_TIMEOUT = 5_000;
/** How long an answer may take when all else has ended, in ms. */
const LAST_ANSWERS = 1_000;

/** What the admin listener tells. */
export interface Told {
  overview(): Promise<Overview>;
  checks(): Promise<readonly Check[]>;
  scrape(accept: string): Promise<Scrape>;
}

export interface Admin {
  /** Accepts nothing more, as another instance that shares the port takes what comes. Resolves when that holds. */
  handOver(): Promise<void>;
  close(): void;
}

/**
 * Serves the status for people at `/`, and `/livez`, `/readyz`, `/healthz` and `/metrics`. Rejects with the system's error when the port cannot be bound. Where ports can
 * be shared it is: an instance that takes over answers here before the other one ceases to.
 */
export async function openAdmin(host: string, port: number, told: Told): Promise<Admin> {
  const server = createServer({
    ...{ headersTimeout: REQUEST_TIMEOUT, requestTimeout: REQUEST_TIMEOUT, maxHeaderSize: 16 * 1024 },
    // Node looks every 30 s whether these are over: so long a few connections could keep health from answering.
    connectionsCheckingInterval: 1_000,
  });
  server.on('request', (request, response) => answer(request, response, told));
  server.maxConnections = 100;
  await new Promise<void>((bound, failed) => {
    server.once('error', failed);
    server.listen({ host, port, reusePort: SHARES_PORTS }, () => {
      server.removeListener('error', failed);
      bound();
    });
  });
  let accepted = 0;
  server.on('connection', () => {
    accepted++;
  });
  const close = () => {
    // That of node:http would also cut who was accepted and has not asked yet. An answer under way may end.
    Server.prototype.close.call(server);
    setTimeout(() => server.closeAllConnections(), LAST_ANSWERS).unref();
  };
  return {
    handOver: async () => {
      await whenQuiet(
        () => accepted,
        () => performance.now(),
        (run) => setImmediate(run),
      );
      close();
    },
    close,
  };
}

function answer(request: IncomingMessage, response: ServerResponse, told: Told): void {
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return send(response, 405, 'only GET and HEAD are answered here\n', { Allow: 'GET, HEAD' });
  const [path, query = ''] = (request.url ?? '').split('?');
  const verbose = query.split('&').some((parameter) => parameter === 'verbose' || parameter.startsWith('verbose='));
  switch (path) {
    case '/':
      return sendOverview(request, response, told);
    case '/livez':
      return report(response, [{ name: 'process', ok: true }], verbose, 'livez');
    case '/readyz':
    case '/healthz':
      return sendChecks(response, told, verbose, path.slice(1));
    case '/metrics':
      return sendScrape(request, response, told);
    default:
      return send(
        response,
        404,
        'here are / (the status, for people), /livez, /readyz and /healthz (each with ?verbose), and /metrics\n',
      );
  }
}

/** A page for browsers, text for terminals. */
function sendOverview(request: IncomingMessage, response: ServerResponse, told: Told): void {
  if (!isAskedForHere(request))
    return send(
      response,
      421,
      `ask for this page by localhost or by an IP address, as in http://127.0.0.1:${request.socket.localPort}/\n`,
    );
  told.overview().then(
    (overview) => {
      if (!prefersPage(request.rawHeaders)) return send(response, 200, statusText(overview));
      const headers = { 'Content-Type': 'text/html; charset=utf-8', 'Content-Security-Policy': PAGE_POLICY };
      return send(response, 200, statusPage(overview), { ...headers, 'X-Content-Type-Options': 'nosniff' });
    },
    (error: Error) => send(response, 500, `the status could not be put together: ${error.message}\n`),
  );
}

/** False for a name that leads to loopback from outside: so a foreign page would have a browser read what is here (DNS rebinding). */
function isAskedForHere({ socket, headers }: IncomingMessage): boolean {
  if (!/^(?:::ffff:)?127\.|^::1$/.test(socket.localAddress ?? '')) return true;
  const name = (headers.host ?? '').replace(/:\d*$/, '').toLowerCase();
  return name === 'localhost' || name.endsWith('.localhost') || isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0;
}

function sendChecks(response: ServerResponse, told: Told, verbose: boolean, name: string): void {
  told.checks().then(
    (checks) => report(response, checks, verbose, name),
    (error: Error) => send(response, 500, `the checks could not be made: ${error.message}\n`),
  );
}

/** `ok`, or a line a check. What only warns is no reason to be not ready. */
function report(response: ServerResponse, checks: readonly Check[], verbose: boolean, name: string): void {
  const ok = checks.every((check) => check.ok);
  if (ok && !verbose) return send(response, 200, 'ok\n');
  send(response, ok ? 200 : 503, `${checks.map(checkLine).join('\n')}\n${name} check ${ok ? 'passed' : 'failed'}\n`);
}

function sendScrape(request: IncomingMessage, response: ServerResponse, told: Told): void {
  told.scrape(request.headers.accept ?? '').then(
    ({ contentType, text }) => send(response, 200, text, { 'Content-Type': contentType }),
    (error: Error) => send(response, 500, `the metrics could not be put together: ${error.message}\n`),
  );
}

function send(response: ServerResponse, status: number, text: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store', ...headers });
  response.end(text);
}
