// The Dockerfile's steps, replayed in an empty folder: what it copies and installs is enough to open the door.

import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { makeFolder } from '../support/folder.ts';
import { freePort } from '../support/ports.ts';
import { answersOnUrl, startProcess } from '../support/process.ts';
import { makeTestCertificate } from '../support/tls.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

interface Step {
  readonly word: string;
  readonly rest: string;
}

function steps(): Step[] {
  return readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
    .split('\n')
    .filter((line) => /^[A-Z]/.test(line))
    .map((line) => {
      const space = line.indexOf(' ');
      return { word: line.slice(0, space), rest: line.slice(space + 1) };
    });
}

t.test('its steps make a door that opens', async (t) => {
  const folder = makeFolder(t, 'image');
  const all = steps();
  t.ok(
    all.some((step) => step.word === 'USER' && step.rest === 'node'),
    'it does not run as root',
  );
  for (const { word, rest } of all) {
    if (word === 'COPY') {
      const places = rest.split(' ');
      const target = places.pop()!;
      for (const place of places) {
        const to = target.endsWith('/') ? join(folder, target, place) : join(folder, target);
        cpSync(join(ROOT, place), to, { recursive: true });
      }
    } else if (word === 'RUN') {
      // The image's user does not exist here, and its cache is not ours to clean.
      const command = rest.replace(' && npm cache clean --force', '').replace(' && chown node:node certs', '');
      const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}`, NODE_ENV: 'production' };
      const { status, stderr } = spawnSync('sh', ['-c', command], {
        cwd: folder,
        env,
        timeout: 100_000,
        encoding: 'utf8',
      });
      t.equal(status, 0, `${command}\n${status === 0 ? '' : stderr}`);
    }
  }

  const { files, bytes } = measure(folder);
  t.comment(`${files.length} files, ${(bytes / 1e6).toFixed(1)} MB beside Node`);
  t.ok(bytes < 15_000_000, `small: ${bytes} bytes`);
  t.notOk(
    files.some((file) => /^(?:test|packaging|docs)\/|^node_modules\/(?:typescript|tap|esbuild|node-linux)/.test(file)),
    'nothing that only tests or builds',
  );

  const entry = JSON.parse(all.find((step) => step.word === 'ENTRYPOINT')!.rest) as string[];
  const command = JSON.parse(all.find((step) => step.word === 'CMD')!.rest) as string[];
  const health = JSON.parse(
    /CMD (\[.*\])/.exec(all.find((step) => step.word === 'HEALTHCHECK')!.rest)![1]!,
  ) as string[];
  t.equal(entry[0], 'node');
  const certificate = await makeTestCertificate(makeFolder(t, 'certificate'), ['door.test']);
  const configured = {
    FRONTEND_DNS: 'door.test',
    FRONTEND_SERVICE: '127.0.0.1:9',
    BACKEND_SERVICE: '127.0.0.1:9',
    SSL_CRT: certificate.certificateFile,
    SSL_KEY: certificate.keyFile,
  };
  for (const [name, sites, written] of [
    ['configured', configured, []],
    ['the demo', {}, ['certs/local-ca.crt', 'certs/local-ca.key', 'certs/local.crt', 'certs/local.key']],
  ] as const) {
    const adminPort = String(await freePort());
    const env = {
      ...sites,
      HTTP_PORT: String(await freePort()),
      HTTPS_PORT: String(await freePort()),
      ADMIN_PORT: adminPort,
      LISTEN_HOST: '127.0.0.1',
    };
    const door = await startProcess(t, {
      command: process.execPath,
      args: [...entry.slice(1), ...command],
      cwd: folder,
      env,
      isReady: () => answersOnUrl(`http://127.0.0.1:${adminPort}/readyz`),
    });
    const check = spawnSync(process.execPath, health.slice(1), { cwd: folder, env, timeout: 20_000, encoding: 'utf8' });
    t.equal(check.status, 0, `${name}: the health check passes ${check.stderr}`);
    t.same(await door.stop(), { code: 0, signal: null });
    const after = measure(folder).files;
    t.strictSame(
      after.filter((file) => !files.includes(file)),
      written,
      `${name}: what it writes`,
    );
  }
});

function measure(folder: string): { readonly files: readonly string[]; readonly bytes: number } {
  const entries = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  const files = entries.filter((path) => statSync(join(folder, path)).isFile());
  return { files, bytes: files.reduce((sum, path) => sum + statSync(join(folder, path)).size, 0) };
}
