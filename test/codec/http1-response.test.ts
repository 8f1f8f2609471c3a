// Responses as bytes: framed by what was asked, interim ones told apart, and a failure where two readers could disagree.

import t, { type Test } from 'tap';
import { EVENT } from '../../src/codec/http1-message.ts';
import { ResponseParser } from '../../src/codec/http1-response.ts';
import { type Asked, HEAD_LIMITS, type Reading, readResponse } from '../support/codec.ts';

const GET: Asked = { method: 'GET', upgrade: false };
const WEBSOCKET: Asked = { method: 'GET', upgrade: true };

/** The sender keeps its side open. */
function read(bytes: string, asked = GET): Reading {
  return readResponse([bytes], asked, HEAD_LIMITS, false);
}

function isRefused(t: Test, bytes: string, reason: RegExp, asked = GET): void {
  const { stop, reason: given } = read(bytes, asked);
  t.equal(stop, 'problem', JSON.stringify(bytes.slice(0, 200)));
  t.match(given, reason);
}

t.test('a body of a length', async (t) => {
  t.match(read('HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nset-cookie: b\r\nContent-Length: 4\r\n\r\nfour'), {
    messages: [
      {
        start: 'HTTP/1.1 200',
        headers: ['Set-Cookie', 'a', 'set-cookie', 'b', 'Content-Length', '4'],
        body: 'four',
        complete: true,
      },
    ],
    stop: 'close',
    rest: '',
  });
  t.match(read('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'), { messages: [{ body: '', complete: true }] });
});

t.test('a chunked body, with trailers', async (t) => {
  t.match(read('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x\r\nfour\r\n0\r\nX-Sum: 1\r\n\r\n'), {
    messages: [{ body: 'four', trailers: ['X-Sum', '1'], complete: true }],
  });
});

