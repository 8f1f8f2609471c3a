// The access line in the combined format of Apache and nginx, for the tools that read it.

import { firstValue } from '../http/headers.ts';
import type { Exchange } from '../model/exchange.ts';
import { PIPE_BUF } from './line.ts';
import { redactPath, redactQuery, redactReferer, redactText } from './redact.ts';

const MAX_TEXT = 1_024;
const MIN_TEXT = 16;
const MONTHS: readonly string[] = [
  ...['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'],
];

/** `client - - [time] "request" status bytes "referer" "user agent"`. The user is never named: it would stand in Authorization. */
export function combinedLine(exchange: Exchange): string {
  let most = MAX_TEXT;
  let line = lineWith(exchange, most);
  while (line.length >= PIPE_BUF && most > MIN_TEXT) {
    most /= 4;
    line = lineWith(exchange, most);
  }
  return line;
}

function lineWith(exchange: Exchange, most: number): string {
  const { head } = exchange;
  const question = head.target.indexOf('?');
  const path = redactPath(question === -1 ? head.target : head.target.slice(0, question));
  const query = question === -1 ? '' : `?${redactQuery(head.target.slice(question + 1))}`;
  const referer = firstValue(head.headers, 'referer');
  const agent = firstValue(head.headers, 'user-agent');
  const client = exchange.clientAddress === '' ? '-' : escaped(exchange.clientAddress.replaceAll(' ', ''), most);
  const bytes = exchange.bytesOut === 0 ? '-' : String(exchange.bytesOut);
  const request = `${escaped(head.method, most)} ${escaped(path + query, most)} ${head.protocol}`;
  return (
    `${client} - - [${clfTime(exchange.startedAt)}] "${request}" ${exchange.status} ${bytes} ` +
    `"${referer === undefined ? '-' : escaped(redactReferer(referer), most)}" ` +
    `"${agent === undefined ? '-' : escaped(redactText(agent), most)}"`
  );
}

/** Printable ASCII, without what would end a field or begin another line. */
function escaped(text: string, most: number): string {
  const shown = text.length <= most ? text : `${text.slice(0, most)}...`;
  return shown.replace(/["\\]|[^\x20-\x7e]/g, escapeUnit);
}

function escapeUnit(unit: string): string {
  if (unit === '"' || unit === '\\') return `\\${unit}`;
  const code = unit.charCodeAt(0);
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
}

/** `02/Jan/2030:03:04:05 +0000`. */
function clfTime(ms: number): string {
  const [date, time] = new Date(ms).toISOString().split('T') as [string, string];
  const [year, month, day] = date.split('-') as [string, string, string];
  return `${day}/${MONTHS[Number(month) - 1]}/${year}:${time.slice(0, 8)} +0000`;
}
