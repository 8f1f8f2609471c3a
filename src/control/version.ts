// `portico version`.

import { readFileSync } from 'node:fs';

/** The version in package.json. */
export function version(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;
}

export function printVersion(): number {
  process.stdout.write(`portico ${version()} (Node ${process.versions.node}, OpenSSL ${process.versions.openssl})\n`);
  return 0;
}
