// The status as plain text, for terminals.

import { checkLine } from '../checks.ts';
import type { Cell, Overview, Table } from './overview.ts';

const BARS = ' ▁▂▃▄▅▆▇█';
/** Values of a drawing, of the newest ones: a line of a terminal has little room. */
const MOST_BARS = 30;

export function statusText({ summary, checks, tables }: Overview): string {
  const parts = [summary.join(' · '), checks.map(checkLine).join('\n'), ...tables.map(tableText)];
  return `${parts.join('\n\n')}\n`;
}

function tableText({ title, head, rows, empty }: Table): string {
  if (rows.length === 0) return `${title}: ${empty}`;
  const lines = [head, ...rows.map((row) => row.map(cellText))];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const laidOut = lines.map((line) => line.map((cell, column) => cell.padEnd(widths[column]!)).join('  '));
  return [title, ...laidOut.map((line) => `  ${line.trimEnd()}`)].join('\n');
}

function cellText(cell: Cell): string {
  // A terminal would obey control characters.
  if (typeof cell === 'string') return cell.replace(/\p{Cc}/gu, '?');
  const newest = cell.slice(-MOST_BARS);
  const most = Math.max(...newest, Number.MIN_VALUE);
  // Whatever was more than nothing can be seen.
  return newest.map((value) => BARS[Math.ceil((value / most) * (BARS.length - 1))]).join('');
}
