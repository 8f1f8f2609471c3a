// Serve and send: the answers for files, their caching, codings, ranges and parameters, and how they are sent.

import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { brotliDecompressSync, gunzipSync, gzipSync, zstdDecompressSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { Sending } from '../../src/files/send.ts';
import { type FileAnswer, Files, type Outcome } from '../../src/files/serve.ts';
import { firstValue, type Headers } from '../../src/http/headers.ts';
import type { Downstream } from '../../src/model/exchange.ts';
import type { FilesAction, Parameters } from '../../src/model/snapshot.ts';
import { makeFolder } from '../support/folder.ts';

const HASHED = 'main.4f1c9a7be2d0.js';
const PAGE = ['Accept', 'text/html,*/*;q=0.8'];
const TEXT = 'const a = 1; // some text that is long enough to be worth compressing\n'.repeat(100);
const BIG = Buffer.alloc(300_000, 'a picture that is larger than what is kept ');

interface Seen {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
  field(name: string): string | undefined;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

function setUp(t: Test, options: { parameters?: Parameters; maxKeptBytes?: number } = {}) {
  const folder = makeFolder(t, 'serve');
  write(folder, { 'index.html': '<!doctype html><title>shell</title>', [HASHED]: TEXT, 'picture.png': BIG.toString() });
  let time = 0;
  const files = new Files({
    now: () => time,
    // Long after all was written.
    wallNow: () => Date.now() + 10_000,
    ...(options.maxKeptBytes === undefined ? {} : { maxKeptBytes: options.maxKeptBytes }),
  });
  t.teardown(() => files.close());
  const action: Writable<FilesAction> = {
    kind: 'files',
    root: folder,
    parameters: options.parameters,
    fallback: true,
    base: false,
  };
  const ask = async (path: string, headers: Headers = [], method = 'GET'): Promise<Outcome> =>
    files.answer(action, { method, path, prefix: '', headers });
  const get = async (path: string, headers: Headers = [], method = 'GET'): Promise<Seen> => {
    const outcome = await ask(path, headers, method);
    if (outcome.kind !== 'answer') throw new Error(`${path}: ${outcome.kind}, ${outcome.detail}`);
    return receive(outcome);
  };
  return {
    folder,
    files,
    action,
    ask,
    get,
    pass: (ms: number) => {
      time += ms;
    },
  };
}

function write(folder: string, contents: Readonly<Record<string, string | Buffer>>): void {
  for (const [path, content] of Object.entries(contents)) {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    // Long unchanged: its date is a strong validator.
    utimesSync(file, 1_700_000_000, 1_700_000_000);
  }
}

/** A client that takes chunks as `accepts` says, and drains a turn later. */
class Client implements Downstream {
  readonly chunks: Buffer[] = [];
  sending!: Sending;
  accepts = true;
  inform(): void {}
  respond(): void {}
  write(chunk: Uint8Array): boolean {
    this.chunks.push(Buffer.from(chunk));
    if (!this.accepts) setImmediate(() => this.sending.onDrain());
    return this.accepts;
  }
  end(): void {}
  retract(): boolean {
    return false;
  }
  abort(): void {}
  pause(): void {}
  resume(): void {}
  tunnel(): undefined {}
}

function send(answer: FileAnswer, client = new Client()): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    client.sending = new Sending(answer, client, {
      onChunk: () => {},
      onSent: () => resolve(Buffer.concat(client.chunks)),
      onBroken: (detail) => reject(new Error(detail)),
    });
    client.sending.start();
  });
}

/** What this process has open of a folder. */
function openIn(folder: string): string[] {
  const linkOf = (fd: string) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  };
  return readdirSync('/proc/self/fd')
    .map(linkOf)
    .filter((link) => link.startsWith(folder))
    .sort();
}

async function receive(answer: FileAnswer): Promise<Seen> {
  const body = await send(answer);
  const length = firstValue(answer.headers, 'content-length');
  if (length !== undefined && body.length > 0 && Number(length) !== body.length) {
    throw new Error(`${body.length} bytes came, and ${length} were announced`);
  }
  return {
    status: answer.status,
    headers: answer.headers,
    body,
    field: (name) => firstValue(answer.headers, name),
  };
}

