// Invariants of the codec over seeded random messages: splits make no difference, what is written is read back, and nothing grows.

import fc from 'fast-check';
import t from 'tap';
import { EVENT, type HeadLimits } from '../../src/codec/http1-message.ts';
import { RequestParser } from '../../src/codec/http1-request.ts';
import { ResponseParser } from '../../src/codec/http1-response.ts';
import { chunkSize, fieldLines, LAST_CHUNK, lastChunk, requestLine, statusLine } from '../../src/codec/http1-write.ts';
import { readFraming } from '../../src/http/framing.ts';
import { FRAMING, fieldFlags, type Headers } from '../../src/http/headers.ts';
import { HEAD_LIMITS, readRequests, readResponse } from '../support/codec.ts';
import { dice, type Roll } from '../support/dice.ts';
import { makeRequests, makeResponse } from '../support/http1-makers.ts';

const SEED = 20_261_202;
const RUNS = { seed: SEED, numRuns: 3_000 };
const CASES = 12_000;
t.comment(`seed ${SEED}`);

/** Cut at up to eight places, some of them side by side. */
function split(text: string, roll: Roll): string[] {
  const cuts = Array.from({ length: roll(9) }, () => roll(text.length + 1));
  const places = [
    0,
    ...cuts,
    ...cuts.filter(() => roll(3) === 0).map((at) => Math.min(at + 1, text.length)),
    text.length,
  ];
  places.sort((a, b) => a - b);
  return places.slice(1).map((end, i) => text.slice(places[i], end));
}

t.test('any split of the bytes gives the same requests', async (t) => {
  const roll = dice(SEED);
  const differing: string[] = [];
  for (let n = 0; n < CASES; n++) {
    const bytes = makeRequests(roll);
    const whole = JSON.stringify(readRequests([bytes], HEAD_LIMITS, true));
    for (const pieces of [split(bytes, roll), [...bytes]]) {
      if (JSON.stringify(readRequests(pieces, HEAD_LIMITS, true)) !== whole) differing.push(bytes);
    }
  }
  t.same(differing.slice(0, 3), [], `${differing.length} of ${CASES}`);
});

t.test('any split of the bytes gives the same response', async (t) => {
  const roll = dice(SEED + 1);
  const differing: string[] = [];
  for (let n = 0; n < CASES; n++) {
    const [bytes, asked] = makeResponse(roll);
    const whole = JSON.stringify(readResponse([bytes], asked));
    for (const pieces of [split(bytes, roll), [...bytes]]) {
      if (JSON.stringify(readResponse(pieces, asked)) !== whole) differing.push(bytes);
    }
  }
  t.same(differing.slice(0, 3), [], `${differing.length} of ${CASES}`);
});

t.test('limits are told at the same byte however it is split', async (t) => {
  const roll = dice(SEED + 2);
  const limits = { startLine: 40, head: 90 };
  const differing: string[] = [];
  let excesses = 0;
  for (let n = 0; n < CASES; n++) {
    const bytes = makeRequests(roll);
    const whole = readRequests([bytes], limits, true);
    if (whole.stop === 'excess') excesses++;
    for (const pieces of [split(bytes, roll), [...bytes]]) {
      const { messages, stop, reason } = readRequests(pieces, limits, true);
      const same =
        stop === whole.stop && reason === whole.reason && JSON.stringify(messages) === JSON.stringify(whole.messages);
      if (!same) differing.push(bytes);
    }
  }
  t.ok(excesses > CASES / 10, `${excesses} were beyond a limit`);
  t.same(differing.slice(0, 3), [], `${differing.length} of ${CASES}`);
});

const token = fc.stringMatching(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,12}$/);
const value = fc
  .array(fc.integer({ min: 0x20, max: 0xff }), { maxLength: 20 })
  .map((codes) => String.fromCharCode(...codes.filter((code) => code !== 0x7f)).replace(/^[ \t]+|[ \t]+$/g, ''));
