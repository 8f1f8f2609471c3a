// The origin behind every peer: nginx on the second core, with answers of three sizes under a prefix, and a sink for uploads.

import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeAuthority, makeCertificate } from '../support/certificates.ts';
import { partPath } from '../support/parts.ts';
import { freePort } from '../support/ports.ts';
import { pinned, type Started, startServer } from './start.ts';

export interface Origin extends Started {
  readonly port: number;
  readonly docroot: string;
  /** sha256 of what each path answers. */
  readonly answers: ReadonlyMap<string, string>;
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly caFile: string;
  /** A script with which wrk posts 1 MiB. */
  readonly uploadScript: string;
}

/** Files of the docroot, which peers that can serve files serve themselves. */
export const SMALL = '/small.json';
export const MEDIUM = '/medium.js';
export const LARGE = '/large.bin';
/** In front of a path: passed on to the origin. */
export const PROXIED = '/_api';
export const UPLOAD = '/upload';

/** Starts it, and makes the files that peers and load generators need. */
export async function startOrigin(folder: string): Promise<Origin> {
  const docroot = join(folder, 'docroot');
  mkdirSync(docroot);
  const bodies: [string, Buffer][] = [
    [SMALL, Buffer.from(JSON.stringify({ rows: 'x'.repeat(1_024 - 11) }))],
    [MEDIUM, Buffer.from(`const s = "${'y'.repeat(64 * 1_024 - 13)}";`)],
    [LARGE, Buffer.alloc(1_024 * 1_024, 'z')],
  ];
  writeFileSync(join(docroot, 'index.html'), '<!doctype html><title>bench</title>');
  for (const [path, body] of bodies) writeFileSync(join(docroot, path), body);
  const authority = await makeAuthority();
  const leaf = await makeCertificate({ names: ['localhost'], issuer: authority });
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const port = await freePort();
  const configuration = file(
    'origin.conf',
    `daemon off; worker_processes 1; pid ${folder}/origin.pid; error_log ${folder}/origin.log;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 100000000; sendfile on; tcp_nopush on; client_max_body_size 0;
  types { application/json json; text/javascript js; } default_type application/octet-stream;
  client_body_temp_path ${folder}/o1; proxy_temp_path ${folder}/o2; fastcgi_temp_path ${folder}/o3;
  uwsgi_temp_path ${folder}/o4; scgi_temp_path ${folder}/o5;
  server { listen 127.0.0.1:${port} backlog=4096; root ${docroot}; open_file_cache max=100;
    location = /upload { client_body_buffer_size 2m; proxy_pass http://127.0.0.1:${port}/taken; }
    location = /_api/upload { client_body_buffer_size 2m; proxy_pass http://127.0.0.1:${port}/taken; }
    location = /taken { return 204; }
    location /_api/ { alias ${docroot}/; } }
}`,
  );
  const server = await startServer(
    pinned(1, partPath('nginx'), '-c', configuration, '-e', `${folder}/origin.log`),
    port,
  );
  return {
    ...server,
    port,
    docroot,
    answers: new Map(bodies.map(([path, body]) => [path, createHash('sha256').update(body).digest('hex')])),
    certificateFile: file('certificate.pem', leaf.certificate),
    keyFile: file('key.pem', leaf.key),
    caFile: file('ca.pem', authority.certificate),
    uploadScript: file('upload.lua', `wrk.method = "POST"\nwrk.body = string.rep("u", 1024 * 1024)\n`),
  };
}