t.test('a file, whole, with all that caches need', async (t) => {
  const { get } = setUp(t);
  for (let again = 0; again < 2; again++) {
    const answer = await get(`/${HASHED}`);
    t.equal(answer.status, 200);
    t.equal(answer.body.toString(), TEXT);
    t.equal(answer.field('content-type'), 'text/javascript; charset=utf-8');
    t.equal(answer.field('cache-control'), 'public, max-age=31536000, immutable');
    t.equal(answer.field('last-modified'), 'Tue, 14 Nov 2023 22:13:20 GMT');
    t.match(answer.field('etag'), /^"[\w-]+"$/);
    t.equal(answer.field('accept-ranges'), 'bytes');
    t.equal(answer.field('vary'), 'Accept-Encoding');
  }
  const shell = await get('/');
  t.equal(shell.field('cache-control'), 'no-cache');
  t.equal(shell.field('content-type'), 'text/html; charset=utf-8');
  const picture = await get('/picture.png');
  t.ok(picture.body.equals(BIG));
  t.equal(picture.field('content-type'), 'image/png');
  t.equal(picture.field('vary'), undefined);
});

t.test('HEAD says what GET would, and sends nothing', async (t) => {
  const { get } = setUp(t);
  for (const [path, ...headers] of [[`/${HASHED}`], ['/picture.png'], [`/${HASHED}`, 'Accept-Encoding', 'gzip']]) {
    const whole = await get(path!, headers);
    const head = await get(path!, headers, 'HEAD');
    t.strictSame(head.headers, whole.headers);
    t.equal(head.body.length, 0);
    t.equal((await get(path!, [...headers, 'Range', 'bytes=0-1'], 'HEAD')).status, 200, 'ranges are of GET only');
  }
});

t.test('conditions', async (t) => {
  const { get, folder, pass } = setUp(t);
  const { headers } = await get('/picture.png');
  const etag = firstValue(headers, 'etag')!;
  const date = firstValue(headers, 'last-modified')!;
  const known = await get('/picture.png', ['If-None-Match', `"x", W/${etag}`]);
  t.equal(known.status, 304);
  t.equal(known.body.length, 0);
  t.equal(known.field('etag'), etag);
  t.equal(known.field('content-length'), undefined);
  t.equal((await get('/picture.png', ['If-Modified-Since', date])).status, 304);
  t.equal((await get('/picture.png', ['If-Match', '"other"'])).status, 412);
  t.equal((await get('/picture.png', ['If-Match', etag])).status, 200);
  const part = ['Range', 'bytes=0-9', 'If-Range'];
  t.equal((await get('/picture.png', [...part, etag])).status, 206);
  t.equal((await get('/picture.png', [...part, date])).status, 206);
  t.equal((await get('/picture.png', [...part, '"other"'])).status, 200);
  write(folder, { 'picture.png': 'changed' });
  pass(50);
  t.equal((await get('/picture.png', ['If-None-Match', etag])).status, 200, 'a change is noticed');
});

t.test('no date of a file is later than now', async (t) => {
  const { get, folder, pass } = setUp(t);
  utimesSync(join(folder, 'picture.png'), 4_000_000_000, 4_000_000_000);
  const before = Date.now();
  const date = (await get('/picture.png')).field('last-modified')!;
  t.ok(Date.parse(date) <= before + 11_000, date);
  pass(50);
  t.equal((await get('/picture.png')).field('last-modified'), date, 'the same for as long as the file is');
  t.equal((await get('/picture.png', ['If-Modified-Since', date])).status, 304);
});

t.test('another content is never taken for the one before, though size and date are the same', async (t) => {
  const { get, folder, pass } = setUp(t);
  const etags = new Set<string | undefined>();
  for (const content of ['main.aaaa1111.js', 'main.bbbb2222.js']) {
    // As from a build whose files all have one date: written over, which leaves the inode as it was.
    write(folder, { 'index.html': content });
    pass(50);
    for (const etag of etags) t.equal((await get('/', ['If-None-Match', etag!])).body.toString(), content);
    etags.add((await get('/')).field('etag'));
    await sleep(20);
  }
  t.equal(etags.size, 2);
});

