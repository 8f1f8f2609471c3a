// The reader of configuration files against damaged and made-up files: it never crashes, and what it says always has a place and hides values.

import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { adaptCaddyfile } from '../../src/control/adapt.ts';
import { compile } from '../../src/control/compile.ts';
import type { Configuration } from '../../src/control/configuration.ts';
import { readConfiguration } from '../../src/control/file.ts';
import { printConfiguration } from '../../src/control/print.ts';
import { ConfigError, type Problem } from '../../src/control/problem.ts';
import { readYaml } from '../../src/control/yaml.ts';
import { SMALL } from '../support/configuration-file.ts';

const SEED = 20_261_122;
const EXAMPLES = readdirSync(new URL('../../config/examples/', import.meta.url)).map((name) =>
  readFileSync(new URL(`../../config/examples/${name}`, import.meta.url)),
);
const VARIABLES = { FRONTEND_DNS: 'a.example', DOOR_TOKEN: 'hunter2hunter2' };
/** Of a problem: a file with line and column, or the variable that is in the way. */
const PLACE = /^(?:f\.yaml:[1-9]\d*:[1-9]\d*(?: \S.*:)?|[A-Z_]+)$/s;

const snapshotOf = (configuration: Configuration) =>
  compile(configuration, { generation: 1, certificates: [], authorities: new Map(), ticketKeys: new Uint8Array(48) });

/** The configuration, or the problems; anything else that is thrown fails the property. */
function read(bytes: Uint8Array, variables: Record<string, string>): Configuration | ConfigError {
  try {
    return readConfiguration(bytes, 'f.yaml', variables);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}

function holds(bytes: Uint8Array): void {
  const result = read(bytes, VARIABLES);
  if (!(result instanceof ConfigError)) {
    // What was accepted can be compiled, printed, and read back.
    snapshotOf(result);
    const { text, masked } = printConfiguration(result);
    const again = read(Buffer.from(text), {});
    if (masked === 0 && again instanceof ConfigError)
      throw new Error(`what was printed is refused: ${again.message}\n${text}`);
    return;
  }
  if (result.problems.length === 0) throw new Error('refused without a problem');
  for (const { place, message, hint } of result.problems) {
    if (!PLACE.test(place)) throw new Error(`no place: ${place}`);
    if (message === '' || hint === undefined || hint === '') throw new Error(`no words: ${place} ${message} (${hint})`);
    if (`${place}${message}${hint}`.includes('hunter2hunter2')) throw new Error('a secret is told');
  }
}

t.test('any bytes', async (t) => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), holds), { seed: SEED, numRuns: 300 });
  t.pass();
});

t.test('what looks like a Caddyfile becomes YAML that can be read, or is refused with places', async (t) => {
  const piece = fc.constantFrom(
    ...[
      'a.example',
      ':80',
      'https://',
      '{$A}',
      '{$A:b}',
      ' ',
      ',',
      ' {\n',
      '\n}\n',
      '\n',
      '/x*',
      'tls c k\n',
      '# ',
      '"',
      '`',
      '$',
      '\\',
    ],
    ...[
      'reverse_proxy b:80\n',
      'redir https://{host}{uri}\n',
      'uri strip_prefix x\n',
      ':7000 {\nredir https://{host}{uri}\n}\n',
    ],
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      try {
        const problems: Problem[] = [];
        readYaml(Buffer.from(adaptCaddyfile(pieces.join(''), 'f.yaml').text), 'f.yaml', problems);
        if (problems.length > 0) throw new Error(JSON.stringify(problems));
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        for (const { place } of error.problems) if (!PLACE.test(place)) throw new Error(`no place: ${place}`);
      }
    }),
    { seed: SEED, numRuns: 1_000 },
  );
  t.pass();
});

t.test('what looks like YAML', async (t) => {
  const piece = fc.constantFrom(
    ...[
      'a',
      'listeners',
      'hosts',
      'routes',
      'proxy',
      ': ',
      ':',
      '- ',
      '\n',
      '\n  ',
      '\n    ',
      '\t',
      '{',
      '}',
      '[',
      ']',
      ',',
      '"',
      "'",
    ],
    ...[
      '&a ',
      '*a',
      '!!str ',
      '<<: ',
      '| \n',
      '>-\n',
      '---\n',
      '...\n',
      '%YAML 1.2\n',
      '# ',
      '? ',
      '~',
      'null',
      '${A}',
      '${',
      '$$',
      '1e3',
      '\r\n',
    ],
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => holds(Buffer.from(pieces.join('')))),
    { seed: SEED, numRuns: 1_000 },
  );
  t.pass();
});

t.test('examples with a piece cut out, doubled, or exchanged', async (t) => {
  const damage = fc.tuple(
    fc.nat(),
    fc.nat(),
    fc.nat(60),
    fc.constantFrom(
      '',
      'x',
      ': ',
      '\n',
      '- ',
      '"',
      '{',
      '\u0000',
      '\xff',
      '  ',
      '99999999999999999999',
      '${DOOR_TOKEN}',
    ),
  );
  fc.assert(
    fc.property(damage, fc.boolean(), ([which, where, length, instead], doubled) => {
      const example = EXAMPLES[which % EXAMPLES.length]!;
      const start = where % example.length;
      const cut = example.subarray(start, start + length);
      const middle = doubled ? Buffer.concat([cut, cut]) : Buffer.from(instead, 'latin1');
      holds(Buffer.concat([example.subarray(0, start), middle, example.subarray(start + length)]));
    }),
    { seed: SEED, numRuns: 600 },
  );
  t.pass();
});

t.test('values of all kinds at every place of a whole file', async (t) => {
  const lines = SMALL.split('\n').filter((line) => line !== '');
  const value = fc.constantFrom(
    '',
    ' []',
    ' {}',
    ' [[]]',
    ' {a: {b: c}}',
    ' "x"',
    ' -1',
    ' 1.5',
    ' true',
    ' ~',
    ' ${NONE}',
    ' ${DOOR_TOKEN}',
    ' "\\u0000"',
    ` ${'x'.repeat(5_000)}`,
  );
  fc.assert(
    fc.property(fc.nat(lines.length - 1), value, (index, instead) => {
      const changed = lines.map((line, i) => (i === index ? line.replace(/(?<=:|-)(?: .*)?$/, instead) : line));
      holds(Buffer.from(`${changed.join('\n')}\n`));
    }),
    { seed: SEED, numRuns: 400 },
  );
  t.pass();
});
