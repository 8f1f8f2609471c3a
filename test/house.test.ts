// The house holds its own rules: who may import whom, what pure rooms may touch, words, first lines, and paths that documents name.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join, posix, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Rooms and the rooms that each may import; every one of them may import from itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  http: [],
  codec: ['http'],
  model: ['http'],
  policy: ['model', 'http'],
  upstream: ['model', 'codec', 'http'],
  files: ['model', 'http'],
  telemetry: ['model', 'http'],
  proxy: ['policy', 'upstream', 'files', 'telemetry', 'model', 'http'],
  downstream: ['proxy', 'codec', 'model', 'http'],
  control: ['model', 'http', 'telemetry'],
  demo: [],
};
/** What single files may import beyond their room. */
const EXCEPTIONS: readonly string[] = [
  'src/control/demo-configuration.ts -> demo',
  // What a worker would find and write is judged before it is served, in its own way.
  'src/control/frontend-root.ts -> files',
  // The decision of a worker itself, not a copy of it: where an API_BASEROUTE or a URL would lead.
  'src/control/frontend-root.ts -> policy',
  'src/control/explain.ts -> policy',
];
/** Rooms without time, randomness and input or output, and the builtins that they may use. */
const PURE = ['http', 'codec', 'model', 'policy'];
const PURE_BUILTINS = ['node:net', 'node:buffer'];
/** Words that others use for what has a name of its own here. */
const NOT_USED = ['handler', 'middleware', 'manager', 'util', 'utils', 'helper', 'helpers', 'ctx', 'master', 'slave'];

interface Source {
  /** From the root, with `/`. */
  readonly path: string;
  readonly text: string;
  /** Without comments. */
  readonly code: string;
  /** Without comments and the text of strings, templates and regular expressions. */
  readonly bare: string;
  /** As written: `./a.ts`, `node:net`, `ws`. */
  readonly imports: readonly string[];
}

const sources = listFiles('src')
  .filter((path) => /\.(?:ts|mjs|js)$/.test(path))
  .map(readSource);

/** Imports of our own files, from and to, as paths from the root. */
const edges = sources.flatMap(({ path, imports }) =>
  imports
    .filter((name) => name.startsWith('.'))
    .map((name) => ({ from: path, to: posix.normalize(posix.join(posix.dirname(path), name)) })),
);

t.test('the reader of imports reads them all', async (t) => {
  const text = [
    "// import a from 'no';",
    "import type { A } from './a.ts';",
    "import {\n  b,\n} from './b.ts'; /* import c from 'no' */",
    "export { d } from './d.ts';\nexport * from './e.ts';",
    "import './f.ts';",
    "const g = await import('./g.ts');",
    `const text = 'handler'; const other = \`manager \${'util'} \${helper()}\`; /[/'] ctx/.test(text);`,
  ].join('\n');
  const { imports, bare } = parse('x.ts', text);
  t.strictSame(imports, ['./a.ts', './b.ts', './d.ts', './e.ts', './f.ts', './g.ts']);
  t.strictSame(
    NOT_USED.filter((word) => bare.includes(word)),
    ['helper'],
  );
});

t.test('each room is known, and there is something in src/', async (t) => {
  t.ok(sources.length > 30, `${sources.length} files`);
  const rooms = new Set(sources.map(({ path }) => roomOf(path)));
  t.strictSame(
    [...rooms].filter((room) => room !== '' && !(room in MAY_IMPORT)),
    [],
  );
});

t.test('each import of ours names a file that is there', async (t) => {
  t.strictSame(
    edges.filter(({ to }) => !existsSync(join(ROOT, to))).map(({ from, to }) => `${from} imports ${to}`),
    [],
  );
});

t.test('imports go down only', async (t) => {
  const wrong: string[] = [];
  for (const { from, to } of edges) {
    const [room, other] = [roomOf(from), roomOf(to)];
    if (room === other && room !== '') continue;
    if (from === 'src/launch.mjs' && ['src/main.ts', 'src/worker.ts'].includes(to)) continue;
    // Its version.
    if (from === 'src/control/version.ts' && to === 'package.json') continue;
    if (room === '') {
      // The two roots.
      if (
        other !== '' &&
        (from === 'src/main.ts' || (from === 'src/worker.ts' && other !== 'control' && other !== 'demo'))
      )
        continue;
    } else if (other !== '' && (MAY_IMPORT[room]!.includes(other) || EXCEPTIONS.includes(`${from} -> ${other}`)))
      continue;
    wrong.push(`${from} imports ${to}`);
  }
  t.strictSame(wrong, []);
});

