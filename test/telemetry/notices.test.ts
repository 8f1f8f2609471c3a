// Notices: told when they are news.

import t from 'tap';
import { createLog } from '../../src/telemetry/log.ts';
import { Notices } from '../../src/telemetry/notices.ts';

function setUp() {
  const lines: string[] = [];
  let now = 0;
  const log = createLog('info', { put: (line) => lines.push(JSON.parse(line).msg), flush: () => Promise.resolve() });
  return {
    lines,
    notices: new Notices(log, () => now),
    pass: (ms: number) => {
      now += ms;
    },
  };
}

t.test('on change, each subject by itself', async (t) => {
  const { lines, notices } = setUp();
  notices.onChange('a', [], {});
  notices.onChange('a', ['one', 'two'], {});
  notices.onChange('a', ['one', 'two'], {});
  notices.onChange('b', ['one'], {});
  notices.onChange('a', ['two'], {});
  notices.onChange('a', [], {});
  notices.onChange('a', ['two'], {});
  t.strictSame(lines, ['one', 'two', 'one', 'two', 'two']);
});

t.test('once a minute', async (t) => {
  const { lines, notices, pass } = setUp();
  notices.seldom('x', {});
  pass(59_999);
  notices.seldom('x', {});
  notices.seldom('y', {});
  pass(1);
  notices.seldom('x', {});
  t.strictSame(lines, ['x', 'y', 'x']);
});
