// The limits of connections: one client's, the total, and who is not counted.

import t, { type Test } from 'tap';
import { type DoorOptions, HOST, local, openDoor } from '../support/door.ts';
import { waitFor } from '../support/ports.ts';
import { RawClient } from '../support/raw-client.ts';
import { OK, RawUpstream } from '../support/raw-upstream.ts';

const GET = `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;

async function start(t: Test, options: Pick<DoorOptions, 'limits' | 'trustedProxies'>) {
  const upstream = await RawUpstream.open();
  upstream.answer(OK);
  const endpoints = [local(upstream.port)];
  const door = await openDoor({ frontend: endpoints, backend: endpoints, ...options });
  const clients: RawClient[] = [];
  t.teardown(() => {
    for (const client of clients) client.close();
    door.close();
    upstream.close();
  });
  /** Whether a new connection is served; it stays open. */
  const isServed = async () => {
    const client = await RawClient.connect({ port: door.plainPort });
    clients.push(client);
    const answer = client.reader('GET');
    client.write(GET);
    await waitFor(() => answer.isDone, 10_000, 'an answer');
    return answer.end === 'complete';
  };
  return { door, clients, isServed };
}

for (const [name, limits, limit] of [
  ['of one client', { connectionsPerClient: 2 }, 'downstream.connectionsPerClient'],
  ['in total', { connections: 2 }, 'downstream.connections'],
] as const) {
  t.test(`connections ${name} are bounded, and one that ends makes room`, async (t) => {
    const { door, clients, isServed } = await start(t, { limits });
    t.ok((await isServed()) && (await isServed()));
    t.notOk(await isServed(), 'the third is closed');
    t.notOk(await isServed());
    const told = door.lines.filter(({ level }) => level === 'warn');
    t.equal(told.length, 1, 'a flood is told of once');
    t.match(told[0], { limit, value: 2, peer_ip: '127.0.0.1', listener: 'plain' });
    clients[0]!.close();
    let served = false;
    for (let i = 0; i < 100 && !served; i++) {
      served = await isServed();
      if (!served) await new Promise((done) => setTimeout(done, 10));
    }
    t.ok(served);
  });
}

t.test('behind a trusted hop stand many clients', async (t) => {
  const { isServed } = await start(t, { limits: { connectionsPerClient: 2 }, trustedProxies: ['127.0.0.0/8'] });
  for (let i = 0; i < 5; i++) t.ok(await isServed());
});
