// Serve: which file or none, compressed, kept, written into, and what is held open.

import { createHash } from 'node:crypto';
import { existsSync, renameSync, unlinkSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { brotliDecompressSync, gunzipSync, gzipSync, zstdDecompressSync } from 'node:zlib';
import t from 'tap';
import type { FileAnswer } from '../../src/files/answer.ts';
import type { Headers } from '../../src/http/headers.ts';
import { makeFolder } from '../support/folder.ts';
import { BIG, Client, HASHED, openIn, PAGE, receive, send, setUp, TEXT, write } from '../support/served-folder.ts';

t.test('compressed on the fly, once, and kept', async (t) => {
  const { get, ask } = setUp(t);
  const etags = new Set<string>();
  for (const [coding, decode] of [
    ['gzip', gunzipSync],
    ['br', brotliDecompressSync],
    ['zstd', zstdDecompressSync],
  ] as const) {
    const headers = ['Accept-Encoding', coding];
    const several = await Promise.all(Array.from({ length: 30 }, () => get(`/${HASHED}`, headers)));
    for (const answer of several) t.equal(decode(answer.body).toString(), TEXT);
    t.equal(several[0]!.field('content-encoding'), coding);
    t.equal(several[0]!.field('vary'), 'Accept-Encoding');
    const etag = several[0]!.field('etag')!;
    etags.add(etag);
    t.equal((await get(`/${HASHED}`, [...headers, 'If-None-Match', etag])).status, 304);
    t.notOk((await ask(`/${HASHED}`, headers)) instanceof Promise);
  }
  etags.add((await get(`/${HASHED}`)).field('etag')!);
  t.equal(etags.size, 4, 'each coding has an ETag of its own');
  t.equal((await get('/picture.png', ['Accept-Encoding', 'gzip'])).field('content-encoding'), undefined);
  t.equal((await get('/', ['Accept-Encoding', 'gzip'])).field('content-encoding'), undefined, 'too small to gain');
});

t.test('a file that changes before anything of it was sent is found again', async (t) => {
  const { get, folder } = setUp(t);
  const names = ['a.js', 'b.js', 'c.js'];
  for (const name of names) write(folder, { [name]: TEXT });
  const several = [...names, 'c.js'].map((name) => get(`/${name}`, ['Accept-Encoding', 'gzip']));
  // Two are being compressed, and it waits for its turn.
  write(folder, { 'c.js': `${TEXT}// new` });
  const lengths = (await Promise.all(several)).map((answer) => gunzipSync(answer.body).length);
  t.strictSame(lengths, [TEXT.length, TEXT.length, TEXT.length + 6, TEXT.length + 6]);
});

t.test('what is kept is bounded in bytes', async (t) => {
  const { get, folder } = setUp(t, { maxKeptBytes: 40_000 });
  for (let i = 0; i < 20; i++) {
    write(folder, { [`${i}.txt`]: String(i).repeat(9_000) });
    t.equal((await get(`/${i}.txt`)).body.length, 9_000 * String(i).length);
  }
  t.equal((await get(`/0.txt`)).body.toString(), '0'.repeat(9_000));
});

t.test('what is kept holds no more memory than its bytes', async (t) => {
  const parameters = { script: { A: 'a' }, embed: {} };
  const { get, ask, folder } = setUp(t, { parameters });
  write(folder, {
    'icon.svg': '<path d="M0 0h24v24H0z"/>'.repeat(20),
    'scripts/tc-params.js': 'TC_PARAMS = { A: 1 };',
  });
  for (const [path, coding] of [
    ['/icon.svg', 'gzip'],
    ['/icon.svg', 'br'],
    ['/icon.svg', 'zstd'],
    [`/${HASHED}`, 'gzip'],
    ['/index.html', 'identity'],
    ['/scripts/tc-params.js', 'identity'],
  ]) {
    await get(path!, ['Accept-Encoding', coding!]);
    const kept = (await ask(path!, ['Accept-Encoding', coding!])) as FileAnswer;
    const piece = kept.pieces[0] as Uint8Array;
    t.equal(piece.buffer.byteLength, piece.length, `${path} ${coding}`);
  }
});

t.test('precompressed siblings are taken, when they are not older', async (t) => {
  const { get, folder, pass } = setUp(t);
  write(folder, { 'a.js': TEXT, 'a.js.gz': gzipSync(TEXT), 'p.png': 'p', 'p.png.br': 'not looked into' });
  const answer = await get('/a.js', ['Accept-Encoding', 'gzip']);
  t.ok(answer.body.equals(gzipSync(TEXT)));
  t.equal(answer.field('content-encoding'), 'gzip');
  t.equal(answer.field('content-type'), 'text/javascript; charset=utf-8');
  t.equal(answer.field('vary'), 'Accept-Encoding');
  const part = await get('/a.js', ['Accept-Encoding', 'gzip', 'Range', 'bytes=0-9', 'If-Range', answer.field('etag')!]);
  t.equal(part.status, 206);
  t.ok(part.body.equals(answer.body.subarray(0, 10)), 'a part of the same representation');
  t.equal((await get('/p.png', ['Accept-Encoding', 'br'])).body.toString(), 'not looked into', 'whatever the type');
  t.equal((await get('/p.png')).field('vary'), 'Accept-Encoding');
  utimesSync(join(folder, 'a.js'), 1_700_000_001, 1_700_000_001);
  pass(50);
  const fresh = await get('/a.js', ['Accept-Encoding', 'gzip', 'Range', 'bytes=0-9']);
  t.equal(fresh.field('content-encoding'), undefined, 'an older one is not');
});

t.test('a precompressed sibling that is replaced or removed is noticed at once', async (t) => {
  const { get, folder } = setUp(t);
  const [one, two] = [1, 9].map((level) => gzipSync(BIG, { level }));
  // Larger than what is kept in memory: each answer opens it.
  const padded = (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(100_000)]);
  write(folder, { 'a.js': TEXT, 'a.js.gz': padded(one!), 'new.gz': padded(two!) });
  const ask = ['Accept-Encoding', 'gzip'];
  t.ok((await get('/a.js', ask)).body.equals(padded(one!)));
  renameSync(join(folder, 'new.gz'), join(folder, 'a.js.gz'));
  t.ok((await get('/a.js', ask)).body.equals(padded(two!)), 'renamed over');
  unlinkSync(join(folder, 'a.js.gz'));
  t.equal(gunzipSync((await get('/a.js', ask)).body).toString(), TEXT, 'compressed here from now on');
});

