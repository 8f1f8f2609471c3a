// One HTTP/1 connection: how long it may idle, how many requests it takes, what it holds of what a client sends ahead, and how it ends.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t, { type Test } from 'tap';
import type { Limits } from '../../src/model/snapshot.ts';
import { HOST, local, openDoor, type TestDoor } from '../support/door.ts';
import { waitFor } from '../support/ports.ts';
import { type Address, RawClient } from '../support/raw-client.ts';
import { OK, RawUpstream } from '../support/raw-upstream.ts';

const GET = `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;

async function start(t: Test, limits: Partial<Limits>): Promise<{ door: TestDoor; upstream: RawUpstream }> {
  const upstream = await RawUpstream.open();
  const endpoints = [local(upstream.port)];
  const door = await openDoor({ frontend: endpoints, backend: endpoints, limits, sweepEvery: 20 });
  t.teardown(() => {
    door.close();
    upstream.close();
  });
  return { door, upstream };
}

async function connect(t: Test, address: Address): Promise<RawClient> {
  const client = await RawClient.connect(address);
  t.teardown(() => client.close());
  return client;
}

/** Over both kinds of connections. */
function addressesOf(door: TestDoor): Address[] {
  return [{ port: door.plainPort }, { port: door.tlsPort, ca: door.ca, serverName: HOST }];
}

t.test('an idle connection is ended without a word, between requests and before the first one', async (t) => {
  const { door } = await start(t, { keepAliveTimeout: 100, headTimeout: 100 });
  for (const address of addressesOf(door)) {
    const silent = await connect(t, address);
    await silent.gone;
    t.equal(silent.text, '', 'nothing was asked, and nothing said');
    silent.close();
    const used = await connect(t, address);
    const answer = used.reader('GET');
    used.write(GET);
    await waitFor(() => answer.isDone, 10_000, 'an answer');
    const said = used.text;
    await used.gone;
    t.equal(used.text, said);
    t.notOk(used.wasReset);
    used.close();
  }
  await waitFor(() => door.door.watched.size === 0, 5_000, 'nothing to be watched');
});

t.test('a connection ends with the last request that it may carry', async (t) => {
  const { door, upstream } = await start(t, { requestsPerConnection: 2 });
  for (const address of addressesOf(door)) {
    const client = await connect(t, address);
    const answers = [client.reader('GET'), client.reader('GET'), client.reader('GET')];
    client.write(GET + GET + GET);
    await client.gone;
    t.strictSame(
      answers.map(({ end }) => end),
      ['complete', 'complete', 'none'],
    );
    t.strictSame(
      answers.map(({ headers }) => headers.includes('close')),
      [false, true, false],
    );
  }
  t.equal(upstream.requests.length, 4, 'what stood behind the last one went nowhere');
});

for (const patient of [false, true]) {
  const what = patient ? 'lives until an answer has said so' : 'ends with the answer under way';
  t.test(`a connection of a door that drains ${patient ? 'patiently' : 'at once'} ${what}`, async (t) => {
    const { door, upstream } = await start(t, {});
    for (const address of addressesOf(door)) {
      let drain = () => {};
      upstream.script = async (request) => {
        request.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha');
        await new Promise<void>((begin) => {
          drain = begin;
        });
        request.write('lf');
      };
      const client = await connect(t, address);
      const [first, second] = [client.reader('GET'), client.reader('GET')];
      client.write(GET);
      await waitFor(() => client.text.endsWith('ha'), 5_000, 'half of the answer');
      door.door.patient = patient;
      for (const { origin } of door.door.exchanges) origin.bound.draining = true;
      drain();
      await waitFor(() => first.isDone, 5_000, 'the answer');
      t.notOk(first.headers.includes('close'), 'it said nothing of an end');
      if (patient) {
        await new Promise((done) => setTimeout(done, 50));
        t.notOk(client.isGone);
        upstream.answer('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhalf');
        client.write(GET);
      }
      await client.gone;
      t.equal(second.end, patient ? 'complete' : 'none');
      t.equal(second.headers.includes('close'), patient);
    }
  });
}

t.test('a connection from before a reload names the limits that it goes by', async (t) => {
  const { door } = await start(t, { headBytes: 2_000, requestLineBytes: 1_000 });
  const large = {
    'downstream.headBytes': GET.replace('\r\n\r\n', `\r\nX-Large: ${'x'.repeat(2_000)}\r\n\r\n`),
    'downstream.requestLineBytes': GET.replace('/', `/${'x'.repeat(1_000)}`),
  };
  const kept = await Promise.all(Object.keys(large).map(() => connect(t, { port: door.plainPort })));
  for (const client of kept) {
    const answer = client.reader('GET');
    client.write(GET);
    await waitFor(() => answer.isDone, 5_000, 'an answer');
  }
  door.reload({ limits: { ...door.door.active.limits, headBytes: 9_000, requestLineBytes: 9_000 } });
  for (const [i, [limit, bytes]] of Object.entries(large).entries()) {
    kept[i]!.write(bytes);
    await kept[i]!.gone;
    t.match(kept[i]!.text, new RegExp(`(?:larger|longer) than [12]000 bytes \\(limit ${limit}`));
  }
});

t.test('the answer to trailers that are too large says how large they may be', async (t) => {
  const { door } = await start(t, {});
  const client = await connect(t, { port: door.plainPort });
  const answer = client.reader('POST');
  const head = GET.replace('GET', 'POST').replace('\r\n\r\n', '\r\nTransfer-Encoding: chunked\r\n\r\n');
  client.write(`${head}0\r\nX-Large: ${'x'.repeat(16_384)}\r\n\r\n`);
  await client.gone;
  t.equal(answer.status, 431);
  t.match(client.text, /trailers behind the request body are larger than 16384 bytes/);
});

t.test('requests sent ahead are answered in order, and no more of them is taken than is good', async (t) => {
  const { door, upstream } = await start(t, {});
  let answerFirst = () => {};
  upstream.script = async (request) => {
    if (request.target === '/first')
      await new Promise<void>((go) => {
        answerFirst = go;
      });
    request.write(`HTTP/1.1 200 OK\r\nX-Target: ${request.target}\r\nContent-Length: 0\r\n\r\n`);
  };
  const client = await connect(t, { port: door.plainPort });
  const answer = client.reader('GET');
  const others = Array.from({ length: 200 }, () => client.reader('GET'));
  const ask = (target: string) => `GET ${target} HTTP/1.1\r\nHost: ${HOST}\r\nX-Fill: ${'x'.repeat(4_000)}\r\n\r\n`;
  client.write(ask('/first'));
  // 800 kB, a dozen times what is taken ahead.
  for (let i = 0; i < 200; i++) client.write(ask(`/${i}`));
  await upstream.request();
  // What the door does not take and the kernel does not hold waits here.
  await new Promise((done) => setTimeout(done, 50));
  t.equal(upstream.requests.length, 1, 'one at a time');
  answerFirst();
  await waitFor(() => answer.isDone, 10_000, 'an answer');
  for (const other of others) await waitFor(() => other.isDone, 10_000, 'an answer');
  t.strictSame(
    upstream.requests.map(({ target }) => target),
    ['/first', ...others.map((_, i) => `/${i}`)],
  );
  t.ok(others.every(({ status, end }) => status === 200 && end === 'complete'));
});

t.test('a client that ends its side before its answer has left; the upstream is told', async (t) => {
  const { door, upstream } = await start(t, {});
  upstream.script = () => {};
  const client = await connect(t, { port: door.plainPort });
  client.write(GET);
  const request = await upstream.request();
  client.socket.end();
  await request.connection.gone;
  await waitFor(() => door.lines.length > 0, 5_000);
  t.match(door.lines[0], { status: 499, failure: 'client_gone' });
});

t.test(
  'a client that leaves while its body waits for a connection is noticed, and its request goes nowhere',
  async (t) => {
    const { door, upstream } = await start(t, { upstreamConnections: 1 });
    upstream.script = () => {};
    const first = await connect(t, { port: door.plainPort });
    first.write(GET);
    await upstream.request();
    for (const address of addressesOf(door)) {
      for (const leave of ['end', 'reset'] as const) {
        const client = await connect(t, address);
        client.write(`POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 5000\r\n\r\n${'x'.repeat(5_000)}`);
        await waitFor(() => door.door.exchanges.size === 2, 10_000, 'it to wait');
        if (leave === 'end') client.socket.end();
        else client.reset();
        await waitFor(() => door.door.exchanges.size === 1, 10_000, 'it to be let go');
        t.match(door.lines.at(-1), { status: 499, failure: 'client_gone' });
      }
    }
    t.equal(upstream.requests.length, 1);
  },
);

t.test('a client that ends its side of a tunnel gets what the upstream still says', async (t) => {
  const { door, upstream } = await start(t, {});
  upstream.script = (request) =>
    request.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello');
  for (const [i, address] of addressesOf(door).entries()) {
    const client = await connect(t, address);
    client.write(GET.replace('\r\n\r\n', '\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'));
    await waitFor(() => client.text.endsWith('hello'), 10_000, 'the tunnel to be there');
    const { socket } = (await upstream.request(i)).connection;
    socket.prependOnceListener('end', () => socket.write('goodbye'));
    client.socket.end();
    await client.gone;
    t.match(client.text, /hellogoodbye$/);
  }
});

t.test('the end of a client that has its whole answer is no abort', async (t) => {
  const { door, upstream } = await start(t, {});
  upstream.answer(OK);
  for (const address of addressesOf(door)) {
    const client = await connect(t, address);
    const answer = client.reader('GET');
    client.write(GET);
    await waitFor(() => answer.isDone, 10_000, 'an answer');
    client.socket.end();
    await client.gone;
  }
  t.ok(door.lines.every(({ status, failure }) => status === 200 && failure === undefined));
});

t.test('what was sent ahead by a client that has ended its side goes on for nobody', async (t) => {
  const { door, upstream } = await start(t, {});
  upstream.script = () => {};
  for (const address of addressesOf(door)) {
    for (const kind of ['GET', 'websocket'] as const) {
      const client = await connect(t, address);
      const answer = client.reader('GET');
      const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
      const next = kind === 'GET' ? GET : GET.replace('\r\n\r\n', `\r\n${upgrade}\r\n`);
      // The first one is answered by the door itself, before the end is read.
      client.socket.end(`GET / HTTP/1.1\r\nHost: nobody.test\r\n\r\n${next}`);
      await client.gone;
      t.equal(answer.status, address.ca === undefined ? 404 : 421);
      t.equal(answer.end, 'complete');
    }
  }
  await waitFor(() => door.door.watched.size === 0, 10_000, 'the connections to be gone');
  await waitFor(() => upstream.openCount === 0, 10_000, 'the upstream to be told');
  t.equal(door.door.exchanges.size, 0);
});

t.test('an answer that ends with its connection is the last one, for HTTP/1.0 that would go on, too', async (t) => {
  const { door, upstream } = await start(t, {});
  upstream.answer('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n');
  for (const address of addressesOf(door)) {
    upstream.requests.length = 0;
    const client = await connect(t, address);
    const answer = client.reader('GET');
    const keep = GET.replace('HTTP/1.1', 'HTTP/1.0').replace('\r\n\r\n', '\r\nConnection: keep-alive\r\n\r\n');
    client.write(keep + keep.replace('GET', 'DELETE'));
    await client.gone;
    client.socket.end(keep.replace('GET', 'DELETE'));
    await waitFor(() => door.door.watched.size === 0, 10_000, 'the connection to be gone');
    t.equal(answer.body.toString(), 'ok');
    t.strictSame(
      upstream.requests.map(({ method }) => method),
      ['GET'],
    );
  }
});

t.test('an idle connection holds nothing of the request before', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const used = () => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  const { door } = await start(t, {});
  const fill = 60_000;
  const count = 100;
  const before = used();
  for (let i = 0; i < count; i++) {
    const client = await connect(t, { port: door.plainPort });
    const answer = client.reader('GET');
    client.write(`GET / HTTP/1.1\r\nHost: nobody.test\r\nX-Fill: ${'x'.repeat(fill)}\r\n\r\n`);
    await waitFor(() => answer.isDone, 10_000, 'an answer');
  }
  t.ok(used() - before < (count * fill) / 2, 'they hold less than their heads');
});
