// Route: the longest path that fits or none, and hosts by their name, else by the wildcard of one label.

import t from 'tap';
import { type Host, LIMITS, type Route } from '../../src/model/snapshot.ts';
import { findHost, findRoute } from '../../src/policy/route.ts';

const route = (path: string): Route => ({
  name: `to ${path}`,
  path,
  prefix: '',
  action: { kind: 'proxy', pool: 'p', base: false },
  answers: 'page',
  compress: false,
  limits: LIMITS,
});
const host: Host = { name: 'a', routes: [route('/_api/v2'), route('/_api'), route('')] };

t.test('prefixes fit on segment boundaries, longest first', async (t) => {
  const cases: [path: string, fits: string][] = [
    ['/_api/v2', '/_api/v2'],
    ['/_api/v2/x', '/_api/v2'],
    ['/_api/v2?x', '/_api/v2'],
    ['/_api/v20', '/_api'],
    ['/_api', '/_api'],
    ['/_api//v2', '/_api'],
    ['/_apix', ''],
    ['/', ''],
    ['//_api/x', ''],
    ['/%5Fapi/x', ''],
    ['/x?/_api/', ''],
    ['*', ''],
  ];
  for (const [path, fits] of cases) t.equal(findRoute(host, path)?.path, fits, path);
});

t.test('a host with one route serves all by it', async (t) => {
  const single: Host = { name: 'b', routes: [route('')] };
  for (const path of ['/', '/_api', '*', '//']) t.equal(findRoute(single, path), single.routes[0], path);
});

t.test('a host without a route for all paths has none for the rest', async (t) => {
  const partial: Host = { name: 'c', routes: [route('/_api')] };
  t.equal(findRoute(partial, '/_api/x')?.path, '/_api');
  for (const path of ['/', '/_apix', '*']) t.equal(findRoute(partial, path), undefined, path);
});

t.test('hosts: exact, else the wildcard of one label', async (t) => {
  const names = ['a.example', '*.example', '*.b.example', 'localhost'];
  const hosts = new Map(names.map((name): [string, Host] => [name, { name, routes: [route('')] }]));
  const cases: [asked: string, found: string | undefined][] = [
    ['a.example', 'a.example'],
    ['x.example', '*.example'],
    ['b.example', '*.example'],
    ['x.b.example', '*.b.example'],
    ['x.a.example', undefined],
    ['x.y.b.example', undefined],
    ['example', undefined],
    ['.example', undefined],
    ['localhost', 'localhost'],
    ['[::1]', undefined],
    ['', undefined],
  ];
  for (const [asked, found] of cases) t.equal(findHost(hosts, asked)?.name, found, asked);
});
