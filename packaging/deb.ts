// Builds the Debian package: the executable, its unit, examples of its variables and its configuration file, and what it is made of.

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import manifest from '../package.json' with { type: 'json' };
import { buildExecutable } from './executable.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const DEBIAN = join(ROOT, 'packaging/debian');
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };
const SCRIPTS = ['postinst', 'prerm', 'postrm'];

interface Package {
  readonly executable: string;
  /** The folder that the package is written to. */
  readonly output: string;
  /** As dpkg-deb calls them. */
  readonly compression: 'xz' | 'none';
}

if (import.meta.main) {
  const executable = join(ROOT, 'dist/portico');
  await buildExecutable(executable);
  process.stdout.write(`${buildDeb({ executable, output: join(ROOT, 'dist'), compression: 'xz' })}\n`);
}

/** Returns the path of the package. The same executable and commit make the same bytes. */
export function buildDeb({ executable, output, compression }: Package): string {
  const architecture = ARCHITECTURES[process.arch];
  if (architecture === undefined) throw new Error(`there are no Debian packages for ${process.arch}`);
  const file = resolve(output, `portico_${manifest.version}_${architecture}.deb`);
  const root = mkdtempSync(join(tmpdir(), 'portico-deb-'));
  try {
    lay(root, executable);
    writeControl(root, architecture);
    chmodSync(root, 0o755);
    const args = ['--root-owner-group', `-Z${compression}`, '--build', root, file];
    const env = { ...process.env, SOURCE_DATE_EPOCH: sourceDate() };
    const { status, stderr, error } = spawnSync('dpkg-deb', args, { encoding: 'utf8', env });
    if (status !== 0) throw new Error(`dpkg-deb failed: ${error?.message ?? stderr}`);
  } finally {
    rmSync(root, { recursive: true });
  }
  return file;
}

function lay(root: string, executable: string): void {
  const text = (path: string) => readFileSync(join(ROOT, path));
  const documents = 'usr/share/doc/portico';
  copyFileSync(executable, prepare(root, 'usr/bin/portico'));
  chmodSync(join(root, 'usr/bin/portico'), 0o755);
  write(root, 'usr/lib/systemd/system/portico.service', text('config/systemd/portico.service'));
  write(root, 'etc/portico/portico.env', text('config/systemd/portico.env'));
  write(root, 'usr/lib/sysctl.d/60-portico.conf', text('config/sysctl/60-portico.conf'));
  for (const name of readdirSync(join(ROOT, 'config/examples'))) {
    write(root, `${documents}/examples/${name}`, text(`config/examples/${name}`));
  }
  // Beside that folder, as the examples name it.
  write(root, `${documents}/portico.schema.json`, text('config/portico.schema.json'));
  write(root, `${documents}/README.md`, text('README.md'));
  write(root, `${documents}/changelog.gz`, gzipSync(text('CHANGELOG.md'), { level: 9 }));
  write(root, `${documents}/copyright`, licences());
}

function writeControl(root: string, architecture: string): void {
  const control = readFileSync(join(DEBIAN, 'control'), 'utf8')
    .replace('@VERSION@', manifest.version)
    .replace('@ARCHITECTURE@', architecture)
    // In KiB; all but the executable is small.
    .replace('@INSTALLED_SIZE@', String(Math.ceil(statSync(join(root, 'usr/bin/portico')).size / 1024) + 512));
  write(root, 'DEBIAN/control', control);
  write(root, 'DEBIAN/conffiles', readFileSync(join(DEBIAN, 'conffiles')));
  for (const script of SCRIPTS) write(root, `DEBIAN/${script}`, readFileSync(join(DEBIAN, script)), 0o755);
}

/** Of Portico, of Node, and of each package inside of the executable. */
function licences(): string {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; optional?: boolean; license?: string }>;
  };
  const parts = [
    `Portico is under the ${manifest.license} licence. Its executable holds Node.js and these packages, each under its own.`,
    `== Node.js ${process.versions.node}\n\n${licenceIn(resolve(process.execPath, '../..')) ?? 'https://github.com/nodejs/node/blob/main/LICENSE'}`,
  ];
  for (const [path, { dev, optional, license }] of Object.entries(packages)) {
    if (path === '' || dev || optional) continue;
    parts.push(`== ${path.replace(/^.*node_modules\//, '')}\n\n${licenceIn(join(ROOT, path)) ?? license}`);
  }
  return `${parts.map((part) => part.trim()).join('\n\n')}\n`;
}

function licenceIn(folder: string): string | undefined {
  const name = readdirSync(folder).find((name) => /^licen[cs]e(?:\.\w+)?$/i.test(name));
  return name === undefined ? undefined : readFileSync(join(folder, name), 'utf8');
}

/** Where a file of the package goes, in a folder that anybody may read. */
function prepare(root: string, path: string): string {
  let folder = root;
  for (const part of dirname(path).split('/')) {
    folder = join(folder, part);
    mkdirSync(folder, { recursive: true });
    // Whatever the umask of the builder is.
    chmodSync(folder, 0o755);
  }
  return join(root, path);
}

function write(root: string, path: string, content: string | Buffer, mode = 0o644): void {
  const file = prepare(root, path);
  writeFileSync(file, content);
  chmodSync(file, mode);
}

/** In seconds: what is newer gets this time in the package. */
function sourceDate(): string {
  if (process.env.SOURCE_DATE_EPOCH !== undefined) return process.env.SOURCE_DATE_EPOCH;
  const { status, stdout } = spawnSync('git', ['log', '-1', '--format=%ct'], { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) throw new Error('there is no commit to take the date from: set SOURCE_DATE_EPOCH');
  return stdout.trim();
}
