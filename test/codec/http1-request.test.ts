// Requests as bytes: what has one reading is read, and everything else is refused in words.

import t, { type Test } from 'tap';
import { EVENT } from '../../src/codec/http1-message.ts';
import { RequestParser } from '../../src/codec/http1-request.ts';
import { HEAD_LIMITS, type Reading, readRequests } from '../support/codec.ts';

const HOST = 'Host: a.example\r\n';

function read(bytes: string): Reading {
  return readRequests([bytes]);
}

/** A head with these lines behind its Host. */
function withLines(lines: string, body = ''): string {
  return `POST /x HTTP/1.1\r\n${HOST}${lines}\r\n\r\n${body}`;
}

function chunked(body: string): string {
  return withLines('Transfer-Encoding: chunked', body);
}

function isRefused(t: Test, bytes: string, reason: RegExp): void {
  const { stop, reason: given } = read(bytes);
  t.equal(stop, 'problem', JSON.stringify(bytes.slice(0, 200)));
  t.match(given, reason);
}

function isAmbiguous(t: Test, bytes: string): void {
  t.match(read(bytes), { stop: 'ambiguous', messages: [{ body: '', complete: false }] }, JSON.stringify(bytes));
}

t.test('a request without a body', async (t) => {
  t.strictSame(read(`GET /a?b HTTP/1.1\r\n${HOST}Accept:*/*\r\nX-Empty:\r\n\r\n`), {
    messages: [
      {
        start: 'GET /a?b HTTP/1.1',
        headers: ['Host', 'a.example', 'Accept', '*/*', 'X-Empty', ''],
        body: '',
        trailers: [],
        complete: true,
        keepAlive: true,
        interim: false,
        untilClose: false,
      },
    ],
    stop: 'more',
    reason: '',
    rest: '',
  });
});

t.test('fields keep their case, their order, their duplicates and their bytes', async (t) => {
  const { messages } = read(
    `GET / HTTP/1.1\r\nhOST: a\r\nx-a: 1\r\nX-A: 2\r\nX-B:\t caf\xe9 \xff\t \r\n!#$%&'*+.^_\`|~: a:b\r\n\r\n`,
  );
  t.strictSame(messages[0]!.headers, [
    'hOST',
    'a',
    'x-a',
    '1',
    'X-A',
    '2',
    'X-B',
    'caf\xe9 \xff',
    "!#$%&'*+.^_`|~",
    'a:b',
  ]);
});

t.test('the target is handed out byte for byte, in whatever form', async (t) => {
  for (const target of ['/', '*', 'http://a.example/x?y', 'a.example:443', '//x', '/%zz?#', '"<>\\^`{|}']) {
    t.match(read(`OPTIONS ${target} HTTP/1.1\r\n${HOST}\r\n`).messages, [{ start: `OPTIONS ${target} HTTP/1.1` }]);
  }
});

t.test('a method is any token, in the case it was sent', async (t) => {
  for (const method of ['get', 'M-SEARCH', 'QUERY', 'x', '!']) {
    t.match(read(`${method} / HTTP/1.1\r\n${HOST}\r\n`).messages, [{ start: `${method} / HTTP/1.1`, complete: true }]);
  }
});

t.test('a request line that is none is refused', async (t) => {
  const lines: [line: string, reason: RegExp][] = [
    ['GET /', /HTTP\/0\.9/],
    ['GET', /HTTP\/0\.9/],
    ['GET / HTTP/0.9', /only HTTP\/1\.0, HTTP\/1\.1/],
    ['GET / HTTP/1.2', /only HTTP\/1\.0, HTTP\/1\.1/],
    ['GET / HTTP/2.0', /only HTTP\/1\.0, HTTP\/1\.1/],
    ['PRI * HTTP/2.0', /only HTTP\/1\.0, HTTP\/1\.1/],
    ['GET / HTTP/11', /request line/],
    ['GET / HTTP/1.10', /request line/],
    ['GET / HTTP/1.1.', /request line/],
    ['GET / HTTP/01.1', /request line/],
    ['GET / http/1.1', /request line/],
    ['GET / HTTP/1,1', /request line/],
    ['GET / HTTP /1.1', /request line/],
    ['GET / HTTPS/1.1', /request line/],
    ['GET / ', /request line/],
    ['GET / HTTP/1.1 ', /request line/],
    ['GET / HTTP/1.1\t', /request line/],
    ['GET  / HTTP/1.1', /request line/],
    ['GET /  HTTP/1.1', /request line/],
    ['GET /a b HTTP/1.1', /request line/],
    ['GET  HTTP/1.1', /no target/],
    [' GET / HTTP/1.1', /request line/],
    ['GET\t/\tHTTP/1.1', /HTTP\/0\.9/],
    ['GET /\ta HTTP/1.1', /control byte/],
    ['GET /\0 HTTP/1.1', /control byte/],
    ['GET /\r HTTP/1.1', /control byte/],
    ['GET /\x7f HTTP/1.1', /control byte/],
    ['GET /caf\xc3\xa9 HTTP/1.1', /above ASCII/],
    ['G\0ET / HTTP/1.1', /method/],
    ['G{T / HTTP/1.1', /method/],
    ['GET: / HTTP/1.1', /method/],
    ['caf\xe9 / HTTP/1.1', /method/],
    ['\x16\x03\x01 / HTTP/1.1', /method/],
  ];
  for (const [line, reason] of lines) isRefused(t, `${line}\r\n${HOST}\r\n`, reason);
});

