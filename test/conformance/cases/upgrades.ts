// Upgrades: websockets become tunnels, everything else stays a request.

import assert from 'node:assert/strict';
import { HOST } from '../../support/door.ts';
import type { RawClient } from '../../support/raw-client.ts';
import type { SeenRequest } from '../../support/raw-upstream.ts';
import { type Case, HTTP1, hasValues } from '../case.ts';
import type { Subject } from '../subjects.ts';

const HANDSHAKE = `GET /ws HTTP/1.1\r\nHost: ${HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n`;
const SWITCHED =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n';

export const UPGRADES: readonly Case[] = [
  {
    behaviour: 'a websocket is relayed both ways, with its subprotocol',
    protocols: HTTP1,
    peers: true,
    run: async (subject) => {
      const [client, seen] = await open(
        subject,
        `${HANDSHAKE}Sec-WebSocket-Protocol: chat, token.abc\r\n\r\n`,
        `${SWITCHED}Sec-WebSocket-Protocol: chat\r\n\r\n`,
      );
      hasValues(seen.fields, 'sec-websocket-protocol', ['chat, token.abc']);
      hasValues(seen.fields, 'sec-websocket-key', ['dGhlIHNhbXBsZSBub25jZQ==']);
      assert.match(client.text, /^HTTP\/1\.1 101 [\s\S]*sec-websocket-protocol: chat\r\n/i);
      assert.match(client.text, /sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/i);
      assert.match(client.text, /\r\nupgrade: websocket\r\n/i);
      client.write('\x81\x85up');
      await subject.until(() => seen.body.toString('latin1') === '\x81\x85up');
      seen.write('\x81\x04down');
      await subject.until(() => client.text.endsWith('\r\n\r\n\x81\x04down'));
      client.write(Buffer.alloc(300_000, 1));
      await subject.until(() => seen.body.length === 300_004);
    },
  },
  {
    behaviour: 'Upgrade: WebSocket in capitals is one as well',
    protocols: HTTP1,
    peers: true,
    run: async (subject) => {
      const [client] = await open(
        subject,
        `${HANDSHAKE.replace('websocket', 'WebSocket').replace('Connection: Upgrade', 'connection: keep-alive, UPGRADE')}\r\n`,
        `${SWITCHED.replace('websocket', 'WebSocket')}\r\n`,
      );
      assert.match(client.text, /^HTTP\/1\.1 101 /);
    },
  },
  {
    behaviour: 'bytes in the packet of the 101, and bytes of the client before it, are not lost',
    protocols: HTTP1,
    peers: true,
    run: async (subject) => {
      const [client, seen] = await open(subject, `${HANDSHAKE}\r\nearly`, `${SWITCHED}\r\nfirst`);
      await subject.until(() => client.text.endsWith('\r\n\r\nfirst'));
      await subject.until(() => seen.body.toString() === 'early');
    },
  },
  {
    behaviour: 'a non-101 answer to an upgrade is a normal, framed answer',
    protocols: HTTP1,
    peers: true,
    run: async (subject) => {
      for (const [head, body] of [
        ['HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno', 'no'],
        [
          'HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnot\r\n4\r\n you\r\n0\r\n\r\n',
          'not you',
        ],
        ['HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', ''],
      ] as const) {
        subject.upstream.script = (request) => request.write(head);
        const client = await subject.connect();
        const reader = client.reader('GET');
        client.write(`${HANDSHAKE}\r\n`);
        await subject.until(() => reader.isDone);
        assert.equal(reader.end, 'complete');
        assert.equal(reader.status, Number(head.slice(9, 12)));
        assert.equal(reader.body.toString(), body);
        client.close();
      }
    },
  },
  {
    behaviour: 'an upstream that ends without an answer to an upgrade is a 502',
    protocols: HTTP1,
    peers: true,
    run: async (subject) => {
      subject.upstream.script = (request) => request.end();
      const client = await subject.connect();
      const reader = client.reader('GET');
      client.write(`${HANDSHAKE}\r\n`);
      await subject.until(() => reader.isDone);
      assert.equal(reader.status, 502);
      assert.equal(subject.upstream.requests.length, 1, 'asked once');
    },
  },
  {
    behaviour: 'RST during a websocket handshake: both sides are closed, and the proxy lives',
    protocols: HTTP1,
    peers: true,
    run: async (subject) => {
      subject.upstream.script = () => {};
      const client = await subject.connect();
      client.write(`${HANDSHAKE}\r\n`);
      const seen = await subject.upstream.request();
      client.reset();
      await seen.connection.gone;
      subject.upstream.answer('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      assert.equal((await subject.ask({})).status, 200);
    },
  },
  {
    behaviour: 'RST of an upstream during a websocket handshake: the client is told, and the proxy lives',
    protocols: HTTP1,
    peers: true,
    run: async (subject) => {
      subject.upstream.script = (request) => request.reset();
      const client = await subject.connect();
      client.write(`${HANDSHAKE}\r\n`);
      await Promise.race([client.gone, subject.until(() => client.text.startsWith('HTTP/1.1 502 '))]);
      subject.upstream.answer('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      assert.equal((await subject.ask({})).status, 200);
    },
  },
  {
    behaviour: 'RST of an open websocket closes the other side',
    protocols: HTTP1,
    peers: true,
    run: async (subject) => {
      const [first, upFirst] = await open(subject, `${HANDSHAKE}\r\n`, `${SWITCHED}\r\n`);
      first.reset();
      await upFirst.connection.gone;
      const [second, upSecond] = await open(subject, `${HANDSHAKE}\r\n`, `${SWITCHED}\r\n`);
      upSecond.reset();
      await second.gone;
    },
  },
  {
    behaviour: 'the end of either side of a websocket closes both, and what was said before arrives',
    protocols: HTTP1,
    peers: true,
    run: async (subject) => {
      const [first, upFirst] = await open(subject, `${HANDSHAKE}\r\n`, `${SWITCHED}\r\n`);
      first.write('bye');
      first.socket.end();
      await upFirst.connection.gone;
      assert.equal(upFirst.body.toString(), 'bye');
      await first.gone;
      const [second, upSecond] = await open(subject, `${HANDSHAKE}\r\n`, `${SWITCHED}\r\n`);
      upSecond.write('farewell');
      upSecond.end();
      await second.gone;
      assert.ok(second.text.endsWith('farewell'));
    },
  },
  {
    behaviour: 'a 101 that nobody asked for is a 502',
    protocols: ['HTTP/1.1', 'TLS', 'HTTP/2'],
    peers: true,
    run: async (subject) => {
      subject.upstream.answer('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nnoise');
      const answer = await subject.ask({});
      assert.equal(answer.status, 502);
      assert.doesNotMatch(answer.body.toString(), /noise/);
    },
  },
  {
    behaviour: 'an upgrade with a body, by another method or to another protocol is a plain request',
    protocols: HTTP1,
    run: async (subject) => {
      for (const head of [
        HANDSHAKE.replace('websocket', 'h2c'),
        HANDSHAKE.replace('GET', 'POST'),
        `${HANDSHAKE}Content-Length: 0\r\n`,
        HANDSHAKE.replace('websocket', 'websocket, h2c'),
      ]) {
        const sent = subject.upstream.requests.length;
        const client = await subject.connect();
        const reader = client.reader('GET');
        client.write(`${head}\r\n`);
        await subject.until(() => reader.isDone);
        assert.equal(reader.status, 200);
        hasValues((await subject.upstream.request(sent)).fields, 'upgrade', []);
        client.close();
      }
    },
  },
];

async function open(subject: Subject, handshake: string, answer: string): Promise<[RawClient, SeenRequest]> {
  const sent = subject.upstream.requests.length;
  subject.upstream.script = (request) => request.write(answer);
  const client = await subject.connect();
  client.write(handshake);
  const seen = await subject.upstream.request(sent);
  await subject.until(() => client.text.includes('\r\n\r\n'));
  return [client, seen];
}
