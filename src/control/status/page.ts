// The status as a page: whole in itself, without scripts. The browser asks for it anew every few seconds.

import { createHash } from 'node:crypto';
import { escapeHtml } from '../../http/html.ts';
import type { Check } from '../checks.ts';
import type { Cell, Overview, Table } from './overview.ts';

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --ok: #1c6b3a; --warn: #8a5a00; --failed: #a3271f }
@media (prefers-color-scheme: dark) { :root { --ok: #83d39c; --warn: #ecbd5f; --failed: #ff9c8f } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem }
h1 { font-size: 1.25rem } h2 { font-size: 1rem; margin: 2rem 0 .5rem }
ul { list-style: none; padding: 0 } li.ok b { color: var(--ok) } li.warn b { color: var(--warn) } li.failed b { color: var(--failed) }
div { overflow-x: auto } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere }
th, td:first-child { font-weight: 600; white-space: nowrap } svg { display: block; width: 12rem; height: 1.5rem } polyline { fill: none; stroke: currentColor; stroke-width: 1.5 }
`;

/** Nothing is loaded, nothing runs, nobody frames it. */
export const PAGE_POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; frame-ancestors 'none'`;

const WIDTH = 240;
const HEIGHT = 30;

export function statusPage({ ready, summary, checks, tables }: Overview): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="5">
<title>${ready ? '' : 'NOT READY - '}Portico</title>
<style>${STYLE}</style>
<h1>${escapeHtml(summary.join(' · '))}</h1>
<ul>
${checks.map(checkItem).join('\n')}
</ul>
${tables.map(tableOf).join('\n')}
</html>
`;
}

function checkItem({ name, ok, warns, detail }: Check): string {
  const state = !ok ? 'failed' : warns === true ? 'warn' : 'ok';
  const words = detail === undefined ? '' : `: ${escapeHtml(detail)}`;
  return `<li class="${state}"><b>${state}</b> ${escapeHtml(name)}${words}</li>`;
}

function tableOf({ title, head, rows, empty }: Table): string {
  const heading = `<h2>${escapeHtml(title)}</h2>`;
  if (rows.length === 0) return `${heading}\n<p>${escapeHtml(empty)}</p>`;
  const line = (cells: readonly Cell[], tag: 'th' | 'td') =>
    `<tr>${cells.map((cell) => `<${tag}>${typeof cell === 'string' ? escapeHtml(cell) : plot(cell)}</${tag}>`).join('')}</tr>`;
  return `${heading}\n<div><table>\n${[line(head, 'th'), ...rows.map((row) => line(row, 'td'))].join('\n')}\n</table></div>`;
}

/** A line, from the oldest value to the newest; its top is the largest one. */
function plot(values: readonly number[]): string {
  const most = Math.max(...values, 0);
  const step = WIDTH / Math.max(1, values.length - 1);
  const height = (value: number) => (most === 0 ? HEIGHT - 1 : HEIGHT - 1 - (value / most) * (HEIGHT - 2));
  const points = values.map((value, i) => `${(i * step).toFixed(1)},${height(value).toFixed(1)}`).join(' ');
  const words = `at most ${most.toFixed(1)} a second`;
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img"><title>${words}</title><polyline points="${points}"/></svg>`;
}
