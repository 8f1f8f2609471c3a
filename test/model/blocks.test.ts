// Blocks: one that was given back is taken again, and no more are kept than is worth it.

import t from 'tap';
import { giveBlock, takeBlock } from '../../src/model/blocks.ts';

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