t.test('what comes behind a complete response is left unread', async (t) => {
  for (const [asked, bytes] of [
    [GET, 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfour'],
    [GET, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    [GET, 'HTTP/1.1 204 No Content\r\n\r\n'],
    [{ method: 'HEAD', upgrade: false }, 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n'],
  ] as const) {
    const second = 'HTTP/1.1 200 OK\r\nX-Split: 1\r\n\r\n';
    t.match(read(bytes + second, asked), { messages: [{ complete: true }], stop: 'close', rest: second }, bytes);
    const parser = new ResponseParser(HEAD_LIMITS);
    parser.expect(asked.method, false);
    parser.feed(Buffer.from(bytes + second));
    while (parser.next() !== EVENT.end);
    t.equal(parser.unread, second.length, 'and can be seen to be there');
  }
});

t.test('a body without a length ends with the connection, which carries nothing else', async (t) => {
  for (const version of ['1.0', '1.1']) {
    const bytes = `HTTP/${version} 200 OK\r\nConnection: keep-alive\r\n\r\nuntil the\r\n\r\nend`;
    t.match(read(bytes), { messages: [{ body: 'until the\r\n\r\nend', complete: false }], stop: 'more' });
    t.match(readResponse([bytes], GET), { messages: [{ body: 'until the\r\n\r\nend', complete: true }] });
    const parser = new ResponseParser(HEAD_LIMITS);
    parser.expect('GET', false);
    parser.feed(Buffer.from(bytes));
    t.equal(parser.next(), EVENT.head);
    t.equal(parser.keepAlive, false);
  }
});

t.test('a response that the connection cuts is never whole', async (t) => {
  for (const bytes of [
    '',
    'HTTP/1.1 200 OK\r\nConte',
    'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfou',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n',
    'HTTP/1.1 103 Early Hints\r\n\r\n',
  ]) {
    const { messages } = readResponse([bytes], GET);
    t.notOk(
      messages.some((message) => message.complete && !message.interim),
      JSON.stringify(bytes),
    );
  }
  t.match(readResponse(['HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfou'], GET), {
    stop: 'problem',
    reason: /middle/,
  });
});

t.test('an answer that has no body and announces one is the last on its connection', async (t) => {
  const keeps = (method: string, status: string, fields: string) => {
    const parser = new ResponseParser(HEAD_LIMITS);
    parser.expect(method, false);
    parser.feed(Buffer.from(`HTTP/1.1 ${status}\r\n${fields}\r\n`));
    while (parser.next() !== EVENT.end);
    return parser.keepAlive;
  };
  for (const [method, status] of [
    ['HEAD', '200 OK'],
    ['GET', '204 No Content'],
    ['GET', '304 Not Modified'],
  ] as const) {
    t.ok(keeps(method, status, ''), `${method} ${status}`);
    t.ok(keeps(method, status, 'Content-Length: 0\r\n'), `${method} ${status}`);
    t.notOk(keeps(method, status, 'Content-Length: 5\r\n'), `${method} ${status}`);
    t.notOk(keeps(method, status, 'Transfer-Encoding: chunked\r\n'), `${method} ${status}`);
  }
});

t.test('HEAD, 204 and 304 have no body, whatever their fields say', async (t) => {
  for (const field of ['Content-Length: 4', 'Transfer-Encoding: chunked', 'X-None: 1']) {
    for (const [status, method] of [
      ['200 OK', 'HEAD'],
      ['204 No Content', 'GET'],
      ['304 Not Modified', 'GET'],
      ['404 Not Found', 'HEAD'],
    ] as const) {
      const bytes = `HTTP/1.1 ${status}\r\n${field}\r\n\r\n`;
      t.match(
        read(`${bytes}four`, { method, upgrade: false }),
        { messages: [{ body: '', complete: true }], stop: 'close', rest: 'four' },
        `${method} ${status} ${field}`,
      );
    }
  }
  t.match(read('HTTP/1.1 205 Reset Content\r\nContent-Length: 1\r\n\r\na').messages, [{ body: 'a', complete: true }]);
  t.match(
    read('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na', { method: 'head', upgrade: false }).messages,
    [{ body: 'a', complete: true }],
    'methods have a case',
  );
});

t.test('framing with two readings is refused, whatever was asked', async (t) => {
  for (const lines of [
    'Content-Length: 4\r\nContent-Length: 4',
    'Content-Length: 4\r\nContent-Length: 5',
    'Content-Length: 4, 4',
    'Content-Length: +4',
    'Content-Length: -4',
    'Content-Length: ',
    'Content-Length: 99999999999999999999',
    'Content-Length: 4\r\nTransfer-Encoding: chunked',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked',
    'Transfer-Encoding: gzip, chunked',
    'Transfer-Encoding: identity',
    'Transfer-Encoding: xchunked',
  ]) {
    for (const status of ['200 OK', '204 No Content', '304 Not Modified', '100 Continue']) {
      isRefused(t, `HTTP/1.1 ${status}\r\n${lines}\r\n\r\n`, /Content-Length|Transfer-Encoding/);
    }
    isRefused(t, `HTTP/1.1 200 OK\r\n${lines}\r\n\r\n`, /./, { method: 'HEAD', upgrade: false });
  }
  isRefused(t, 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', /HTTP\/1\.0/);
});

t.test('a status line that is none is refused', async (t) => {
  const lines: [line: string, reason: RegExp][] = [
    ['', /empty line/],
    ['HTTP/0.9 200 OK', /none of HTTP\/1/],
    ['HTTP/2.0 200 OK', /none of HTTP\/1/],
    ['HTTP/1.2 200 OK', /none of HTTP\/1/],
    ['http/1.1 200 OK', /none of HTTP\/1/],
    ['HTTP/1.1200 OK', /none of HTTP\/1/],
    ['HTTP/1.1', /none of HTTP\/1/],
    [' HTTP/1.1 200 OK', /none of HTTP\/1/],
    ['ICY 200 OK', /none of HTTP\/1/],
    ['<html>', /none of HTTP\/1/],
    ['HTTP/1.1 ', /no code/],
    ['HTTP/1.1  200 OK', /no code/],
    ['HTTP/1.1 20', /no code/],
    ['HTTP/1.1 2000', /no code/],
    ['HTTP/1.1 200OK', /no code/],
    ['HTTP/1.1 200\tOK', /no code/],
    ['HTTP/1.1 099 Low', /no code/],
    ['HTTP/1.1 600 High', /no code/],
    ['HTTP/1.1 2x0 OK', /no code/],
    ['HTTP/1.1 +20 OK', /no code/],
    ['HTTP/1.1 200 O\0K', /control byte/],
    ['HTTP/1.1 200 OK\r', /control byte/],
    ['HTTP/1.1 200 OK\x7f', /control byte/],
  ];
  for (const [line, reason] of lines) isRefused(t, `${line}\r\nContent-Length: 0\r\n\r\n`, reason);
  isRefused(t, 'HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n', /bare LF/);
  isRefused(t, 'HTTP/1.1 200 OK\r\nX: a\n b\r\n\r\n', /bare LF/);
});

t.test('a reason is anything, or nothing at all', async (t) => {
  for (const line of [
    'HTTP/1.1 200',
    'HTTP/1.1 200 ',
    'HTTP/1.1 200  a\tb ',
    'HTTP/1.1 200 caf\xe9',
    'HTTP/1.0 599 x',
  ]) {
    t.match(read(`${line}\r\nContent-Length: 0\r\n\r\n`).messages, [{ complete: true }], line);
  }
});

t.test('fields are read as strictly as those of requests', async (t) => {
  for (const [line, reason] of [
    ['X-A: b\r\n c', /folded/],
    ['X-A : b', /space between/],
    ['X-A', /no colon/],
    [': b', /no name/],
    ['X-A: b\rSet-Cookie: c', /control byte/],
    ['X-A: b\0', /control byte/],
  ] as const) {
    isRefused(t, `HTTP/1.1 200 OK\r\n${line}\r\n\r\n`, reason);
  }
});

t.test('interim responses are told apart, frame nothing, and are bounded', async (t) => {
  const hint = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 9\r\n\r\n';
  t.match(read(`HTTP/1.1 100 Continue\r\n\r\n${hint}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`), {
    messages: [
      { start: 'HTTP/1.1 100', interim: true, headers: [] },
      { start: 'HTTP/1.1 103', interim: true, headers: ['Link', '</a>', 'Content-Length', '9'] },
      { start: 'HTTP/1.1 200', interim: false, body: 'ok', complete: true },
    ],
    stop: 'close',
  });
  t.equal(read(`${hint.repeat(64)}HTTP/1.1 204 No Content\r\n\r\n`).messages.length, 65);
  isRefused(t, hint.repeat(65), /more than 64/);
  const parser = new ResponseParser(HEAD_LIMITS);
  for (let round = 0; round < 2; round++) {
    parser.expect('GET', false);
    parser.feed(Buffer.from(`${hint.repeat(40)}HTTP/1.1 204 No Content\r\n\r\n`));
    let event = parser.next();
    while (event === EVENT.interim || event === EVENT.head) event = parser.next();
    t.equal(event, EVENT.end, 'each response has its own number');
  }
});

t.test('a 101 is a tunnel for whoever asked, and a failure for everybody else', async (t) => {
  const switched = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
  t.match(read(`${switched}\x81\x02hi`, WEBSOCKET), {
    messages: [{ start: 'HTTP/1.1 101' }],
    stop: 'tunnel',
    rest: '\x81\x02hi',
  });
  isRefused(t, switched, /nobody asked/);
  t.match(read(`HTTP/1.1 103 Early Hints\r\n\r\n${switched}first`, WEBSOCKET), {
    messages: [{ start: 'HTTP/1.1 103' }, { start: 'HTTP/1.1 101' }],
    stop: 'tunnel',
    rest: 'first',
  });
  isRefused(
    t,
    switched.replace('Upgrade: websocket', 'Content-Length: 4\r\nContent-Length: 5'),
    /more than one/,
    WEBSOCKET,
  );
});

t.test('a 101 that switches to something else, or does not say to what, is a failure', async (t) => {
  for (const lines of [
    '',
    'Upgrade: websocket\r\n',
    'Connection: Upgrade\r\n',
    'Connection: Upgrade\r\nUpgrade: h2c\r\n',
    'Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n',
    'Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n',
    'Connection: close\r\nUpgrade: websocket\r\n',
  ]) {
    isRefused(t, `HTTP/1.1 101 Switching Protocols\r\n${lines}\r\n`, /not to the websocket/, WEBSOCKET);
  }
  const odd = 'HTTP/1.1 101 \r\nconnection: x, UPGRADE\r\nupgrade: WebSocket\r\n\r\n';
  t.equal(read(odd, WEBSOCKET).stop, 'tunnel');
});

t.test('an upgrade may be answered by something else, framed as ever', async (t) => {
  t.match(read('HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nnoGET / HTTP/1.1\r\n', WEBSOCKET), {
    messages: [{ start: 'HTTP/1.1 426', body: 'no', complete: true }],
    stop: 'close',
    rest: 'GET / HTTP/1.1\r\n',
  });
  t.match(read('HTTP/1.1 200 OK\r\nUpgrade: websocket\r\n\r\nbytes', WEBSOCKET), {
    stop: 'more',
    messages: [{ body: 'bytes' }],
  });
});

t.test('whether the upstream takes another request', async (t) => {
  const cases: [version: string, lines: string, keepAlive: boolean][] = [
    ['1.1', '', true],
    ['1.1', 'Connection: close\r\n', false],
    ['1.1', 'Connection: X-A\r\nConnection: CLOSE\r\n', false],
    ['1.0', '', false],
    ['1.0', 'Connection: keep-alive\r\n', true],
    ['1.0', 'Connection: keep-alive, close\r\n', false],
  ];
  for (const [version, lines, keepAlive] of cases) {
    const parser = new ResponseParser(HEAD_LIMITS);
    parser.expect('GET', false);
    parser.feed(Buffer.from(`HTTP/${version} 200 OK\r\n${lines}Content-Length: 0\r\n\r\n`));
    t.equal(parser.next(), EVENT.head);
    t.equal(parser.keepAlive, keepAlive, `${version} ${lines}`);
  }
});

t.test('a response is read while its request is still being sent, and the next one after expect', async (t) => {
  const parser = new ResponseParser(HEAD_LIMITS);
  parser.expect('POST', false);
  parser.feed(Buffer.from('HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\ntoo'));
  t.equal(parser.next(), EVENT.head);
  t.equal(parser.next(), EVENT.chunk);
  t.equal(parser.next(), EVENT.end);
  t.equal(parser.next(), EVENT.more);
  t.equal(parser.midway, false);
  parser.expect('HEAD', false);
  parser.feed(Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n'));
  t.equal(parser.next(), EVENT.head);
  t.equal(parser.next(), EVENT.end);
});

t.test('the status line and the head have limits', async (t) => {
  t.match(read(`HTTP/1.1 200 ${'a'.repeat(1_000)}\r\n\r\n`), { stop: 'excess', reason: 'start line' });
  t.match(read(`HTTP/1.1 200 OK\r\nX: ${'a'.repeat(4_000)}\r\n\r\n`), { stop: 'excess', reason: 'head' });
  t.match(read(`HTTP/1.1 200 OK\r\nX: ${'a'.repeat(4_000)}`), { stop: 'excess', reason: 'head' });
  const hint = `HTTP/1.1 103 Early Hints\r\nLink: ${'a'.repeat(3_000)}\r\n\r\n`;
  t.equal(read(hint.repeat(2)).stop, 'more', 'each interim head has its own');
});
