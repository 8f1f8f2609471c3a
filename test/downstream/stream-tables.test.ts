// The tables of a session: this Node takes them, its streams come and go in them, and a session that breaks off ends them all.

import { once } from 'node:events';
import { connect, createServer, type Http2Session, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { OpenStreams, PendingStreams, useOwnTables } from '../../src/downstream/stream-tables.ts';

/** A session with its client, and the tables that it has. */
async function openSession(t: Test) {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const begun = once(server, 'session') as Promise<[ServerHttp2Session]>;
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  client.on('error', () => {});
  const [session] = await begun;
  t.teardown(() => {
    client.destroy();
    session.destroy();
    server.close();
  });
  return { client, session };
}

function tablesOf(session: object): { streams: OpenStreams; pendingStreams: PendingStreams } {
  const symbol = Object.getOwnPropertySymbols(session).find(({ description }) => description === 'state')!;
  return (session as Record<symbol, never>)[symbol]!;
}

t.test('streams come and go in them', async (t) => {
  const { client, session } = await openSession(t);
  t.ok(useOwnTables(session), 'this Node is built as expected: if not, HTTP/2 costs a fifth more until this is mended');
  const { streams, pendingStreams } = tablesOf(session);
  t.type(streams, OpenStreams);
  t.type(pendingStreams, PendingStreams);
  session.on('stream', (stream: ServerHttp2Stream) => {
    stream.respond({ ':status': 200 });
    stream.end('answer');
  });
  const requests = Array.from({ length: 10 }, () => client.request());
  for (const request of requests) {
    request.setEncoding('utf8');
    const [text] = await once(request, 'data');
    t.equal(text, 'answer');
    if (!request.closed) await once(request, 'close');
  }
  session.close();
  await once(session, 'close');
  t.equal(streams.size, 0);
  t.equal(pendingStreams.size, 0);
});

t.test('a session that is destroyed ends the streams in them', async (t) => {
  const { client, session } = await openSession(t);
  useOwnTables(session);
  const opened: ServerHttp2Stream[] = [];
  session.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => {});
    opened.push(stream);
  });
  const requests = Array.from({ length: 5 }, () => client.request());
  const ends = requests.map((request) => {
    request.on('error', () => {});
    return once(request, 'close');
  });
  while (opened.length < 5) await once(session, 'stream');
  t.equal(tablesOf(session).streams.size, 5);
  session.destroy();
  t.ok(opened.every((stream) => stream.destroyed));
  await Promise.all(ends);
});

t.test('where Node is built otherwise its own stay', async (t) => {
  t.equal(useOwnTables({} as Http2Session), false);
  const used = { [Symbol('state')]: { streams: new Map([[1, {}]]), pendingStreams: new Set() } };
  t.equal(useOwnTables(used as unknown as Http2Session), false, 'and those in which streams are already');
});

t.test('as a Map has it, and as a Set', async (t) => {
  const [a, b, c] = [{ name: 'a' }, { name: 'b' }, { name: 'c' }];
  const open = new OpenStreams();
  open.set(1, a!).set(3, b!).set(5, c!).set(3, a!);
  t.equal(open.size, 3);
  t.equal(open.get(3), a);
  t.equal(open.get(7), undefined);
  t.equal(open.delete(1), true);
  t.equal(open.delete(1), false);
  t.equal(open.get(5), c);
  const told: object[] = [];
  open.forEach((each) => {
    told.push(each);
    open.delete(3);
    open.delete(5);
  });
  t.same(told.length, 2, 'those that were there when it began');
  t.equal(open.size, 0);

  const pending = new PendingStreams();
  pending.add(a!).add(b!).add(a!);
  t.equal(pending.size, 2);
  t.equal(pending.delete(a!), true);
  t.equal(pending.delete(a!), false);
  pending.forEach((each) => {
    t.equal(each, b);
  });
});
