// The frontend as its container serves it: the real nginx, an index page for every unknown path, and files with awkward names.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { makeFolder } from './folder.ts';
import { partPath } from './parts.ts';
import { freePort } from './ports.ts';
import { answersOnPort, type Running, startProcess } from './process.ts';
import { sampleBytes } from './recorder-answers.ts';

export interface NginxFrontend {
  readonly port: number;
  /** As FRONTEND_SERVICE takes it. */
  readonly service: string;
  readonly docroot: string;
  /** The files of the docroot, by their path. */
  readonly files: ReadonlyMap<string, Buffer>;
  readonly process: Running;
}

export const VERSION = 'v57.1.4\n';
export const BUNDLE = '/main.4f1c9a7be2d0.js';

/** Starts nginx; it ends with the test. */
export async function startNginxFrontend(t: Test): Promise<NginxFrontend> {
  const folder = makeFolder(t, 'nginx');
  const files = writeFiles(join(folder, 'docroot'));
  const port = await freePort();
  const site = `
    server {
      listen 127.0.0.1:${port};
      # In its container it listens on 80, which it does not name in redirects.
      port_in_redirect off;
      root ${folder}/docroot;
      add_header Cache-Control no-store;
      location / { try_files $uri $uri/ /index.html; }
    }`;
  const process = await startNginx(t, folder, port, site);
  return { port, service: `127.0.0.1:${port}`, docroot: join(folder, 'docroot'), files, process };
}

/** Starts an nginx with these servers, one of them on `port`; all that it writes stays in the folder. */
export async function startNginx(t: Test, folder: string, port: number, servers: string): Promise<Running> {
  const configuration = join(folder, 'nginx.conf');
  writeFileSync(configuration, nginxConfiguration(folder, servers));
  return startProcess(t, {
    command: partPath('nginx'),
    args: ['-p', folder, '-c', configuration, '-e', 'stderr'],
    cwd: folder,
    isReady: () => answersOnPort(port),
  });
}

function nginxConfiguration(folder: string, servers: string): string {
  // Started by root it would give its workers to nobody, who may not write here.
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `daemon off;
  ${user}
  worker_processes 1;
  pid ${folder}/nginx.pid;
  error_log stderr warn;
  events { worker_connections 512; }
  http {
    access_log off;
    server_tokens off;
    types { text/html html; text/css css; application/javascript js; application/json json; text/plain txt; }
    default_type application/octet-stream;
    ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n    ')}
    ${servers}
  }
`;
}

function writeFiles(docroot: string): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (const [path, content] of Object.entries(FILES)) files.set(path, Buffer.from(content));
  files.set(BUNDLE, Buffer.concat([Buffer.from('// bundle\n'), sampleBytes(2_000_000)]));
  for (const [path, content] of files) {
    const file = join(docroot, path);
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, content);
  }
  return files;
}

const PAGE = '<!doctype html><title>Frontend of a test</title><script src="/scripts/tc-params.js"></script>\n';

const FILES: Readonly<Record<string, string>> = {
  '/index.html': PAGE,
  '/embed.html': '<!doctype html><title>Embed of a test</title>\n',
  '/tucana-version.txt': VERSION,
  '/scripts/tc-params.js': '// parameters\nwindow.TC_PARAMS = { API_BASEROUTE: "https://toucan.test/_api/" };\n',
  '/scripts/embedLauncher.js': '/* launcher */\n',
  '/embed-params.json': '{"API_BASEROUTE":"https://toucan.test/_api/","EMBED":"enable"}\n',
  '/webpush-sw.js': 'self.addEventListener("push", () => {});\n',
  '/chunk.vendors~main.77aa01.js': '/* chunk with ~ */\n',
  '/assets/My logo (1).txt': 'spaces and brackets\n',
  '/assets/@scope/icon@2x.txt': 'at signs\n',
  '/assets/50%25 off.txt': 'a percent sign\n',
  '/assets/caf\u00e9.txt': 'beyond ASCII\n',
  '/docs/index.html': '<!doctype html><title>Docs of a test</title>\n',
};
