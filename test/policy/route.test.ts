// Route: the longest prefix that fits, and the last route for all else.

import t from 'tap';
import type { Host, Route } from '../../src/model/snapshot.ts';
import { findRoute } from '../../src/policy/route.ts';

const route = (prefix: string): Route => ({
  name: `to ${prefix}`,
  prefix,
  action: { kind: 'proxy', pool: 'p', parameters: undefined, base: false },
  answers: 'page',
  compress: false,
});
const host: Host = { name: 'a', routes: [route('/_api/v2'), route('/_api'), route('')] };

t.test('prefixes fit on segment boundaries, longest first', async (t) => {
  const cases: [path: string, prefix: string][] = [
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
  for (const [path, prefix] of cases) t.equal(findRoute(host, path).prefix, prefix, path);
});

t.test('a host with one route serves all by it', async (t) => {
  const single: Host = { name: 'b', routes: [route('')] };
  for (const path of ['/', '/_api', '*', '//']) t.equal(findRoute(single, path), single.routes[0], path);
});
