// Runs the real BIND on a free port, with zones that take updates by a TSIG key, and hooks that send it such.

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { Resolver } from 'node:dns/promises';
import { appendFileSync, chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { makeFolder } from './folder.ts';
import { partPath } from './parts.ts';
import { freePort } from './ports.ts';
import { type Running, startProcess } from './process.ts';

export const DNS_PARTS = ['named', 'nsupdate'];

export interface Named {
  readonly port: number;
  /** `127.0.0.1:port`. */
  readonly address: string;
  /** Of the key that may change TXT records, as tsig-keygen writes it. */
  readonly keyFile: string;
  readonly secret: string;
  readonly process: Running;
  /** Values of the TXT records of a name. */
  texts(name: string): Promise<string[]>;
  /** Sends an update of its own: lines like `update add x.example.test. 1 TXT "y"`. */
  update(...lines: readonly string[]): void;
}

/** Each zone has its name server, `ns1` in it, and all else at 127.0.0.1. It ends with the test. */
export async function startNamed(t: Test, zones: readonly string[] = ['example.test'], port?: number): Promise<Named> {
  const folder = makeFolder(t, 'named');
  const taken = port ?? (await freePort());
  const secret = randomBytes(32).toString('base64');
  const keyFile = join(folder, 'door.key');
  const key = `key "door" {\n\talgorithm hmac-sha256;\n\tsecret "${secret}";\n};\n`;
  writeFileSync(keyFile, key, { mode: 0o600 });
  const config = join(folder, 'named.conf');
  writeFileSync(
    config,
    `options {
  directory "${folder}"; pid-file none; session-keyfile none; managed-keys-directory "${folder}";
  listen-on port ${taken} { 127.0.0.1; }; listen-on-v6 { none; };
  recursion yes; notify no; dnssec-validation no; allow-transfer { none; };
};
controls { };
${key}`,
  );
  // With a root of its own it asks nobody else.
  const root = join(folder, 'root.zone');
  writeFileSync(root, '$TTL 1\n. SOA . . 1 3600 600 86400 1\n. NS .\n. A 127.0.0.1\n');
  appendFileSync(config, `zone "." { type primary; file "${root}"; };\n`);
  for (const zone of zones) {
    const file = join(folder, `${zone}.zone`);
    const soa = 'SOA ns1 hostmaster 1 3600 600 86400 1';
    writeFileSync(file, `$TTL 1\n@ ${soa}\n@ NS ns1\nns1 A 127.0.0.1\n@ A 127.0.0.1\n* A 127.0.0.1\n`);
    const policy = 'update-policy { grant door zonesub TXT CNAME NS A; }';
    appendFileSync(config, `zone "${zone}" { type primary; file "${file}"; ${policy}; };\n`);
  }
  const address = `127.0.0.1:${taken}`;
  const resolve = async (name: string) => {
    const resolver = new Resolver({ timeout: 1_000, tries: 2 });
    resolver.setServers([address]);
    return (await resolver.resolveTxt(name)).map((parts) => parts.join(''));
  };
  const isNo = (error: NodeJS.ErrnoException) => ['ENODATA', 'ENOTFOUND'].includes(error.code ?? '');
  const process = await startProcess(t, {
    command: partPath('named'),
    args: ['-g', '-c', config, '-n', '1'],
    cwd: folder,
    isReady: () => resolve(zones[0]!).then(() => true, isNo),
  });
  return {
    ...{ port: taken, address, keyFile, secret, process },
    texts: (name) => resolve(name).catch((error) => (isNo(error) ? [] : Promise.reject(error))),
    update: (...lines) => {
      const input = [`server 127.0.0.1 ${taken}`, ...lines, 'send', ''].join('\n');
      execFileSync(partPath('nsupdate'), ['-k', keyFile], { input, stdio: ['pipe', 'ignore', 'pipe'] });
    },
  };
}

export interface Hook {
  readonly file: string;
  /** What it was called with, a line each. */
  calls(): string[];
}

/** A script of the shell that notes each call; `body` goes on from there, with the call in $1, $2 and $3. */
export function makeHook(t: Test, body: string): Hook {
  const folder = makeFolder(t, 'hook');
  const [file, log] = [join(folder, 'dns-hook'), join(folder, 'calls')];
  writeFileSync(file, `#!/bin/sh\necho "$@" >> ${log}\n${body}\n`);
  chmodSync(file, 0o755);
  return { file, calls: () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []) };
}

/** The shell's part of a hook that replaces what is there, as careless ones do. */
export function replacingHook({ port, keyFile }: Named, zone = 'example.test'): string {
  return `change="update delete $2 TXT"
[ "$1" = present ] && change="$change
update add $2 1 TXT \\"$3\\""
${partPath('nsupdate')} -k ${keyFile} <<END
server 127.0.0.1 ${port}
zone ${zone}
$change
send
END`;
}