const fields: fc.Arbitrary<Headers> = fc
  .array(fc.tuple(token, value), { maxLength: 6 })
  .map((pairs) => pairs.filter(([name]) => (fieldFlags(name) & FRAMING) === 0).flat())
  // What ends or turns a connection is not for these.
  .map((headers) => headers.filter((_part, i) => !/^(?:connection|upgrade)$/i.test(headers[i - (i % 2)]!)));
const target = fc.stringMatching(/^[!-~]{1,20}$/);
const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 4 });
const framing = fc.constantFrom('none', 'length', 'chunked');

interface Body {
  readonly line: Headers;
  readonly bytes: string;
  readonly text: string;
}

function write(kind: string, chunks: readonly Uint8Array[], trailers: Headers): Body {
  const texts = chunks.map((chunk) => Buffer.from(chunk).toString('latin1'));
  const text = texts.join('');
  if (kind === 'none') return { line: [], bytes: '', text: '' };
  if (kind === 'length') return { line: ['Content-Length', String(text.length)], bytes: text, text };
  const bytes = texts.map((each) => `${chunkSize(each.length)}${each}\r\n`).join('');
  const end = trailers.length === 0 ? LAST_CHUNK : lastChunk(trailers);
  return { line: ['Transfer-Encoding', 'chunked'], bytes: bytes + end, text };
}

t.test('a request that was written is read back, and so is the one behind it', async () => {
  fc.assert(
    fc.property(token, target, fields, framing, pieces, fields, (method, path, headers, kind, chunks, trailers) => {
      const body = write(kind, chunks, trailers);
      const all = [...headers, ...body.line];
      const bytes = `${requestLine(method, path)}${fieldLines(all)}\r\n${body.bytes}`;
      const { messages, stop } = readRequests([bytes + bytes]);
      return (
        stop === 'more' &&
        messages.length === 2 &&
        messages.every(
          (message) =>
            message.complete &&
            message.start === `${method} ${path} HTTP/1.1` &&
            JSON.stringify(message.headers) === JSON.stringify(all) &&
            message.body === body.text &&
            JSON.stringify(message.trailers) === JSON.stringify(kind === 'chunked' ? trailers : []),
        )
      );
    }),
    RUNS,
  );
});

t.test('a response that was written is read back', async () => {
  const status = fc.integer({ min: 200, max: 599 }).filter((code) => code !== 204 && code !== 304);
  fc.assert(
    fc.property(status, fields, framing, pieces, fields, (code, headers, kind, chunks, trailers) => {
      const body = write(kind, chunks, trailers);
      const all = [...headers, ...body.line];
      const bytes = `${statusLine(code)}${fieldLines(all)}\r\n${body.bytes}`;
      const [message, ...others] = readResponse([bytes], { method: 'GET', upgrade: false }, HEAD_LIMITS).messages;
      return (
        others.length === 0 &&
        message!.complete &&
        message!.start === `HTTP/1.1 ${code}` &&
        JSON.stringify(message!.headers) === JSON.stringify(all) &&
        message!.body === body.text &&
        message!.untilClose === (kind === 'none')
      );
    }),
    RUNS,
  );
});

t.test('what is accepted has exactly one framing, and exactly the bytes that it announces', async (t) => {
  const roll = dice(SEED + 3);
  let framed = 0;
  for (let n = 0; n < CASES; n++) {
    const { messages, stop } = readRequests([makeRequests(roll)]);
    for (const [i, message] of messages.entries()) {
      if (stop === 'ambiguous' && i === messages.length - 1) continue;
      const names = message.headers.filter((_name, at) => at % 2 === 0).map((name) => name.toLowerCase());
      const lengths = names.filter((name) => name === 'content-length').length;
      const codings = names.filter((name) => name === 'transfer-encoding').length;
      if (lengths + codings > 1) t.fail(`two framings: ${JSON.stringify(message)}`);
      const read = readFraming(message.headers, message.start.endsWith('1.0') ? 'HTTP/1.0' : 'HTTP/1.1');
      if (read.kind === 'problem') t.fail(`no framing: ${JSON.stringify(message)}`);
      if (read.kind === 'none' && message.body !== '') t.fail(`a body out of nothing: ${JSON.stringify(message)}`);
      if (read.kind === 'length') {
        const isRight = message.complete ? message.body.length === read.length : message.body.length < read.length;
        if (!isRight) t.fail(`another length: ${JSON.stringify(message)}`);
      }
      if (message.trailers.length > 0 && read.kind !== 'chunked') t.fail(`trailers: ${JSON.stringify(message)}`);
      framed += lengths + codings;
    }
  }
  t.ok(framed > CASES / 3, `${framed} had a framing field`);
});

