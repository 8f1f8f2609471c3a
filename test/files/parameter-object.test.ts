// Parameter object: found in each spelling, with the places of its members, or the reason why not.

import t from 'tap';
import { readJson, readScript } from '../../src/files/parameter-object.ts';

t.test('each spelling of the assignment', async (t) => {
  for (const before of ['window.TC_PARAMS =', "window['TC_PARAMS'] =", 'self["TC_PARAMS"]=', 'const TC_PARAMS =']) {
    const found = readScript(`// TC_PARAMS = {}\n${before} { A: 1 };`);
    t.match(found, { members: [{ key: 'A' }], trailingComma: false }, before);
  }
});

t.test('members with their places, whatever their keys and values look like', async (t) => {
  const text = `TC_PARAMS = { A: "x", 'b c': [1, { d: ',' }], ["E"]: f(1, 2), /* } */ }`;
  const found = readScript(text);
  if (typeof found === 'string') throw new Error(found);
  t.equal(text[found.open], '{');
  t.equal(text.slice(found.close), '}');
  t.ok(found.trailingComma);
  t.strictSame(
    found.members.map(({ key, keyStart, keyEnd, tokens }) => [
      key,
      text.slice(keyStart, keyEnd),
      text.slice(tokens[0]!.start, tokens.at(-1)!.end),
    ]),
    [
      ['A', 'A', '"x"'],
      ['b c', "'b c'", "[1, { d: ',' }]"],
      ['E', '["E"]', 'f(1, 2)'],
    ],
  );
});

t.test('the reason why a script was not understood', async (t) => {
  for (const [text, reason] of [
    ['', 'it holds no TC_PARAMS = { ... }'],
    ['TC_PARAMS == { A: 1 }', 'it holds no TC_PARAMS = { ... }'],
    ['TC_PARAMS = { A: 1 }; TC_PARAMS = {}', 'it holds more than one TC_PARAMS = { ... }'],
    ['TC_PARAMS = { A: 1', 'its object does not end'],
    ['TC_PARAMS = { ...others }', 'its object holds something that is no plain "key: value"'],
    ['TC_PARAMS = { `A`: 1 }', 'its object holds something that is no plain "key: value"'],
    ['TC_PARAMS = { A: }', 'a key of its object has no value'],
    ['TC_PARAMS = { A: "x }', 'a string in it does not end'],
  ] as const) {
    t.equal(readScript(text), reason, text);
  }
});

t.test('the reason why JSON was not understood', async (t) => {
  for (const text of ['[]', 'null', '"x"']) t.equal(readJson(text), 'it is no JSON object', text);
  for (const text of ['', '{"A": 1,}', '{A: 1}', '{} // x']) t.equal(readJson(text), 'it is no valid JSON', text);
  t.match(readJson('\ufeff{"A": {"B": 1}}'), { members: [{ key: 'A' }] }, 'a byte order mark is none of it');
});
