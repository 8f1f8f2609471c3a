// One golden byte case run against a door in this process: what the upstream saw and what the client got, in the notation of the files.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { lastChunk } from '../../src/codec/http1-write.ts';
import type { Headers } from '../../src/http/headers.ts';
import { HOST, local, openDoor, PUBLIC_PORT } from './door.ts';
import { type AnswerReader, RawClient } from './raw-client.ts';
import { OK, RawUpstream, type SeenRequest, valuesOf } from './raw-upstream.ts';
import { type WireCase, writeBytes } from './wire-case.ts';

/** Longer than any case takes, on a busy machine too. */
const PATIENCE = 5_000;
const AFTER = `GET /after HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;

export interface WireOutcome {
  readonly upstreamSees: string;
  readonly clientGets: string;
}

/** Throws when the door or the upstream is left in a state that harms the next request. */
export async function runWireCase(wire: WireCase, protocol: 'http' | 'https'): Promise<WireOutcome> {
  const upstream = await RawUpstream.open();
  const endpoints = [local(upstream.port)];
  const door = await openDoor({ frontend: endpoints, backend: endpoints, limits: wire.limits, sweepEvery: 20 });
  const address =
    protocol === 'http' ? { port: door.plainPort } : { port: door.tlsPort, ca: door.ca, serverName: HOST };
  const client = await RawClient.connect(address);
  try {
    answerBy(upstream, wire.answers, client);
    const count = wire.clientGets
      .split('\n')
      .filter((line) => /^(?:HTTP\/1\.1 (?:101|[2-5])|Portico: )/.test(line)).length;
    const readers = Array.from({ length: count + 1 }, (_, i) => client.reader(wire.methods[i] ?? 'GET'));
    const answered = () => readers.reduce((sum, reader) => sum + reader.informs.length + (reader.isDone ? 1 : 0), 0);
    let waited = 0;
    for (const step of wire.client) {
      if (step.when === 'seen') await until(() => upstream.requests.length > 0);
      if (step.when === 'answered') {
        waited++;
        await until(() => answered() >= waited);
      }
      client.write(step.bytes);
      if (step.ending === 'ends') client.socket.end();
      if (step.ending === 'resets') client.reset();
    }
    const outcome = () => ({
      upstreamSees: writeUpstream(upstream, wire.upstreamSees, protocol),
      clientGets: writeClient(client, readers, wire.clientGets),
    });
    await until(() => {
      const { upstreamSees, clientGets } = outcome();
      return upstreamSees === wire.upstreamSees && clientGets === wire.clientGets;
    });
    const found = outcome();
    if (found.clientGets.endsWith('goes on)') && !readers.some((reader) => reader.status === 101))
      await asksAgain(client, readers.at(-1)!);
    const next = await RawClient.connect(address);
    await asksAgain(next, next.reader('GET'));
    next.close();
    for (const connection of upstream.connections) assert.equal(connection.problem, undefined);
    return found;
  } finally {
    client.close();
    door.close();
    upstream.close();
  }
}

/** The n-th request gets the n-th answer, `OK` when there is none; what is asked afterwards its own. */
function answerBy(upstream: RawUpstream, answers: WireCase['answers'], client: RawClient): void {
  upstream.script = async (request) => {
    const index = others(upstream).indexOf(request);
    const bytes = index === -1 ? 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nafter' : OK;
    for (const step of answers[index] ?? [{ when: 'whole', bytes, ending: 'none' }]) {
      if (step.when === 'whole') await request.whole;
      if (step.when === 'taken') await until(() => client.text.includes('\r\n\r\n'));
      await request.flush(step.bytes);
      if (step.ending === 'ends') request.end();
      if (step.ending === 'resets') request.reset();
    }
  };
}

/** All requests but those that ask whether all is well afterwards. */
function others(upstream: RawUpstream): SeenRequest[] {
  return upstream.requests.filter((request) => request.target !== '/after');
}

async function asksAgain(client: RawClient, reader: AnswerReader): Promise<void> {
  client.write(AFTER);
  await until(() => reader.isDone);
  const found = `${reader.status} ${reader.body.toString('latin1')}`;
  assert.equal(found, '200 after', 'the next request is answered by its own answer');
}

async function until(holds: () => boolean): Promise<void> {
  for (const end = performance.now() + PATIENCE; !holds() && performance.now() < end; ) await sleep(2);
}

function writeUpstream(upstream: RawUpstream, expected: string, protocol: string): string {
  const requests = others(upstream);
  if (expected === 'no whole request' && !requests.some((request) => request.isWhole)) {
    // Where one had begun, its upstream is told that the rest will not come.
    return requests.every((request) => request.connection.isGone)
      ? 'no whole request'
      : 'a request that waits for its rest';
  }
  if (requests.length === 0) return 'nothing';
  const texts = requests.map((request) => {
    const fields = request.fields.filter((_part, i) => !isOurs(request.fields, i - (i % 2), protocol));
    const head = `${request.method} ${request.target} ${request.version}`;
    const isChunked = request.values('transfer-encoding').length > 0;
    const text = writeMessage(
      head,
      fields,
      isChunked,
      request.body.toString('latin1'),
      request.isWhole ? request.trailers : undefined,
    );
    return writeBytes(text) + (request.isWhole ? '' : '\n(cut off)');
  });
  return texts.join('\n');
}

function isOurs(fields: Headers, at: number, protocol: string): boolean {
  const value = fields[at + 1]!;
  switch (fields[at]) {
    case 'X-Forwarded-For':
      return value === '127.0.0.1';
    case 'X-Forwarded-Proto':
      return value === protocol;
    case 'X-Forwarded-Host':
      return value === valuesOf(fields, 'host')[0];
    case 'X-Forwarded-Port':
      return value === String(PUBLIC_PORT);
    case 'X-Request-Id':
      return /^[0-9a-f-]{36}$/.test(value);
    case 'traceparent':
      return /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/.test(value);
    case 'Connection':
      return value === 'keep-alive';
    default:
      return false;
  }
}

function writeClient(client: RawClient, readers: readonly AnswerReader[], expected: string): string {
  // How much of it came before the end is chance.
  const isNone = client.isGone && !readers.some((reader) => reader.end === 'complete');
  if (isNone && expected.startsWith('no whole answer\n')) return expected;
  const texts: string[] = [];
  for (const reader of readers) {
    for (const { status, headers } of reader.informs)
      texts.push(writeBytes(writeMessage(`HTTP/1.1 ${status}`, shown(headers), false, '', [])));
    if (reader.status === 0) continue;
    texts.push(writeAnswer(client, reader));
    if (reader.end !== 'complete') texts.push('(cut off)');
  }
  return [...texts, `(the connection ${client.isGone ? 'ends' : 'goes on'})`].join('\n');
}

function writeAnswer(client: RawClient, reader: AnswerReader): string {
  const failure = /^portico; .*details="(\w+)"/.exec(valuesOf(reader.headers, 'proxy-status')[0] ?? '')?.[1];
  if (failure !== undefined) return `Portico: ${reader.status} ${failure}`;
  const isChunked = valuesOf(reader.headers, 'transfer-encoding').length > 0;
  const start = client.text.indexOf(reader.headText) + reader.headText.length;
  const body = reader.status === 101 ? client.text.slice(start) : reader.body.toString('latin1');
  return writeBytes(
    writeMessage(
      `HTTP/1.1 ${reader.status}`,
      shown(reader.headers),
      isChunked,
      body,
      reader.end === 'complete' ? reader.trailers : undefined,
    ),
  );
}

function shown(fields: Headers): Headers {
  return fields.filter((_part, i) => {
    const at = i - (i % 2);
    const name = fields[at]!.toLowerCase();
    const value = fields[at + 1]!;
    if (name === 'connection') return !/^(?:close|keep-alive)$/.test(value);
    return !['date', 'x-request-id', 'keep-alive'].includes(name);
  });
}

/** The field that frames it last, a chunked body as one chunk; without trailers, not even empty ones, its end never came. */
function writeMessage(
  start: string,
  fields: Headers,
  isChunked: boolean,
  body: string,
  trailers: Headers | undefined,
): string {
  let lines = '';
  let framing = '';
  for (let i = 0; i < fields.length; i += 2) {
    const line = `${fields[i]}: ${fields[i + 1]}\r\n`;
    if (/^(?:content-length|transfer-encoding)$/i.test(fields[i]!)) framing += line;
    else lines += line;
  }
  let rest = body;
  if (isChunked) {
    rest = body === '' ? '' : `${body.length.toString(16)}\r\n${body}\r\n`;
    if (trailers !== undefined) rest += lastChunk(trailers);
  }
  return `${start}\r\n${lines}${framing}\r\n${rest}`;
}
