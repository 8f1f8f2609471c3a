// The header table: what is known of a name whatever its case, aliases that fold into guarded names, and reading flat lists.

import t from 'tap';
import {
  allValues,
  CLIENT_CERTIFICATE,
  countOf,
  FRAMING,
  fieldFlags,
  firstValue,
  GUARDED,
  HOP_BY_HOP,
  IDENTITY,
  isGuardedAlias,
  isNamed,
  knownName,
  listMembers,
  lowerName,
  NO_TRAILER,
  nominatedFields,
  PROTECTED,
  SECRET,
} from '../../src/http/headers.ts';

const has = (name: string, flag: number) => (fieldFlags(name) & flag) !== 0;

t.test('fields of one connection are hop-by-hop, and no other field is', async (t) => {
  for (const name of ['Connection', 'KEEP-ALIVE', 'Proxy-Connection', 'te', 'Transfer-Encoding', 'Upgrade', 'Proxy']) {
    t.ok(has(name, HOP_BY_HOP), name);
  }
  for (const name of ['Proxy-Authorization', 'Proxy-Authenticate', 'Proxy-Authentication-Info', 'HTTP2-Settings']) {
    t.ok(has(name, HOP_BY_HOP), name);
  }
  for (const name of ['Host', 'Authorization', 'Cookie', 'Trailer', 'Expect', 'Content-Type', 'X-Anything', 'Via']) {
    t.notOk(has(name, HOP_BY_HOP), name);
  }
});

t.test('fields that Connection may not take away', async (t) => {
  const names = ['Authorization', 'Cookie', 'Set-Cookie', 'Host', 'Content-Length', 'Content-Type', 'Origin', 'Range'];
  names.push('X-Forwarded-For', 'X-Forwarded-Whatever', 'Forwarded', 'X-Real-IP', 'X-Request-Id', 'Client-Cert');
  names.push('Access-Control-Allow-Origin', 'Sec-WebSocket-Protocol', 'Cache-Control', 'Location', 'WWW-Authenticate');
  for (const name of names) t.ok(has(name.toUpperCase(), PROTECTED), name);
  t.notOk(has('X-Json-Flavor', PROTECTED));
});

t.test('fields that say who the client is', async (t) => {
  for (const name of ['X-Forwarded-For', 'x-forwarded-port', 'Forwarded', 'X-Real-IP', 'X-Request-Id', 'Client-Cert']) {
    t.ok(has(name, IDENTITY), name);
  }
  for (const name of ['Host', 'User-Agent', 'Origin', 'X-Forwarded', 'Authorization'])
    t.notOk(has(name, IDENTITY), name);
});

t.test('values that no log may show', async (t) => {
  for (const name of ['Authorization', 'Proxy-Authorization', 'Cookie', 'Set-Cookie', 'Sec-WebSocket-Protocol']) {
    t.ok(has(name, SECRET), name);
  }
});

t.test('what frames, routes, authenticates or identifies stays out of trailers', async (t) => {
  const names = ['Content-Length', 'Transfer-Encoding', 'Host', 'Authorization', 'Set-Cookie', 'Trailer', 'Connection'];
  for (const name of [...names, 'X-Forwarded-For', 'Content-Encoding', 'Access-Control-Allow-Origin', 'Location']) {
    t.ok(has(name, NO_TRAILER), name);
  }
  for (const name of ['Server-Timing', 'Digest', 'grpc-status', 'X-Checksum', 'ETag'])
    t.equal(fieldFlags(name), 0, name);
});

t.test('only two fields frame a message', async (t) => {
  for (const name of ['content-length', 'transfer-encoding']) t.ok(has(name, FRAMING), name);
  for (const name of ['trailer', 'expect', 'connection', 'content-type']) t.notOk(has(name, FRAMING), name);
});

t.test('a spelling with _ or . of a guarded field is an alias', async (t) => {
  const aliases = ['X_Forwarded_For', 'X-Forwarded_For', 'X.Forwarded.For', 'x_real_ip', 'Content_Length'];
  aliases.push('Transfer_Encoding', 'X_Request_Id', 'Client_Cert', 'Client.Cert-Chain', 'Proxy_Authorization');
  aliases.push('proxy_', 'Proxy_Anything', 'X_Forwarded_Anything', 'HTTP2_Settings', 'Proxy.Connection');
  for (const name of aliases) t.ok(isGuardedAlias(name), name);
  for (const name of [
    'X-Forwarded-For',
    'Authorization',
    'X_Custom',
    'a.b',
    'Content_Type',
    'HOST_',
    'Proxy-Anything',
  ]) {
    t.notOk(isGuardedAlias(name), name);
  }
});

