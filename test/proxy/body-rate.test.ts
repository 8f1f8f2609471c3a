// A body that trickles: given up once it is slower than the limit, and never for what is not the client's slowness.

import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { Limits } from '../../src/model/snapshot.ts';
import { HOST, local, openDoor } from '../support/door.ts';
import { waitFor } from '../support/ports.ts';
import { RawClient } from '../support/raw-client.ts';
import { OK, RawUpstream } from '../support/raw-upstream.ts';

async function start(t: Test, more: Partial<Limits> = {}) {
  const upstream = await RawUpstream.open();
  const endpoints = [local(upstream.port)];
  const limits = { bodyRate: 100_000, bodyRateGrace: 200, ...more };
  const door = await openDoor({ frontend: endpoints, backend: endpoints, limits, sweepEvery: 20 });
  const client = await RawClient.connect({ port: door.plainPort });
  t.teardown(() => {
    client.close();
    door.close();
    upstream.close();
  });
  return { upstream, door, client };
}

t.test('a byte now and then is a 408 that names the limit, and the upstream is told', async (t) => {
  const { upstream, door, client } = await start(t);
  upstream.script = () => {};
  const answer = client.reader('POST');
  client.write(`POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 1000000\r\n\r\n`);
  while (!answer.isDone) {
    client.write('x');
    await sleep(20);
  }
  t.equal(answer.status, 408);
  t.match(answer.body.toString(), /100000 bytes a second after 0\.2 s \(limits downstream\.bodyRate and/);
  await (await upstream.request()).connection.gone;
  await waitFor(() => door.lines.length > 0, 5_000);
  t.match(door.lines[0], { status: 408, failure: 'body_too_slow', ended_by: 'downstream' });
});

t.test("an upstream that reads late is not the client's slowness", async (t) => {
  const { upstream, client } = await start(t);
  const size = 8 * 1024 * 1024;
  upstream.script = async (request) => {
    request.connection.socket.pause();
    // Three times the grace, in which next to nothing moves.
    await sleep(600);
    request.connection.socket.resume();
    await request.whole;
    request.write(OK);
  };
  const answer = client.reader('POST');
  client.write(`POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: ${size}\r\n\r\n`);
  client.write(Buffer.alloc(size));
  await waitFor(() => answer.isDone, 20_000, 'the answer');
  t.equal(answer.status, 200);
});

/** Who waits to be told sends nothing meanwhile, and that is the upstream's slowness. */
const EXPECTING = `POST / HTTP/1.1\r\nHost: ${HOST}\r\nExpect: 100-continue\r\nContent-Length: 2000\r\n\r\n`;

t.test('a client that waits for 100 (Continue) is not slow', async (t) => {
  const { upstream, client } = await start(t);
  upstream.script = async (request) => {
    // Three times the grace.
    await sleep(600);
    request.write('HTTP/1.1 100 Continue\r\n\r\n');
    await request.whole;
    request.write(OK);
  };
  const answer = client.reader('POST');
  client.write(EXPECTING);
  await waitFor(() => client.text.startsWith('HTTP/1.1 100'), 10_000, 'the word to go on');
  client.write('x'.repeat(2_000));
  await waitFor(() => answer.isDone, 10_000, 'the answer');
  t.equal(answer.status, 200);
});

t.test('where the upstream never says 100 (Continue), it is the upstream that does not answer', async (t) => {
  const { upstream, door, client } = await start(t, { bodyTimeout: 100, responseTimeout: 400 });
  upstream.script = () => {};
  const answer = client.reader('POST');
  client.write(EXPECTING);
  await waitFor(() => answer.isDone, 10_000, 'the answer');
  t.equal(answer.status, 504);
  await waitFor(() => door.lines.length > 0, 5_000);
  t.match(door.lines[0], { failure: 'response_timeout', ended_by: 'upstream' });
});

t.test('once it was told to go on, a client that does not is the one that is waited for', async (t) => {
  const { upstream, client } = await start(t, { bodyTimeout: 100, responseTimeout: 10_000 });
  upstream.script = (request) => request.write('HTTP/1.1 100 Continue\r\n\r\n');
  const answer = client.reader('POST');
  client.write(EXPECTING);
  await waitFor(() => answer.isDone, 10_000, 'the answer');
  t.equal(answer.status, 408);
});
