// YAML to nodes: places, what is text and what is empty, and all that is not read, told by line and column.

import t from 'tap';
import { parse } from 'yaml';
import type { Problem } from '../../src/control/problem.ts';
import { readYaml, writeYaml } from '../../src/control/yaml.ts';

function read(text: string | Uint8Array) {
  const problems: Problem[] = [];
  const node = readYaml(Buffer.from(text), 'f.yaml', problems);
  return { node, problems: problems.map(({ place, message, hint }) => `${place} ${message} (${hint})`) };
}

t.test('scalars are texts, with their places', async (t) => {
  const { node, problems } = read(
    'a: 010\nb: "x\\ty"\nc:\n  - yes\n  - ~\n  -\nd: |\n  two\n  lines\ne: null\nf: ""\n',
  );
  t.strictSame(problems, []);
  t.match(node, {
    kind: 'map',
    entries: [
      {
        key: { text: 'a', line: 1, column: 1 },
        value: { kind: 'text', text: '010', quoted: false, line: 1, column: 4 },
      },
      { key: { text: 'b' }, value: { text: 'x\ty', quoted: true } },
      { value: { kind: 'list', items: [{ text: 'yes', line: 4, column: 5 }, { kind: 'empty' }, { kind: 'empty' }] } },
      { value: { text: 'two\nlines\n', quoted: true } },
      { key: { text: 'e' }, value: { kind: 'empty' } },
      { key: { text: 'f' }, value: { kind: 'text', text: '' } },
    ],
  });
});

t.test('a byte order mark and CRLF do not matter', async (t) => {
  t.match(read('\ufeffa: 1\r\nb: 2\r\n'), {
    problems: [],
    node: { entries: [{ value: { text: '1' } }, { key: { text: 'b', line: 2, column: 1 }, value: { text: '2' } }] },
  });
});

t.test('what is not read says where', async (t) => {
  const cases: [text: string | Uint8Array, problem: RegExp][] = [
    ['', /^f\.yaml:1:1 the file holds no settings/],
    ['# nothing\n', /^f\.yaml:1:1 the file holds no settings/],
    ['a:\n\tb: 1', /^f\.yaml:2:1 there is a tab in the indentation \(indent with spaces\)/],
    ['a: &x 1', /^f\.yaml:1:7 anchors \(&\) and aliases \(\*\) are not read/],
    ['a: 1\nb: !!binary aGk=', /^f\.yaml:2:13 tags \(!\) are not read/],
    ['a: 1\n---\nb: 2', /^f\.yaml:2:1 a second document begins/],
    ['a: b: c', /^f\.yaml:1:4 a key begins inside of a value/],
    ['a: 1\nb: [', /^f\.yaml:2:4 this \[ is not closed \(end it with \],/],
    ['a: { b: 1 }\nb: {\n  c: { d: 1 }\ne: [1]', /^f\.yaml:2:4 this \{ is not closed/],
    ['a: [[1], [2]\nb: 1', /^f\.yaml:1:4 this \[ is not closed/],
    ['a: [ [1]', /^f\.yaml:1:4 this \[ is not closed/],
    ['a: {b: [1, 2}\nc: 1', /^f\.yaml:1:8 this \[ is not closed/],
    ['a:\n  b: 1\n c: 1', /indented in another way/],
    ['a: "x', /^f\.yaml:1:6 a character is missing/],
    ['? [a]\n: b', /^f\.yaml:1:3 this is no key/],
    ['a: {b: ${X}}', /^f\.yaml:1:9 inside of \[ \] and \{ \} a variable has to be in quotes/],
    [`${'['.repeat(50)}${']'.repeat(50)}`, /^f\.yaml:1:34 this is nested more than 32 deep/],
    ['['.repeat(20_000), /nested too deeply/],
    [Buffer.from('a: 1\nb: \xff', 'latin1'), /^f\.yaml:2:4 the text is not UTF-8 from here on/],
    ['a: 1\n b\x00', /^f\.yaml:2:3 there is a control character/],
    [Buffer.alloc(1024 * 1024 + 1, '#'), /^f\.yaml:1:1 the file has 1048577 bytes/],
  ];
  for (const [text, problem] of cases) t.match(read(text).problems[0], problem, String(text).slice(0, 20));
});

t.test('a bomb of aliases is refused before it is lit', async (t) => {
  const bomb = [
    'a: &a [x, x]',
    ...'bcdefghi'.split('').map((key, i) => `${key}: &${key} [*${'abcdefgh'[i]}, *${'abcdefgh'[i]}]`),
  ];
  const { problems } = read(bomb.join('\n'));
  t.ok(problems.length >= 9);
  for (const problem of problems) t.match(problem, /anchors/);
});

t.test('many brackets that are left open take no long time', async (t) => {
  const before = performance.now();
  const { problems } = read('k: [a\n'.repeat(8_000));
  t.equal(problems.length, 8_000);
  t.match(problems[7_999], /^f\.yaml:8000:4 this \[ is not closed/);
  // Of a quadratic search it was 35 s and more.
  t.ok(performance.now() - before < 8_000);
});

t.test('one problem a line: what follows in it follows from the first', async (t) => {
  t.equal(read('- a\nb: c\n').problems.length, 1);
});

t.test('nothing of the text is in what the parser says', async (t) => {
  for (const text of [
    'a: "hunter2',
    'PASSWORD: @hunter2',
    'a: hunter2: hunter2',
    '*hunter2',
    '%hunter2\n---\na',
    'a: !hunter2 x',
  ])
    t.notMatch(read(text).problems.join(), 'hunter2', text);
});

t.test('what is written is read back to the same texts', async (t) => {
  const value = {
    a: '8000',
    b: 'true',
    c: 'null',
    d: '~',
    e: '',
    f: ' x ',
    g: 'a: b',
    h: '# no',
    i: ['-', '*x', '&y', 'é', '$'],
    j: 'l\nm\n',
  };
  const text = writeYaml(value);
  t.strictSame(parse(text), value);
  t.strictSame(read(text).problems, []);
});
