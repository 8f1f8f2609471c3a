// Location, Content-Location and cookie paths of an upstream, in public terms.

import t, { type Test } from 'tap';
import { type Mapping, mapCookiePath, mapLocation } from '../../src/http/location.ts';

const mapping = (more: Partial<Mapping> = {}): Mapping => ({
  prefix: '/_api',
  publicAuthority: 'toucan.example',
  publicHost: 'toucan.example',
  publicPort: 443,
  innerAuthorities: ['backend:80', '10.1.1.1:5000', '[::1]:5000'],
  isKnownHost: (host) => host === 'toucan.example' || host === 'api.example',
  ...more,
});

function table(t: Test, how: Mapping, cases: readonly (readonly [value: string, expected: string])[]): void {
  for (const [value, expected] of cases) {
    t.equal(mapLocation(value, how), expected, value);
    t.equal(mapLocation(expected, how), expected, `${expected} stays`);
  }
}

t.test('under a prefix: a path of our own gains it, once', async (t) => {
  table(t, mapping(), [
    ['/', '/_api/'],
    ['/x?y=/z#f', '/_api/x?y=/z#f'],
    ['/_api', '/_api'],
    ['/_api/x', '/_api/x'],
    ['/_api?x', '/_api?x'],
    ['/_api#x', '/_api#x'],
    ['/_apix', '/_api/_apix'],
    ['/?x', '/_api/?x'],
    ['/#x', '/_api/#x'],
    ['/%5Fapi', '/_api/%5Fapi'],
  ]);
});

t.test('under a prefix: the inner and the public authority become the public one', async (t) => {
  table(t, mapping(), [
    ['http://backend/x', 'https://toucan.example/_api/x'],
    ['http://BACKEND:80/x', 'https://toucan.example/_api/x'],
    ['//backend/x', 'https://toucan.example/_api/x'],
    ['http://10.1.1.1:5000', 'https://toucan.example/_api/'],
    ['http://10.1.1.1:5000?q', 'https://toucan.example/_api/?q'],
    ['http://[::1]:5000/a//b', 'https://toucan.example/_api/a//b'],
    ['http://toucan.example/login', 'https://toucan.example/_api/login'],
    ['https://toucan.example/_api/login', 'https://toucan.example/_api/login'],
    ['http://toucan.example:80/a', 'https://toucan.example/_api/a'],
    ['https://Toucan.Example:443/a', 'https://toucan.example/_api/a'],
    ['//toucan.example/a', 'https://toucan.example/_api/a'],
  ]);
});

t.test('what is not ours, or cannot be read, stays as it is', async (t) => {
  const values = [
    'https://evil.example/x',
    'http://evil.example/',
    '//evil.example/x',
    'https://toucan.example.evil.example/',
  ];
  values.push(
    'https://evil@toucan.example/',
    'https://toucan.example:8443/x',
    'http://backend:81/x',
    'https://backend/x',
  );
  values.push(
    'http://10.1.1.1/x',
    'relative',
    '../up',
    '?q',
    '#f',
    '',
    'mailto:a@b',
    'javascript:alert(1)',
    'ftp://backend/x',
  );
  values.push(
    'https://toucan.example%2f@evil.example/',
    'https:///x',
    'http://back end/',
    'https://toucan.example\\@evil.example/',
  );
  values.push(
    '/\\evil.example/',
    '/\t/evil.example',
    '///evil.example',
    'https:toucan.example',
    'https://toucan.example:x/',
  );
  table(
    t,
    mapping(),
    values.map((value) => [value, value] as const),
  );
});

t.test('another name of ours is upgraded to https, and keeps its path', async (t) => {
  table(t, mapping(), [
    ['http://api.example/x', 'https://api.example/x'],
    ['HTTP://api.example/x', 'https://api.example/x'],
    ['http://api.example', 'https://api.example'],
    ['http://API.example:80/x?y', 'https://api.example/x?y'],
    ['https://api.example/x', 'https://api.example/x'],
    ['http://api.example:8080/x', 'http://api.example:8080/x'],
  ]);
  t.equal(mapLocation('http://api.example/x', mapping({ publicPort: 8000 })), 'https://api.example:8000/x');
});

t.test('without a prefix only authorities are mapped', async (t) => {
  table(t, mapping({ prefix: '', publicAuthority: 'toucan.example:8000', publicPort: 8000 }), [
    ['/x', '/x'],
    ['//x', '//x'],
    ['http://backend/x', 'https://toucan.example:8000/x'],
    ['http://toucan.example/x', 'https://toucan.example:8000/x'],
    ['https://toucan.example:8000/x', 'https://toucan.example:8000/x'],
    ['https://toucan.example:8001/x', 'https://toucan.example:8001/x'],
  ]);
});

t.test('the path of a cookie gains the prefix, and not a byte else changes', async (t) => {
  const cases: [string, string][] = [
    ['a=b; Path=/', 'a=b; Path=/_api'],
    ['a=b; path=/x; Secure', 'a=b; path=/_api/x; Secure'],
    ['a=b;PATH=/;HttpOnly', 'a=b;PATH=/_api;HttpOnly'],
    ['a=b; Path = / ; SameSite=None', 'a=b; Path = /_api ; SameSite=None'],
    ['a=b; Path=/_api', 'a=b; Path=/_api'],
    ['a=b; Path=/_api/x', 'a=b; Path=/_api/x'],
    ['a=b; Path=/_apix', 'a=b; Path=/_api/_apix'],
    ['a="path=/"; Domain=x; Path=/y', 'a="path=/"; Domain=x; Path=/_api/y'],
    ['path=/; Secure', 'path=/; Secure'],
    ['a=b', 'a=b'],
    ['a=b; Path=', 'a=b; Path='],
    ['a=b; Path=relative', 'a=b; Path=relative'],
    ['a=b; xpath=/', 'a=b; xpath=/'],
    ['a=b; Path=/; Path=/z', 'a=b; Path=/_api; Path=/_api/z'],
    ['__Host-a=b; Path=/; Secure', '__Host-a=b; Path=/; Secure'],
    ['__host-a=b; Path=/; Secure', '__host-a=b; Path=/; Secure'],
    ['__Secure-a=b; Path=/; Secure', '__Secure-a=b; Path=/_api; Secure'],
    ['a=\xe9; Path=/\xe9', 'a=\xe9; Path=/_api/\xe9'],
  ];
  for (const [value, expected] of cases) {
    t.equal(mapCookiePath(value, '/_api'), expected, value);
    t.equal(mapCookiePath(expected, '/_api'), expected, `${expected} stays`);
    t.equal(mapCookiePath(value, ''), value, `${value} without a prefix`);
  }
});
