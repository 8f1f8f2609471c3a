// The demo's frontend: the page and its run-time parameters, served the way that the product's frontend container does it.

import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { getAsset, isSea } from 'node:sea';
import { type Listening, listenOnLoopback } from './loopback.ts';

interface Asset {
  readonly type: string;
  readonly body: Buffer;
}

export async function startDemoFrontend(options: { apiBaseRoute: string }): Promise<Listening> {
  const index = await readPage('index.html', 'text/html; charset=utf-8');
  const assets = new Map<string, Asset>([
    ['/app.js', await readPage('app.js', 'text/javascript; charset=utf-8')],
    ['/style.css', await readPage('style.css', 'text/css; charset=utf-8')],
    ['/icon.svg', await readPage('icon.svg', 'image/svg+xml')],
    ['/scripts/tc-params.js', text(scriptParams(options.apiBaseRoute), 'text/javascript; charset=utf-8')],
    ['/embed-params.json', text(embedParams(options.apiBaseRoute), 'application/json')],
    ['/tucana-version.txt', text('v0.0.0-demo\n', 'text/plain; charset=utf-8')],
  ]);
  return listenOnLoopback(createServer((request, response) => serve(request, response, assets, index)));
}

async function readPage(name: string, type: string): Promise<Asset> {
  // The one executable holds it by its path below src/.
  const body = isSea()
    ? Buffer.from(getAsset(`demo/page/${name}`))
    : await readFile(new URL(`./page/${name}`, import.meta.url));
  return { type, body };
}

function text(content: string, type: string): Asset {
  return { type, body: Buffer.from(content) };
}

/** A script with comments, in the shape that third parties fetch and parse: double-quoted values, one object. */
function scriptParams(apiBaseRoute: string): string {
  return `// Run-time parameters of the frontend. API_BASEROUTE is where the browser finds the backend.
window.TC_PARAMS = {
  API_BASEROUTE: ${quote(apiBaseRoute)},
  TENANT: "demo",
};
`;
}

function embedParams(apiBaseRoute: string): string {
  return `${JSON.stringify({ API_BASEROUTE: apiBaseRoute, TENANT: 'demo' }, null, 2)}\n`;
}

/** JSON is a JavaScript string but for `<`, which could end a script element that somebody pastes this into. */
function quote(value: string): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c');
}

/** Every unknown path is the page, with 200: a single-page application finds its own way from there. */
function serve(
  request: IncomingMessage,
  response: ServerResponse,
  assets: ReadonlyMap<string, Asset>,
  index: Asset,
): void {
  response.setHeader('Cache-Control', 'no-store');
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { Allow: 'GET, HEAD', 'Content-Length': 0 }).end();
    return;
  }
  const path = request.url!.split('?', 1)[0]!;
  const asset = assets.get(path) ?? index;
  response.writeHead(200, { 'Content-Type': asset.type, 'Content-Length': asset.body.length }).end(asset.body);
}