t.test('navigations get the shell, missing assets nothing', async (t) => {
  const { get, ask, action } = setUp(t);
  for (const path of ['/dashboards/42', '/dashboards/42?x=main.js', '/a/b/', '/v1.2', '/a%2Fb', '/login/%ff']) {
    const answer = await get(path, PAGE);
    t.match(answer.body.toString(), 'shell', path);
    t.equal(answer.field('cache-control'), 'no-cache');
  }
  t.match((await get('/x', ['Sec-Fetch-Mode', 'navigate', 'Accept', '*/*'])).body.toString(), 'shell');
  for (const path of [
    '/main.0000.js',
    '/x/y.css',
    '/x%2Ejs',
    '/favicon.ico',
    '/site.webmanifest',
    '/vpn.mobileconfig',
    '/.env',
    '/.git/config',
    '/a%2f.env',
    '/%00',
  ]) {
    const headers = path === '/%00' ? [] : PAGE;
    t.match(await ask(path, headers), { kind: 'missing' }, path);
  }
  t.match(await ask('/dashboards/42'), { kind: 'missing' }, 'not for programs');
  t.match(await ask('/dashboards/42', ['Accept', 'application/json']), { kind: 'missing' });
  t.match(await ask('/dashboards/42', PAGE, 'POST'), { kind: 'method' });
  action.fallback = false;
  t.match(await ask('/dashboards/42', PAGE), { kind: 'missing' });
});

