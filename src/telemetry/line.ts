// A line of a log: JSON in printable ASCII, on one line whatever it holds, for terminals and tools that split at odd bytes.

/** POSIX promises that a write of this many bytes to a pipe is not interleaved with another process's. */
export const PIPE_BUF = 4_096;

/** Members that are undefined are left out. */
export type Members = Readonly<Record<string, string | number | boolean | undefined>>;

/** Without the newline; as many bytes as characters. */
export function jsonLine(members: Members): string {
  // U+0085 and U+2028 end a line for some readers, and C1 controls are commands to a terminal.
  return JSON.stringify(members).replace(/[^\x20-\x7e]/g, escapeUnit);
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
