// Serving files through a door: what is told of those that something is written into, and where a mounted folder is.

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { firstValue, type Headers } from '../../src/http/headers.ts';
import type { FilesAction } from '../../src/model/snapshot.ts';
import { HOST, openDoor } from '../support/door.ts';
import { makeFolder } from '../support/folder.ts';
import { sendHttp1 } from '../support/http1-client.ts';
import { waitFor } from '../support/ports.ts';

const PATH = '/scripts/tc-params.js';

async function setUp(t: Test, prefix: string, action: Partial<FilesAction> = {}) {
  const root = makeFolder(t, 'serve-files');
  const write = (path: string, content: string | Buffer) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  };
  write('/index.html', '<base href="/"><a href="style.css">');
  const files: FilesAction = { kind: 'files', root, parameters: undefined, fallback: true, base: false, ...action };
  const route = { name: 'site', path: prefix, prefix, action: files, answers: 'page' as const, compress: false };
  const door = await openDoor({ frontend: [], backend: [], routes: [route] });
  t.teardown(() => {
    door.close();
    door.door.files.close();
  });
  const get = (target: string, headers: Headers = []) =>
    sendHttp1(
      { port: door.tlsPort, ca: door.ca, serverName: HOST },
      { method: 'GET', target, authority: HOST, headers },
    );
  const warnings = () => door.lines.filter((line) => line.level === 'warn').map((line) => line.msg);
  return { write, get, warnings, door };
}

t.test('what keeps parameters out of a file is told once for each change', async (t) => {
  const parameters = { script: { TENANT: 'acme' }, embed: {} };
  const { write, get, warnings } = await setUp(t, '', { parameters });
  const latin1 = Buffer.from('// \xe9\nTC_PARAMS = { TENANT: "__TENANT_PLACEHOLDER__" };', 'latin1');
  const told = 'scripts/tc-params.js is served as it is: it is no UTF-8 (save it as UTF-8)';
  write(PATH, latin1);
  for (let i = 0; i < 3; i++) t.ok((await get(PATH)).body.equals(latin1));
  t.strictSame(warnings(), [told]);
  write(PATH, 'TC_PARAMS = { TENANT: "__TENANT_PLACEHOLDER__" };');
  await sleep(60);
  t.equal((await get(PATH)).body.toString(), 'TC_PARAMS = { TENANT: "acme" };');
  t.equal(warnings().length, 1);
  write(PATH, Buffer.concat([latin1, latin1]));
  await sleep(60);
  await get(PATH);
  t.strictSame(warnings(), [told, told], 'it is news again');
});

t.test('a file of parameters that is too large is a failure, and no frontend without them', async (t) => {
  const { write, get, door } = await setUp(t, '', { parameters: { script: { TENANT: 'acme' }, embed: {} } });
  write(PATH, `TC_PARAMS = { TENANT: "" };${' '.repeat(1_100_000)}`);
  t.equal((await get(PATH)).status, 500);
  await waitFor(() => door.lines.length > 0, 5_000, 'the access line');
  t.match(door.lines[0], {
    failure: 'file_unreadable',
    detail:
      '/scripts/tc-params.js is not served: it is larger than 1048576 bytes, and parameters are to be written into it',
  });
});

t.test('a page that is too large to look for its base is served as it is, and that is told', async (t) => {
  const { write, get, warnings } = await setUp(t, '/app', { base: true });
  const page = `<base href="/">${' '.repeat(1_100_000)}`;
  write('/large.html', page);
  for (const headers of [[], [], ['Accept-Encoding', 'gzip']])
    t.equal((await get('/app/large.html', headers)).status, 200);
  t.equal((await get('/app/large.html')).body.toString(), page);
  t.strictSame(warnings(), [
    'large.html is served as it is: it is larger than 1048576 bytes, and no base is looked for in it',
  ]);
});

t.test('a folder under a prefix is redirected to its slash, with its query, whatever its base', async (t) => {
  for (const base of [false, true]) {
    const { get } = await setUp(t, '/docs', { base });
    for (const [target, location] of [
      ['/docs', '/docs/'],
      ['/docs?a=/x?b', '/docs/?a=/x?b'],
    ] as const) {
      const answer = await get(target, ['Accept', 'text/html']);
      t.equal(answer.status, 301, target);
      t.equal(firstValue(answer.headers, 'location'), location);
      t.equal(firstValue(answer.headers, 'cache-control'), 'no-cache');
    }
    for (const target of ['/docs/', '/docs/?a', '/docs//', '/docs/index.html']) {
      const page = await get(target);
      t.equal(page.status, 200, target);
      t.equal(page.body.toString(), `<base href="${base ? '/docs/' : '/'}"><a href="style.css">`);
    }
    t.equal((await get('/docsx')).status, 404);
  }
});

t.test('without a prefix the root needs no other slash', async (t) => {
  const { get } = await setUp(t, '');
  t.equal((await get('/')).status, 200);
  t.equal((await get('/?a=b')).status, 200);
});