t.test('parameters are written in, with an ETag of the result, and never stored', async (t) => {
  const parameters = { script: { API_BASEROUTE: 'https://api.example' }, embed: { B: true } };
  const { get, folder, files, action, pass } = setUp(t, { parameters });
  write(folder, {
    'scripts/tc-params.js': 'window.TC_PARAMS = { API_BASEROUTE: "__API_BASEROUTE_PLACEHOLDER__" };\n',
    'scripts/tc-params.js.gz': gzipSync('old'),
    'embed-params.json': '{"API_BASEROUTE":"x"}',
    'other/tc-params.js': 'window.TC_PARAMS = { API_BASEROUTE: 1 };\n',
  });
  const wanted = 'window.TC_PARAMS = { API_BASEROUTE: "https://api.example" };\n';
  for (const path of ['/scripts/tc-params.js', '/scripts//tc-params.js?v=1', '/scripts/tc%2dparams.js']) {
    const script = await get(path, ['Accept-Encoding', 'gzip, br']);
    t.equal(script.body.toString(), wanted);
    t.equal(script.field('cache-control'), 'no-store');
    t.equal(script.field('content-encoding'), undefined);
    t.equal(script.field('last-modified'), undefined);
    const digest = createHash('sha256').update(wanted).digest('base64url').slice(0, 27);
    t.equal(script.field('etag'), `"${digest}"`);
    t.equal((await get(path, ['If-None-Match', `"${digest}"`])).status, 304);
    t.equal((await get(path, ['Range', 'bytes=0-5'])).body.toString(), wanted.slice(0, 6));
  }
  t.equal((await get('/embed-params.json')).body.toString(), '{"API_BASEROUTE":"https://api.example","B":true}');
  t.equal((await get('/other/tc-params.js')).body.toString(), 'window.TC_PARAMS = { API_BASEROUTE: 1 };\n');
  const changed = { ...action, parameters: { script: { API_BASEROUTE: 'new' }, embed: {} } };
  const again = await files.answer(changed, { method: 'GET', path: '/scripts/tc-params.js', prefix: '', headers: [] });
  t.match((await receive(again as FileAnswer)).body.toString(), '"new"', 'other parameters, another answer');
  write(folder, { 'scripts/tc-params.js': 'alert(1)' });
  pass(50);
  t.equal((await get('/scripts/tc-params.js')).body.toString(), 'alert(1)', 'what is not understood stays as it is');
});

t.test('no descriptor is left open', { skip: !existsSync('/proc/self/fd') }, async (t) => {
  const { get, ask, folder, files } = setUp(t);
  const open = () => openIn(folder).length;
  await get('/picture.png');
  await get(`/${HASHED}`, ['Accept-Encoding', 'br']);
  await get('/picture.png', [], 'HEAD');
  await get('/picture.png', ['Range', 'bytes=999999-']);
  await ask('/missing.js');
  const client = new Client();
  send((await ask('/picture.png')) as FileAnswer, client).catch(() => {});
  client.sending.stop();
  await sleep(50);
  t.equal(open(), 1, 'but for the root');
  files.close();
  t.equal(open(), 0);
});

t.test('folders that are not served any more are closed', { skip: !existsSync('/proc/self/fd') }, async (t) => {
  const { get, ask, folder, files } = setUp(t);
  const other = makeFolder(t, 'serve');
  const underWay = (await ask('/picture.png')) as FileAnswer;
  files.keepOnly(new Set([folder]));
  t.strictSame(openIn(folder), [folder, join(folder, 'picture.png')]);
  files.keepOnly(new Set([other]));
  t.strictSame(openIn(folder), [join(folder, 'picture.png')]);
  t.ok((await receive(underWay)).body.equals(BIG), 'what is under way is sent to its end');
  t.equal((await get('/picture.png')).status, 200, 'a request that began before is served');
  files.keepOnly(new Set());
  t.strictSame(openIn(folder), []);
});

t.test('under a prefix the base of pages is made to name it, the shell for navigations too', async (t) => {
  const { folder, files, action } = setUp(t);
  write(folder, {
    'index.html': '<base href="/"><title>shell</title>',
    'index.html.gz': gzipSync('<base href="/">'),
    'embed.html': "<base href='/'>",
    'page.js': '"<base href=/>"',
  });
  action.base = true;
  const get = async (path: string, prefix: string, headers: Headers = []) => {
    const outcome = await files.answer(action, { method: 'GET', path, prefix, headers });
    if (outcome.kind !== 'answer') throw new Error(outcome.detail);
    return receive(outcome);
  };
  const navigation = ['Accept', 'text/html', 'Accept-Encoding', 'gzip'];
  for (const path of ['/', '/index.html', '/some/where']) {
    const shell = await get(path, '/app', navigation);
    t.equal(shell.body.toString(), '<base href="/app/"><title>shell</title>', path);
    t.equal(shell.field('cache-control'), 'no-cache');
    t.equal(shell.field('content-length'), String(shell.body.length));
    t.equal((await get(path, '/app', [...navigation, 'If-None-Match', shell.field('etag')!])).status, 304);
    t.not((await get(path, '/other', navigation)).field('etag'), shell.field('etag'));
  }
  t.equal((await get('/embed.html', '/app')).body.toString(), "<base href='/app/'>");
  t.equal((await get('/page.js', '/app')).body.toString(), '"<base href=/>"');
  t.equal((await get('/index.html', '')).body.toString(), '<base href="/"><title>shell</title>');
});