t.test('every guarded field is guarded in both spellings', async (t) => {
  const guarded = ['connection', 'te', 'upgrade', 'content-length', 'transfer-encoding', 'trailer', 'expect', 'host'];
  for (const name of [...guarded, 'authorization', 'cookie', 'forwarded', 'x-real-ip', 'x-request-id', 'client-cert']) {
    t.ok(has(name, GUARDED), name);
    if (!name.includes('-')) continue;
    t.ok(isGuardedAlias(name.replaceAll('-', '_')), `${name} with _`);
    t.ok(isGuardedAlias(name.replaceAll('-', '.').toUpperCase()), `${name} with . and capitals`);
  }
});

t.test('what says by which certificate a client proved who it is', async (t) => {
  for (const name of [
    ...[
      'Client-Cert',
      'Client-Cert-Chain',
      'X-Client-Cert',
      'X-Client-Certificate',
      'X-SSL-Client-Cert',
      'X-SSL-Client-CN',
    ],
    ...['SSL-Client-Verify', 'ssl-client-subject-dn', 'X-SSL-Cert', 'X-TLS-Client-Cert', 'X-ARR-ClientCert'],
    ...['X-Forwarded-Client-Cert', 'X-Forwarded-Tls-Client-Cert', 'X-Forwarded-Tls-Client-Cert-Info'],
  ]) {
    t.ok(has(name, IDENTITY) && has(name, CLIENT_CERTIFICATE) && has(name, SECRET) && has(name, NO_TRAILER), name);
    t.ok(has(name, PROTECTED), 'and Connection cannot delete it');
    t.ok(isGuardedAlias(name.replaceAll('-', '_')), `${name} with _`);
  }
  for (const name of ['X-Client-Id', 'X-SSL', 'X-Forwarded-SSL', 'SSL-Clients', 'X-Client']) {
    t.notOk(has(name, CLIENT_CERTIFICATE), name);
  }
});

t.test('a name is the same in any letter case, and no other name is', async (t) => {
  for (const field of ['content-length', 'Content-Length', 'CONTENT-LENGTH', 'cONTENT-lENGTH'])
    t.ok(isNamed(field, 'content-length'), field);
  // A letter and its neighbours in bit 5: `M` and `-`, `@` and a backtick.
  for (const field of ['content-lengths', 'content-lengt', 'content\rlength', 'contentMlength', 'content_length', ''])
    t.notOk(isNamed(field, 'content-length'), JSON.stringify(field));
});

t.test('a known name is the same text again', async (t) => {
  const name = `X-Known-${'a'.repeat(8)}`;
  t.equal(knownName(name), name);
  t.equal(knownName('x'.repeat(65)), undefined, 'one that is too long is not remembered');
  t.equal(lowerName(name), name.toLowerCase());
  t.equal(lowerName('X'.repeat(65)), 'x'.repeat(65));
});

t.test('what Connection nominates', async (t) => {
  t.equal(nominatedFields(['Host', 'a']), undefined);
  t.equal(nominatedFields(['Connection', 'keep-alive']), undefined);
  t.equal(nominatedFields(['Connection', 'close']), undefined);
  t.same(nominatedFields(['Connection', 'Close']), new Set(['close']));
  t.same(nominatedFields(['Connection', 'close', 'connection', 'X-A, X-B, x-a']), new Set(['close', 'x-a', 'x-b']));
});

t.test('reading a flat list', async (t) => {
  const headers = [
    'Accept',
    'a',
    'X-List',
    'One, two',
    'x-list',
    ' ,THREE ,,',
    'Host',
    'first',
    'hOST',
    'second',
    'Empty',
    '',
  ];
  t.equal(firstValue(headers, 'host'), 'first');
  t.equal(firstValue(headers, 'empty'), '');
  t.equal(firstValue(headers, 'first'), undefined, 'a value is no name');
  t.equal(firstValue([], 'host'), undefined);
  t.strictSame(allValues(headers, 'host'), ['first', 'second']);
  t.strictSame(allValues(headers, 'absent'), []);
  t.equal(countOf(headers, 'host'), 2);
  t.equal(countOf(headers, 'hos'), 0);
  t.strictSame(listMembers(headers, 'x-list'), ['one', 'two', 'three']);
  t.strictSame(listMembers(headers, 'empty'), []);
});
