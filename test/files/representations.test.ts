// Representations: type, validators and caching of files as they are on disk.

import { utimesSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { BIG, HASHED, setUp, TEXT, write } from '../support/served-folder.ts';

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
