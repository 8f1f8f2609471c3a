// Parameters: values written into the two files, whose shape stays; whatever the value, what is read back is what was set.

import vm from 'node:vm';
import fc from 'fast-check';
import t from 'tap';
import { readValue, writeParameters } from '../../src/files/params.ts';
import type { Json } from '../../src/model/snapshot.ts';

const SEED = 20_261_122;
const NONE = { script: {}, embed: {} };

const SCRIPT = `// The parameters of this installation. Don't "touch" { this }
/* API_BASEROUTE: "not this one" */
window.TC_PARAMS = {
  // where the API is
  API_BASEROUTE: "__API_BASEROUTE_PLACEHOLDER__", // "quoted", { braces }
  'WEBSOCKET_BASEROUTE': 'wss://__WS_HOST_PLACEHOLDER__/ws',
  GDPR_SETTINGS: __GDPR_SETTINGS_PLACEHOLDER__, /* an object */
  NESTED: { a: ["}", { b: '__NESTED_PLACEHOLDER__' }], c: /[}/"]+/g },
  SHOW_CUSTOM_CSS: false,
  TENANT: "__TENANT_PLACEHOLDER__" // the last one
};
`;

const run = (script: string) => {
  const window: { TC_PARAMS?: Record<string, unknown> } = {};
  vm.runInNewContext(script, { window });
  return window.TC_PARAMS!;
};

t.test('the script keeps its shape: comments, order, quotes', async (t) => {
  const { text, remarks } = writeParameters('script', SCRIPT, {
    script: {
      API_BASEROUTE: 'https://api.example/?a&b="c"',
      WS_HOST: "it's.example",
      GDPR_SETTINGS: { enabled: true },
      NESTED: { whole: 1 },
      TENANT: '</script>',
      SANITIZE_HTML: true,
    },
    embed: { API_BASEROUTE: 'not for this file' },
  });
  t.equal(
    text,
    `// The parameters of this installation. Don't "touch" { this }
/* API_BASEROUTE: "not this one" */
window.TC_PARAMS = {
  // where the API is
  API_BASEROUTE: "https://api.example/?a&b=\\"c\\"", // "quoted", { braces }
  'WEBSOCKET_BASEROUTE': 'wss://it\\'s.example/ws',
  GDPR_SETTINGS: { "enabled": true }, /* an object */
  NESTED: { "whole": 1 },
  SHOW_CUSTOM_CSS: false,
  TENANT: "\\u003c/script>", // the last one
  WS_HOST: "it's.example",
  SANITIZE_HTML: true
};
`,
  );
  t.strictSame(remarks, []);
  t.match(run(text), { TENANT: '</script>', WEBSOCKET_BASEROUTE: "wss://it's.example/ws", SANITIZE_HTML: true });
});

t.test('placeholders inside of other values are filled, those without a value are reported', async (t) => {
  const { text, remarks } = writeParameters('script', SCRIPT, {
    script: { GDPR_SETTINGS: null, WS_HOST: 'ws' },
    embed: {},
  });
  t.match(text, "'wss://ws/ws'");
  t.match(text, 'GDPR_SETTINGS: null, /* an object */');
  t.strictSame(remarks, [
    'still holds the placeholder __API_BASEROUTE_PLACEHOLDER__',
    'still holds the placeholder __NESTED_PLACEHOLDER__',
    'still holds the placeholder __TENANT_PLACEHOLDER__',
  ]);
});

t.test('a file as large as is rewritten takes no long time, whatever is in it', async (t) => {
  const length = 50_000;
  const members = Array.from({ length }, (_, i) => `a${i}:"b"`).join(',');
  for (const text of [`TC_PARAMS={${members}}`, `TC_PARAMS={A:"${'__a'.repeat(6 * length)}"}`]) {
    const before = performance.now();
    t.strictSame(writeParameters('script', text, { script: { B: 'x', C: 'y' }, embed: {} }).remarks, []);
    // Of a quadratic reading it was 10 s and more.
    t.ok(performance.now() - before < 5_000);
  }
});

