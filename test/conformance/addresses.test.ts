// Conformance: the upstream's address is asked anew when a connection fails and when DNS changes, never once for ever.

import t from 'tap';
import { type Address, Resolver } from '../../src/upstream/resolver.ts';
import { HOST, openDoor, type TestDoor } from '../support/door.ts';
import { freePort, waitFor } from '../support/ports.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream } from '../support/raw-upstream.ts';

const NAME = 'backend.test';

/** A name server of one name, whose answer and clock the test sets. */
class Names {
  addresses: Address[] = [];
  asked = 0;
  elapsed = 0;
  readonly resolver = new Resolver(
    () => performance.now() + this.elapsed,
    (host, answer) => {
      this.asked++;
      const { addresses } = this;
      setImmediate(() => {
        if (host === NAME && addresses.length > 0) answer(null, addresses);
        else answer(Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: 'ENOTFOUND' }), []);
      });
    },
  );

  move(...addresses: string[]): void {
    this.addresses = addresses.map((address) => ({ address, family: 4 }));
  }
}

/** Two containers, one after the other: the same port on two loopback addresses. Undefined where only one exists. */
async function twoPlaces(): Promise<[RawUpstream, RawUpstream] | undefined> {
  for (let tries = 0; tries < 5; tries++) {
    const port = await freePort();
    const first = await RawUpstream.open(port, '127.0.0.1');
    try {
      return [first, await RawUpstream.open(port, '127.0.0.2')];
    } catch (error) {
      first.close();
      if ((error as NodeJS.ErrnoException).code === 'EADDRNOTAVAIL') return undefined;
    }
  }
  throw new Error('no port that is free on both addresses');
}

async function ask(door: TestDoor, method: string): Promise<number> {
  const client = await RawClient.connect({ port: door.plainPort });
  const reader = client.reader(method);
  client.write(`${method} / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
  await waitFor(() => reader.isDone, 5_000, 'an answer');
  client.close();
  return reader.status;
}

async function openFor(names: Names, port: number): Promise<TestDoor> {
  const pool = [{ host: NAME, port, tls: false }];
  return openDoor({ frontend: pool, backend: pool, resolver: names.resolver, sweepEvery: 20 });
}

t.test('a recreated container is found at once when the old address refuses, by a POST as well', async (t) => {
  const places = await twoPlaces();
  if (places === undefined) return t.plan(0, '127.0.0.2 is no address here');
  const [old, recreated] = places;
  const names = new Names();
  names.move('127.0.0.1');
  const door = await openFor(names, old.port);
  t.teardown(() => {
    door.close();
    old.close();
    recreated.close();
  });
  t.equal(await ask(door, 'GET'), 200);
  t.equal(old.requests.length, 1);
  old.close();
  names.move('127.0.0.2');
  await waitFor(() => old.openCount === 0, 2_000, 'the old connections to end');
  t.equal(await ask(door, 'POST'), 200, 'asked anew and answered');
  t.equal(recreated.requests.length, 1);
  t.equal(names.asked, 2);
});

t.test('a change of DNS is seen within 30 s, though the old address still answers', async (t) => {
  const places = await twoPlaces();
  if (places === undefined) return t.plan(0, '127.0.0.2 is no address here');
  const [old, moved] = places;
  const names = new Names();
  names.move('127.0.0.1');
  const door = await openFor(names, old.port);
  t.teardown(() => {
    door.close();
    old.close();
    moved.close();
  });
  t.equal(await ask(door, 'GET'), 200);
  names.move('127.0.0.2');
  t.equal(await ask(door, 'GET'), 200);
  t.equal(old.requests.length, 2, 'for a short time the old address is used');
  names.elapsed = 30_000;
  await waitFor(() => old.openCount === 0, 2_000, 'the idle connection to the old address to end');
  t.equal(await ask(door, 'GET'), 200);
  t.equal(moved.requests.length, 1);
});

t.test('a name server that fails is no reason to forget an address that works', async (t) => {
  const upstream = await RawUpstream.open();
  const names = new Names();
  names.move('127.0.0.1');
  const door = await openFor(names, upstream.port);
  t.teardown(() => {
    door.close();
    upstream.close();
  });
  t.equal(await ask(door, 'GET'), 200);
  names.move();
  names.elapsed = 30_000;
  const asked = names.asked;
  await waitFor(() => names.asked > asked, 2_000, 'the name to be asked again');
  t.equal(await ask(door, 'GET'), 200);
  t.equal(upstream.requests.length, 2);
});

t.test('a name that nobody knows is a 502 that says so, and is found as soon as it exists', async (t) => {
  const upstream = await RawUpstream.open();
  const names = new Names();
  const door = await openFor(names, upstream.port);
  t.teardown(() => {
    door.close();
    upstream.close();
  });
  t.equal(await ask(door, 'GET'), 502);
  t.equal(door.lines[0]?.failure, 'dns_error');
  names.move('127.0.0.1');
  t.equal(await ask(door, 'POST'), 200);
});

t.test('of the addresses of one name those that refuse are passed by', async (t) => {
  const upstream = await RawUpstream.open();
  const names = new Names();
  names.move('127.0.0.3', '127.0.0.1');
  const door = await openFor(names, upstream.port);
  t.teardown(() => {
    door.close();
    upstream.close();
  });
  t.equal(await ask(door, 'POST'), 200);
  t.equal(upstream.requests.length, 1);
});
