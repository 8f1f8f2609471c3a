// Whom our own answers are for: a person with a browser, or a program.

import t from 'tap';
import { prefersPage } from '../../src/http/accept.ts';

t.test('Sec-Fetch-Mode decides when it is there', async (t) => {
  t.ok(prefersPage(['Sec-Fetch-Mode', 'navigate', 'Accept', 'application/json']));
  t.ok(prefersPage(['sec-fetch-mode', 'nested-navigate']));
  for (const mode of ['cors', 'no-cors', 'same-origin', 'websocket', '']) {
    t.notOk(prefersPage(['Sec-Fetch-Mode', mode, 'Accept', 'text/html']), mode);
  }
});

t.test('otherwise Accept does, when it names HTML and ranks it above JSON', async (t) => {
  const pages = [
    'text/html',
    'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
    'TEXT/HTML',
    'text/html;q=0.1',
  ];
  pages.push(
    'application/json;q=0.5, text/html',
    'application/xhtml+xml',
    'text/html; charset=utf-8; q=0.9, application/json;q=0.8',
  );
  for (const accept of pages) t.ok(prefersPage(['Accept', accept]), accept);
  const programs = [
    '*/*',
    'application/json',
    'application/json, text/plain, */*',
    'text/*',
    '',
    'text/html;q=0',
    'text/html;q=0.000',
  ];
  programs.push(
    'application/json, text/html',
    'text/html, application/json',
    'text/html;q=0.5, application/json',
    'text/htmlx',
  );
  for (const accept of programs) t.notOk(prefersPage(['Accept', accept]), accept);
  t.notOk(prefersPage([]));
});
