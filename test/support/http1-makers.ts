// Random messages of HTTP/1 for fuzzing: most of them valid, many with one of the lines that parsers are known to read in two ways.

import type { Asked } from './codec.ts';
import { damage, pick, type Roll } from './dice.ts';

const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD', 'PATCH', 'QUERY', 'M-SEARCH', 'get'];
const TARGETS = [
  '/',
  '/a?b=c',
  '//x',
  '*',
  'http://a.example/x',
  '/%zz',
  '/caf\xc3\xa9',
  '/a#b',
  '/"<>',
  'a:80',
  '?x',
  'http://[::1]:80/',
  '/a\\b',
];
const NAMES = [
  'Host',
  'Accept',
  'X-A',
  'x-a',
  'Cookie',
  'TE',
  'Trailer',
  'Keep-Alive',
  'Expect',
  'Via',
  "!#$%&'*+.^_`|~",
];
const VALUES = [
  '',
  'a',
  'a b',
  '  a\t ',
  '"q, r"',
  'caf\xe9',
  '\xff\x80',
  'a\tb',
  ':',
  'a:b',
  '100-continue',
  'timeout=5',
  'trailers',
];
const CONNECTIONS = [
  'close',
  'keep-alive',
  'Keep-Alive, X-A',
  'upgrade',
  'Upgrade, keep-alive',
  'close, close',
  'Close',
  'x',
  '',
  ',close',
];
const UPGRADES = ['websocket', 'WebSocket', 'h2c', 'websocket, h2c', 'TLS/1.0'];
/** Where readers are known to disagree; most of them must be refused. */
const ODD_LINES = [
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding: chunked, identity',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: identity, chunked',
  'Transfer-Encoding: chunked;q=1',
  'Transfer-Encoding:\tchunked',
  'Transfer-Encoding: \x0bchunked',
  'Transfer-Encoding: "chunked"',
  'Transfer-Encoding: CHUNKED ',
  'Transfer-Encoding:',
  'Transfer-Encoding: chunked\r\n ',
  'Transfer-Encoding\r\n: chunked',
  ' Transfer-Encoding: chunked',
  'Transfer_Encoding: chunked',
  'X: y\rTransfer-Encoding: chunked',
  'X: y\nTransfer-Encoding: chunked',
  'Content-Length: +4',
  'Content-Length: -4',
  'Content-Length: 0x4',
  'Content-Length: 4, 4',
  'Content-Length: 4,5',
  'Content-Length: 4 4',
  'Content-Length: 4.0',
  'Content-Length: 04',
  'Content-Length: ',
  'Content-Length: 18446744073709551620',
  'Content-Length : 4',
  'Content-Length\t: 4',
  'Content_Length: 4',
  'Content-Length: 4\r\n\t',
  ': x',
  'X',
  'X: \0',
  'X\0: y',
  'X: y\r\n folded',
];
const SIZES = ['+', '-', '0x', ' ', '\t', '00', '_'];
const EXTENSIONS = [
  ';a',
  ';a=b',
  ';a="b;c"',
  ';a="\\""',
  ';',
  ';;a',
  '; a',
  ' ;a',
  ';a=',
  ';=b',
  ';a="b',
  ';a\x80',
  ';\0',
  ';a\nb',
  ';a="\r"',
];
const STATUSES = [
  '200 OK',
  '200',
  '200 ',
  '204 No Content',
  '304 Not Modified',
  '404 caf\xe9',
  '205 Reset',
  '599 x',
  '600 y',
  '099 z',
  '200 a\tb',
  '302  Found',
];

/** One connection's bytes: requests one after another, sound or damaged. */
export function makeRequests(roll: Roll): string {
  let bytes = '';
  for (let count = 1 + roll(3); count > 0; count--) bytes += makeRequest(roll);
  return roll(2) === 0 ? damage(bytes, roll) : bytes;
}