t.test('nothing to set: byte for byte the same', async (t) => {
  t.equal(writeParameters('script', SCRIPT, NONE).text, SCRIPT);
});

t.test('keys are added in the way of the file', async (t) => {
  const add = (text: string) => writeParameters('script', text, { script: { 'A-B': 1, NEW: 'x' }, embed: {} }).text;
  for (const [before, after] of [
    ['window.TC_PARAMS = {};', 'window.TC_PARAMS = { "A-B": 1, NEW: "x" };'],
    ['window.TC_PARAMS={A:1}', 'window.TC_PARAMS={A:1,"A-B":1,NEW:"x"}'],
    ["TC_PARAMS = { A: 'a', }", `TC_PARAMS = { A: 'a', "A-B": 1, NEW: 'x', }`],
    ["window['TC_PARAMS'] = {\n\t'A': 'a'\n};", "window['TC_PARAMS'] = {\n\t'A': 'a',\n\t'A-B': 1,\n\t'NEW': 'x'\n};"],
    ['var TC_PARAMS = {\n}', 'var TC_PARAMS = {\n  "A-B": 1,\n  NEW: "x"\n}'],
    [
      'TC_PARAMS = {\r\n  A: 1,\r\n  // end\r\n}',
      'TC_PARAMS = {\r\n  A: 1,\r\n  // end\r\n  "A-B": 1,\r\n  NEW: "x",\r\n}',
    ],
  ] as const) {
    t.equal(add(before), after, before);
    t.match(run(`window.TC_PARAMS = ${add(before).replace(/^[^{]*/, '')}`), { 'A-B': 1, NEW: 'x' });
  }
});

t.test('a slash behind a word of the language begins a pattern', async (t) => {
  const before =
    'window.TC_PARAMS = { A: function (s) { return /[}"]/.test(s) }, B: typeof /}/, C: a.of / 2 / b, D: 1 };';
  const { text, remarks } = writeParameters('script', before, { script: { D: 'x', E: 2 }, embed: {} });
  t.equal(text, before.replace('D: 1', 'D: "x", E: 2'));
  t.strictSame(remarks, []);
});

t.test('a key that stands twice is set twice', async (t) => {
  const { text } = writeParameters('script', 'TC_PARAMS = { A: 1, "A": 2, ["A"]: 3 }', {
    script: { A: 'x' },
    embed: {},
  });
  t.equal(text, 'TC_PARAMS = { A: "x", "A": "x", ["A"]: "x" }');
});

t.test('what cannot be understood stays untouched, and is told', async (t) => {
  for (const text of [
    '',
    'window.OTHER = {};',
    'window.TC_PARAMS = Object.assign({}, { A: 1 });',
    'window.TC_PARAMS = { A: 1',
    'window.TC_PARAMS = { A: "x };',
    'window.TC_PARAMS = { ...others };',
    'window.TC_PARAMS = { A };',
    'window.TC_PARAMS = { A() { return 1 } };',
    'window.TC_PARAMS = { A: `x\x24{1}` };',
    'window.TC_PARAMS = { A: };',
    'TC_PARAMS = { A: 1 }; TC_PARAMS = { A: 2 };',
    'TC_PARAMS = { A: 1 } /* no end',
    '// window.TC_PARAMS = { A: 1 };',
  ]) {
    const written = writeParameters('script', text, { script: { A: 'x' }, embed: {} });
    t.equal(written.text, text);
    t.equal(written.remarks.length, 1, text);
    t.match(written.remarks[0], /^is served as it is: /);
  }
  for (const text of ['', '[]', 'null', '{"A": 1,}', '{A: 1}', '{"A": 1} // x']) {
    const written = writeParameters('embed', text, { script: { A: 'x' }, embed: { B: 1 } });
    t.equal(written.text, text);
    t.equal(written.remarks.length, 1, text);
  }
});

