// The table that the benchmark prints: medians with their spread, and ratios to nginx and Caddy.

import type { Figure, Row } from './load.ts';
import type { RunningPeer } from './peers.ts';

export function printTable(
  rows: readonly Row[],
  peers: readonly RunningPeer[],
  figures: ReadonlyMap<string, readonly Figure[]>,
  memory: ReadonlyMap<string, number>,
): void {
  for (const row of rows) {
    const of = (name: string) => figures.get(`${row.key} ${name}`);
    const base = (name: string) => {
      const all = of(name);
      return all === undefined ? undefined : median(all.map((each) => each.microseconds));
    };
    console.log(`### ${row.name}\n`);
    console.log('| peer | µs of CPU a request (min - max) | x nginx | x caddy | requests/s |');
    console.log('|---|---|---|---|---|');
    for (const { name } of peers) {
      const all = of(name);
      if (all === undefined) continue;
      const cost = all.map((each) => each.microseconds);
      const spread = `${Math.round(Math.min(...cost))} - ${Math.round(Math.max(...cost))}`;
      const speed = Math.round(median(all.map((each) => each.perSecond)));
      const cells = [ratio(median(cost), base('nginx')), ratio(median(cost), base('caddy')), speed];
      console.log(`| ${name} | ${Math.round(median(cost))} (${spread}) | ${cells.join(' | ')} |`);
    }
    console.log('');
  }
  console.log('### resident memory after the load, MiB\n');
  console.log('| peer | all processes |\n|---|---|');
  for (const [name, bytes] of memory) console.log(`| ${name} | ${Math.round(bytes / 1024 / 1024)} |`);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function ratio(value: number, base: number | undefined): string {
  return base === undefined ? '-' : (value / base).toFixed(2);
}
