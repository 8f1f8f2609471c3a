// Read buffers: a large one while an answer fills the ordinary one, never one that may be lent, and not more than are bounded.

import t from 'tap';
import { ReadBuffers } from '../../src/upstream/read-buffers.ts';

const SMALL = 64 * 1024;
const LARGE = 512 * 1024;

/** What is read into after a read that filled the buffer. */
function fill(buffers: ReadBuffers, busy = true): Buffer {
  buffers.note(true);
  return buffers.next(busy);
}

t.test('an answer that fills the ordinary buffer is read into a large one, to its end', async (t) => {
  const buffers = new ReadBuffers();
  const own = buffers.next(false);
  t.equal(own.length, SMALL);
  buffers.note(false);
  t.equal(buffers.next(true), own);
  const large = fill(buffers);
  t.equal(large.length, LARGE);
  buffers.note(false);
  t.equal(buffers.next(true), large, 'for as long as it is under way');
  t.equal(buffers.next(false), own);
  t.equal(fill(buffers, false), own, 'what fills it at the end of an answer is no reason');
  const other = new ReadBuffers();
  other.next(true);
  t.equal(fill(other), large, 'it is used again');
  other.next(false);
});

t.test('one that may be lent when its connection ends is used by nobody else', async (t) => {
  const buffers = new ReadBuffers();
  buffers.next(true);
  const large = fill(buffers);
  buffers.end();
  buffers.end();
  const other = new ReadBuffers();
  other.next(true);
  t.not(fill(other), large);
  other.next(false);
});

t.test('their number is bounded, and who gets none reads as before', async (t) => {
  const all = Array.from({ length: 300 }, () => new ReadBuffers());
  for (const each of all) each.next(true);
  const sizes = all.map((each) => fill(each).length);
  t.equal(sizes.filter((size) => size === LARGE).length, 128);
  t.equal(sizes.filter((size) => size === SMALL).length, 172);
  all[0]!.end();
  t.equal(fill(all[299]!).length, LARGE, 'one has become free');
  for (const each of all) each.end();
});