t.test('a worker loads nothing of the control plane, not even by way of others', async (t) => {
  const reached = new Set(['src/worker.ts']);
  for (const path of reached) for (const { from, to } of edges) if (from === path) reached.add(to);
  t.ok(reached.size > 15, `${reached.size} files are loaded`);
  t.strictSame(
    [...reached].filter((path) => ['control', 'demo'].includes(roomOf(path))),
    [],
  );
});

t.test('pure rooms import no builtin but two, and no package', async (t) => {
  const wrong = sources
    .filter(({ path }) => PURE.includes(roomOf(path)))
    .flatMap(({ path, imports }) =>
      imports
        .filter((name) => !name.startsWith('.') && !PURE_BUILTINS.includes(name))
        .map((name) => `${path} imports ${name}`),
    );
  t.strictSame(wrong, []);
});

t.test('pure rooms have no clock, no dice and no process', async (t) => {
  const impure =
    /\b(?:Date\.now|new Date\(\)|Math\.random|performance|process|crypto|setInterval|setImmediate|console|fetch)\b/;
  t.strictSame(
    sources.filter(({ path, bare }) => PURE.includes(roomOf(path)) && impure.test(bare)).map(({ path }) => path),
    [],
  );
});

t.test('builtins are imported by their node: name', async (t) => {
  const wrong = sources.flatMap(({ path, imports }) =>
    imports
      .filter((name) => !name.startsWith('node:') && builtinModules.includes(name))
      .map((name) => `${path} imports ${name}`),
  );
  t.strictSame(wrong, []);
});

t.test('a package is imported by one file, and is a dependency', async (t) => {
  const importers = new Map<string, string[]>();
  for (const { path, imports } of sources) {
    for (const name of new Set(imports)) {
      if (name.startsWith('.') || name.startsWith('node:')) continue;
      const pack = name.split('/', name.startsWith('@') ? 2 : 1).join('/');
      importers.set(pack, [...(importers.get(pack) ?? []), path]);
    }
  }
  t.strictSame(
    [...importers]
      .filter(([, paths]) => paths.length > 1)
      .map(([name, paths]) => `${name} is imported by ${paths.join(', ')}`),
    [],
  );
  const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  t.strictSame(
    [...importers.keys()].filter((name) => !(name in dependencies)),
    [],
    'all are among the dependencies',
  );
});

t.test('there are no cycles', async (t) => {
  const done = new Set<string>();
  const cycles: string[] = [];
  const walk = (path: string, way: readonly string[]) => {
    if (way.includes(path)) {
      cycles.push([...way.slice(way.indexOf(path)), path].join(' -> '));
      return;
    }
    if (done.has(path)) return;
    for (const { from, to } of edges) if (from === path) walk(to, [...way, path]);
    done.add(path);
  };
  for (const { path } of sources) walk(path, []);
  t.strictSame(cycles, []);
});

t.test('there are no barrels', async (t) => {
  const exports = /export\s+(?:type\s+)?(?:\*(?:\s+as\s+\w+)?|\{[^}]*\})\s*from\s*'[^']*'\s*;?/g;
  const barrels = sources.filter(
    ({ path, code }) => /\/index\.\w+$/.test(path) || (exports.test(code) && code.replace(exports, '').trim() === ''),
  );
  t.strictSame(
    barrels.map(({ path }) => path),
    [],
  );
});

