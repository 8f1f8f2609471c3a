// The processes that a process started, and the connections that they hold.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** The children of a process, by what /proc tells. */
export function childrenOf(pid: number): number[] {
  const children: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      const [, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (Number(parent) === pid) children.push(Number(name));
    } catch {
      // It ended between the two looks.
    }
  }
  return children;
}

/** Which of these processes holds the accepted end of a loopback connection between two ports. */
export function holderOf(pids: readonly number[], port: number, clientPort: number): number | undefined {
  const ends = [port, clientPort].map((end) => `:${end.toString(16).toUpperCase().padStart(4, '0')}`) as [
    string,
    string,
  ];
  const lines = ['tcp', 'tcp6'].flatMap((table) => readFileSync(`/proc/net/${table}`, 'latin1').split('\n'));
  const fields = lines.map((line) => line.trim().split(/\s+/));
  const inode = fields.find(([, own, other]) => own?.endsWith(ends[0]) && other?.endsWith(ends[1]))?.[9];
  return pids.find((pid) => descriptorsOf(pid).includes(`socket:[${inode}]`));
}

function descriptorsOf(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).flatMap((name) => {
    try {
      return [readlinkSync(`${folder}/${name}`)];
    } catch {
      // Closed between the two looks.
      return [];
    }
  });
}
