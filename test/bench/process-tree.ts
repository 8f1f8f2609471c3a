// CPU time and memory of a process and of all that it started, by what /proc tells.

import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks a second, as the kernel tells them to user space on every Linux. */
const TICKS = 100;

interface Process {
  readonly pid: number;
  readonly parent: number;
  /** In seconds. */
  readonly cpu: number;
}

/** Seconds of CPU, user and system, of the process and its descendants, ended children included. */
export function cpuTime(pid: number): number {
  return tree(pid).reduce((sum, each) => sum + each.cpu, 0);
}

/** Bytes of resident memory of the process and its descendants. */
export function residentMemory(pid: number): number {
  let bytes = 0;
  for (const each of tree(pid)) {
    const resident = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${each.pid}/status`, 'latin1'));
    bytes += Number(resident?.[1] ?? 0) * 1024;
  }
  return bytes;
}

function tree(pid: number): Process[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readProcess(Number(name)))
    .filter((each) => each !== undefined);
  const members = all.filter((each) => each.pid === pid);
  for (const member of members) members.push(...all.filter((each) => each.parent === member.pid));
  return members;
}

function readProcess(pid: number): Process | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // Behind the name, which may hold anything: state, parent, ..., utime, stime, cutime, cstime (proc(5)).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = [11, 12, 13, 14].reduce((sum, i) => sum + Number(fields[i]), 0);
    return { pid, parent: Number(fields[1]), cpu: ticks / TICKS };
  } catch {
    return undefined;
  }
}