t.test('the first line of each file says what it is', async (t) => {
  const wrong = sources.filter(({ text }) => {
    const [first, second] = text.split('\n', 2) as [string, string];
    return !/^\/\/ [A-Z`].{5,}\.$/.test(first.startsWith('#!') ? second : first);
  });
  t.strictSame(
    wrong.map(({ path }) => path),
    [],
  );
});

t.test('words that are not used', async (t) => {
  const found: string[] = [];
  for (const { path, bare } of sources) {
    for (const name of new Set([...(bare.match(/[A-Za-z_$][\w$]*/g) ?? []), ...path.split(/[/.]/)])) {
      const words = name
        .split(/[^A-Za-z]+|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/)
        .map((word) => word.toLowerCase());
      if (words.some((word) => NOT_USED.includes(word)) || /^proxyre[qs]$/i.test(name)) found.push(`${path}: ${name}`);
    }
  }
  t.strictSame(found, []);
});

t.test('each path that a document names is there', async (t) => {
  const documents = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md', ...listFiles('docs/decisions')];
  const missing: string[] = [];
  let named = 0;
  for (const document of documents.filter((path) => existsSync(join(ROOT, path)))) {
    const text = readFileSync(join(ROOT, document), 'utf8').replace(/^```[\s\S]*?^```/gm, '');
    for (const [, quoted] of text.matchAll(/`([^`\n]+)`/g)) {
      const path = pathIn(quoted!);
      if (path === undefined) continue;
      named++;
      if (!existsSync(join(ROOT, path))) missing.push(`${document} names ${quoted}`);
    }
  }
  t.strictSame(missing, []);
  t.ok(named > 0 || !existsSync(join(ROOT, 'ARCHITECTURE.md')), `${named} paths are named`);
});

t.test('no file depends on the place where packages were fetched from', async (t) => {
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { resolved?: string }>;
  };
  t.strictSame(
    Object.entries(lock.packages).filter(([, { resolved }]) => resolved !== undefined),
    [],
    'nothing is resolved in package-lock.json',
  );
  const hosts = new RegExp(
    [
      String.raw`\bregistry\.[\w-]+\.(?:org|com|net|io|dev|internal|local)\b`,
      String.raw`npmjs\.(?:org|com)`,
      String.raw`\/\/npm\.`,
      '^(?:@.*:)?registry *=',
      '_authToken',
    ].join('|'),
    'm',
  );
  const self = relative(ROOT, fileURLToPath(import.meta.url))
    .split(sep)
    .join('/');
  const files = listFiles('.').filter(
    (path) => path !== self && /\.(?:ts|mjs|js|json|md|ya?ml|py|html|css|sh|npmrc)$|\/run$|Dockerfile$/.test(path),
  );
  t.ok(files.length > sources.length);
  t.strictSame(
    files.filter((path) => hosts.test(readFileSync(join(ROOT, path), 'utf8'))),
    [],
  );
});

/** A path of this repository, or undefined when the words are something else. */
function pathIn(quoted: string): string | undefined {
  // What a first run makes under certs/ is not there in a fresh clone.
  if (/[\s:?]/.test(quoted) || /^certs\/./.test(quoted)) return undefined;
  const fixed = quoted.split('*', 1)[0]!;
  if (/^(?:\.ci|src|test|config|docs|certs|packaging)(?:\/|$)/.test(fixed)) return fixed;
  return /^[\w-]+\.(?:md|json)$/.test(quoted) && existsSync(join(ROOT, 'ARCHITECTURE.md')) ? quoted : undefined;
}

/** `http` of `src/http/target.ts`; '' of a file directly in src/. */
function roomOf(path: string): string {
  const parts = path.split('/');
  return parts.length > 2 ? parts[1]! : '';
}

/** All files below a folder, as sorted paths from the root; none of those that a tool or a run has made. */
function listFiles(folder: string): string[] {
  if (!existsSync(join(ROOT, folder))) return [];
  const made = new Set(['node_modules', '.git', '.tap', 'certs']);
  const found: string[] = [];
  for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true })) {
    const path = posix.normalize(posix.join(folder, entry.name));
    if (made.has(entry.name)) continue;
    if (entry.isDirectory()) found.push(...listFiles(path));
    else if (entry.isFile()) found.push(path);
  }
  return found.sort();
}

function readSource(path: string): Source {
  return parse(path, readFileSync(join(ROOT, path), 'utf8'));
}

function parse(path: string, text: string): Source {
  const code = strip(text, false);
  const imports = [...code.matchAll(/\b(?:from|import)\s*\(?\s*(['"])([^'"\n]+)\1/g)].map((match) => match[2]!);
  return { path, text, code, bare: strip(text, true), imports };
}

/** Leaves out comments; with `strings` also what is inside of strings, templates and regular expressions. */
function strip(text: string, strings: boolean): string {
  const token =
    /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|(?<=[(=:,!&|?[{};\n]\s*|\breturn\s+)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/g;
  return text.replace(token, (found) => {
    if (found.startsWith('//') || found.startsWith('/*')) return ' ';
    if (!strings) return found;
    if (!found.startsWith('`')) return "''";
    // The code inside of a template stays code.
    return [...found.matchAll(/\$\{([^{}]*)\}/g)].map((match) => `(${strip(match[1]!, true)})`).join(' ');
  });
}