t.test('ranges: of files, of what is kept, of several parts', async (t) => {
  const { get } = setUp(t);
  const kept = Buffer.from(TEXT);
  for (const [path, bytes] of [
    ['/picture.png', BIG],
    [`/${HASHED}`, kept],
  ] as const) {
    const one = await get(path, ['Range', 'bytes=10-19', 'Accept-Encoding', 'gzip, br']);
    t.equal(one.status, 206);
    t.equal(one.field('content-encoding'), undefined);
    t.equal(one.field('content-range'), `bytes 10-19/${bytes.length}`);
    t.ok(one.body.equals(bytes.subarray(10, 20)));
    const suffix = await get(path, ['Range', 'bytes=-5']);
    t.ok(suffix.body.equals(bytes.subarray(-5)));
    const none = await get(path, ['Range', `bytes=${bytes.length}-`]);
    t.equal(none.status, 416);
    t.equal(none.field('content-range'), `bytes */${bytes.length}`);
    const several = await get(path, ['Range', 'bytes=0-4, -3, 100-6000']);
    t.equal(several.status, 206);
    const [, boundary] = /^multipart\/byteranges; boundary=(\S+)$/.exec(several.field('content-type')!)!;
    const type = firstValue((await get(path)).headers, 'content-type');
    const wanted = [
      [0, 5],
      [bytes.length - 3, bytes.length],
      [100, 6001],
    ].map(([start, end]) => {
      const head = `\r\n--${boundary}\r\nContent-Type: ${type}\r\nContent-Range: bytes ${start}-${end! - 1}/${bytes.length}\r\n\r\n`;
      return head + bytes.subarray(start, end).toString('latin1');
    });
    t.equal(several.body.toString('latin1'), `${wanted.join('')}\r\n--${boundary}--\r\n`);
    t.equal((await get(path, ['Range', 'bytes=0-,0-,0-'])).status, 200, 'overlapping');
  }
});

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

t.test('a folder is redirected to its slash, never to another host', async (t) => {
  const { get, folder, files, action } = setUp(t);
  write(folder, { 'docs/index.html': 'docs' });
  const answer = await get('/docs?x=1');
  t.equal(answer.status, 301);
  t.equal(answer.field('location'), '/docs/?x=1');
  t.equal((await get('//docs')).field('location'), '/docs/');
  t.equal((await get('/docs/')).body.toString(), 'docs');
  const mounted = await files.answer(action, { method: 'GET', path: '/docs', prefix: '/app', headers: [] });
  t.equal(firstValue((mounted as FileAnswer).headers, 'location'), '/app/docs/');
  const root = await files.answer(action, { method: 'GET', path: '?x=1', prefix: '/app', headers: PAGE });
  t.equal(firstValue((root as FileAnswer).headers, 'location'), '/app/?x=1');
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

t.test('sent in chunks, and no faster than they are taken', async (t) => {
  const { ask } = setUp(t);
  const slow = new Client();
  slow.accepts = false;
  const body = await send((await ask('/picture.png')) as FileAnswer, slow);
  t.ok(body.equals(BIG));
  t.ok(slow.chunks.every((chunk) => chunk.length <= 65_536));
  const held = new Client();
  held.write = (chunk) => {
    held.chunks.push(Buffer.from(chunk));
    return false;
  };
  send((await ask('/picture.png')) as FileAnswer, held).catch(() => {});
  await sleep(50);
  t.equal(held.chunks.length, 1, 'nothing is read ahead');
  held.sending.stop();
});

t.test('a file that shrinks or changes while it is sent is never ended as whole', async (t) => {
  const { ask, folder } = setUp(t);
  for (const [change, words] of [
    [() => truncateSync(join(folder, 'picture.png'), 70_000), /became shorter/],
    [() => writeFileSync(join(folder, 'picture.png'), Buffer.alloc(BIG.length)), /changed while/],
    // With size and date as before, as `cp -a` and `rsync --inplace` do.
    [() => write(folder, { 'picture.png': Buffer.alloc(BIG.length) }), /changed while/],
  ] as const) {
    await sleep(20);
    write(folder, { 'picture.png': BIG });
    const answer = (await ask('/picture.png')) as FileAnswer;
    const client = new Client();
    let first = true;
    client.write = (chunk) => {
      client.chunks.push(Buffer.from(chunk));
      if (first) change();
      first = false;
      return true;
    };
    await t.rejects(send(answer, client), words);
    t.ok(Buffer.concat(client.chunks).length < BIG.length, 'the last bytes were held back');
  }
});

t.test('a file that is removed or renamed over while it is sent is sent to its end', async (t) => {
  const { ask, folder, pass } = setUp(t);
  for (const change of [
    () => unlinkSync(join(folder, 'picture.png')),
    () => renameSync(join(folder, 'index.html'), join(folder, 'picture.png')),
  ]) {
    write(folder, { 'picture.png': BIG });
    pass(50);
    const answer = (await ask('/picture.png')) as FileAnswer;
    await sleep(20);
    change();
    t.ok((await send(answer)).equals(BIG));
  }
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
