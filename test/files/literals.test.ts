// Literals: keys and values in the quotes of the file, and nothing that a page or the other language would read differently.

import t from 'tap';
import { escapeString, writeKey, writeValue } from '../../src/files/literals.ts';

t.test('keys: as names where they can be, quoted where not', async (t) => {
  t.equal(writeKey('A_b$9', '', 'javascript'), 'A_b$9');
  t.equal(writeKey('9A', '', 'javascript'), '"9A"');
  t.equal(writeKey('a-b', '', 'javascript'), '"a-b"');
  t.equal(writeKey("it's", "'", 'javascript'), "'it\\'s'");
});

t.test('__proto__ is a key like any other: computed in a script, plain in JSON', async (t) => {
  t.equal(writeKey('__proto__', '', 'javascript'), '["__proto__"]');
  t.equal(writeKey('__proto__', "'", 'javascript'), '["__proto__"]');
  t.equal(writeKey('__proto__', '"', 'json'), '"__proto__"');
  const value = JSON.parse('{"a":{"__proto__":1}}');
  t.equal(writeValue(value, '"', 'javascript'), '{ "a": { ["__proto__"]: 1 } }');
  t.equal(writeValue(value, '"', 'json'), '{ "a": { "__proto__": 1 } }');
});

t.test('values', async (t) => {
  for (const [value, wanted] of [
    ['a "b"', `'a "b"'`],
    [true, 'true'],
    [null, 'null'],
    [-1.5, '-1.5'],
    [[], '[]'],
    [{}, '{}'],
    [[1, 'x', { k: [] }], "[1, 'x', { 'k': [] }]"],
  ] as const) {
    t.equal(writeValue(value, "'", 'javascript'), wanted);
  }
});

t.test('nothing in a string ends it, a script element, a comment or a line', async (t) => {
  t.equal(escapeString('</script><!--', '"'), '\\u003c/script>\\u003c!--');
  t.equal(escapeString('\u2028\u2029\n', '"'), '\\u2028\\u2029\\n');
  t.equal(escapeString(`"'\``, '"'), `\\"'\``);
  t.equal(escapeString(`"'\``, "'"), `"\\'\``);
  t.equal(escapeString('`\x24{x} $', '`'), '\\`\\\x24{x} $');
});
