// The bundle of the executable: what must be lazy is, and nothing looks for files beside it.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { bundle } from '../../packaging/executable.ts';
import { makeFolder } from '../support/folder.ts';

const SOURCE = fileURLToPath(new URL('../../src/', import.meta.url));
const sources = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((path) => /\.(?:ts|mjs)$/.test(path));

t.test('each file of ours is in it, and evaluated only when it is asked for', async (t) => {
  const output = join(makeFolder(t), 'bundle.mjs');
  await bundle(output);
  const text = readFileSync(output, 'utf8');
  // What esbuild wraps runs at its first import; a worker's first import is worker.ts, which reaches no control code.
  const lazy = new Set([...text.matchAll(/^ {2}(?:async )?"src\/([^"]+)"\(\) \{/gm)].map((match) => match[1]!));
  const control = sources.filter((path) => /^(?:control|demo)\//.test(path) && hasCode(path));
  t.ok(control.length > 15, `${control.length} files`);
  t.strictSame(
    control.filter((path) => !lazy.has(path)),
    [],
  );
  t.ok(lazy.has('main.ts') && lazy.has('worker.ts'));
  t.notOk(lazy.has('launch.mjs'), 'the first file is what runs');
});

t.test('a file that looks for others beside itself knows that in the executable there are none', async (t) => {
  const wrong = sources.filter((path) => {
    const text = readFileSync(join(SOURCE, path), 'utf8');
    return text.includes('import.meta') && !text.includes('isSea()');
  });
  t.strictSame(wrong, []);
});

/** Not only types. */
function hasCode(path: string): boolean {
  return /^(?:export )?(?:const|class|function|async)/m.test(readFileSync(join(SOURCE, path), 'utf8'));
}
