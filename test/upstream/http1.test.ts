// The transport over HTTP/1.1: when its requests leave, and what came before them.

import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import t, { type Test } from 'tap';
import { giveBlock, LARGE_BLOCK_SIZE, MAX_LARGE, takeLargeBlock } from '../../src/model/blocks.ts';
import { NO_BODY, type Receiver, UNTIL_END, type UpstreamRequest } from '../../src/model/exchange.ts';
import { type Endpoint, LIMITS } from '../../src/model/snapshot.ts';
import { Turn } from '../../src/model/turn.ts';
import { Http1Transport } from '../../src/upstream/http1.ts';
import { makeAuthority, makeCertificate } from '../support/certificates.ts';
import { waitFor } from '../support/ports.ts';

const GET: UpstreamRequest = {
  method: 'GET',
  target: '/',
  headers: ['Host', 'a'],
  bodyLength: NO_BODY,
  upgrade: false,
};

/** An upstream that says `first` to whoever connects; and a transport whose turns end when `endTurn` is called. */
async function make(t: Test, first: string) {
  const heard: string[] = [];
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.on('data', (bytes) => heard.push(bytes.toString('latin1')));
    t.teardown(() => socket.destroy());
    if (first !== '') socket.write(first);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const ends: (() => void)[] = [];
  const transport = new Http1Transport(LIMITS, () => performance.now(), new Turn((run) => ends.push(run)));
  t.teardown(() => transport.close());
  const endpoint: Endpoint = { host: '127.0.0.1', port: (server.address() as AddressInfo).port, tls: false };
  return { transport, endpoint, heard, sockets, endTurn: () => ends.shift()!() };
}

/** What an attempt tells, each as its name and what people read; `next` waits for one of that name. */
function listen() {
  const told: string[] = [];
  const waiting = new Map<string, (what: string) => void>();
  const tell = (name: string, what = '') => {
    told.push(`${name} ${what}`.trim());
    waiting.get(name)?.(what);
  };
  const receiver: Receiver = {
    onConnected: () => tell('connected'),
    onInform: (status) => tell('inform', String(status)),
    onHead: (status) => tell('head', String(status)),
    onChunk: (chunk) => tell('chunk', Buffer.from(chunk).toString('latin1')),
    onEnd: () => tell('end'),
    onDrain: () => tell('drain'),
    onTunnel: () => tell('tunnel'),
    onFailure: (failure, detail) => tell('failure', `${failure.code}: ${detail}`),
  };
  return { told, receiver, next: (name: string) => new Promise<string>((done) => waiting.set(name, done)) };
}

