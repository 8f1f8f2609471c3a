// The reference proxies of Node, each as its documentation shows it: node-peer.ts NAME PORT ORIGIN_PORT CERTIFICATE KEY.

import { readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { createSecureServer } from 'node:http2';
import { createServer } from 'node:https';
import { createRequire } from 'node:module';

const [name, port, originPort, certificateFile, keyFile] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const tls = { cert: readFileSync(certificateFile!), key: readFileSync(keyFile!) };

if (name === 'http-proxy') {
  // Its types are not installed: it is a peer, not a dependency.
  const { createProxyServer } = require('http-proxy');
  const agent = new Agent({ keepAlive: true, maxSockets: 256 });
  const proxy = createProxyServer({ target: `http://127.0.0.1:${originPort}`, agent, xfwd: true });
  proxy.on('error', () => {});
  createServer(tls, (request, response) => proxy.web(request, response)).listen(Number(port), '127.0.0.1');
} else {
  const proxy = require('http2-proxy');
  const agent = new Agent({ keepAlive: true, maxSockets: 256 });
  const onReq = (_request: unknown, out: object): void => {
    Object.assign(out, { agent });
  };
  const options = { hostname: '127.0.0.1', port: Number(originPort), onReq };
  const server = createSecureServer({ ...tls, allowHTTP1: true });
  server.on('request', (request, response) => proxy.web(request, response, options, () => {}));
  server.listen(Number(port), '127.0.0.1');
}
