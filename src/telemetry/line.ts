// A line of a log: JSON in printable ASCII, on one line whatever it holds, for terminals and tools that split at odd bytes.

/** POSIX promises that a write of this many bytes to a pipe is not interleaved with another process's. */
export const PIPE_BUF = 4_096;

/** Members that are undefined are left out. */
export type Members = Readonly<Record<string, string | number | boolean | undefined>>;

/** Without the newline; as many bytes as characters. */
export function jsonLine(members: Members): string {
  return escapeOdd(JSON.stringify(members));
}

/** A text as JSON, quotes included. Most are plain, and JSON.stringify with what follows costs ten times this test. */
export function jsonText(text: string): string {
  return /^[ !#-[\]-~]*$/.test(text) ? `"${text}"` : escapeOdd(JSON.stringify(text));
}

/** U+0085 and U+2028 end a line for some readers, and C1 controls are commands to a terminal. */
function escapeOdd(json: string): string {
  return json.replace(/[^\x20-\x7e]/g, escapeUnit);
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

let second = Number.NaN;
let secondText = '';

/** RFC 3339 in UTC, with milliseconds: of the many lines of a second only the last three digits differ. */
export function isoTime(ms: number): string {
  const whole = Math.floor(ms / 1_000);
  if (whole !== second) {
    second = whole;
    secondText = new Date(whole * 1_000).toISOString().slice(0, -4);
  }
  return `${secondText}${String(Math.floor(ms) - whole * 1_000).padStart(3, '0')}Z`;
}
