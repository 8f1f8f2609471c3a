// Reading where Node is built otherwise than we know it: nothing is read in place, and everything works as well.

import type { Socket } from 'node:net';
import t from 'tap';
import { readInPlace } from '../../src/downstream/reading.ts';
import { readEverything } from '../support/in-place.ts';

t.test('without what reading in place needs, sockets are read by their events', async (t) => {
  t.equal(
    readInPlace({} as Socket, () => true),
    false,
    'the first socket that is seen says how Node is built',
  );
  await readEverything(t);
});
