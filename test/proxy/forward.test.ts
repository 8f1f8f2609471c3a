// Forward, as the log and the upstream see it: traces, large fields, bodies that are empty, and who closed a websocket.

import { once } from 'node:events';
import { connect } from 'node:http2';
import t, { type Test } from 'tap';
import type { Headers } from '../../src/http/headers.ts';
import type { Limits } from '../../src/model/snapshot.ts';
import { HOST, local, openDoor, type TestDoor } from '../support/door.ts';
import { sendHttp1 } from '../support/http1-client.ts';
import { sendHttp2 } from '../support/http2-client.ts';
import { waitFor } from '../support/ports.ts';
import { RawClient } from '../support/raw-client.ts';
import { OK, RawUpstream } from '../support/raw-upstream.ts';

async function setUp(t: Test, trustedProxies: readonly string[] = [], limits: Partial<Limits> = {}) {
  const upstream = await RawUpstream.open();
  upstream.answer(OK);
  const endpoints = [local(upstream.port)];
  const door = await openDoor({ frontend: endpoints, backend: endpoints, trustedProxies, limits });
  t.teardown(() => {
    door.close();
    upstream.close();
  });
  const get = (headers: Headers, send = sendHttp1) =>
    send(
      { port: door.tlsPort, ca: door.ca, serverName: HOST },
      { method: 'GET', target: '/', authority: HOST, headers },
    );
  const accessLines = () => door.lines.filter((line) => line.msg === 'access');
  return { upstream, door, get, accessLines };
}

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = `00-${TRACE}-b7ad6b7169203331-00`;

t.test('a trace that comes goes on as it is, and is named in the log', async (t) => {
  const { upstream, get, accessLines } = await setUp(t);
  for (const send of [sendHttp1, sendHttp2]) {
    await get(['traceparent', PARENT, 'tracestate', 'a=1', 'tracestate', 'b=2'], send);
    const request = upstream.requests.at(-1)!;
    t.strictSame(request.values('traceparent'), [PARENT]);
    t.strictSame(request.values('tracestate').join(), 'a=1,b=2');
  }
  await waitFor(() => accessLines().length === 2, 5_000, 'the access lines');
  t.ok(accessLines().every((line) => line.trace_id === TRACE));
});

t.test('without one, or with one that is none, a trace begins here', async (t) => {
  const { upstream, get, accessLines } = await setUp(t, ['127.0.0.1']);
  for (const headers of [[], ['traceparent', 'x', 'tracestate', 'a=1'], ['X-Request-Id', 'given']]) {
    await get(headers);
    const request = upstream.requests.at(-1)!;
    t.match(request.values('traceparent'), [/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/]);
    t.strictSame(request.values('tracestate'), []);
  }
  await waitFor(() => accessLines().length === 3, 5_000, 'the access lines');
  t.strictSame(
    accessLines().map((line) => line.trace_id),
    upstream.requests.map((request) => request.values('traceparent')[0]!.slice(3, 35)),
  );
  t.equal(new Set(accessLines().map((line) => line.trace_id)).size, 3);
});

t.test('a field over 8 KiB is passed, and warned of by its name, once', async (t) => {
  const { upstream, door, get } = await setUp(t);
  const value = 's3cr3t'.repeat(1_500);
  for (let i = 0; i < 3; i++) await get(['X-Large', value]);
  t.strictSame((await upstream.request(2)).values('x-large'), [value]);
  const warnings = door.lines.filter((line) => line.level === 'warn');
  t.strictSame(
    warnings.map((line) => [line.field, line.route]),
    [['X-Large', 'site']],
  );
  t.notMatch(JSON.stringify(door.lines), /s3cr3t/);
});

/** A PUT whose body has no length and no bytes, as node:http2 and others send it. */
async function putNothing(t: Test, door: TestDoor, isHttp2: boolean): Promise<number> {
  if (!isHttp2) {
    const client = await RawClient.connect({ port: door.tlsPort, ca: door.ca, serverName: HOST });
    t.teardown(() => client.close());
    const answer = client.reader('PUT');
    client.write(`PUT /x HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`);
    await waitFor(() => answer.isDone, 10_000, 'an answer');
    return answer.status;
  }
  const session = connect(`https://127.0.0.1:${door.tlsPort}`, { ca: door.ca, servername: HOST });
  t.teardown(() => session.destroy());
  const fields = { ':method': 'PUT', ':path': '/x', ':authority': HOST };
  const stream = session.request(fields, { endStream: false });
  stream.end();
  const [answer] = (await once(stream, 'response')) as [Record<string, unknown>];
  return Number(answer[':status']);
}

