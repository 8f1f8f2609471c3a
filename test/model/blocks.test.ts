// Blocks: one that was given back is taken again, and no more are kept than is worth it.

import t from 'tap';
import {
  BLOCK_SIZE,
  giveBlock,
  LARGE_BLOCK_SIZE,
  MAX_LARGE,
  takeBlock,
  takeLargeBlock,
} from '../../src/model/blocks.ts';

t.test('a free block is used again', async (t) => {
  const block = takeBlock();
  t.not(takeBlock(), block, 'not while it is in use');
  giveBlock(block);
  t.equal(takeBlock(), block);
});

t.test('what was a peak is not kept for ever', async (t) => {
  const blocks = Array.from({ length: 200 }, takeBlock);
  for (const block of blocks) giveBlock(block);
  const again = new Set(Array.from({ length: 200 }, takeBlock));
  t.ok(blocks.filter((block) => again.has(block)).length < 100);
});

t.test('large blocks are of a bounded number', async (t) => {
  const blocks = Array.from({ length: MAX_LARGE + 1 }, takeLargeBlock);
  t.equal(blocks[MAX_LARGE - 1]!.length, LARGE_BLOCK_SIZE);
  t.equal(blocks[MAX_LARGE]!.length, BLOCK_SIZE, 'who comes too late gets an ordinary one');
  for (const block of blocks) giveBlock(block);
  t.ok(blocks.includes(takeLargeBlock()), 'and they are used again');
});
