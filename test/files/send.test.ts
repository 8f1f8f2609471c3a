// Send: in chunks, as fast as they are taken, and never ended as whole when the file changed.

import { renameSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { FileAnswer } from '../../src/files/answer.ts';
import { BIG, Client, send, setUp, write } from '../support/served-folder.ts';

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
