// The processes that a process started.

import { readdirSync, readFileSync } from 'node:fs';

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