function makeRequest(roll: Roll): string {
  const [framing, body] = makeFraming(roll);
  const version = roll(12) === 0 ? pick(roll, ['1.0', '1.0', '1.2', '0.9', '2.0']) : '1.1';
  const before = roll(20) === 0 ? '\r\n' : '';
  return `${before}${pick(roll, METHODS)} ${pick(roll, TARGETS)} HTTP/${version}\r\n${makeLines(roll, framing)}\r\n${body}`;
}

/** Responses up to the final one, and what they answer. */
export function makeResponse(roll: Roll): [bytes: string, asked: Asked] {
  const upgrade = roll(6) === 0;
  const asked = { method: upgrade || roll(5) !== 0 ? 'GET' : 'HEAD', upgrade };
  let bytes = '';
  while (roll(5) === 0) {
    bytes += `HTTP/1.1 ${pick(roll, ['100 Continue', '103 Early Hints', '102 Processing', '199'])}\r\n${makeLines(roll, '')}\r\n`;
  }
  if (roll(upgrade ? 2 : 30) === 0) {
    bytes += `HTTP/1.1 101 Switching Protocols\r\nConnection: ${pick(roll, CONNECTIONS)}\r\nUpgrade: websocket\r\n${makeLines(roll, '')}\r\n\x81\x02hi`;
  } else {
    const [framing, body] = makeFraming(roll);
    const version = roll(8) === 0 ? pick(roll, ['1.0', '1.0', '1.2', '2.0']) : '1.1';
    const hasBody = asked.method !== 'HEAD' || roll(4) === 0;
    bytes += `HTTP/${version} ${pick(roll, STATUSES)}\r\n${makeLines(roll, framing)}\r\n${hasBody ? body : ''}`;
  }
  if (roll(6) === 0) bytes += 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
  return [roll(2) === 0 ? damage(bytes, roll) : bytes, asked];
}

function makeLines(roll: Roll, framing: string): string {
  const lines = Array.from(
    { length: roll(4) },
    () => `${pick(roll, NAMES)}:${pick(roll, ['', ' ', ' ', '\t'])}${pick(roll, VALUES)}`,
  );
  if (roll(4) === 0) lines.push(`Connection: ${pick(roll, CONNECTIONS)}`);
  if (roll(8) === 0) lines.push(`Upgrade: ${pick(roll, UPGRADES)}`);
  if (roll(12) === 0) lines.splice(roll(lines.length + 1), 0, pick(roll, ODD_LINES));
  if (framing !== '') lines.splice(roll(lines.length + 1), 0, framing);
  return lines.map((line) => `${line}\r\n`).join('');
}

function makeFraming(roll: Roll): [line: string, body: string] {
  const body = pick(roll, ['', 'four', 'GET /hidden HTTP/1.1\r\n\r\n', '0\r\n\r\n', 'a'.repeat(roll(50))]);
  switch (roll(12)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return ['', ''];
    case 4:
    case 5:
    case 6:
      return [`Content-Length: ${body.length}`, body];
    case 7:
    case 8:
    case 9:
    case 10:
      return [`Transfer-Encoding: ${pick(roll, ['chunked', 'chunked', 'Chunked'])}`, makeChunks(roll, body)];
    default:
      return [`Content-Length: ${body.length}\r\nTransfer-Encoding: chunked`, makeChunks(roll, body)];
  }
}

function makeChunks(roll: Roll, body: string): string {
  let bytes = '';
  for (let at = 0; at < body.length; ) {
    const size = 1 + roll(Math.min(body.length - at, 30));
    bytes += `${makeSize(roll, size)}\r\n${body.slice(at, at + size)}${roll(40) === 0 ? '\n' : '\r\n'}`;
    at += size;
  }
  const trailers = roll(4) === 0 ? makeLines(roll, roll(10) === 0 ? 'Content-Length: 4' : '') : '';
  return `${bytes}${makeSize(roll, 0)}\r\n${trailers}\r\n`;
}

function makeSize(roll: Roll, size: number): string {
  const digits = pick(roll, [size.toString(16), size.toString(16).toUpperCase()]);
  const sign = roll(60) === 0 ? pick(roll, SIZES) : '';
  return `${sign}${digits}${roll(12) === 0 ? pick(roll, EXTENSIONS) : ''}`;
}
