// Floods over HTTP/2: resets, continuations and streams without end are bounded, and do not reach the upstream by the thousand.

import assert from 'node:assert/strict';
import { HOST } from '../../support/door.ts';
import { END_HEADERS, END_STREAM, FRAME, type Frame, fieldBlock, frame } from '../../support/h2-client.ts';
import { type Case, HTTP2, hasStatus } from '../case.ts';
import type { Subject } from '../subjects.ts';

const HEAD = fieldBlock([':method', 'GET', ':scheme', 'https', ':authority', HOST, ':path', '/']);
const CANCEL = Buffer.of(0, 0, 0, 8);

export const FLOODS: readonly Case[] = [
  {
    behaviour: 'the number of streams of a connection is limited, and said',
    protocols: HTTP2,
    peers: true,
    run: async (subject) => {
      const client = await subject.connectFrames();
      await subject.until(() => client.frames.some((each) => each.type === FRAME.settings && each.flags === 0));
      const settings = client.frames.find((each) => each.type === FRAME.settings && each.flags === 0)!.payload;
      const MAX_CONCURRENT_STREAMS = 3;
      let limit: number | undefined;
      for (let at = 0; at < settings.length; at += 6) {
        if (settings.readUInt16BE(at) === MAX_CONCURRENT_STREAMS) limit = settings.readUInt32BE(at + 2);
      }
      assert.ok(limit !== undefined && limit <= 256, `maxConcurrentStreams is ${limit}`);
    },
  },
  {
    behaviour: 'a burst of rapid resets leaves no upstream connection open, and does not reach it by the thousand',
    protocols: HTTP2,
    peers: true,
    run: async (subject) => {
      subject.upstream.script = () => {};
      const client = await subject.connectFrames();
      let stream = 1;
      for (let burst = 0; burst < 30 && !client.socket.destroyed; burst++) {
        const frames: Buffer[] = [];
        for (let i = 0; i < 100; i++) {
          frames.push(
            frame(FRAME.headers, END_HEADERS | END_STREAM, stream, HEAD),
            frame(FRAME.reset, 0, stream, CANCEL),
          );
          stream += 2;
        }
        client.send(...frames);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      await isClear(subject);
      assert.ok(
        subject.upstream.requests.length < 1_200,
        `${subject.upstream.requests.length} requests reached the upstream`,
      );
      subject.upstream.answer('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      hasStatus(await subject.ask({}), 200);
    },
  },
  {
    behaviour: 'a flood of CONTINUATION frames ends the connection',
    protocols: HTTP2,
    peers: true,
    run: async (subject) => {
      const client = await subject.connectFrames();
      client.send(frame(FRAME.headers, END_STREAM, 1, HEAD));
      const more = frame(FRAME.continuation, 0, 1, fieldBlock(['x-flood', 'a'.repeat(8_000)]));
      let sent = 0;
      while (!client.socket.destroyed && !client.frames.some((each) => each.type === FRAME.goaway)) {
        client.send(more);
        sent += more.length;
        assert.ok(sent < 16 * 1024 * 1024, 'it was cut before 16 MiB');
        await new Promise((resolve) => setImmediate(resolve));
      }
      await client.gone;
      assert.equal(subject.upstream.requests.length, 0);
    },
  },
  {
    behaviour: 'a flood of SETTINGS or PING frames that are never read does not grow our memory without end',
    protocols: HTTP2,
    run: async (subject) => {
      for (const flood of [frame(FRAME.ping, 0, 0, Buffer.alloc(8)), frame(FRAME.settings, 0, 0, Buffer.alloc(0))]) {
        const client = await subject.connectFrames();
        client.socket.pause();
        const burst = Buffer.concat(Array.from({ length: 500 }, () => flood));
        let rounds = 0;
        // Either the connection is cut, or what we send is not taken any more.
        while (!client.socket.destroyed && client.socket.writableLength < 4 * 1024 * 1024 && rounds < 4_000) {
          client.send(burst);
          rounds++;
          if (rounds % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
        }
        assert.ok(rounds < 4_000, 'the flood was stopped');
        client.socket.destroy();
      }
      subject.upstream.answer('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      hasStatus(await subject.ask({}), 200);
    },
  },
  {
    behaviour: 'more streams than the limit do not reach the upstream, and others are served on',
    protocols: HTTP2,
    setting: { limits: { streamsPerConnection: 8 } },
    run: async (subject) => {
      const client = await subject.connectFrames();
      await subject.until(() => client.frames.some((each) => each.type === FRAME.settings && each.flags === 0));
      // The limit binds once it is acknowledged (RFC 9113 §6.5.3).
      client.send(frame(FRAME.settings, 1, 0, Buffer.alloc(0)));
      subject.upstream.script = () => {};
      for (let i = 0; i < 20; i++) client.send(frame(FRAME.headers, END_HEADERS | END_STREAM, 2 * i + 1, HEAD));
      const isTold = (each: Frame) => each.type === FRAME.reset || each.type === FRAME.goaway;
      await subject.until(() => client.frames.some(isTold));
      assert.ok(subject.upstream.requests.length <= 8);
      client.socket.destroy();
      await isClear(subject);
      subject.upstream.answer('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      hasStatus(await subject.ask({}), 200);
    },
  },
];

/** Every request that reached the upstream was given up there, and no exchange is held. */
async function isClear(subject: Subject): Promise<void> {
  const { upstream, door } = subject;
  const isIdle = () =>
    upstream.connections.every((connection) => connection.isGone || connection.requests.length === 0);
  await subject.until(() => isIdle() && (door?.door.exchanges.size ?? 0) === 0);
}