t.test('embed-params.json: its own keys are set or added, those of the script where it has them', async (t) => {
  const before =
    '\ufeff{\n    "API_BASEROUTE": "__API_BASEROUTE_PLACEHOLDER__",\n    "EMBED": "enable",\n    "X_SERVICE": "http://__HOST_PLACEHOLDER__/x"\n}\n';
  const { text, remarks } = writeParameters('embed', before, {
    script: { API_BASEROUTE: 'https://a/"&"', TENANT: 'not here', HOST: 'h' },
    embed: { EMBED: 'disable', NEW: [1, { a: null }] },
  });
  t.equal(
    text,
    '\ufeff{\n    "API_BASEROUTE": "https://a/\\"&\\"",\n    "EMBED": "disable",\n    "X_SERVICE": "http://h/x",\n    "NEW": [1, { "a": null }]\n}\n',
  );
  t.strictSame(remarks, []);
  const other = writeParameters('embed', '{"A":1}', { script: { A: 1 }, embed: { A: 2 } });
  t.equal(other.text, '{"A":2}', 'its own variable goes before');
});

t.test('a public login is remarked on, never its value', async (t) => {
  const remarks = (text: string, script = {}) => writeParameters('script', text, { script, embed: {} }).remarks;
  const found = remarks('TC_PARAMS = { USERNAME: "joe", PASSWORD: \'hunter2\' }');
  t.equal(found.length, 2);
  t.match(found.join(), /USERNAME/);
  t.match(found.join(), /PASSWORD/);
  t.notMatch(found.join(), /joe|hunter2/);
  t.equal(remarks('TC_PARAMS = {}', { PASSWORD: 'hunter2' }).length, 1);
  t.strictSame(remarks('TC_PARAMS = { USERNAME: "", PASSWORD: null }'), []);
  t.strictSame(remarks('TC_PARAMS = { PASSWORD: "__PASSWORD_PLACEHOLDER__" }'), [
    'still holds the placeholder __PASSWORD_PLACEHOLDER__',
  ]);
});

t.test("a variable's text is text, unless it is plainly JSON", async (t) => {
  for (const [text, value] of [
    ['', ''],
    ['x', 'x'],
    ['42', '42'],
    [' x ', ' x '],
    ['"x"', '"x"'],
    ['true', true],
    ['false', false],
    ['null', null],
    ['{"a": [1]}', { a: [1] }],
    ['[]', []],
    ['{not json}', '{not json}'],
    ['[x', '[x'],
    ['True', 'True'],
  ] as const) {
    t.strictSame(readValue(text), value, text);
  }
});

const nasty = fc.constantFrom(
  ...[
    '&',
    '"',
    "'",
    '`',
    '\\',
    '\\\\',
    '\x24{x}',
    '</script>',
    '<!--',
    '-->',
    ']]>',
    '\u2028',
    '\u2029',
    '\n',
    '\r',
    '\t',
    '\0',
  ],
  ...[
    '\ud800',
    '\ud83d\ude00',
    '//',
    '/*',
    '*/',
    '{',
    '}',
    ',',
    ':',
    '$&',
    '$1',
    '__X_PLACEHOLDER__',
    '\u00e9',
    ' ',
    'a',
  ],
);
const anyText = fc.oneof(
  fc.array(nasty, { maxLength: 12 }).map((pieces) => pieces.join('')),
  fc.string({ unit: 'binary' }),
);
const key = fc.oneof(
  fc.stringMatching(/^[A-Z][A-Z_]{0,6}$/),
  fc.constantFrom('__proto__', 'constructor', 'toString', 'a-b'),
  anyText,
);
const anyValue = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    anyText,
    fc.constantFrom<Json>(true, false, null, 0, -1.5e300),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.array(fc.tuple(key, tie('value')), { maxLength: 3 }).map((entries) => Object.fromEntries(entries) as Json),
  ),
})).value;
const someValues = fc.array(fc.tuple(key, anyValue), { minLength: 1, maxLength: 4 }).map((entries) => {
  return Object.fromEntries(entries) as Record<string, Json>;
});
const bases = fc.constantFrom(
  SCRIPT.replace('__GDPR_SETTINGS_PLACEHOLDER__', '1'),
  'window.TC_PARAMS = {};',
  "window.TC_PARAMS={'A':'x',\"B\":2,}",
  'window.TC_PARAMS = {\n  A: "x", // y\n};',
);

