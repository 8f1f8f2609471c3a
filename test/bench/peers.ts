// The peers of the benchmark: each with a stock configuration that does the same, TLS in front and the origin behind.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findPart, partPath } from '../support/parts.ts';
import { freePort } from '../support/ports.ts';
import type { Origin } from './origin.ts';
import { type Command, pinned, type Started, startServer } from './start.ts';

export interface RunningPeer extends Started {
  readonly name: string;
  readonly version: string;
  readonly port: number;
  readonly http2: boolean;
  /** It serves files from disk. */
  readonly files: boolean;
}

export interface Peer {
  readonly name: string;
  /** Why it cannot take part; undefined when it can. */
  missing(): string | undefined;
  start(folder: string, origin: Origin): Promise<RunningPeer>;
}

interface Plan {
  readonly name: string;
  /** A program that has to be installed. */
  readonly part?: string;
  readonly http2: boolean;
  readonly files?: boolean;
  version(): string;
  prepare(folder: string, origin: Origin, port: number): Promise<{ command: Command; env?: Record<string, string> }>;
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const TLS_CIPHERS = 'ECDHE-ECDSA-AES128-GCM-SHA256';

const PLANS: readonly Plan[] = [
  {
    name: 'portico',
    http2: true,
    files: true,
    version: () => `${packageVersion('package.json')} on Node ${process.versions.node}`,
    prepare: async (_folder, origin, port) => ({
      command: [process.execPath, join(ROOT, 'src/launch.mjs'), 'run'],
      env: {
        FRONTEND_DNS: 'localhost',
        FRONTEND_ROOT: origin.docroot,
        BACKEND_SERVICE: `127.0.0.1:${origin.port}`,
        SSL_CRT: origin.certificateFile,
        SSL_KEY: origin.keyFile,
        LISTEN_HOST: '127.0.0.1',
        HTTPS_PORT: String(port),
        HTTP_PORT: String(await freePort()),
        ADMIN_PORT: String(await freePort()),
        WORKERS: '1',
      },
    }),
  },
  {
    name: 'nginx',
    part: 'nginx',
    http2: true,
    files: true,
    version: () => firstMatch(/nginx\/(\S+)/, 'nginx', '-v'),
    prepare: async (folder, origin, port) => ({
      command: [
        partPath('nginx'),
        '-c',
        write(
          folder,
          'nginx.conf',
          `daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/nginx.log;
events { worker_connections 8192; }
http {
  access_log ${folder}/nginx-access.log combined buffer=64k; client_max_body_size 0; keepalive_requests 100000000;
  client_body_temp_path ${folder}/n1; proxy_temp_path ${folder}/n2; fastcgi_temp_path ${folder}/n3;
  uwsgi_temp_path ${folder}/n4; scgi_temp_path ${folder}/n5;
  upstream origin { server 127.0.0.1:${origin.port}; keepalive 64; keepalive_requests 100000000; }
  server { listen 127.0.0.1:${port} ssl http2 backlog=4096; server_name localhost; http2_max_requests 100000000;
    ssl_certificate ${origin.certificateFile}; ssl_certificate_key ${origin.keyFile};
    ssl_protocols TLSv1.2 TLSv1.3; ssl_ciphers ${TLS_CIPHERS}; ssl_session_cache shared:s:4m;
    root ${origin.docroot};
    location /_api/ { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto https; } }
}`,
        ),
        '-e',
        `${folder}/nginx.log`,
      ],
    }),
  },
  {
    name: 'haproxy',
    part: 'haproxy',
    http2: true,
    version: () => firstMatch(/version (\S+)/, 'haproxy', '-v'),
    prepare: async (folder, origin, port) => {
      const pem = write(
        folder,
        'haproxy.pem',
        readFileSync(origin.certificateFile, 'utf8') + readFileSync(origin.keyFile, 'utf8'),
      );
      const configuration = `global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option forwardfor
frontend door
  bind 127.0.0.1:${port} ssl crt ${pem} alpn h2,http/1.1
  default_backend origin
backend origin
  http-reuse always
  server o 127.0.0.1:${origin.port}
`;
      return { command: [partPath('haproxy'), '-q', '-db', '-f', write(folder, 'haproxy.cfg', configuration)] };
    },
  },
  {
    name: 'caddy',
    part: 'caddy',
    http2: true,
    files: true,
    version: () => firstMatch(/v?(\d\S*)/, 'caddy', 'version'),
    prepare: async (folder, origin, port) => {
      const configuration = `{
  admin off
  auto_https off
}
https://localhost:${port} {
  tls ${origin.certificateFile} ${origin.keyFile}
  handle /_api/* {
    reverse_proxy 127.0.0.1:${origin.port}
  }
  handle {
    root * ${origin.docroot}
    file_server
  }
}
`;
      mkdirSync(join(folder, 'caddy-home'), { recursive: true });
      return {
        command: [
          partPath('caddy'),
          'run',
          '--config',
          write(folder, 'Caddyfile', configuration),
          '--adapter',
          'caddyfile',
        ],
        env: { GOMAXPROCS: '1', HOME: join(folder, 'caddy-home') },
      };
    },
  },
  {
    name: 'http-proxy',
    http2: false,
    version: () => packageVersion('node_modules/http-proxy/package.json'),
    prepare: async (_folder, origin, port) => script('http-proxy', origin, port),
  },
  {
    name: 'http2-proxy',
    http2: true,
    version: () => packageVersion('node_modules/http2-proxy/package.json'),
    prepare: async (_folder, origin, port) => script('http2-proxy', origin, port),
  },
];

export const PEERS: readonly Peer[] = PLANS.map((plan) => ({
  name: plan.name,
  missing: () =>
    plan.part !== undefined && findPart(plan.part) === undefined ? `${plan.part} is not installed` : undefined,
  start: async (folder, origin) => {
    const port = await freePort();
    const { command, env } = await plan.prepare(folder, origin, port);
    const server = await startServer(pinned(0, ...command), port, env);
    const { name, http2, files = false } = plan;
    return { ...server, name, version: plan.version(), port, http2, files };
  },
}));

function script(name: string, origin: Origin, port: number): { command: Command } {
  const program = fileURLToPath(new URL('node-peer.ts', import.meta.url));
  return {
    command: [
      process.execPath,
      program,
      name,
      String(port),
      String(origin.port),
      origin.certificateFile,
      origin.keyFile,
    ],
  };
}

function write(folder: string, name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function packageVersion(path: string): string {
  return JSON.parse(readFileSync(join(ROOT, path), 'utf8')).version;
}

function firstMatch(pattern: RegExp, part: string, flag: string): string {
  const said = execFileSync('sh', ['-c', `"${partPath(part)}" ${flag} 2>&1`], { encoding: 'utf8' });
  return pattern.exec(said)?.[1] ?? 'unknown';
}