/** What a parser keeps between two bytes is a start of a line, inside of its limits. */
const TIGHT: HeadLimits = { startLine: 200, head: 400 };

t.test('endless input, a byte at a time, is cut off by a limit', async (t) => {
  const endless: [what: string, start: string, more: string, limit: number][] = [
    ['a method', '', 'G', TIGHT.startLine],
    ['a target', 'GET /', 'a', TIGHT.startLine],
    ['a field name', 'GET / HTTP/1.1\r\n', 'a', TIGHT.head],
    ['a field value', 'GET / HTTP/1.1\r\nA:', ' ', TIGHT.head],
    ['fields', 'GET / HTTP/1.1\r\n', 'A:\r\n', TIGHT.head],
    ['empty lines', '', '\r\n', 4],
    ['digits of a chunk size', 'GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n', '0', 5_000],
    ['a chunk extension', 'GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;a=', 'b', 5_000],
    ['chunk extensions', 'GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n', '1;a\r\nb\r\n', 80_000],
    ['a trailer', 'GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA:', 'b', 17_000],
    ['trailers', 'GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n', 'A:\r\n', 17_000],
  ];
  for (const [what, start, more, limit] of endless) {
    const parser = new RequestParser(TIGHT);
    const stops = new Set<number>([EVENT.problem, EVENT.excess]);
    let taken = 0;
    let stopped = false;
    const feed = (text: string) => {
      for (const byte of text) {
        parser.feed(Buffer.from(byte, 'latin1'));
        for (let event = parser.next(); event !== EVENT.more; event = parser.next()) stopped ||= stops.has(event);
        if (stopped) return;
        if (parser.unread > 0) t.fail(`${what}: a byte was left unread`);
      }
    };
    feed(start);
    while (!stopped && taken <= limit) {
      feed(more);
      taken += more.length;
    }
    t.ok(stopped, `${what}, after ${taken} bytes`);
  }
});

t.test('a parser that refused keeps nothing of what it is still given', async (t) => {
  const parser = new RequestParser(TIGHT);
  parser.feed(Buffer.from('\0\r\n'));
  t.equal(parser.next(), EVENT.problem);
  const { unread } = parser;
  for (let n = 0; n < 100; n++) parser.feed(Buffer.alloc(64 * 1024));
  t.equal(parser.unread, unread);
});

t.test('interim responses without end are cut off', async (t) => {
  const parser = new ResponseParser(TIGHT);
  parser.expect('GET', false);
  let told = 0;
  let event: number = EVENT.more;
  while (event !== EVENT.problem && told < 1_000) {
    parser.feed(Buffer.from('HTTP/1.1 103 Early Hints\r\n\r\n'));
    for (event = parser.next(); event === EVENT.interim; event = parser.next()) told++;
  }
  t.equal(told, 64);
});

t.test('a body of many chunks keeps nothing, and ends', async (t) => {
  const parser = new RequestParser(TIGHT);
  parser.feed(Buffer.from('PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n'));
  t.equal(parser.next(), EVENT.head);
  const pair = Buffer.from('1\r\na\r\n'.repeat(1_000));
  let bytes = 0;
  for (let n = 0; n < 50; n++) {
    parser.feed(pair);
    for (let event = parser.next(); event !== EVENT.more; event = parser.next()) bytes += parser.chunk.length;
    t.equal(parser.unread, 0);
  }
  t.equal(bytes, 50_000);
  parser.feed(Buffer.from(LAST_CHUNK));
  t.equal(parser.next(), EVENT.end);
});
