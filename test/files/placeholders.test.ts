// Placeholders: found in one pass, filled where the value can stand, and left where it would mean something else.

import t from 'tap';
import { writeParameters } from '../../src/files/params.ts';
import { placeholdersIn } from '../../src/files/placeholders.ts';

t.test('names between two underscores and _PLACEHOLDER__', async (t) => {
  const names = (text: string) => placeholdersIn(text).map((each) => each[1]);
  t.strictSame(names('__A_PLACEHOLDER__/__B_C9_PLACEHOLDER__'), ['A', 'B_C9']);
  for (const none of ['', '__PLACEHOLDER__', '__A_PLACEHOLDER_', '_A_PLACEHOLDER__', '__A-B_PLACEHOLDER__']) {
    t.strictSame(names(none), [], none);
  }
});

t.test(
  'a value that is no string takes the place of the whole literal, and its JSON that of a part of one',
  async (t) => {
    const base = 'TC_PARAMS = { A: "__X_PLACEHOLDER__", B: "a __X_PLACEHOLDER__", C: __X_PLACEHOLDER__ };';
    const { text } = writeParameters('script', base, { script: { X: [1] }, embed: {} });
    t.match(text, 'A: [1], B: "a [1]", C: [1]');
  },
);

t.test('no key and no pattern is filled', async (t) => {
  const base = 'TC_PARAMS = { __X_PLACEHOLDER__: 1, A: /__X_PLACEHOLDER__/ };';
  const { text, remarks } = writeParameters('script', base, { script: { X: 'x' }, embed: {} });
  t.match(text, '__X_PLACEHOLDER__: 1, A: /__X_PLACEHOLDER__/');
  t.strictSame(remarks, ['still holds the placeholder __X_PLACEHOLDER__']);
});

t.test('behind a backslash a placeholder is filled when that backslash is escaped itself', async (t) => {
  const base = String.raw`TC_PARAMS = { A: "C:\\__X_PLACEHOLDER__", B: "\__X_PLACEHOLDER__", C: '\\\__X_PLACEHOLDER__', D: "\\\\__X_PLACEHOLDER__" };`;
  const parameters = { script: { X: 'ten' }, embed: { X: 'ten' } };
  const { text, remarks } = writeParameters('script', base, parameters);
  t.equal(
    text,
    String.raw`TC_PARAMS = { A: "C:\\ten", B: "\__X_PLACEHOLDER__", C: '\\\__X_PLACEHOLDER__', D: "\\\\ten", X: "ten" };`,
  );
  t.strictSame(remarks, ['still holds the placeholder __X_PLACEHOLDER__']);
  t.equal(
    writeParameters('embed', '{"X":"","A":"C:\\\\__X_PLACEHOLDER__"}', parameters).text,
    '{"X":"ten","A":"C:\\\\ten"}',
  );
});

t.test('what only begins like a placeholder is none, and what follows it is one', async (t) => {
  const base =
    'TC_PARAMS = { A: "__a__b", B: "__a__X_PLACEHOLDER__", C: "__a-__X_PLACEHOLDER__", D: "___X_PLACEHOLDER__" };';
  const { text } = writeParameters('script', base, { script: { X: '1', a__X: '2' }, embed: {} });
  t.match(text, 'A: "__a__b", B: "2", C: "__a-1", D: "_1"');
});
