// Runs the real Caddy with the Caddyfile of the vendor's FAQ, its sites moved to free loopback ports.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import { makeFolder } from './folder.ts';
import { partPath } from './parts.ts';
import { freePort } from './ports.ts';
import { answersOnPort, type Running, startProcess } from './process.ts';
import type { TestCertificate } from './tls.ts';

export interface Caddy {
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly process: Running;
}

export interface CaddyOptions {
  readonly frontendDns: string;
  readonly frontendService: string;
  /** Undefined: the one-domain variant. */
  readonly backendDns?: string;
  readonly backendService: string;
  readonly certificate: TestCertificate;
  /** The prefix as `uri strip_prefix` has it. The FAQ says `_api`, without the slash that Caddy's documentation asks for. */
  readonly stripPrefix?: string;
}

/** Starts Caddy; it ends with the test. */
export async function startCaddy(t: Test, options: CaddyOptions): Promise<Caddy> {
  const folder = makeFolder(t, 'caddy');
  const ports = { httpPort: await freePort(), httpsPort: await freePort() };
  const caddyfile = join(folder, 'Caddyfile');
  writeFileSync(caddyfile, caddyfileText(options, ports.httpPort, ports.httpsPort, folder));
  const process = await startProcess(t, {
    command: partPath('caddy'),
    args: ['run', '--config', caddyfile, '--adapter', 'caddyfile'],
    cwd: folder,
    env: {
      HOME: folder,
      XDG_CONFIG_HOME: folder,
      XDG_DATA_HOME: folder,
      FRONTEND_DNS: options.frontendDns,
      FRONTEND_SERVICE: options.frontendService,
      BACKEND_DNS: options.backendDns ?? options.frontendDns,
      BACKEND_SERVICE: options.backendService,
      SSL_CRT: options.certificate.certificateFile,
      SSL_KEY: options.certificate.keyFile,
    },
    isReady: async () => (await answersOnPort(ports.httpPort)) && (await answersOnPort(ports.httpsPort)),
  });
  // Its certificate cache is filled just after the listeners are bound.
  await sleep(100);
  return { ...ports, process };
}

/**
 * What differs from the FAQ: the ports; `{$..._SERVICE}:80` without the port, because the recorders' are free ones; the
 * `http://` addresses on the HTTPS port, which no Caddy 2 loads ("cannot natively multiplex HTTP and HTTPS"); and the
 * global options, which keep it off the disk, the network and the admin port.
 */
export function caddyfileText(options: CaddyOptions, httpPort: number, httpsPort: number, folder: string): string {
  const frontend = `https://{$FRONTEND_DNS}:${httpsPort}`;
  return `{
  admin off
  auto_https disable_redirects
  default_bind 127.0.0.1
  storage file_system ${folder}/storage
}
:${httpPort} {
  redir https://{host}{uri}
}
${frontend} {
  tls {$SSL_CRT} {$SSL_KEY}
  reverse_proxy {$FRONTEND_SERVICE}
}
${options.backendDns === undefined ? prefixSite(frontend, options.stripPrefix ?? '_api') : backendSite(httpsPort)}`;
}

function backendSite(httpsPort: number): string {
  return `https://{$BACKEND_DNS}:${httpsPort} {
  tls {$SSL_CRT} {$SSL_KEY}
  reverse_proxy {$BACKEND_SERVICE}
}
`;
}

function prefixSite(frontend: string, stripPrefix: string): string {
  return `${frontend}/_api/* {
  uri strip_prefix ${stripPrefix}
  tls {$SSL_CRT} {$SSL_KEY}
  reverse_proxy {$BACKEND_SERVICE}
}
`;
}
