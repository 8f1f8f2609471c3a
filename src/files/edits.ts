// Edits: places of a text, and what is to stand there instead.

/** Start, end (without), and what takes the place. */
export type Edit = readonly [start: number, end: number, text: string];

export function applyEdits(text: string, edits: readonly Edit[]): string {
  let out = '';
  let at = 0;
  for (const [start, end, replacement] of edits.toSorted((a, b) => a[0] - b[0] || a[1] - b[1])) {
    out += text.slice(at, start) + replacement;
    at = end;
  }
  return out + text.slice(at);
}