t.test('one empty line before a request is passed over, another is refused', async (t) => {
  const request = `GET / HTTP/1.1\r\n${HOST}\r\n`;
  t.match(read(`\r\n${request}`), { stop: 'more', messages: [{ complete: true }] });
  t.match(read(`${request}\r\n${request}`), { stop: 'more', messages: [{ complete: true }, { complete: true }] });
  isRefused(t, `\r\n\r\n${request}`, /empty line/);
  isRefused(t, `\n${request}`, /bare LF/);
  isRefused(t, `\r${request}`, /method/);
});

t.test('a line that ends with a bare LF or holds a bare CR is refused', async (t) => {
  isRefused(t, `GET / HTTP/1.1\n${HOST}\r\n`, /bare LF/);
  isRefused(t, 'GET / HTTP/1.1\r\nHost: a\n\r\n', /bare LF/);
  isRefused(t, 'GET / HTTP/1.1\r\nHost: a\r\n\n', /bare LF/);
  isRefused(t, 'GET / HTTP/1.1\n\n', /bare LF/);
  isRefused(t, 'GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n', /control byte/);
  isRefused(t, 'GET / HTTP/1.1\r\nHost: a\r\r\n\r\n', /control byte/);
  isRefused(t, 'GET / HTTP/1.1\r\r\nHost: a\r\n\r\n', /request line/);
  isRefused(t, 'GET / HTTP/1.1\r\nHost: a\r\n\r\r\n', /colon/);
  isRefused(t, 'GET / HTTP/1.1\r\nHost: a\r\n\rGET / HTTP/1.1\r\n\r\n', /colon/);
});

t.test('NUL and every other control byte in a value is refused, a tab and all above ASCII is not', async (t) => {
  for (let code = 0; code < 0x20; code++) {
    if (code === 0x09 || code === 0x0a) continue;
    isRefused(t, withLines(`X-A: b${String.fromCharCode(code)}c`), /control byte/);
  }
  isRefused(t, withLines('X-A: b\x7fc'), /control byte/);
  for (const value of ['b\tc', 'b\x80c', 'b\xffc']) t.equal(read(withLines(`X-A: ${value}`)).stop, 'more');
});

t.test('a field line that is none is refused', async (t) => {
  isRefused(t, withLines('X-A: b\r\n c'), /folded/);
  isRefused(t, withLines('X-A: b\r\n\tc'), /folded/);
  isRefused(t, withLines('X-A: b\r\n \r\nX-B: c'), /folded/);
  isRefused(t, `GET / HTTP/1.1\r\n X-A: b\r\n${HOST}\r\n`, /folded/);
  isRefused(t, withLines('X-A : b'), /space between the name/);
  isRefused(t, withLines('Content-Length\t: 4'), /space between the name/);
  isRefused(t, withLines(': b'), /no name/);
  isRefused(t, withLines('X-A'), /no colon/);
  isRefused(t, withLines('X-A b'), /no colon/);
  for (const name of [
    'X A',
    'X(A',
    'X/A',
    'X"A',
    'X,A',
    'X;A',
    'X=A',
    'X[A',
    'X{A',
    'X@A',
    'X\0A',
    'caf\xe9',
    'X\x7f',
    '\x0bX',
    '\u00a0X',
  ]) {
    isRefused(t, withLines(`${name}: b`), /name of a field/);
  }
});

