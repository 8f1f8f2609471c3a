// Runs curl against a server under test as if its ports were the public 443 and 80.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { makeFolder } from './folder.ts';
import { partPath } from './parts.ts';

/** Where the public ports lead. */
export interface CurlDoor {
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly caFile: string;
}

export interface CurlAnswer {
  /** curl's own exit code: 0 when it got a whole answer. */
  readonly exit: number;
  readonly stderr: string;
  /** 0 without an answer. */
  readonly status: number;
  /** Of the last answer, names in lower case. */
  readonly headers: readonly (readonly [string, string])[];
  /** The first value of a field, or ''. */
  header(name: string): string;
  readonly body: Buffer;
  readonly text: string;
  readonly sha256: string;
  /** `1.1` or `2`. */
  readonly protocol: string;
  /** The URL that was fetched last, with `-L`. */
  readonly url: string;
}

export type Curl = (url: string, ...args: string[]) => Promise<CurlAnswer>;

/** The two protocols that every check runs over, as curl's options. */
export const PROTOCOLS = [
  ['HTTP/1.1', '--http1.1'],
  ['HTTP/2', '--http2'],
] as const;

/** A curl that knows the door. Names are not resolved: every `https://name/` leads to it. */
export function makeCurl(t: Test, door: CurlDoor): Curl {
  const folder = makeFolder(t, 'curl');
  let count = 0;
  return (url, ...args) => {
    const bodyFile = join(folder, `body-${++count}`);
    const headFile = join(folder, `head-${count}`);
    const own = ['-q', '-sS', '--noproxy', '*', '--max-time', '60', '--cacert', door.caFile, '-o', bodyFile];
    const places = [`:443:127.0.0.1:${door.httpsPort}`, `:80:127.0.0.1:${door.httpPort}`];
    const ways = places.flatMap((place) => ['--connect-to', place]);
    const all = [...own, ...ways, '-D', headFile, '-w', '%{json}', '--path-as-is', '-g', ...args, url];
    return run(all, folder, headFile, bodyFile);
  };
}

function run(args: readonly string[], folder: string, headFile: string, bodyFile: string): Promise<CurlAnswer> {
  const env = { PATH: process.env.PATH ?? '', HOME: folder, LANG: 'C.UTF-8' };
  return new Promise((resolve) => {
    execFile(partPath('curl'), args, { env, timeout: 90_000, cwd: folder }, (error, stdout, stderr) => {
      const told = JSON.parse(stdout === '' ? '{}' : stdout) as Record<string, string | number>;
      const headers = readHead(readOrNothing(headFile).toString('latin1'));
      const body = readOrNothing(bodyFile);
      resolve({
        exit: error === null ? 0 : typeof error.code === 'number' ? error.code : -1,
        stderr,
        status: Number(told.response_code ?? 0),
        headers,
        header: (name) => headers.find(([other]) => other === name)?.[1] ?? '',
        body,
        text: body.toString('utf8'),
        sha256: createHash('sha256').update(body).digest('hex'),
        protocol: String(told.http_version ?? ''),
        url: String(told.url_effective ?? ''),
      });
    });
  });
}

/** The fields of the last head in a dump that may hold interim answers and redirects. */
function readHead(dump: string): [string, string][] {
  const heads = dump.split('\r\n\r\n').filter((head) => /^HTTP\//.test(head));
  const lines = (heads.at(-1) ?? '').split('\r\n').slice(1);
  return lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
}

function readOrNothing(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}
