// Open file: what is read whole is one state of the file, whatever is done to it meanwhile.

import {
  appendFileSync,
  existsSync,
  linkSync,
  readdirSync,
  readlinkSync,
  renameSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { type Found, Root } from '../../src/files/lookup.ts';
import { isUnchanged, readWhole } from '../../src/files/open-file.ts';
import { makeFolder } from '../support/folder.ts';

const CONTENT = 'some text of a release';

function open(t: Test) {
  const folder = makeFolder(t, 'open-file');
  const place = join(folder, 'a.txt');
  write(place, CONTENT);
  const root = new Root(folder, [], { now: () => 0, wallNow: Date.now });
  t.teardown(() => root.close());
  const found = root.find('/a.txt') as Found;
  return { folder, place, file: { descriptor: root.open(found)!, facts: found.facts } };
}

function write(place: string, content: string): void {
  writeFileSync(place, content);
  utimesSync(place, 1_700_000_000, 1_700_000_000);
}

t.test('a file is read whole, also when its name is gone or another has come', async (t) => {
  for (const change of [
    () => {},
    (place: string) => unlinkSync(place),
    (place: string) => linkSync(place, `${place}.too`),
    (place: string) => {
      writeFileSync(`${place}.new`, 'new');
      renameSync(`${place}.new`, place);
    },
  ]) {
    const { file, place } = open(t);
    await sleep(20);
    change(place);
    t.ok(isUnchanged(file));
    t.equal((await readWhole(file))?.toString(), CONTENT);
  }
});

t.test('a file that changed is not read', async (t) => {
  for (const change of [
    (place: string) => truncateSync(place, 3),
    (place: string) => appendFileSync(place, 'more'),
    (place: string) => write(place, CONTENT.toUpperCase()),
  ]) {
    const { file, place } = open(t);
    await sleep(20);
    change(place);
    t.notOk(isUnchanged(file));
    t.equal(await readWhole(file), undefined);
  }
});

t.test('it is closed whatever comes of it', { skip: !existsSync('/proc/self/fd') }, async (t) => {
  const { folder, file } = open(t);
  t.equal(filesOpenIn(folder), 1);
  await readWhole(file);
  t.equal(filesOpenIn(folder), 0);
});

function filesOpenIn(folder: string): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(`${folder}/`);
    } catch {
      return false;
    }
  }).length;
}
