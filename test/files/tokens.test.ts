// Tokens: where strings, patterns and comments begin and end, and texts that cannot be cut.

import t from 'tap';
import { scan } from '../../src/files/tokens.ts';

const texts = (text: string) => {
  const tokens = scan(text);
  return typeof tokens === 'string' ? tokens : tokens.map((token) => token.text);
};

t.test('strings whole, comments not at all, all else by the character', async (t) => {
  for (const [text, wanted] of [
    ['a.b = 1', ['a', '.', 'b', '=', '1']],
    ['"a\\"b" \'c"\' `d\n`', ['"a\\"b"', "'c\"'", '`d\n`']],
    ['a // b\nc /* d * / */ e', ['a', 'c', 'e']],
    ['\ufeffa\u2028b', ['a', 'b']],
    ['é.$_1', ['é', '.', '$_1']],
  ] as const) {
    t.strictSame(texts(text), wanted);
  }
  t.strictSame(scan(' "x"'), [{ kind: 'string', text: '"x"', start: 1, end: 4 }]);
});

t.test('a slash divides behind a value, and begins a pattern elsewhere', async (t) => {
  t.strictSame(texts('a / b / c'), ['a', '/', 'b', '/', 'c']);
  t.strictSame(texts('(1) / 2'), ['(', '1', ')', '/', '2']);
  t.strictSame(texts('= /[/"]+\\//gi, "x"'), ['=', '/[/"]+\\//gi', ',', '"x"']);
});

t.test('what cannot be cut is told', async (t) => {
  for (const text of ['"a', "'a\n'", '`a\x24{b}`']) t.equal(texts(text), 'a string in it does not end', text);
  t.equal(texts('a /* b'), 'a comment in it does not end');
  t.equal(texts('= /a'), 'a slash in it is neither a comment nor a pattern');
});
