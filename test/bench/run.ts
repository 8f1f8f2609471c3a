// The benchmark: Portico beside the servers that it wants to replace, same machine, same origin, same load, in turn.
//
// The yardstick is CPU time of the proxy per request (user + system, all its processes, from /proc): seconds drift on shared
// machines, ratios inside one round hold. The proxy has the first core, origin and load generator the second.

import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findPart } from '../support/parts.ts';
import { type Figure, isFit, load, ROWS, type Row } from './load.ts';
import { type Origin, startOrigin } from './origin.ts';
import { PEERS, type Peer, type RunningPeer } from './peers.ts';
import { cpuTime, residentMemory } from './process-tree.ts';
import { printTable } from './table.ts';
import { checkAnswers } from './verify.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    peer: { type: 'string', multiple: true },
    row: { type: 'string', multiple: true },
  },
});
const rounds = values.quick ? 1 : 5;
const seconds = values.quick ? 1 : 4;

for (const part of ['nginx', 'wrk', 'h2load', 'taskset', 'curl']) {
  if (findPart(part) === undefined) {
    console.error(`the benchmark needs ${part}: install nginx-light, wrk, nghttp2-client, util-linux and curl`);
    process.exit(1);
  }
}

const folder = mkdtempSync(join(tmpdir(), 'portico-bench-'));
// nginx's workers drop their privileges, and read it all the same.
chmodSync(folder, 0o755);
const started: { stop(): Promise<void> }[] = [];
try {
  const origin = await startOrigin(folder);
  started.push(origin);
  const running: RunningPeer[] = [];
  for (const peer of PEERS.filter(isWanted)) {
    const why = peer.missing();
    if (why !== undefined) {
      console.log(`${peer.name} is left out: ${why}`);
      continue;
    }
    const one = await peer.start(folder, origin);
    started.push(one);
    running.push(one);
    console.log(`${peer.name}: ${one.version}`);
  }
  for (const one of running) await checkAnswers(one, origin);
  console.log('every peer answers byte for byte right\n');

  const rows = ROWS.filter((row) => values.row === undefined || values.row.includes(row.key));
  const figures = new Map<string, Figure[]>();
  for (let round = 0; round < rounds; round++) {
    for (const row of rows) {
      for (const one of running.filter((each) => isFit(each, row))) {
        process.stderr.write(`\rround ${round + 1} of ${rounds}: ${row.name}, ${one.name}`.padEnd(78));
        await warmUp(one, row, origin);
        const key = `${row.key} ${one.name}`;
        figures.set(key, [...(figures.get(key) ?? []), await measure(one, row, origin)]);
      }
    }
  }
  process.stderr.write(`\r${' '.repeat(78)}\r`);
  const memory = new Map(running.map((one) => [one.name, residentMemory(one.pid)]));
  printTable(rows, running, figures, memory);
} finally {
  for (const one of started.reverse()) await one.stop();
  rmSync(folder, { recursive: true, force: true });
}

function isWanted(peer: Peer): boolean {
  return values.peer === undefined || values.peer.includes(peer.name);
}

/** Connections, caches and the just-in-time compiler are warm before anything counts. */
async function warmUp(one: RunningPeer, row: Row, origin: Origin): Promise<void> {
  await load(one, row, 0.5, origin);
}

async function measure(one: RunningPeer, row: Row, origin: Origin): Promise<Figure> {
  const before = cpuTime(one.pid);
  const { requests, elapsed } = await load(one, row, seconds, origin);
  const cpu = cpuTime(one.pid) - before;
  return { microseconds: (cpu / requests) * 1e6, perSecond: requests / elapsed };
}
