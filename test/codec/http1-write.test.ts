// HTTP/1 as it goes out: the bytes of heads, chunks and trailers.

import t from 'tap';
import { chunkSize, fieldLines, LAST_CHUNK, lastChunk, requestLine, statusLine } from '../../src/codec/http1-write.ts';

t.test('start lines', async (t) => {
  t.equal(requestLine('M-SEARCH', '/a?b'), 'M-SEARCH /a?b HTTP/1.1\r\n');
  t.equal(statusLine(404), 'HTTP/1.1 404 Not Found\r\n');
  t.equal(statusLine(299), 'HTTP/1.1 299 \r\n', 'the space is there without a reason (RFC 9112 §4)');
});

t.test('fields in their order, in their case, with their bytes', async (t) => {
  t.equal(fieldLines([]), '');
  t.equal(fieldLines(['x-a', '', 'X-A', 'caf\xe9']), 'x-a: \r\nX-A: caf\xe9\r\n');
});

t.test('chunks', async (t) => {
  t.equal(chunkSize(1), '1\r\n');
  t.equal(chunkSize(255), 'ff\r\n');
  t.equal(chunkSize(65_536), '10000\r\n');
  t.equal(LAST_CHUNK, '0\r\n\r\n');
  t.equal(lastChunk([]), LAST_CHUNK);
  t.equal(lastChunk(['X-Sum', '1', 'X-Sum', '2']), '0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n');
});
