// `portico version`.

import manifest from '../../package.json' with { type: 'json' };

/** The version in package.json. */
export function version(): string {
  return manifest.version;
}

export function printVersion(): number {
  process.stdout.write(`portico ${version()} (Node ${process.versions.node}, OpenSSL ${process.versions.openssl})\n`);
  return 0;
}
