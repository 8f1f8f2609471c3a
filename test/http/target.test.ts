// Request targets and authorities: one reading each, or a refusal; prefixes on segment boundaries.

import t from 'tap';
import { hasDotSegment, hasPrefix, readAuthority, readTarget, stripPrefix } from '../../src/http/target.ts';

t.test('origin-form is taken byte for byte', async (t) => {
  const paths = [
    '/',
    '//login',
    '/_api//x',
    '/a%2Fb',
    '/caf\xe9',
    '/a~b@c;d=e,f',
    '/x?',
    '/?a=/../b',
    '/a?b?c',
    '/%00',
  ];
  paths.push('/...', '/a..b', '/..a', '/a/.well-known', '/%2e%2e%2e', '/.a', "/a'b(c)", '/%zz', '/a\\b', '/:80', '/*');
  for (const path of paths) t.strictSame(readTarget('GET', path), { path, authority: undefined }, path);
});

t.test('absolute-form gives an authority, and a path that is never empty', async (t) => {
  t.strictSame(readTarget('GET', 'http://a.example/x?y'), { path: '/x?y', authority: 'a.example' });
  t.strictSame(readTarget('GET', 'HTTPS://A.example:8000'), { path: '/', authority: 'A.example:8000' });
  t.strictSame(readTarget('GET', 'http://a.example?q'), { path: '/?q', authority: 'a.example' });
  t.strictSame(readTarget('GET', 'http://a.example//b'), { path: '//b', authority: 'a.example' });
  t.strictSame(readTarget('GET', 'http:///x'), { path: '/x', authority: '' }, 'an empty one is for admit to refuse');
  t.strictSame(readTarget('GET', 'http://u@a.example/'), { path: '/', authority: 'u@a.example' });
});

t.test('the asterisk is for OPTIONS, also as an absolute-form without a path', async (t) => {
  t.strictSame(readTarget('OPTIONS', '*'), { path: '*', authority: undefined });
  t.strictSame(readTarget('OPTIONS', 'http://a.example:80'), { path: '*', authority: 'a.example:80' });
  t.strictSame(readTarget('OPTIONS', 'http://a.example/'), { path: '/', authority: 'a.example' });
  t.strictSame(readTarget('OPTIONS', 'http://a.example?q'), { path: '/?q', authority: 'a.example' });
  for (const method of ['GET', 'POST', 'options']) t.type(readTarget(method, '*'), 'string', method);
});

t.test('what is no target is refused with a reason', async (t) => {
  const targets = [
    '',
    'a',
    'login',
    '?x',
    '*x',
    'a.example:443',
    'ftp://a/',
    'http:/a/',
    'http:a',
    'javascript:alert(1)',
  ];
  targets.push(
    '/a b',
    '/a\tb',
    '/a\nb',
    '/a\rb',
    '/\x00',
    '/a\x7f',
    '/a#b',
    '#',
    'http://a/#b',
    ' /',
    '/ ',
    '\\a',
    '.',
    '..',
  );
  for (const target of targets) {
    const read = readTarget('GET', target);
    t.ok(typeof read === 'string' && read.length > 10, JSON.stringify(target));
  }
});

t.test('a dot segment in any spelling is refused', async (t) => {
  const paths = ['/.', '/..', '/./', '/../', '/a/..', '/a/./b', '/a/../b', '//..', '/..?x', '/.?', '/%2e', '/%2E%2e/'];
  paths.push(
    '/.%2e',
    '/%2e.',
    '/a%2f..',
    '/a%2F%2e%2E%2fb',
    '/a\\..\\b',
    '/..\\',
    '/a%5c..',
    '/..%5Cb',
    '/..%2f',
    '/..;',
  );
  paths.push('/..;/x', '/.;a=b/x', '/..%3bx', '/%2e%2e%3B/', '/_api/..', '/_api/%2e%2e/', '/\\..', '/.\\.');
  for (const path of paths) {
    t.ok(hasDotSegment(path), path);
    t.match(readTarget('GET', path), /dot segment/, path);
    t.match(readTarget('GET', `http://a.example${path}`), /dot segment/, `absolute ${path}`);
  }
  for (const path of ['/a?/../b', '/...', '/a..', '/..a', '/a.b', '/%2e%2e%2e', '/a%2eb', '/%252e%252e/']) {
    t.notOk(hasDotSegment(path), path);
  }
});

t.test('an authority is a host in lower case, and a port', async (t) => {
  const cases: [string, string, number | undefined][] = [
    ['Toucan.Example.COM', 'toucan.example.com', undefined],
    ['a:80', 'a', 80],
    ['a:0', 'a', 0],
    ['a:65535', 'a', 65535],
    ['127.0.0.1:8000', '127.0.0.1', 8000],
    ['[::1]', '[::1]', undefined],
    ['[FE80::A]:443', '[fe80::a]', 443],
    ['my_service.stack_default', 'my_service.stack_default', undefined],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example', undefined],
    ['a-b.c-d', 'a-b.c-d', undefined],
  ];
  for (const [value, host, port] of cases) t.strictSame(readAuthority(value), { host, port }, value);
});

t.test('what is no authority is refused', async (t) => {
  const values = [
    '',
    ':',
    ':80',
    'a:',
    'a:b',
    'a:80:80',
    'a:65536',
    'a:123456',
    'a:-1',
    'a: 80',
    'a b',
    ' a',
    'a ',
    'a\t',
  ];
  values.push(
    'a/b',
    'a\\b',
    'a@b',
    'a?b',
    'a#b',
    'a,b',
    'a%2eb',
    'a..b',
    '.a',
    'a.',
    '-a',
    'a-',
    'a.-b',
    'a\x00',
    'a\r\nb',
  );
  values.push(
    '[::1',
    '::1',
    '[::1]x',
    '[::1]:',
    '[g::1]',
    '[]',
    '[a b]',
    'caf\xe9',
    '*.a',
    'a<b',
    'a"b',
    'http://a',
    `${'a'.repeat(256)}`,
  );
  for (const value of values) t.equal(readAuthority(value), undefined, JSON.stringify(value));
  t.not(readAuthority('a'.repeat(255)), undefined);
});

t.test('a prefix fits on segment boundaries only', async (t) => {
  for (const path of ['/_api', '/_api/', '/_api/x', '/_api//x', '/_api?x', '/_api/%5Fapi'])
    t.ok(hasPrefix(path, '/_api'), path);
  const others = [
    '/',
    '/_apix',
    '/_ap',
    '/_API',
    '/%5Fapi/x',
    '//_api/x',
    '/x/_api',
    '/?/_api',
    '/_api;x/y',
    '/_api%2Fx',
    '/_api\\x',
  ];
  for (const path of others) t.notOk(hasPrefix(path, '/_api'), path);
  t.ok(hasPrefix('/anything', ''));
});

t.test('a prefix goes, and of the slashes behind it one stays', async (t) => {
  const cases: [string, string][] = [
    ['/_api', '/'],
    ['/_api/', '/'],
    ['/_api/x', '/x'],
    ['/_api//x', '/x'],
    ['/_api///x//y/', '/x//y/'],
    ['/_api?x=1', '/?x=1'],
    ['/_api/?x=//1', '/?x=//1'],
    ['/_api//', '/'],
    ['/_api/a%20b~c%2F?d=%2F', '/a%20b~c%2F?d=%2F'],
    ['/_api/_api/x', '/_api/x'],
  ];
  for (const [path, expected] of cases) t.equal(stripPrefix(path, '/_api'), expected, path);
  t.equal(stripPrefix('//x', ''), '//x', 'nothing is stripped, nothing is changed');
});
