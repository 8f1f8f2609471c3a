// `portico healthcheck`: asks the instance on this machine whether it is ready; for HEALTHCHECK lines and scripts.

import { get } from 'node:http';
import type { Environment } from './configuration.ts';
import { sourceOf } from './source.ts';

const TIMEOUT = 5_000;

/** Resolves to 0 when /readyz answers 200, else to 1 after saying why. */
export function healthcheck(file: string | undefined, environment: Environment): Promise<number> {
  const { address: adminHost, port: adminPort } = sourceOf(file, environment).reach().admin;
  // An instance bound to all addresses is reached on loopback.
  const host = adminHost === '0.0.0.0' ? '127.0.0.1' : adminHost === '::' ? '::1' : adminHost;
  return new Promise((done) => {
    const fail = (why: string) => {
      process.stderr.write(`portico: not ready: ${why}\n`);
      done(1);
    };
    const request = get(
      { host, port: adminPort, path: '/readyz?verbose', timeout: TIMEOUT, agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text = (text + chunk).slice(0, 4_096);
        });
        response.on('end', () => {
          if (response.statusCode === 200) done(0);
          else fail(text.trim());
        });
      },
    );
    request.on('timeout', () => request.destroy(new Error(`no answer within ${TIMEOUT} ms`)));
    request.on('error', (error) => fail(`${host}:${adminPort}: ${error.message}`));
  });
}
