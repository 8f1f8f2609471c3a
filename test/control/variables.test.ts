// Variables in a file: defaults and messages, dollars, secrets from files; what is put in is never read as YAML.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Problem } from '../../src/control/problem.ts';
import { Variables } from '../../src/control/variables.ts';
import { makeFolder } from '../support/folder.ts';

function expand(text: string, environment: Record<string, string> = {}) {
  const problems: Problem[] = [];
  const variables = new Variables(environment, 'f.yaml', problems);
  const node = variables.expand({ kind: 'text', text, quoted: false, line: 3, column: 5 });
  return { text: node.kind === 'text' ? node.text : '', problems, variables };
}

t.test('values, defaults and dollars', async (t) => {
  const environment = { A: 'one', EMPTY: '', YAML: 'x: [y]', DOLLAR: '${A}' };
  const cases: [text: string, expanded: string][] = [
    ['no variable', 'no variable'],
    ['${A}', 'one'],
    ['a-${A}-${A}.b', 'a-one-one.b'],
    ['${A:-two}', 'one'],
    ['${B:-two}', 'two'],
    ['${B:-}', ''],
    ['${EMPTY}', ''],
    ['${EMPTY:-two}', 'two'],
    ['${A:?must be}', 'one'],
    ['${B:-http://x:80/y}', 'http://x:80/y'],
    ['$$', '$'],
    ['$${A}', '${A}'],
    ['$$$$', '$$'],
    ['${YAML}', 'x: [y]'],
    ['${DOLLAR}', '${A}'],
  ];
  for (const [text, expanded] of cases) t.match(expand(text, environment), { text: expanded, problems: [] }, text);
});

t.test('what is missing or no variable is told, with its place', async (t) => {
  const cases: [text: string, message: RegExp][] = [
    ['${B}', /^\$\{B\} is not set$/],
    ['${B:?the name of the site}', /^\$\{B\}: the name of the site$/],
    ['${EMPTY:?}', /^\$\{EMPTY\}: it is not set$/],
    ['$A', /a \$ that begins no variable/],
    ['x$', /a \$ that begins no variable/],
    ['${}', /a \$ that begins no variable/],
    ['${A', /a \$ that begins no variable/],
    ['${A-x}', /a \$ that begins no variable/],
    ['${1A}', /a \$ that begins no variable/],
    ['${A:-${B}}', /a \$ that begins no variable/],
  ];
  for (const [text, message] of cases) {
    t.match(expand(text, { A: 'one', EMPTY: '' }).problems, [{ place: 'f.yaml:3:5', message, hint: /\w/ }], text);
  }
});

t.test('all parts of a tree, keys too', async (t) => {
  const problems: Problem[] = [];
  const at = { line: 1, column: 1 };
  const text = (value: string) => ({ kind: 'text', text: value, quoted: false, ...at }) as const;
  const tree = {
    kind: 'map',
    ...at,
    entries: [{ key: text('${A}'), value: { kind: 'list', ...at, items: [text('${A}'), { kind: 'empty', ...at }] } }],
  } as const;
  t.match(new Variables({ A: 'x' }, 'f.yaml', problems).expand(tree), {
    entries: [{ key: { text: 'x', expanded: true }, value: { items: [{ text: 'x' }, { kind: 'empty' }] } }],
  });
});

t.test('what a variable holds that is called secret is one', async (t) => {
  const environment = { SMTP_PASSWORD: 'hunter2', API_KEY: 'k-1234', SIGN_KEY: '1234', NAME: 'plain', TOKEN: 'unused' };
  const { variables } = expand('${SMTP_PASSWORD} ${API_KEY} ${SIGN_KEY} ${NAME}', environment);
  t.strictSame([...variables.secrets], ['hunter2', 'k-1234'], 'not what is too short to be one');
});

t.test('NAME_FILE: a secret from a file, less its last line end', async (t) => {
  const folder = makeFolder(t, 'secrets');
  const file = join(folder, 'token');
  writeFileSync(file, 'hunter2\n');
  const { text, variables, problems } = expand('Bearer ${TOKEN}', { TOKEN_FILE: file });
  t.equal(text, 'Bearer hunter2');
  t.strictSame(problems, []);
  t.strictSame([...variables.secrets], ['hunter2']);
  t.strictSame([...variables.used], ['TOKEN', 'TOKEN_FILE']);
  t.equal(expand('${TOKEN}', { TOKEN: 'itself', TOKEN_FILE: file }).text, 'itself', 'the variable itself comes first');
  writeFileSync(join(folder, 'large'), 'x'.repeat(65_537));
  writeFileSync(join(folder, 'bytes'), Buffer.from([0xff]));
  mkdirSync(join(folder, 'folder'));
  for (const [name, why] of [
    ['none', /ENOENT/],
    ['large', /more than 65536 bytes/],
    ['folder', /it is no file/],
    ['bytes', /cannot be read/],
  ] as const) {
    const { problems } = expand('${TOKEN}', { TOKEN_FILE: join(folder, name) });
    t.match(problems, [{ place: 'f.yaml:3:5', message: why, hint: /TOKEN_FILE/ }], name);
  }
});
