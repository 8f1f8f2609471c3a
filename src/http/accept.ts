// What a request would rather read: a page for a person, or JSON for a program.

import { firstValue, type Headers } from './headers.ts';

/** True for a browser's navigation: Sec-Fetch-Mode says so, or Accept ranks HTML above JSON and names it. */
export function prefersPage(headers: Headers): boolean {
  const mode = firstValue(headers, 'sec-fetch-mode');
  if (mode !== undefined) return mode === 'navigate' || mode === 'nested-navigate';
  const accept = firstValue(headers, 'accept');
  if (accept === undefined) return false;
  const html = Math.max(quality(accept, 'text/html'), quality(accept, 'application/xhtml+xml'));
  return html > quality(accept, 'application/json');
}

/** The q of a media type that is named (not by a wildcard), 0 when it is not named. */
function quality(accept: string, type: string): number {
  for (const member of accept.split(',')) {
    const [name, ...parameters] = member.split(';');
    if (name!.trim().toLowerCase() !== type) continue;
    for (const parameter of parameters) {
      const q = /^\s*q\s*=\s*(\d(?:\.\d{0,3})?)\s*$/i.exec(parameter);
      if (q !== null) return Number(q[1]);
    }
    return 1;
  }
  return 0;
}
