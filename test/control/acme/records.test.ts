// What is kept of a name is read strictly: a store may be shared, damaged, or written by another version.

import t from 'tap';
import { DirectoryStorage } from '../../../src/control/acme/directory-storage.ts';
import { fileName, loadCertificate, loadCourse, storeCourse } from '../../../src/control/acme/records.ts';
import { makeFolder } from '../../support/folder.ts';

const NONE = { failures: 0, notBefore: 0, pauses: {}, records: [] };
const RECORD = { name: '_acme-challenge.a.test', zone: 'a.test', value: 'x'.repeat(43) };

t.test('a course is found again, and a damaged one counts as none', async (t) => {
  const storage = new DirectoryStorage(makeFolder(t));
  const course = { failures: 2, notBefore: 5, pauses: { 'https://ca.test/': 7 }, records: [RECORD] };
  await storeCourse(storage, '*.a.test', course);
  t.strictSame(await loadCourse(storage, '*.a.test'), course);
  t.strictSame(await loadCourse(storage, 'a.test'), NONE, 'that of the name itself is another one');
  for (const text of ['', '{', '[]', 'null', '{"failures":"2"}', '{"failures":1,"notBefore":1,"pauses":null}']) {
    await storage.store('courses/a.test.json', Buffer.from(text));
    t.strictSame(await loadCourse(storage, 'a.test'), NONE, text);
  }
});

t.test(
  'why the last attempt failed is kept in one line; a course of a version that did not keep it is read',
  async (t) => {
    const storage = new DirectoryStorage(makeFolder(t));
    const course = { failures: 2, notBefore: 5, pauses: {}, records: [] };
    const problem = 'ca.test refused: not today (dns)';
    await storeCourse(storage, 'a.test', { ...course, problem });
    t.strictSame(await loadCourse(storage, 'a.test'), { ...course, problem });
    await storeCourse(storage, 'a.test', course);
    t.strictSame(await loadCourse(storage, 'a.test'), course);
    const damaged = (problem: unknown) =>
      storage.store('courses/a.test.json', Buffer.from(JSON.stringify({ ...course, problem })));
    await damaged(5);
    t.strictSame(await loadCourse(storage, 'a.test'), course);
    await damaged(`\x1b[31mred\n${'x'.repeat(100_000)}`);
    const read = (await loadCourse(storage, 'a.test')).problem!;
    t.match(read, /^ \[31mred x+$/);
    t.ok(read.length < 5_000);
  },
);

t.test('records that no program may see are left out', async (t) => {
  const storage = new DirectoryStorage(makeFolder(t));
  const bad = [
    { ...RECORD, name: 'a.test\nserver 192.0.2.1' },
    { ...RECORD, name: '-k/etc/passwd.a.test' },
    { ...RECORD, zone: 'b.test' },
    { ...RECORD, zone: 'est' },
    { ...RECORD, value: 'x" ; y' },
    { ...RECORD, value: 5 },
    null,
    'x',
  ];
  const text = JSON.stringify({ ...NONE, records: [...bad, RECORD] });
  await storage.store('courses/a.test.json', Buffer.from(text));
  t.strictSame((await loadCourse(storage, 'a.test')).records, [RECORD]);
  await storage.store('courses/a.test.json', Buffer.from(JSON.stringify({ ...NONE, records: 'all' })));
  t.strictSame((await loadCourse(storage, 'a.test')).records, []);
});

t.test('a certificate of which a part is missing is none', async (t) => {
  const storage = new DirectoryStorage(makeFolder(t));
  await storage.store(`certificates/${fileName('*.a.test')}.json`, Buffer.from('{"directory":"x","chain":"y"}'));
  t.equal(await loadCertificate(storage, '*.a.test'), undefined);
});
