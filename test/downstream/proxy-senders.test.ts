// The PROXY protocol on listeners: who is believed, who is not, and that no byte behind a header is lost.

import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import t, { type Test } from 'tap';
import { allValues } from '../../src/http/headers.ts';
import { type DoorOptions, HOST, local, openDoor, type TestDoor } from '../support/door.ts';
import { waitFor } from '../support/ports.ts';
import { binaryHeader, ipv4, SIGNATURE, textHeader } from '../support/proxy-header.ts';
import { AnswerReader } from '../support/raw-client.ts';
import { OK, RawUpstream } from '../support/raw-upstream.ts';

const HEADERS = [
  ['version 1', Buffer.from(textHeader())],
  ['version 2', binaryHeader()],
] as const;
const CLIENT = '192.0.2.1';
const LOCAL = binaryHeader({ command: 0x20, family: 0, addresses: Buffer.alloc(0) });
const REQUEST = `GET /a HTTP/1.1\r\nHost: ${HOST}\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n`;

type Options = Pick<DoorOptions, 'limits' | 'trustedProxies' | 'proxyProtocol' | 'sweepEvery'>;

async function start(t: Test, options: Options = {}) {
  const upstream = await RawUpstream.open();
  upstream.answer(OK);
  const endpoints = [local(upstream.port)];
  const door = await openDoor({ frontend: endpoints, backend: endpoints, proxyProtocol: ['127.0.0.1'], ...options });
  const sockets: Socket[] = [];
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    door.close();
    upstream.close();
  });
  const dial = async (port: number) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', () => {});
    sockets.push(socket);
    await once(socket, 'connect');
    return socket;
  };
  return { door, upstream, dial };
}

/** The socket with a header before its first bytes; all that is sent goes in pieces of `size`. */
function behind(header: Buffer, socket: Socket, size: number): Duplex {
  let first = true;
  const stream = new Duplex({
    read: () => {},
    write(chunk: Buffer, _encoding, done) {
      const bytes = first ? Buffer.concat([header, chunk]) : chunk;
      first = false;
      const writeOn = (at: number) => {
        if (at >= bytes.length) done();
        else socket.write(bytes.subarray(at, at + size), () => setImmediate(writeOn, at + size));
      };
      writeOn(0);
    },
    destroy(_error, done) {
      socket.destroy();
      done(null);
    },
  });
  socket.on('data', (chunk: Buffer) => stream.push(chunk));
  socket.on('end', () => stream.push(null));
  socket.on('close', () => stream.destroy());
  return stream;
}

async function answerOn(stream: Duplex, request = REQUEST): Promise<AnswerReader> {
  const reader = new AnswerReader('GET');
  stream.on('data', (chunk: Buffer) => reader.feed(chunk));
  stream.on('close', () => reader.onConnectionGone(false));
  stream.on('error', () => {});
  stream.write(request);
  await waitFor(() => reader.isDone, 10_000, 'an answer');
  return reader;
}

const overTls = (door: TestDoor, stream: Duplex, protocol: string) =>
  connectTls({ socket: stream, ca: door.ca, servername: HOST, ALPNProtocols: [protocol] });

for (const [version, header] of HEADERS) {
  for (const size of [1, 7, 100_000]) {
    t.test(`${version}, in pieces of ${size}: the client is whom it names`, async (t) => {
      const { door, upstream, dial } = await start(t);
      const plain = await answerOn(behind(header, await dial(door.plainPort), size));
      t.equal(plain.status, 200);
      const redirected = await answerOn(behind(header, await dial(door.redirectPort), size));
      t.equal(redirected.status, 301);
      const secure = await answerOn(overTls(door, behind(header, await dial(door.tlsPort), size), 'http/1.1'));
      t.equal(secure.status, 200);
      const carrier = overTls(door, behind(header, await dial(door.tlsPort), size), 'h2');
      const session = connectHttp2(`https://${HOST}`, { createConnection: () => carrier });
      t.teardown(() => session.destroy());
      const stream = session.request({ ':path': '/a', 'x-forwarded-for': '203.0.113.9' });
      const [fields] = (await once(stream, 'response')) as [Record<string, unknown>];
      stream.close();
      t.equal(fields[':status'], 200);

      await waitFor(() => door.lines.filter(({ msg }) => msg === 'access').length === 4, 10_000, 'four lines');
      for (const line of door.lines.filter(({ msg }) => msg === 'access')) {
        t.match(line, { client_ip: CLIENT, peer_ip: '127.0.0.1' });
      }
      for (const request of upstream.requests) {
        t.strictSame(allValues(request.fields, 'x-forwarded-for'), [CLIENT], 'what the client says itself is dropped');
      }
      t.equal(upstream.requests.length, 3);
    });
  }
}

t.test('who is named is a hop or a client like any other', async (t) => {
  const { door, upstream, dial } = await start(t, { trustedProxies: ['192.0.2.0/24'] });
  await answerOn(behind(Buffer.from(textHeader()), await dial(door.plainPort), 1_000));
  t.strictSame(allValues(upstream.requests[0]!.fields, 'x-forwarded-for'), [`203.0.113.9, ${CLIENT}`]);
  t.match(door.lines.at(-1), { client_ip: '203.0.113.9', peer_ip: '127.0.0.1' });

  // The one that passes on bytes is no hop: what its clients say is theirs.
  const other = await start(t, { trustedProxies: ['127.0.0.1'] });
  await answerOn(behind(Buffer.from(textHeader()), await other.dial(other.door.plainPort), 1_000));
  t.strictSame(allValues(other.upstream.requests[0]!.fields, 'x-forwarded-for'), [CLIENT]);
});

