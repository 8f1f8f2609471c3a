// Framing of requests: one reading, or a refusal.

import t from 'tap';
import { readFraming } from '../../src/http/framing.ts';

const read = (...headers: string[]) => readFraming(headers, 'HTTP/1.1');

t.test('no field, no body', async (t) => {
  t.strictSame(read('Host', 'a'), { kind: 'none' });
  t.strictSame(readFraming([], 'HTTP/1.0'), { kind: 'none' });
});

t.test('one Content-Length is a number of bytes', async (t) => {
  t.strictSame(read('content-LENGTH', '0'), { kind: 'length', length: 0 });
  t.strictSame(read('Content-Length', '0042'), { kind: 'length', length: 42 });
  t.strictSame(read('Content-Length', String(2 ** 40)), { kind: 'length', length: 2 ** 40 });
  t.strictSame(read('Content-Length', '9007199254740991'), { kind: 'length', length: Number.MAX_SAFE_INTEGER });
  t.strictSame(readFraming(['Content-Length', '5'], 'HTTP/1.0'), { kind: 'length', length: 5 });
});

t.test('chunked, in any letter case', async (t) => {
  t.strictSame(read('Transfer-Encoding', 'chunked'), { kind: 'chunked' });
  t.strictSame(read('transfer-encoding', 'Chunked'), { kind: 'chunked' });
});

t.test('what can be read in two ways is a problem', async (t) => {
  const both = ['Content-Length', '5', 'Transfer-Encoding', 'chunked'];
  const cases: [string, string[]][] = [
    ['both fields', both],
    ['both fields, in the other order', [...both.slice(2), ...both.slice(0, 2)]],
    ['two lengths that agree', ['Content-Length', '5', 'Content-Length', '5']],
    ['two lengths that differ', ['Content-Length', '5', 'content-length', '6']],
    ['two codings', ['Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked']],
  ];
  for (const value of [
    'gzip',
    'gzip, chunked',
    'chunked, gzip',
    'identity',
    'chunked,',
    'xchunked',
    'chunked;q=1',
    '',
    '\x0bchunked',
  ]) {
    cases.push([`coding ${JSON.stringify(value)}`, ['Transfer-Encoding', value]]);
  }
  for (const value of [
    '',
    '-1',
    '+1',
    '1.0',
    '1e3',
    '0x10',
    '5, 5',
    '5 5',
    ' 5',
    '5 ',
    '\u0665',
    '9007199254740992',
    '1'.repeat(17),
  ]) {
    cases.push([`length ${JSON.stringify(value)}`, ['Content-Length', value]]);
  }
  for (const [name, headers] of cases) t.match(read(...headers), { kind: 'problem', problem: /\w/ }, name);
});

t.test('HTTP/1.0 knows no Transfer-Encoding', async (t) => {
  t.match(readFraming(['Transfer-Encoding', 'chunked'], 'HTTP/1.0'), { kind: 'problem', problem: /HTTP\/1\.0/ });
});