t.test('whatever is set comes back from the script, and nothing else changes', async () => {
  fc.assert(
    fc.property(bases, someValues, (base, script) => {
      const { text } = writeParameters('script', base, { script, embed: {} });
      const read = run(text);
      const before = run(base);
      if (/<\/script|<!--|[\u2028\u2029]/i.test(text)) return false;
      const own = Object.keys(script).every(
        (name) => Object.hasOwn(read, name) && JSON.stringify(read[name]) === JSON.stringify(script[name]),
      );
      const others = Object.keys(before).every(
        (name) => Object.hasOwn(script, name) || JSON.stringify(read[name]) === JSON.stringify(before[name]),
      );
      const count = new Set([...Object.keys(before), ...Object.keys(script)]).size;
      return own && others && Object.keys(read).length === count && text.startsWith(base.slice(0, 10));
    }),
    { seed: SEED, numRuns: 3_000 },
  );
});

t.test('whatever is filled into a string comes back from it', async () => {
  fc.assert(
    fc.property(anyText, fc.constantFrom('"', "'", '`'), (value, quote) => {
      const base = `window.TC_PARAMS = { K: ${quote}a __V_PLACEHOLDER__ z${quote} };`;
      const { text } = writeParameters('script', base, { script: { V: value }, embed: {} });
      return run(text).K === `a ${value} z`;
    }),
    { seed: SEED, numRuns: 3_000 },
  );
});

t.test('whatever is set comes back from the JSON', async () => {
  const base = fc.constantFrom('{}', '{ "A": "x", "B": {"c": [1, 2]} }', '{\n\t"A": 1\n}\n');
  fc.assert(
    fc.property(base, someValues, (text, embed) => {
      const written = writeParameters('embed', text, { script: {}, embed }).text;
      const read = JSON.parse(written) as Record<string, Json>;
      const wanted = { ...(JSON.parse(text) as Record<string, Json>) };
      for (const name of Object.keys(embed)) {
        Object.defineProperty(wanted, name, {
          value: embed[name],
          enumerable: true,
          configurable: true,
          writable: true,
        });
      }
      return Object.keys(wanted).every((name) => JSON.stringify(read[name]) === JSON.stringify(wanted[name]));
    }),
    { seed: SEED, numRuns: 3_000 },
  );
});

t.test('any text at all: never an exception, and what is understood stays whole', async () => {
  const piece = fc.constantFrom(
    ...[
      'window.',
      'TC_PARAMS',
      ' = ',
      '{',
      '}',
      '[',
      ']',
      '(',
      ')',
      ',',
      ':',
      ';',
      '"',
      "'",
      '`',
      '\\',
      '/',
      '//',
      '/*',
      '*/',
      '\n',
    ],
    ...['A', 'B: 1', '"A": "x"', "'B': 'y'", '...', '=>', '${', '__A_PLACEHOLDER__', '1.5e3', ' ', '\u2028', '/[/]/'],
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 25 }), (pieces) => {
      const text = pieces.join('');
      for (const kind of ['script', 'embed'] as const)
        writeParameters(kind, text, { script: { A: 'x' }, embed: { A: 1 } });
      // Where the file was a script that runs, it is one afterwards too.
      const source = `window.TC_PARAMS = {${text}};`;
      let ran = true;
      try {
        new vm.Script(source);
      } catch {
        ran = false;
      }
      if (ran) new vm.Script(writeParameters('script', source, { script: { A: 'x', N: '"' }, embed: {} }).text);
      return true;
    }),
    { seed: SEED, numRuns: 10_000 },
  );
});
