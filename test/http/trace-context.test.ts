// Trace context: a valid traceparent is read, all else is none, and what is made is valid.

import { randomUUID } from 'node:crypto';
import t from 'tap';
import { readTraceId, traceIdOf, writeTraceparent } from '../../src/http/trace-context.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const VALID = `00-${TRACE}-b7ad6b7169203331-01`;

t.test('valid ones', async (t) => {
  for (const value of [VALID, `00-${TRACE}-b7ad6b7169203331-00`, `cc-${TRACE}-b7ad6b7169203331-01-what-the-future`]) {
    t.equal(readTraceId(['traceparent', value]), TRACE, value);
  }
  t.equal(readTraceId(['A', 'b', 'TraceParent', VALID]), TRACE);
});

t.test('none, or none that is valid', async (t) => {
  const cases = [
    ...['', 'x', VALID.toUpperCase(), `${VALID}-`, `${VALID}-x`, `${VALID}0`, VALID.slice(0, -1), ` ${VALID}`],
    ...[
      `ff-${TRACE}-b7ad6b7169203331-01`,
      `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
      `00-${TRACE}-${'0'.repeat(16)}-01`,
    ],
    ...[`00_${TRACE}_b7ad6b7169203331_01`, `cc-${TRACE}-b7ad6b7169203331-01x`, `${VALID}, ${VALID}`, `${VALID}\n`],
  ];
  for (const value of cases) t.equal(readTraceId(['traceparent', value]), undefined, JSON.stringify(value));
  t.equal(readTraceId(['traceparent', VALID, 'Traceparent', VALID]), undefined, 'twice');
  t.equal(readTraceId(['tracestate', 'a=b']), undefined);
});

t.test('what begins here is valid, and is found by the request id', async (t) => {
  const id = randomUUID();
  const made = writeTraceparent(traceIdOf(id));
  t.equal(readTraceId(['traceparent', made]), id.replaceAll('-', ''));
  t.match(made, /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
});
