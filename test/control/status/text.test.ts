// The status in a terminal: columns, drawings of blocks, and nothing that a terminal would obey.

import t from 'tap';
import type { Overview } from '../../../src/control/status/overview.ts';
import { statusText } from '../../../src/control/status/text.ts';

const OVERVIEW: Overview = {
  ready: true,
  summary: ['Portico', 'ready'],
  checks: [{ name: 'listeners', ok: true }],
  tables: [
    {
      title: 'Routes',
      head: ['route', 'five minutes', '5xx'],
      rows: [
        ['a', [0, 1, 8], '0'],
        ['longer', [0, 0], '12'],
      ],
      empty: '',
    },
    { title: 'Failed', head: ['time'], rows: [], empty: 'nothing' },
  ],
};

t.test('summary, checks, tables', async (t) => {
  t.equal(
    statusText(OVERVIEW),
    `Portico · ready

[+]listeners ok

Routes
  route   five minutes  5xx
  a        ▁█           0
  longer                12

Failed: nothing
`,
  );
});

t.test('the newest values are drawn, no more than fit', async (t) => {
  const values = [...new Array<number>(100).fill(0), ...new Array<number>(30).fill(3)];
  const rows = [[values]];
  const text = statusText({ ...OVERVIEW, checks: [], tables: [{ title: 'T', head: ['x'], rows, empty: '' }] });
  t.match(text, new RegExp(`\\n  ${'█'.repeat(30)}\\n`));
});

t.test('control characters are shown as question marks', async (t) => {
  const rows = [['GET /\u001b[2J\u009b1m\r\nx']];
  const text = statusText({ ...OVERVIEW, checks: [], tables: [{ title: 'T', head: ['x'], rows, empty: '' }] });
  t.match(text, '  GET /?[2J?1m??x\n');
});
