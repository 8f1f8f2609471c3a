// Fuzzing on the wire: damaged requests, damaged answers and damaged HTTP/2 frames neither end, hang nor leak a worker,
// and whatever reaches an upstream is strictly well-formed.

import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import t, { type Test } from 'tap';
import { damage, dice, inParallel } from '../support/dice.ts';
import { HOST, local, openDoor, type TestDoor } from '../support/door.ts';
import { waitFor } from '../support/ports.ts';
import { RawUpstream } from '../support/raw-upstream.ts';

const SEED = 20_261_122;
t.comment(`seed ${SEED}`);

const REQUESTS = [
  `GET /a?b=c HTTP/1.1\r\nHost: ${HOST}\r\nAccept: */*\r\nConnection: keep-alive, X-A\r\nX-A: 1\r\n\r\n`,
  `POST /_api/x HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 11\r\nAuthorization: Bearer x\r\n\r\nhello world`,
  `PUT /_api//y HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-T: 1\r\n\r\n`,
  `DELETE /z HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nGET /next HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`,
  `GET /ws HTTP/1.1\r\nHost: ${HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  `GET http://${HOST}/abs HTTP/1.1\r\nHost: ${HOST}\r\nExpect: 100-continue\r\nTE: trailers\r\nX_Forwarded_For: 1\r\n\r\n`,
];

const ANSWERS = [
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: a=b; Path=/\r\nConnection: X-A\r\nX-A: 1\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/x\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end',
  'HTTP/1.1 204 No Content\r\nKeep-Alive: timeout=5\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi',
];

async function open(t: Test): Promise<{ door: TestDoor; upstream: RawUpstream }> {
  const upstream = await RawUpstream.open();
  const endpoints = [local(upstream.port)];
  const limits = {
    headTimeout: 2_000,
    bodyTimeout: 300,
    responseTimeout: 1_000,
    upstreamIdleTimeout: 500,
    tunnelIdleTimeout: 500,
  };
  const door = await openDoor({ frontend: endpoints, backend: endpoints, limits, sweepEvery: 50 });
  t.teardown(() => {
    door.close();
    upstream.close();
  });
  return { door, upstream };
}

/** Sends bytes in a few pieces, and resolves with what came back until the end or a short silence. */
function exchange(port: number, pieces: readonly string[]): Promise<string> {
  return new Promise((done) => {
    const socket = connect({ port, host: '127.0.0.1' });
    let got = '';
    socket.setEncoding('latin1');
    socket.setTimeout(150, () => socket.destroy());
    socket.on('data', (text: string) => {
      got += text;
    });
    socket.on('error', () => {});
    socket.on('close', () => done(got));
    for (const piece of pieces) socket.write(piece, 'latin1');
  });
}

function inPieces(text: string, roll: (below: number) => number): string[] {
  const at = roll(text.length + 1);
  return [text.slice(0, at), text.slice(at)];
}

/** The door still serves, and holds nothing for anybody. */
async function isWell(door: TestDoor, upstream: RawUpstream): Promise<boolean> {
  await waitFor(
    () => door.door.exchanges.size === 0 && door.door.tunnels.size === 0 && door.door.watched.size === 0,
    10_000,
    'all to be let go',
  );
  upstream.answer('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell');
  const answer = await exchange(door.plainPort, [`GET /well HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`]);
  return answer.startsWith('HTTP/1.1 200 OK\r\n') && answer.endsWith('well');
}

t.test('damaged requests', async (t) => {
  const { door, upstream } = await open(t);
  const roll = dice(SEED);
  const inputs = Array.from({ length: 1_500 }, (_, n) => inPieces(damage(REQUESTS[n % REQUESTS.length]!, roll), roll));
  let answered = 0;
  await inParallel(inputs.length, 24, async (n) => {
    const answer = await exchange(door.plainPort, inputs[n]!);
    if (/^HTTP\/1\.1 \d{3} /.test(answer)) answered++;
  });
  t.ok(answered > inputs.length / 3, `${answered} of ${inputs.length} were answered`);
  t.same(
    upstream.connections.map((connection) => connection.problem).filter((problem) => problem !== undefined),
    [],
    'what reached the upstream is well-formed',
  );
  const bad = upstream.requests.filter(
    (request) =>
      request.values('host').length !== 1 ||
      request.values('x-forwarded-for').length !== 1 ||
      request.values('content-length').length + request.values('transfer-encoding').length > 1 ||
      /[\x00-\x08\x0a-\x1f\x7f]/.test(request.head.replaceAll('\r\n', '')) ||
      request.fields.some((field, i) => i % 2 === 0 && /^(?:keep-alive|x_forwarded_for|proxy.*)$/i.test(field)),
  );
  t.same(
    bad.map((request) => request.head),
    [],
    `none of ${upstream.requests.length} requests is ambiguous`,
  );
  t.ok(await isWell(door, upstream));
});

t.test('damaged answers', async (t) => {
  const { door, upstream } = await open(t);
  const roll = dice(SEED + 1);
  const inputs = Array.from({ length: 1_000 }, (_, n) => inPieces(damage(ANSWERS[n % ANSWERS.length]!, roll), roll));
  let n = 0;
  upstream.script = async (request) => {
    const pieces = inputs[n++ % inputs.length]!;
    for (const piece of pieces) await request.flush(piece);
    if (n % 3 === 0) request.end();
  };
  const requests = [REQUESTS[0]!, REQUESTS[1]!, REQUESTS[4]!];
  let answered = 0;
  await inParallel(inputs.length, 24, async (i) => {
    const answer = await exchange(door.plainPort, [requests[i % requests.length]!]);
    if (/^HTTP\/1\.1 \d{3} /.test(answer)) answered++;
  });
  t.ok(answered > inputs.length / 3, `${answered} of ${inputs.length} were answered`);
  t.ok(await isWell(door, upstream));
});

/** Preface, SETTINGS, and a HEADERS frame of GET / with END_STREAM. */
function http2Request(): string {
  const block = `\x82\x87\x84\x41${String.fromCharCode(HOST.length)}${HOST}`;
  const frame = (type: number, flags: number, stream: number, payload: string) =>
    `\x00\x00${String.fromCharCode(payload.length, type, flags)}\x00\x00\x00${String.fromCharCode(stream)}${payload}`;
  return (
    `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${frame(4, 0, 0, '')}${frame(1, 5, 1, block)}${frame(1, 4, 3, block)}` +
    `${frame(0, 0, 3, 'body')}${frame(0, 1, 3, 'end')}${frame(6, 0, 0, '12345678')}${frame(3, 0, 1, '\x00\x00\x00\x08')}`
  );
}

t.test('damaged HTTP/2', async (t) => {
  const { door, upstream } = await open(t);
  const roll = dice(SEED + 2);
  const inputs = Array.from({ length: 400 }, () => damage(http2Request(), roll));
  let spoken = 0;
  await inParallel(inputs.length, 16, async (n) => {
    const socket = connectTls({
      host: '127.0.0.1',
      port: door.tlsPort,
      ca: door.ca,
      servername: HOST,
      ALPNProtocols: ['h2'],
    });
    socket.on('error', () => {});
    socket.setTimeout(150, () => socket.destroy());
    socket.once('data', () => spoken++);
    socket.write(Buffer.from(inputs[n]!, 'latin1'));
    await once(socket, 'close');
  });
  t.ok(spoken > inputs.length / 2, `${spoken} of ${inputs.length} got as far as frames`);
  t.ok(await isWell(door, upstream));
});