t.test('a body of a length ends where it says, and what follows is the next request', async (t) => {
  t.match(read(withLines('Content-Length: 4', 'fourGET / HTTP/1.1\r\n\r\n')), {
    messages: [
      { body: 'four', complete: true },
      { start: 'GET / HTTP/1.1', complete: true },
    ],
    stop: 'more',
  });
  t.match(read(withLines('Content-Length: 4', 'fou')), { messages: [{ body: 'fou', complete: false }], stop: 'more' });
  t.match(read(withLines('Content-Length: 0', 'x')), { messages: [{ body: '', complete: true }], stop: 'more' });
  t.match(read(withLines('Content-Length: 9007199254740991', 'x')).messages, [{ body: 'x', complete: false }]);
});

t.test('Content-Length that is no single number of bytes is ambiguous', async (t) => {
  for (const value of [
    '',
    '-1',
    '+4',
    '4.0',
    '4,4',
    '4, 4',
    '0x4',
    '4 4',
    '4;',
    '1e1',
    '\u00bc',
    '9007199254740992',
    '99999999999999999999',
  ]) {
    isAmbiguous(t, withLines(`Content-Length: ${value}`, 'four'));
  }
  for (const second of ['4', '5', '04'])
    isAmbiguous(t, withLines(`Content-Length: 4\r\ncontent-length: ${second}`, 'four'));
});

t.test(
  'Transfer-Encoding other than a single final chunked is ambiguous, and so is one beside Content-Length',
  async (t) => {
    for (const value of [
      '',
      'identity',
      'gzip',
      'gzip, chunked',
      'chunked, identity',
      'chunked, chunked',
      'xchunked',
      'chunkedx',
      'chunked;q=1',
      '"chunked"',
      'chun\tked',
      'chunked,',
      ',chunked',
    ]) {
      isAmbiguous(t, withLines(`Transfer-Encoding: ${value}`, '0\r\n\r\n'));
    }
    isAmbiguous(t, withLines('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', '0\r\n\r\n'));
    isAmbiguous(t, withLines('Transfer-Encoding: identity\r\nTransfer-Encoding: chunked', '0\r\n\r\n'));
    isAmbiguous(t, withLines('Transfer-Encoding: chunked\r\nContent-Length: 5', '0\r\n\r\n'));
    isAmbiguous(t, withLines('Content-Length: 5\r\nTransfer-Encoding: chunked', '0\r\n\r\n'));
    isAmbiguous(t, `POST / HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`);
    t.match(read(withLines('transfer-encoding:  CHUNKED  ', '0\r\n\r\n')), {
      stop: 'more',
      messages: [{ complete: true }],
    });
  },
);

t.test('a tab beside the value of a framing field is refused, and beside others is white space', async (t) => {
  for (const line of [
    'Transfer-Encoding:\tchunked',
    'Transfer-Encoding: chunked\t',
    'content-length: \t4',
    'Content-Length:4 \t ',
  ]) {
    isRefused(t, withLines(line, 'four'), /tab/);
    isRefused(t, chunked(`0\r\n${line}\r\n\r\n`), /tab|frames/);
  }
  t.match(read(withLines('X-A:\tb\t \r\nContent-Length:  4 ', 'four')).messages, [{ body: 'four', complete: true }]);
});

