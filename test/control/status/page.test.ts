// The status as a page: whole in itself, and nothing in it is taken for markup.

import { createHash } from 'node:crypto';
import t from 'tap';
import type { Overview } from '../../../src/control/status/overview.ts';
import { PAGE_POLICY, statusPage } from '../../../src/control/status/page.ts';

const EVIL = '<script>alert("1")</script>&';

const OVERVIEW: Overview = {
  ready: true,
  summary: ['Portico', EVIL],
  checks: [
    { name: 'listeners', ok: true },
    { name: 'upstream-a', ok: true, warns: true, detail: EVIL },
    { name: 'certificate', ok: false, detail: 'none' },
  ],
  tables: [
    {
      title: EVIL,
      head: ['route', EVIL],
      rows: [
        [EVIL, [0, 5, 10]],
        ['b', []],
      ],
      empty: '',
    },
    { title: 'Failed', head: [], rows: [], empty: EVIL },
  ],
};

t.test('what it is told is text, never markup', async (t) => {
  const page = statusPage(OVERVIEW);
  t.notMatch(page, '<script');
  t.equal(
    page.split('&#60;script&#62;').length,
    7,
    'at each of its places: the summary, a detail, a title, a head, a cell, words',
  );
});

t.test('checks have their state, and tables their drawings', async (t) => {
  const page = statusPage(OVERVIEW);
  t.match(page, '<li class="ok"><b>ok</b> listeners</li>');
  t.match(page, '<li class="warn"><b>warn</b> upstream-a: ');
  t.match(page, '<li class="failed"><b>failed</b> certificate: none</li>');
  t.match(page, '<title>at most 10.0 a second</title><polyline points="0.0,29.0 120.0,15.0 240.0,1.0"/>');
  t.match(page, '<polyline points=""/>');
});

t.test('one that is not ready says so in its title', async (t) => {
  t.match(statusPage(OVERVIEW), '<title>Portico</title>');
  t.match(statusPage({ ...OVERVIEW, ready: false }), '<title>NOT READY - Portico</title>');
});

t.test('the policy allows this style, and nothing else', async (t) => {
  const style = /<style>([\s\S]*?)<\/style>/.exec(statusPage(OVERVIEW))![1]!;
  const hash = createHash('sha256').update(style).digest('base64');
  t.equal(PAGE_POLICY, `default-src 'none'; style-src 'sha256-${hash}'; frame-ancestors 'none'`);
  t.notMatch(statusPage(OVERVIEW), /style=|<img|https?:/, 'which asks for nothing else');
});
