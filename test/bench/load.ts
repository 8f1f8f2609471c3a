// The rows of the benchmark, and the load of each: wrk for HTTP/1.1, h2load for HTTP/2, both on the second core.

import { execFile } from 'node:child_process';
import { partPath } from '../support/parts.ts';
import { LARGE, MEDIUM, type Origin, PROXIED, SMALL, UPLOAD } from './origin.ts';
import type { RunningPeer } from './peers.ts';
import { pinned } from './start.ts';

export interface Row {
  readonly key: string;
  readonly name: string;
  readonly protocol: 'h1' | 'h2';
  readonly path: string;
  /** A new connection for each request. */
  readonly fresh?: boolean;
  /** Posts 1 MiB. */
  readonly upload?: boolean;
  /** Served by the peer from disk. */
  readonly files?: boolean;
}

/** What a load generator tells; elapsed in seconds. */
export interface Count {
  readonly requests: number;
  readonly elapsed: number;
}

/** What one run gave. */
export interface Figure {
  /** CPU of the proxy for a request. */
  readonly microseconds: number;
  readonly perSecond: number;
}

export const ROWS: readonly Row[] = [
  { key: 'small-h1', name: '1 KiB JSON proxied, HTTP/1.1', protocol: 'h1', path: PROXIED + SMALL },
  { key: 'small-h2', name: '1 KiB JSON proxied, HTTP/2', protocol: 'h2', path: PROXIED + SMALL },
  { key: 'large-h1', name: '1 MiB proxied, HTTP/1.1', protocol: 'h1', path: PROXIED + LARGE },
  { key: 'large-h2', name: '1 MiB proxied, HTTP/2', protocol: 'h2', path: PROXIED + LARGE },
  { key: 'upload-h1', name: '1 MiB uploaded, HTTP/1.1', protocol: 'h1', path: PROXIED + UPLOAD, upload: true },
  { key: 'fresh-h1', name: '1 KiB proxied, new connection each', protocol: 'h1', path: PROXIED + SMALL, fresh: true },
  { key: 'file-small-h1', name: 'static 1 KiB, HTTP/1.1', protocol: 'h1', path: SMALL, files: true },
  { key: 'file-medium-h1', name: 'static 64 KiB, HTTP/1.1', protocol: 'h1', path: MEDIUM, files: true },
  { key: 'file-small-h2', name: 'static 1 KiB, HTTP/2', protocol: 'h2', path: SMALL, files: true },
];

/** True when a peer can take part in a row. */
export function isFit(peer: RunningPeer, row: Row): boolean {
  return (row.protocol === 'h1' || peer.http2) && (row.files !== true || peer.files);
}

/** Loads a peer for so many seconds. Rejects when an answer was not a success. */
export async function load(peer: RunningPeer, row: Row, seconds: number, origin: Origin): Promise<Count> {
  return row.protocol === 'h1' ? loadByWrk(peer, row, seconds, origin) : loadByH2load(peer, row, seconds);
}

async function loadByWrk(peer: RunningPeer, row: Row, seconds: number, origin: Origin): Promise<Count> {
  // wrk knows whole seconds only.
  const args = ['-t1', isSmall(row) ? '-c64' : '-c16', `-d${Math.max(1, Math.round(seconds))}s`, '--timeout', '20s'];
  if (row.upload) args.push('-s', origin.uploadScript);
  if (row.fresh) args.push('-H', 'Connection: close');
  const said = await run(partPath('wrk'), ...args, urlOf(peer, row));
  const counted = /(\d+) requests in ([\d.]+)(ms|s|m),/.exec(said);
  if (counted === null || /Non-2xx|Socket errors: connect [1-9]/.test(said))
    throw new Error(`${peer.name}, ${row.name}: ${said}`);
  const unit = { ms: 0.001, s: 1, m: 60 }[counted[3] as 'ms' | 's' | 'm'];
  return { requests: Number(counted[1]), elapsed: Number(counted[2]) * unit };
}

async function loadByH2load(peer: RunningPeer, row: Row, seconds: number): Promise<Count> {
  const size = isSmall(row) ? ['-c16', '-m16'] : ['-c4', '-m4', '-w20', '-W22'];
  const said = await run(
    partPath('h2load'),
    '-t1',
    ...size,
    `-D${Math.max(1, Math.round(seconds))}`,
    '--warm-up-time=0',
    urlOf(peer, row),
  );
  const counted =
    /finished in ([\d.]+)(ms|s|m)[\s\S]*?requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed/.exec(
      said,
    );
  if (counted === null || Number(counted[4]) === 0) throw new Error(`${peer.name}, ${row.name}: ${said}`);
  return { requests: Number(counted[4]), elapsed: Math.max(1, Math.round(seconds)) };
}

function isSmall(row: Row): boolean {
  return row.path.endsWith(SMALL);
}

function urlOf(peer: RunningPeer, row: Row): string {
  return `https://localhost:${peer.port}${row.path}`;
}

function run(...command: [string, ...string[]]): Promise<string> {
  const [program, ...args] = pinned(1, ...command);
  return new Promise((done, failed) => {
    execFile(program, args, { timeout: 60_000, encoding: 'utf8' }, (error, stdout, stderr) => {
      if (error === null) done(stdout);
      else failed(new Error(`${program} ${args.join(' ')}: ${stderr}${stdout}`));
    });
  });
}
