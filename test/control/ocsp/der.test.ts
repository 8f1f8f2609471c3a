// DER is read in its one form only, and written in it.

import t from 'tap';
import { DerError, parts, readDer, readTime, TAG, wholeBits, writeDer } from '../../../src/control/ocsp/der.ts';

t.test('what is written is read', async (t) => {
  for (const length of [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x10000]) {
    const bytes = writeDer(TAG.octets, Buffer.alloc(length, 7));
    const { tag, content, whole } = readDer(bytes, TAG.octets);
    t.same([tag, content.length, whole.length], [TAG.octets, length, bytes.length]);
  }
  const two = writeDer(TAG.sequence, writeDer(TAG.null), writeDer(TAG.integer, Buffer.of(5)));
  t.same(
    parts(readDer(two)).map(({ tag }) => tag),
    [TAG.null, TAG.integer],
  );
});

t.test('anything else is refused', async (t) => {
  const wrong: Record<string, number[]> = {
    nothing: [],
    'a tag alone': [0x30],
    'cut off': [0x04, 3, 1, 2],
    'something behind': [0x05, 0, 0],
    'without an end': [0x30, 0x80, 0, 0],
    'a length in long form that is short': [0x04, 0x81, 1, 7],
    'a length with a zero before it': [0x04, 0x82, 0, 0x80, ...Array(0x80).fill(0)],
    'a length of five bytes': [0x04, 0x85, 0, 0, 0, 0, 1, 7],
    'a length that is cut off': [0x04, 0x82, 1],
    'a tag of several bytes': [0x1f, 0x21, 0],
  };
  for (const [name, bytes] of Object.entries(wrong)) t.throws(() => readDer(Buffer.from(bytes)), DerError, name);
  t.throws(() => readDer(writeDer(TAG.null), TAG.oid), DerError, 'another tag');
  t.throws(() => parts(readDer(writeDer(TAG.sequence, Buffer.of(4, 9)))), DerError, 'a part that is cut off');
  t.throws(() => wholeBits(readDer(writeDer(TAG.bits, Buffer.of(3, 8)))), DerError, 'half a byte');
});

t.test('times', async (t) => {
  const read = (text: string) => readTime(readDer(writeDer(TAG.generalizedTime, Buffer.from(text))));
  t.equal(read('20261122101500Z'), Date.UTC(2026, 10, 22, 10, 15));
  for (const wrong of [
    '20261122101500',
    '20261122101500+0100',
    '20261122101500.5Z',
    '20261322101500Z',
    '261122101500Z',
  ]) {
    t.throws(() => read(wrong), DerError, wrong);
  }
});
