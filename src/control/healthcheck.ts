// `portico healthcheck`: asks the instance on this machine whether it is ready; for HEALTHCHECK lines and scripts.

import { get } from 'node:http';
import { readEnvironment } from './environment.ts';

const TIMEOUT = 5_000;

/** Resolves to 0 when /readyz answers 200, else to 1 after saying why. */
export function healthcheck(environment: Readonly<Record<string, string | undefined>>): Promise<number> {
  // Only the place of the admin listener counts here; the rest of the configuration is the running instance's.
  const { ADMIN_HOST, ADMIN_PORT } = environment;
  const { adminHost, adminPort } = readEnvironment({ ADMIN_HOST, ADMIN_PORT });
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
