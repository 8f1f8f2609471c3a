// Builds the one executable: everything in one bundle, inside of a copy of the Node that runs this.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const SOURCE = join(ROOT, 'src');
/** What is read by path at run time, below src/. */
const EMBEDDED_FOLDERS = ['demo/page'];

if (import.meta.main) {
  const output = resolve(process.argv[2] ?? 'dist/portico');
  await buildExecutable(output);
  process.stdout.write(`${output}\n`);
}

/** Writes the executable; what is on the way to it is made, what is there is replaced. */
export async function buildExecutable(output: string): Promise<void> {
  mkdirSync(dirname(output), { recursive: true });
  const folder = mkdtempSync(join(tmpdir(), 'portico-build-'));
  try {
    const main = 'portico.mjs';
    await bundle(join(folder, main));
    const recipe = join(folder, 'sea.json');
    writeFileSync(
      recipe,
      JSON.stringify({
        main,
        mainFormat: 'module',
        output,
        disableExperimentalSEAWarning: true,
        assets: embeddedFiles(),
      }),
    );
    // A running one keeps the file that it was started from.
    rmSync(output, { force: true });
    // From there, so that the folder's name, which is another each time, is not written into it.
    const { status, stderr } = spawnSync(process.execPath, ['--build-sea', recipe], { cwd: folder, encoding: 'utf8' });
    if (status !== 0) throw new Error(`node --build-sea failed:\n${stderr}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * One module of all. What is imported by `import()` is in it too, and evaluated only when that runs: a worker evaluates
 * nothing of the control plane.
 */
export async function bundle(output: string): Promise<void> {
  await build({
    // The names of files in it begin here.
    absWorkingDir: ROOT,
    entryPoints: [join(SOURCE, 'launch.mjs')],
    outfile: output,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node26',
    legalComments: 'none',
    logLevel: 'warning',
    // Packages in CommonJS ask for Node's own modules by require, which a module does not have.
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
  });
}

function embeddedFiles(): Record<string, string> {
  const files: Record<string, string> = {};
  for (const folder of EMBEDDED_FOLDERS) {
    for (const name of readdirSync(join(SOURCE, folder)).sort())
      files[`${folder}/${name}`] = join(SOURCE, folder, name);
  }
  return files;
}
