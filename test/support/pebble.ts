// Runs the real Pebble, an ACME server for tests, on free ports: it looks at the ports of the door under test, and refuses good nonces now and then.

import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import type { Test } from 'tap';
import { makeFolder } from './folder.ts';
import { partPath } from './parts.ts';
import { freePort } from './ports.ts';
import { answersOnPort, type Running, startProcess } from './process.ts';
import { makeTestCertificate } from './tls.ts';

export interface PebbleOptions {
  /** Where it looks for the answers to its challenges. */
  readonly httpPort: number;
  readonly tlsPort: number;
  /** Accounts must be bound to one of these: base64url by key id. */
  readonly accounts?: Readonly<Record<string, string>>;
  /** In seconds. */
  readonly lifetime?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** What was proven once need not be proven again for the next order: in so many of a hundred orders (50 by default). */
  readonly reuse?: number;
  readonly port?: number;
  /** The name server that it asks, `127.0.0.1:port`; without it one by which every name is at 127.0.0.1. */
  readonly dns?: string;
}

export interface Pebble {
  readonly directory: string;
  /** PEM file of who vouches for its own server: ACME_CA_FILE. */
  readonly caFile: string;
  readonly ca: string;
  /** Each order is to be proven anew. */
  readonly wantsProof: boolean;
  readonly process: Running;
  /** The root of what it issues, in PEM. It makes a new one each time that it starts. */
  root(index?: number): Promise<string>;
  /** How many orders were placed with it. */
  orders(): number;
}

/** Starts Pebble; it ends with the test. */
export async function startPebble(t: Test, options: PebbleOptions): Promise<Pebble> {
  const folder = makeFolder(t, 'pebble');
  const [port, management] = [options.port ?? (await freePort()), await freePort()];
  const own = await makeTestCertificate(folder, ['localhost']);
  const config = join(folder, 'pebble.json');
  const { accounts = {}, reuse = 50 } = options;
  writeFileSync(
    config,
    JSON.stringify({
      pebble: {
        listenAddress: `127.0.0.1:${port}`,
        managementListenAddress: `127.0.0.1:${management}`,
        certificate: own.certificateFile,
        privateKey: own.keyFile,
        httpPort: options.httpPort,
        tlsPort: options.tlsPort,
        ocspResponderURL: '',
        externalAccountBindingRequired: Object.keys(accounts).length > 0,
        externalAccountMACKeys: accounts,
        ...(options.lifetime === undefined ? {} : { certificateValidityPeriod: options.lifetime }),
      },
    }),
  );
  const dns = options.dns ?? (await startNames(t));
  const process = await startProcess(t, {
    command: partPath('pebble'),
    args: ['-config', config, '-dnsserver', dns],
    cwd: folder,
    // Without the pause of up to 15 s before each look; all its other oddities are on.
    env: { PEBBLE_VA_NOSLEEP: '1', PEBBLE_AUTHZREUSE: String(reuse), ...options.env },
    isReady: async () => (await answersOnPort(port)) && (await answersOnPort(management)),
  });
  return {
    directory: `https://localhost:${port}/dir`,
    caFile: own.caFile,
    ca: own.ca,
    wantsProof: reuse === 0,
    process,
    root: (index = 0) => get(management, `/roots/${index}`, readFileSync(own.caFile, 'latin1')),
    orders: () => [...process.stdout().matchAll(/Added order /g)].length,
  };
}

/** Every name is at 127.0.0.1. */
async function startNames(t: Test): Promise<string> {
  const [dns, management] = [await freePort(), await freePort()];
  await startProcess(t, {
    command: partPath('pebble-challtestsrv'),
    args: [
      ...['-defaultIPv4', '127.0.0.1', '-defaultIPv6', '', '-http01', '', '-https01', '', '-tlsalpn01', ''],
      ...['-dns01', `127.0.0.1:${dns}`, '-management', `127.0.0.1:${management}`],
    ],
    isReady: () => answersOnPort(management),
  });
  return `127.0.0.1:${dns}`;
}

function get(port: number, path: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', servername: 'localhost', port, path, ca, agent: false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      answer.on('end', () => resolve(text)).on('error', reject);
    });
    asked.on('error', reject).end();
  });
}