for (const isHttp2 of [false, true]) {
  const version = isHttp2 ? 'HTTP/2' : 'HTTP/1.1';
  t.test(
    `an empty body of unknown length ends, also where its end was there before the connection (${version})`,
    async (t) => {
      const { door, upstream } = await setUp(t);
      for (let round = 0; round < 5; round++) {
        t.equal(await putNothing(t, door, isHttp2), 200);
        for (const { socket } of upstream.connections) socket.destroy();
        await waitFor(() => upstream.openCount === 0, 10_000, 'no kept connection');
      }
    },
  );

  t.test(`an empty body of unknown length ends when it is sent again (${version})`, async (t) => {
    const { door, upstream } = await setUp(t);
    t.equal(await putNothing(t, door, isHttp2), 200);
    upstream.script = async (request) => {
      if (upstream.requests.length === 2) return request.connection.socket.destroy();
      await request.whole;
      request.write(OK);
    };
    t.equal(await putNothing(t, door, isHttp2), 200);
    t.equal(upstream.requests.length, 3);
    t.equal(door.lines.at(-1)!.retries, 1);
  });
}

t.test('who closed a websocket in order is in its line', async (t) => {
  const { upstream, door, accessLines } = await setUp(t);
  for (const by of ['downstream', 'upstream']) {
    upstream.script = (request) => {
      request.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
      if (by === 'upstream') request.end();
    };
    const client = await RawClient.connect({ port: door.plainPort });
    client.write(
      `GET /ws HTTP/1.1\r\nHost: ${HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    await waitFor(() => client.text.includes('\r\n\r\n'), 5_000, 'the 101');
    if (by === 'downstream') client.socket.end();
    await waitFor(() => accessLines().at(-1)?.ended_by === by, 10_000, `the line of the one closed by the ${by} side`);
    t.equal(accessLines().at(-1)!.failure, undefined);
    client.close();
  }
});

t.test('an endpoint whose line is full is not down', async (t) => {
  const { upstream, door, get, accessLines } = await setUp(t, [], { upstreamConnections: 1, waiting: 0 });
  const held = Promise.withResolvers<void>();
  upstream.script = async (request) => {
    await held.promise;
    request.write(OK);
  };
  const first = get([]);
  await upstream.request();
  t.equal((await get([])).status, 503);
  await waitFor(() => accessLines().length === 1, 5_000, 'its line');
  t.equal(accessLines()[0]!.failure, 'too_many_waiting');
  const [state] = door.door.active.pools.get('frontend')!.states;
  t.match(state, { failures: 0, avoidUntil: 0 });
  held.resolve();
  t.equal((await first).status, 200);
});

t.test('a websocket counts as what it took to open, however long it lasts, and a broken one as an error', async (t) => {
  const { upstream, door, accessLines } = await setUp(t);
  upstream.script = async (request) => {
    request.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    request.reset();
  };
  const client = await RawClient.connect({ port: door.plainPort });
  t.teardown(() => client.close());
  client.write(
    `GET /ws HTTP/1.1\r\nHost: ${HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  await waitFor(() => accessLines().length === 1, 5_000, 'the access line');
  const line = accessLines()[0]!;
  t.match(line, { status: 101, failure: 'response_truncated', ended_by: 'upstream' });
  t.ok(Number(line.duration_ms) >= 1_000 && Number(line.upstream_first_byte_ms) < 1_000);
  const values = (name: string) => door.door.measures().find((each) => each.name === name)?.values ?? [];
  const durations = values('portico_http_request_duration_seconds');
  t.equal(durations.find(({ metricName = '' }) => metricName.endsWith('_count'))?.value, 1);
  t.ok(durations.find(({ metricName = '' }) => metricName.endsWith('_sum'))!.value < 1);
  t.match(values('portico_upstream_errors_total'), [
    { labels: { pool: 'frontend', reason: 'response_truncated' }, value: 1 },
  ]);
});
