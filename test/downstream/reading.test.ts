// Reading in place: this Node has what it takes, for plain sockets and TLS, and what is read arrives whole.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import t from 'tap';
import { readAsStream, readInPlace } from '../../src/downstream/reading.ts';
import { readEverything } from '../support/in-place.ts';

t.test('an accepted socket is read into one buffer, until it is read as a stream', async (t) => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  t.teardown(() => client.destroy());
  const [socket] = (await once(server, 'connection')) as [Socket];
  t.teardown(() => socket.destroy());

  const read: { text: string; buffer: ArrayBufferLike }[] = [];
  let heard = Promise.withResolvers<void>();
  const inPlace = readInPlace(socket, (length, bytes) => {
    read.push({ text: bytes.toString('latin1', 0, length), buffer: bytes.buffer });
    heard.resolve();
    return true;
  });
  t.ok(inPlace, 'this Node is built as expected: if not, uploads cost a third more until this is mended');
  const streamed: string[] = [];
  socket.on('data', (bytes: Buffer) => {
    streamed.push(bytes.toString('latin1'));
    heard.resolve();
  });
  for (const text of ['one', 'two']) {
    client.write(text);
    await heard.promise;
    heard = Promise.withResolvers();
  }
  t.strictSame(
    read.map(({ text }) => text),
    ['one', 'two'],
  );
  t.equal(read[0]!.buffer, read[1]!.buffer, 'into the same one');

  readAsStream(socket);
  client.write('three');
  await heard.promise;
  t.strictSame(streamed, ['three']);
  t.equal(read.length, 2);
});

t.test('a door that reads in place', readEverything);