t.test('what comes before the request has left is no answer to it', async (t) => {
  const { transport, endpoint, endTurn, heard } = await make(t, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
  const { told, receiver, next } = listen();
  const failed = next('failure');
  transport.open(GET, endpoint, receiver, false);
  t.equal(await failed, 'connection_lost: spoke before it was asked');
  endTurn();
  t.same(told, ['connected', 'failure connection_lost: spoke before it was asked']);
  t.same(heard, [], 'nothing is asked any more');
});

t.test('a head, its body and its end leave together at the end of the turn', async (t) => {
  const { transport, endpoint, endTurn, heard } = await make(t, '');
  const { receiver, next } = listen();
  const connected = next('connected');
  const request = { ...GET, method: 'POST', bodyLength: UNTIL_END };
  const attempt = transport.open(request, endpoint, receiver, false);
  await connected;
  attempt.write(Buffer.from('abc'));
  attempt.end(['X-Sum', '1']);
  t.same(heard, []);
  endTurn();
  await waitFor(() => heard.length > 0, 5_000);
  const head = 'POST / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n';
  t.same(heard, [`${head}3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n`]);
});

t.test('a body that is larger than a block leaves whole and in order', async (t) => {
  const { transport, endpoint, endTurn, heard } = await make(t, '');
  const { receiver, next } = listen();
  const connected = next('connected');
  const body = Array.from({ length: 120_000 }, (_, i) => String(i).padStart(6, ' ')).join('');
  const attempt = transport.open({ ...GET, method: 'POST', bodyLength: body.length }, endpoint, receiver, false);
  await connected;
  for (let i = 0; i < body.length; i += 16_384) attempt.write(Buffer.from(body.slice(i, i + 16_384)));
  attempt.end([]);
  endTurn();
  const seen = () => heard.join('').split('\r\n\r\n')[1] ?? '';
  await waitFor(() => seen().length >= body.length, 5_000);
  t.ok(seen() === body);
});

t.test(
  'an answer that runs until the connection ends is whole by an end, not by a reset that a write has met',
  async (t) => {
    for (const isReset of [true, false]) {
      const { transport, endpoint, sockets, endTurn } = await make(t, '');
      const { told, receiver, next } = listen();
      const connected = next('connected');
      const attempt = transport.open({ ...GET, method: 'POST', bodyLength: UNTIL_END }, endpoint, receiver, false);
      await connected;
      endTurn();
      const socket = await waitFor(() => sockets[0], 5_000);
      const answered = next('chunk');
      socket.write('HTTP/1.0 200 OK\r\n\r\nsome');
      await answered;
      const over = Promise.race([next('failure'), next('end')]);
      // Its bytes are read before the end that follows; what is written at once meets the reset, and takes the error from the read.
      if (isReset) socket.resetAndDestroy();
      else socket.end();
      attempt.write(Buffer.from('more'));
      endTurn();
      const outcome = await over;
      if (isReset)
        t.match(outcome, /^response_truncated: broke the connection off in the middle of its answer \(.*ECONNRESET\)$/);
      else t.equal(told.at(-1), 'end');
    }
  },
);

for (const tls of [false, true]) {
  t.test(`what is not wanted for now is not written over by what comes (${tls ? 'TLS' : 'plain'})`, async (t) => {
    const body = Buffer.alloc(3 * 1024 * 1024);
    for (let at = 0; at < body.length; at += 4) body.writeUInt32LE(at, at);
    const authority = await makeAuthority();
    const leaf = await makeCertificate({ names: ['localhost'], issuer: authority });
    const answer = (socket: Socket) => {
      socket.on('error', () => {});
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
      socket.write(body);
    };
    const onSocket = (socket: Socket) => socket.once('data', () => answer(socket));
    const server = tls ? createTlsServer({ cert: leaf.certificate, key: leaf.key }, onSocket) : createServer(onSocket);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const turn = new Turn((run) => setImmediate(run));
    const transport = new Http1Transport(LIMITS, () => performance.now(), turn);
    t.teardown(() => {
      transport.close();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    const trust = tls ? { ca: authority.certificate, serverName: 'localhost' } : {};
    const parts: Buffer[] = [];
    await new Promise<void>((done) => {
      const receiver: Receiver = {
        ...listen().receiver,
        onChunk: (chunk) => {
          // It is lent until the attempt is resumed.
          attempt.pause();
          setTimeout(() => {
            parts.push(Buffer.from(chunk));
            attempt.resume();
          }, 1);
        },
        onEnd: () => setTimeout(done, 10),
      };
      const attempt = transport.open(GET, { host: '127.0.0.1', port, tls, ...trust }, receiver, false);
    });
    t.ok(Buffer.concat(parts).equals(body));
  });
}

t.test('blocks come back from an upstream that breaks off', async (t) => {
  const { transport, endpoint, sockets, endTurn } = await make(t, '');
  const moreThanTheKernelTakes = Buffer.alloc(8 * 1024 * 1024);
  for (let i = 0; i < MAX_LARGE; i++) {
    const { receiver, next } = listen();
    const connected = next('connected');
    const attempt = transport.open({ ...GET, method: 'POST', bodyLength: UNTIL_END }, endpoint, receiver, false);
    await connected;
    const socket = await waitFor(() => sockets.pop()?.pause(), 5_000);
    t.notOk(attempt.write(moreThanTheKernelTakes));
    endTurn();
    // The write fails, and its error waits for an answer that is not read, until nobody wants it any more.
    attempt.pause();
    socket.resetAndDestroy();
    await once(socket, 'close');
    await sleep(2);
    attempt.abort();
  }
  await sleep(10);
  const taken = Array.from({ length: MAX_LARGE }, takeLargeBlock);
  for (const block of taken) giveBlock(block);
  t.ok(taken.every(({ length }) => length === LARGE_BLOCK_SIZE));
});
