// The process of a peer: http-proxy or http2-proxy behind node:http and node:http2 servers, set up as their readmes say.

import { Agent, createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createSecureServer } from 'node:http2';
import { createRequire } from 'node:module';
import type { AddressInfo, Server, Socket } from 'node:net';

const load = createRequire(import.meta.url);
let target = 0;

type Web = (request: IncomingMessage, response: ServerResponse) => void;
type Switch = (request: IncomingMessage, socket: Socket, first: Buffer) => void;

const [web, switchOver] = process.argv[2] === 'http-proxy' ? httpProxy() : http2Proxy();

process.on('message', async (order: { certificate: string; key: string } | { target: number }) => {
  if ('target' in order) {
    target = order.target;
    process.send?.('aimed');
    return;
  }
  const plain = createServer(web);
  const tls = createSecureServer({ cert: order.certificate, key: order.key, allowHTTP1: true }, web as never);
  plain.on('upgrade', switchOver);
  tls.on('upgrade', switchOver);
  process.send?.({ plain: await listen(plain), tls: await listen(tls as unknown as Server) });
});
process.on('disconnect', () => process.exit(0));

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

function httpProxy(): [Web, Switch] {
  interface Proxy {
    web(request: IncomingMessage, response: ServerResponse, options: object): void;
    ws(request: IncomingMessage, socket: Socket, first: Buffer, options: object): void;
    on(event: 'error', listener: (error: Error, request: IncomingMessage, out: ServerResponse | Socket) => void): void;
  }
  const agent = new Agent({ keepAlive: true });
  const proxy = (load('http-proxy') as { createProxyServer(options: object): Proxy }).createProxyServer({
    agent,
    xfwd: true,
  });
  proxy.on('error', (_error, _request, out) => {
    if ('writeHead' in out && !out.headersSent) out.writeHead(502);
    out.end();
  });
  return [
    (request, response) => proxy.web(request, response, { target: `http://127.0.0.1:${target}` }),
    (request, socket, first) => proxy.ws(request, socket, first, { target: `http://127.0.0.1:${target}` }),
  ];
}

function http2Proxy(): [Web, Switch] {
  interface Proxy {
    web(request: IncomingMessage, response: ServerResponse, options: object, done: (error?: Failed) => void): void;
    ws(request: IncomingMessage, socket: Socket, first: Buffer, options: object, done: (error?: Failed) => void): void;
  }
  type Failed = Error & { statusCode?: number };
  const proxy = load('http2-proxy') as Proxy;
  return [
    (request, response) => {
      proxy.web(request, response, { hostname: '127.0.0.1', port: target }, (error) => {
        // As the finalhandler of its readme does.
        if (!error) return;
        if (response.headersSent) request.socket.destroy();
        else {
          response.statusCode = error.statusCode ?? 500;
          response.end();
        }
      });
    },
    (request, socket, first) => {
      proxy.ws(request, socket, first, { hostname: '127.0.0.1', port: target }, (error) => {
        if (error) socket.destroy();
      });
    },
  ];
}