t.test('of an ambiguous request the head is told, and nothing behind it is ever read', async (t) => {
  const parser = new RequestParser(HEAD_LIMITS);
  parser.feed(Buffer.from(withLines('Content-Length: 4\r\nContent-Length: 5', 'fourGET / HTTP/1.1\r\n\r\n')));
  t.equal(parser.next(), EVENT.head);
  t.match(parser.framing, { kind: 'problem', problem: /more than one Content-Length/ });
  t.equal(parser.next(), EVENT.more);
  parser.feed(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
  t.equal(parser.next(), EVENT.more);
});

t.test('a chunked body ends with its last chunk', async (t) => {
  t.match(read(chunked('4\r\nfour\r\n00a\r\nten bytes.\r\n000\r\n\r\nGET / HTTP/1.1\r\n\r\n')), {
    messages: [{ body: 'fourten bytes.', complete: true, trailers: [] }, { complete: true }],
    stop: 'more',
  });
  t.match(read(chunked('A\r\nten bytes.\r\n0\r\n')).messages, [{ body: 'ten bytes.', complete: false }]);
});

t.test('a chunk size that is no plain hexadecimal number is refused', async (t) => {
  for (const size of [
    '',
    'g',
    '+4',
    '-4',
    '0x4',
    ' 4',
    '4 ',
    '4\t',
    '\t4',
    '4 4',
    '4_',
    '4,',
    '4.0',
    '4\0',
    '4\x80',
    '\uff14',
    '4\r',
    'fffffffffffffffff',
    '00000000000004',
  ]) {
    isRefused(t, chunked(`${size}\r\nfour\r\n0\r\n\r\n`), /chunk size/);
  }
});

t.test('lines of a chunked body end with CRLF', async (t) => {
  isRefused(t, chunked('4\nfour\r\n0\r\n\r\n'), /bare LF/);
  isRefused(t, chunked('4\r\nfour\n0\r\n\r\n'), /bare LF|longer than its size/);
  isRefused(t, chunked('4\r\nfour0\r\n\r\n'), /longer than its size/);
  isRefused(t, chunked('4\r\nfour\rx'), /longer than its size/);
  isRefused(t, chunked('4\r\nfour\r\r\n'), /longer than its size/);
  isRefused(t, chunked('4\r\nfour!\r\n0\r\n\r\n'), /longer than its size/);
  isRefused(t, chunked('4\r\nfour\r\n0\n\r\n'), /bare LF/);
  isRefused(t, chunked('4\r\nfour\r\n0\r\n\n'), /bare LF/);
  isRefused(t, chunked('4;a\nb\r\nfour\r\n0\r\n\r\n'), /bare LF/);
});

t.test('chunk extensions are dropped when they are well-formed', async (t) => {
  for (const extension of [
    ';a',
    ';a=b',
    ';a=b;c',
    ';a="b c"',
    ';a="\\"\\\\;\r"'.replace('\r', ''),
    ';a="\xe9"',
    ';a=""',
  ]) {
    t.match(
      read(chunked(`4${extension}\r\nfour\r\n0${extension}\r\n\r\n`)),
      { messages: [{ body: 'four', complete: true }] },
      extension,
    );
  }
  for (const extension of [
    ';',
    ';;a',
    ';=b',
    ';a=',
    ';a=b=c',
    '; a',
    ' ;a',
    ';a =b',
    ';a= b',
    ';a="b',
    ';a=b"',
    ';a="b"c',
    ';a="\0"',
    ';a\0',
    ';a=\x7f',
    ';\xe9',
    ',a',
    ';a=";\r"',
  ]) {
    isRefused(t, chunked(`4${extension}\r\nfour\r\n0\r\n\r\n`), /chunk size/);
  }
});

t.test('chunk extensions are bounded, one by one and all together', async (t) => {
  const long = `;a=${'b'.repeat(3_000)}`;
  t.match(read(chunked(`4${long}\r\nfour\r\n0\r\n\r\n`)), { messages: [{ complete: true }] });
  isRefused(t, chunked(`4;a=${'b'.repeat(5_000)}\r\nfour\r\n0\r\n\r\n`), /too long/);
  isRefused(t, chunked(`4;a=${'b'.repeat(5_000)}`), /too long/);
  isRefused(t, chunked(`1${long}\r\na\r\n`.repeat(6)), /extensions are too long/);
  const apart = chunked(`1${long}\r\na\r\n0\r\n\r\n`).repeat(8);
  t.equal(read(apart).messages.filter((message) => message.complete).length, 8, 'each message has its own');
});

t.test('trailers are told with the end', async (t) => {
  t.match(read(chunked('0\r\nX-Sum: abc\r\nx-sum:  \r\n\r\n')), {
    messages: [{ complete: true, trailers: ['X-Sum', 'abc', 'x-sum', ''] }],
    stop: 'more',
  });
  const { messages } = read(`${chunked('0\r\nX-Sum: abc\r\n\r\n')}${chunked('0\r\n\r\n')}`);
  t.strictSame(messages[1]!.trailers, [], 'and never with the next one');
});

t.test('trailers are read as strictly as heads, and frame nothing', async (t) => {
  for (const [line, reason] of [
    ['X-A : b', /space between/],
    [' X-A: b', /folded/],
    ['X-A: b\r\n c', /folded/],
    [': b', /no name/],
    ['X-A', /no colon/],
    ['X-A: b\0', /control byte/],
    ['X-A: b\nX-B: c', /bare LF/],
    ['X-A: b\rX-B: c', /control byte/],
    ['Content-Length: 4', /frames a message/],
    ['transfer-encoding: chunked', /frames a message/],
  ] as const) {
    isRefused(t, chunked(`0\r\n${line}\r\n\r\n`), reason);
  }
});

t.test('trailers are bounded, and too many are told as such', async (t) => {
  t.match(read(chunked(`0\r\nX-A: ${'a'.repeat(16_000)}\r\n\r\n`)), { stop: 'more', messages: [{ complete: true }] });
  t.match(read(chunked(`0\r\n${`X-A: ${'a'.repeat(1_000)}\r\n`.repeat(20)}`)), { stop: 'excess', reason: 'trailers' });
  t.match(read(chunked(`0\r\nX-A: ${'a'.repeat(20_000)}`)), { stop: 'excess', reason: 'trailers' });
  t.match(read(chunked(`0\r\nX-A: ${'a'.repeat(20_000)}\r\n`)), { stop: 'excess', reason: 'trailers' });
});

t.test('the request line and the head have limits of their own, to the byte', async (t) => {
  const line = (length: number) => `GET /${'a'.repeat(length - 'GET / HTTP/1.1'.length)} HTTP/1.1`;
  const { startLine, head } = HEAD_LIMITS;
  // The CR counts as part of the line.
  t.match(read(`${line(startLine - 1)}\r\n\r\n`), { stop: 'more', messages: [{ complete: true }] });
  t.match(read(`${line(startLine)}\r\n\r\n`), { stop: 'excess', reason: 'start line', messages: [] });
  t.match(read(line(startLine + 1)), { stop: 'excess', reason: 'start line' });
  const filled = (size: number) => {
    const empty = `GET / HTTP/1.1\r\nX: \r\n\r\n`;
    return empty.replace('X: ', `X: ${'a'.repeat(size - empty.length)}`);
  };
  t.match(read(filled(head)), { stop: 'more', messages: [{ complete: true }] });
  t.match(read(filled(head + 1)), { stop: 'excess', reason: 'head', messages: [] });
  t.match(read(filled(head * 2).slice(0, -4)), { stop: 'excess', reason: 'head' });
  t.match(read(`GET / HTTP/1.1\r\n${'X: y\r\n'.repeat(1_000)}`), { stop: 'excess', reason: 'head' });
  t.match(read(filled(head).repeat(2)).messages, [{ complete: true }, { complete: true }], 'each head has its own');
  t.match(read(`\r\n${filled(head - 2)}`), { stop: 'more' }, 'and an empty line before it is a part of it');
  t.match(read(`\r\n${filled(head - 1)}`), { stop: 'excess', reason: 'head' });
});

t.test('requests in one piece are read one after another', async (t) => {
  const bytes = `${withLines('Content-Length: 1', 'a')}GET /2 HTTP/1.1\r\n\r\n${chunked('1\r\nb\r\n0\r\nT: u\r\n\r\n')}GET /4 HTTP/1.0\r\n\r\nGET /5 HTTP/1.1\r\n\r\n`;
  t.match(read(bytes), {
    messages: [
      { start: 'POST /x HTTP/1.1', body: 'a', complete: true },
      { start: 'GET /2 HTTP/1.1', headers: [], body: '', complete: true },
      { start: 'POST /x HTTP/1.1', body: 'b', trailers: ['T', 'u'] },
      { start: 'GET /4 HTTP/1.0', keepAlive: false },
    ],
    stop: 'close',
    rest: 'GET /5 HTTP/1.1\r\n\r\n',
  });
});

t.test('a head is read as if none had come before it', async (t) => {
  const accepted = [
    ['Host: a.example', 'Accept: */*', 'X-One: 1'],
    ['Accept: */*', 'Host: a.example', 'X-One: 1'],
    ['host: a.example', 'ACCEPT: */*', 'x-one:1'],
    ['Host: a.example', 'Accept-Language: en', 'X-One-More: 1'],
    ['Host: a.example', 'Accept:', 'X-One: \t1 '],
    ['Host: a.example', `${'X'.repeat(100)}: 1`, 'X-One: Accept: */*'],
    ['Host: a.example', ...Array.from({ length: 50 }, (_, i) => `X-${i}: ${i}`)],
    ['Host: a.example'],
  ];
  const refused = [
    ['Host: a.example', 'Accept : */*'],
    ['Host: a.example', 'Accept\t: */*'],
    ['Host: a.example', 'Accept'],
    ['Host: a.example', 'Accept\x00: */*'],
    ['Host: a.example', ' Accept: */*'],
    ['Host: a.example', ': */*'],
    ['Host: a.example', 'Accept: \x00'],
    ['Host', 'Accept: */*'],
  ];
  const head = (lines: readonly string[]) => `GET / HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`;
  for (const before of accepted) {
    for (const lines of [...accepted, ...refused]) {
      const alone = read(head(lines));
      const behind = readRequests([head(before) + head(lines)]);
      const what = `${before} | ${lines}`;
      t.strictSame(behind.messages.slice(1), alone.messages, what);
      t.same([behind.stop, behind.reason], [alone.stop, alone.reason], what);
    }
  }
});

t.test('whether the connection goes on', async (t) => {
  const cases: [version: string, lines: string, keepAlive: boolean][] = [
    ['1.1', '', true],
    ['1.1', 'Connection: keep-alive\r\n', true],
    ['1.1', 'Connection: close\r\n', false],
    ['1.1', 'Connection: X-A, Close\r\n', false],
    ['1.1', 'Connection: keep-alive\r\nConnection: close\r\n', false],
    ['1.1', 'Connection: closed\r\n', true],
    ['1.1', 'Proxy-Connection: close\r\n', true],
    ['1.0', '', false],
    ['1.0', 'Connection: Keep-Alive\r\n', true],
    ['1.0', 'Connection: keep-alive, close\r\n', false],
    ['1.0', 'Proxy-Connection: keep-alive\r\n', false],
  ];
  for (const [version, lines, keepAlive] of cases) {
    t.match(read(`GET / HTTP/${version}\r\n${lines}\r\n`).messages, [{ keepAlive }], `${version} ${lines}`);
  }
});

t.test(
  'a websocket is asked for by GET, HTTP/1.1, Connection: upgrade and one Upgrade: websocket, without a body',
  async (t) => {
    const asks = (start: string, ...lines: string[]) => `${start}\r\n${lines.join('\r\n')}\r\n\r\nbytes`;
    for (const lines of [
      ['Connection: Upgrade', 'Upgrade: websocket'],
      ['connection: keep-alive, UPGRADE', 'upgrade: WebSocket'],
      ['Connection: keep-alive', 'Upgrade: websocket', 'Connection: upgrade'],
    ]) {
      t.match(read(asks('GET /ws HTTP/1.1', ...lines)), { stop: 'tunnel', rest: 'bytes' }, lines.join());
    }
    for (const [start, ...lines] of [
      ['POST /ws HTTP/1.1', 'Connection: Upgrade', 'Upgrade: websocket'],
      ['GET /ws HTTP/1.0', 'Connection: Upgrade', 'Upgrade: websocket'],
      ['GET /ws HTTP/1.1', 'Connection: Upgrade', 'Upgrade: h2c'],
      ['GET /ws HTTP/1.1', 'Connection: Upgrade', 'Upgrade: websocket, h2c'],
      ['GET /ws HTTP/1.1', 'Connection: Upgrade', 'Upgrade: websocket', 'Upgrade: h2c'],
      ['GET /ws HTTP/1.1', 'Connection: Upgrade', 'Upgrade: websocket', 'Content-Length: 0'],
      ['GET /ws HTTP/1.1', 'Connection: Upgrade', 'Upgrade: websocket', 'Content-Length: 5'],
      ['GET /ws HTTP/1.1', 'Connection: Upgrade', 'Upgrade: websocket', 'Transfer-Encoding: chunked'],
      // Nobody asked this hop for anything (RFC 9110 §7.8): both fields together ask.
      ['GET /ws HTTP/1.1', 'Upgrade: websocket'],
      ['GET /ws HTTP/1.1', 'Connection: keep-alive', 'Upgrade: websocket'],
      ['GET /ws HTTP/1.1', 'Connection: Upgrade'],
    ] as const) {
      t.not(read(asks(start, ...lines)).stop, 'tunnel', `${start} ${lines.join()}`);
    }
  },
);

t.test('the bytes behind a request for a tunnel are handed out as they came', async (t) => {
  const parser = new RequestParser(HEAD_LIMITS);
  parser.feed(Buffer.from('GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81', 'latin1'));
  t.equal(parser.next(), EVENT.head);
  t.equal(parser.upgrade, true);
  t.equal(parser.next(), EVENT.more);
  parser.feed(Buffer.from('\x82\r\n\r\n', 'latin1'));
  t.equal(parser.takeRest().toString('latin1'), '\x81\x82\r\n\r\n');
});

t.test('what cannot be read as a request is handed out from its first byte, however it came', async (t) => {
  const parser = new RequestParser(HEAD_LIMITS);
  for (const [bytes, event] of [
    ['\x16\x03\x01', EVENT.more],
    ['\x80', EVENT.more],
    ['\x00\nrest', EVENT.problem],
  ] as const) {
    parser.feed(Buffer.from(bytes, 'latin1'));
    t.equal(parser.next(), event);
    parser.own();
  }
  t.equal(parser.takeRest().toString('latin1'), '\x16\x03\x01\x80\x00\nrest');
});

t.test('behind a CONNECT nothing is read as HTTP', async (t) => {
  const parser = new RequestParser(HEAD_LIMITS);
  parser.feed(Buffer.from('CONNECT a.example:443 HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n'));
  t.equal(parser.next(), EVENT.head);
  t.match(parser, { method: 'CONNECT', target: 'a.example:443', keepAlive: false, upgrade: false });
  t.equal(parser.next(), EVENT.more);
});

t.test('the end of the sender is clean between messages only', async (t) => {
  const ends = (bytes: string) => readRequests([bytes], HEAD_LIMITS, true);
  t.match(ends(''), { stop: 'more' });
  t.match(ends('GET / HTTP/1.1\r\n\r\n'), { stop: 'more', messages: [{ complete: true }] });
  t.match(ends('GET / HTTP/1.1\r\n\r\n\r\n'), { stop: 'more' });
  for (const bytes of [
    'G',
    'GET / HTTP/1.1\r\n',
    'GET / HTTP/1.1\r\n\r',
    withLines('Content-Length: 4', 'fou'),
    chunked('4\r\nfour'),
    chunked('4\r\nfour\r\n'),
    chunked('0\r\n'),
    chunked('0\r\nX: y\r\n'),
  ]) {
    t.match(ends(bytes), { stop: 'problem', reason: /middle of a message/ }, JSON.stringify(bytes));
  }
});

t.test('it says where it stands', async (t) => {
  const parser = new RequestParser(HEAD_LIMITS);
  const stands = () => [parser.midway, parser.midHead, parser.unread];
  t.strictSame(stands(), [false, false, 0]);
  parser.feed(Buffer.from('G'));
  t.strictSame(stands(), [true, true, 1]);
  t.equal(parser.next(), EVENT.more);
  t.strictSame(stands(), [true, true, 0]);
  parser.feed(Buffer.from('ET / HTTP/1.1\r\nContent-Length: 4\r\n\r\nfo'));
  t.equal(parser.next(), EVENT.head);
  t.strictSame(stands(), [true, false, 2]);
  t.equal(parser.next(), EVENT.chunk);
  t.equal(parser.next(), EVENT.more);
  t.strictSame(stands(), [true, false, 0]);
  parser.feed(Buffer.from('ur'));
  t.equal(parser.next(), EVENT.chunk);
  t.equal(parser.next(), EVENT.end);
  t.strictSame(stands(), [false, false, 0]);
});

t.test('a chunk is a part of what was fed, not a copy', async (t) => {
  const parser = new RequestParser(HEAD_LIMITS);
  const bytes = Buffer.from(withLines('Content-Length: 8', 'four'));
  parser.feed(bytes);
  t.equal(parser.next(), EVENT.head);
  t.equal(parser.next(), EVENT.chunk);
  t.equal(parser.chunk.buffer, bytes.buffer);
  const second = Buffer.from('more');
  parser.feed(second);
  t.equal(parser.next(), EVENT.chunk);
  t.equal(parser.chunk, second);
});

t.test('after a refusal nothing is read any more', async (t) => {
  const parser = new RequestParser(HEAD_LIMITS);
  parser.feed(Buffer.from('\0\r\n'));
  t.equal(parser.next(), EVENT.problem);
  parser.feed(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
  t.equal(parser.next(), EVENT.more);
  t.equal(parser.finish(), EVENT.more);
});
