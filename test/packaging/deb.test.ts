// The Debian package: what it holds, under which rights, and that the same input makes the same bytes.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { buildDeb } from '../../packaging/deb.ts';
import { makeFolder } from '../support/folder.ts';
import { needPart } from '../support/parts.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

/** With a stand-in for the executable, which would take its time. */
function build(t: Test, name: string): string {
  const folder = makeFolder(t, 'deb');
  const executable = join(folder, 'portico');
  writeFileSync(executable, '#!/bin/sh\necho stand-in\n', { mode: 0o700 });
  const output = join(folder, name);
  mkdirSync(output);
  return buildDeb({ executable, output, compression: 'none' });
}

function dpkg(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('dpkg-deb', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

t.test('what it holds', async (t) => {
  if (needPart(t, 'dpkg-deb') === undefined) return;
  const umask = process.umask(0o077);
  t.teardown(() => process.umask(umask));
  const file = build(t, 'one');
  t.match(file, new RegExp(`portico_${version}_(?:amd64|arm64)\\.deb$`));
  const entries = dpkg('-c', file)
    .trim()
    .split('\n')
    .map((line) => line.split(/\s+/))
    .filter(([mode]) => mode !== 'drwxr-xr-x')
    .map(([mode, owner, , , , path]) => `${mode} ${owner} ${path}`);
  t.strictSame(entries.sort(), [
    '-rw-r--r-- root/root ./etc/portico/portico.env',
    '-rw-r--r-- root/root ./usr/lib/sysctl.d/60-portico.conf',
    '-rw-r--r-- root/root ./usr/lib/systemd/system/portico.service',
    '-rw-r--r-- root/root ./usr/share/doc/portico/README.md',
    '-rw-r--r-- root/root ./usr/share/doc/portico/changelog.gz',
    '-rw-r--r-- root/root ./usr/share/doc/portico/copyright',
    '-rw-r--r-- root/root ./usr/share/doc/portico/examples/client-certificates.yaml',
    '-rw-r--r-- root/root ./usr/share/doc/portico/examples/one-domain.yaml',
    '-rw-r--r-- root/root ./usr/share/doc/portico/examples/several-sites.yaml',
    '-rw-r--r-- root/root ./usr/share/doc/portico/examples/static-frontend.yaml',
    '-rw-r--r-- root/root ./usr/share/doc/portico/examples/two-domains.yaml',
    '-rw-r--r-- root/root ./usr/share/doc/portico/portico.schema.json',
    '-rwxr-xr-x root/root ./usr/bin/portico',
  ]);

  const folder = makeFolder(t, 'control');
  dpkg('-e', file, folder);
  t.strictSame(readdirSync(folder).sort(), ['conffiles', 'control', 'postinst', 'postrm', 'prerm']);
  const control = readFileSync(join(folder, 'control'), 'utf8');
  t.match(control, `\nVersion: ${version}\n`);
  t.notMatch(control, /@[A-Z]/, 'nothing is left to fill in');
  // The libraries that the executable of Node is linked with; a small system may lack the last.
  for (const name of ['libc6', 'libstdc++6', 'libgcc-s1', 'libatomic1']) t.match(control, name);
  t.equal(readFileSync(join(folder, 'conffiles'), 'utf8'), '/etc/portico/portico.env\n');
  const root = makeFolder(t, 'files');
  dpkg('-x', file, root);
  const documents = join(root, 'usr/share/doc/portico');
  const example = readFileSync(join(documents, 'examples/two-domains.yaml'), 'utf8');
  const schema = /\$schema=(\S+)/.exec(example)![1]!;
  t.match(JSON.parse(readFileSync(join(documents, 'examples', schema), 'utf8')), { type: 'object' }, 'editors find it');
  for (const name of ['postinst', 'prerm', 'postrm']) {
    t.equal(spawnSync('sh', ['-n', join(folder, name)]).status, 0, `${name} is a script`);
  }
});

t.test('it says under which licence each part of it is', async (t) => {
  if (needPart(t, 'dpkg-deb') === undefined) return;
  const folder = makeFolder(t, 'root');
  dpkg('-x', build(t, 'licences'), folder);
  const text = readFileSync(join(folder, 'usr/share/doc/portico/copyright'), 'utf8');
  const { dependencies } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  for (const name of ['Node.js', ...Object.keys(dependencies)]) t.match(text, `== ${name}`);
  t.notMatch(text, 'undefined');
  t.notMatch(text, '== typescript', 'what only builds it is not in it');
});

t.test('the same input makes the same bytes', async (t) => {
  if (needPart(t, 'dpkg-deb') === undefined) return;
  t.ok(readFileSync(build(t, 'first')).equals(readFileSync(build(t, 'second'))));
});