t.test('where the header names nobody the sender asks itself', async (t) => {
  const { door, dial } = await start(t);
  for (const header of [LOCAL, Buffer.from('PROXY UNKNOWN\r\n')]) {
    t.equal((await answerOn(behind(header, await dial(door.plainPort), 1_000))).status, 200);
    const secure = behind(header, await dial(door.tlsPort), 1_000);
    t.equal((await answerOn(overTls(door, secure, 'http/1.1'))).status, 200);
  }
  t.strictSame(
    door.lines.map(({ client_ip }) => client_ip),
    Array(4).fill('127.0.0.1'),
  );
});

t.test('a listed peer that sends no header is not served, and neither is one whose header is broken', async (t) => {
  const { door, upstream, dial } = await start(t);
  for (const port of [door.plainPort, door.redirectPort, door.tlsPort]) {
    for (const first of [REQUEST, '\x16\x03\x01\0\x05', `PROXY TCP4 1.2.3.4 5.6.7.8 1 x\r\n${REQUEST}`]) {
      const socket = await dial(port);
      let heard = 0;
      socket.on('data', (chunk) => {
        heard += chunk.length;
      });
      socket.write(first, 'latin1');
      await once(socket, 'close');
      t.equal(heard, 0);
    }
  }
  t.equal(upstream.requests.length, 0);
  const told = door.lines.filter(({ level }) => level === 'warn');
  t.equal(told.length, 1, 'a flood is told of once');
  t.match(told[0], { listener: 'plain', peer_ip: '127.0.0.1', detail: /signature/ });
});

t.test('a header that does not come in time ends the wait; one that is answered is not cut by that', async (t) => {
  const { door, dial } = await start(t, { limits: { headTimeout: 200 }, sweepEvery: 20 });
  for (const first of ['', 'PROXY TCP4 ', SIGNATURE]) {
    const socket = await dial(door.tlsPort);
    if (first.length > 0) socket.write(first);
    await once(socket, 'close');
  }
  t.match(door.lines[0], { level: 'warn', detail: /0.2 s/ });
  const socket = await dial(door.plainPort);
  t.equal((await answerOn(behind(Buffer.from(textHeader()), socket, 1_000))).status, 200);
  await new Promise((waited) => setTimeout(waited, 400));
  t.notOk(socket.destroyed, 'it waits for its next request');
});

t.test('a peer that is not listed speaks for itself: its header is no header', async (t) => {
  for (const listener of ['plain', 'redirect', 'tls'] as const) {
    for (const [version, header] of HEADERS) {
      const { door, upstream, dial } = await start(t, { proxyProtocol: ['192.0.2.0/24', '2001:db8::/32'] });
      const warnings = () => door.lines.filter(({ level }) => level === 'warn');
      const port = door[`${listener}Port`];
      const strange = await answerOn(behind(Buffer.alloc(0), await dial(port), 1_000), 'PROX Y\r\n\r\n');
      t.equal(strange.status, 400);
      t.strictSame(warnings(), [], 'not everything that cannot be read is a header');
      t.equal((await answerOn(behind(header, await dial(port), 1_000))).status, 400, `${version} at ${listener}`);
      t.equal(upstream.requests.length, 0);
      t.match(warnings(), [{ listener, peer_ip: '127.0.0.1', msg: /does not list its sender/ }]);
      t.equal((await answerOn(await dial(door.plainPort))).status, 200, 'without one it is served');
    }
  }
});

t.test('what a client of a listed peer sends is no word about that peer', async (t) => {
  const { door, dial } = await start(t);
  for (const [version, header] of HEADERS) {
    const twice = Buffer.concat([header, header]);
    for (const port of [door.plainPort, door.tlsPort]) {
      t.equal((await answerOn(behind(twice, await dial(port), 1_000))).status, 400, version);
    }
  }
  t.strictSame(
    door.lines.filter(({ level }) => level === 'warn'),
    [],
  );
});

t.test('connections are counted for whom the header names, not for the sender', async (t) => {
  const { door, dial } = await start(t, { limits: { connectionsPerClient: 2 } });
  const isServed = async (header: Buffer) =>
    (await answerOn(behind(header, await dial(door.plainPort), 1_000))).status === 200;
  for (const last of [1, 2, 3]) {
    const header = Buffer.from(textHeader(`192.0.2.${last}`));
    t.ok((await isServed(header)) && (await isServed(binaryHeader({ addresses: ipv4(`192.0.2.${last}`) }))));
    t.notOk(await isServed(header), 'the third of one client');
  }
  for (let i = 0; i < 4; i++) t.ok(await isServed(LOCAL), 'the sender itself is not counted');
  t.match(
    door.lines.find(({ level }) => level === 'warn'),
    { client_ip: CLIENT, peer_ip: '127.0.0.1' },
  );
});

t.test('a reload changes who is listed, for connections that begin then', async (t) => {
  const { door, dial } = await start(t, { proxyProtocol: [] });
  t.equal((await answerOn(await dial(door.plainPort))).status, 200);
  const { listeners } = door.door.active.snapshot;
  door.reload({ listeners: listeners.map((each) => ({ ...each, proxyProtocol: ['127.0.0.0/8'] })) });
  t.equal((await answerOn(behind(Buffer.from(textHeader()), await dial(door.plainPort), 1_000))).status, 200);
  t.equal(door.lines.at(-1)!.client_ip, CLIENT);
});
