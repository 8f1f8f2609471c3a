// Answer: conditions, ranges, HEAD, and the redirect to a folder.

import t from 'tap';
import type { FileAnswer } from '../../src/files/answer.ts';
import { firstValue } from '../../src/http/headers.ts';
import { BIG, HASHED, PAGE, setUp, TEXT, write } from '../support/served-folder.ts';

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
