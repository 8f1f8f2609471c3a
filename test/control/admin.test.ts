// The admin listener: what orchestrators, people and scrapers are told about this instance.

import { once } from 'node:events';
import { request } from 'node:http';
import { type AddressInfo, connect, createServer } from 'node:net';
import t from 'tap';
import { openAdmin, type Told } from '../../src/control/admin.ts';
import type { Check } from '../../src/control/checks.ts';
import type { Overview } from '../../src/control/status/overview.ts';
import { freePort, waitFor } from '../support/ports.ts';

interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

function ask(port: number, path: string, method = 'GET', headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((answered, failed) => {
    const asking = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => answered({ status: response.statusCode, headers: response.headers, text }));
    });
    asking.on('error', failed);
    asking.end();
  });
}

let checks: Check[] = [];
let overview: Overview | undefined;
const told: Told = {
  overview: async () => {
    if (overview === undefined) throw new Error('a worker did not answer');
    return overview;
  },
  checks: () => Promise.resolve(checks),
  scrape: async (accept) => {
    if (accept === 'broken') throw new Error('a worker did not answer');
    return { contentType: 'text/x-metrics', text: `accepted ${accept}\n` };
  },
};
const port = await freePort();
const admin = await openAdmin('127.0.0.1', port, told);
t.teardown(() => admin.close());
t.beforeEach(() => {
  overview = { ready: true, summary: ['Portico', 'ready'], checks: [], tables: [] };
  checks = [
    { name: 'configuration', ok: true },
    { name: 'listeners', ok: true, detail: '2 of 2 workers serve' },
  ];
});

t.test('ready', async (t) => {
  for (const path of ['/readyz', '/healthz', '/livez', '/readyz?', '/readyz?verbosely']) {
    const { status, text, headers } = await ask(port, path);
    t.strictSame([status, text], [200, 'ok\n'], path);
    t.match(headers, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' });
  }
});

t.test('verbose lists the checks', async (t) => {
  for (const path of ['/readyz?verbose', '/readyz?a=b&verbose=1']) {
    const { status, text } = await ask(port, path);
    t.equal(status, 200);
    t.equal(text, '[+]configuration ok\n[+]listeners ok: 2 of 2 workers serve\nreadyz check passed\n', path);
  }
  t.equal((await ask(port, '/livez?verbose')).text, '[+]process ok\nlivez check passed\n');
  t.match((await ask(port, '/healthz?verbose')).text, /\nhealthz check passed\n$/);
});

t.test('not ready: 503, and why without asking; alive all the same', async (t) => {
  checks.push({ name: 'not-draining', ok: false });
  for (const path of ['/readyz', '/healthz', '/readyz?verbose']) {
    const { status, text } = await ask(port, path);
    t.equal(status, 503, path);
    t.match(text, /^\[\+\]configuration ok\n.*\n\[-\]not-draining failed\n\w+ check failed\n$/, path);
  }
  t.equal((await ask(port, '/livez')).status, 200);
});

t.test('a check that only warns is told, and the door is ready', async (t) => {
  checks.push({ name: 'upstream-backend', ok: true, warns: true, detail: 'the last connect failed to backend:80' });
  t.strictSame(await ask(port, '/readyz').then(({ status, text }) => [status, text]), [200, 'ok\n']);
  const { status, text } = await ask(port, '/readyz?verbose');
  t.equal(status, 200);
  t.match(text, /\n\[!\]upstream-backend warn: the last connect failed to backend:80\nreadyz check passed\n$/);
});

t.test('checks are asked anew for each request', async (t) => {
  t.equal((await ask(port, '/readyz')).status, 200);
  checks = [{ name: 'certificate', ok: false, detail: 'valid until yesterday' }];
  t.equal((await ask(port, '/readyz')).text, '[-]certificate failed: valid until yesterday\nreadyz check failed\n');
});

t.test('metrics, in the form that the scraper accepts', async (t) => {
  t.match(await ask(port, '/metrics', 'GET', { Accept: 'text/plain' }), {
    status: 200,
    headers: { 'content-type': 'text/x-metrics', 'cache-control': 'no-store' },
    text: 'accepted text/plain\n',
  });
  t.match(await ask(port, '/metrics?x', 'GET'), { status: 200, text: 'accepted \n' });
  t.match(await ask(port, '/metrics', 'GET', { Accept: 'broken' }), { status: 500, text: /a worker did not answer/ });
});

t.test('HEAD, other methods, other paths', async (t) => {
  const { status, text } = await ask(port, '/readyz', 'HEAD');
  t.strictSame([status, text], [200, '']);
  for (const method of ['POST', 'DELETE', 'OPTIONS']) {
    t.match(await ask(port, '/readyz', method), { status: 405, headers: { allow: 'GET, HEAD' } }, method);
  }
  for (const path of ['/readyz/', '//readyz', '/x', '/Readyz', '/metrics/../readyz'])
    t.equal((await ask(port, path)).status, 404, path);
});

t.test('the status: a page for browsers, text for terminals', async (t) => {
  const accept = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';
  const page = await ask(port, '/', 'GET', { Accept: accept });
  t.match(page, {
    status: 200,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'content-security-policy': /^default-src 'none';/,
      'x-content-type-options': 'nosniff',
    },
    text: /^<!doctype html>[\s\S]*<h1>Portico · ready<\/h1>/,
  });
  t.match(await ask(port, '/', 'GET', { Accept: '*/*' }), {
    status: 200,
    headers: { 'content-type': 'text/plain; charset=utf-8' },
    text: /^Portico · ready\n/,
  });
  overview = undefined;
  t.match(await ask(port, '/'), { status: 500, text: /could not be put together: a worker did not answer/ });
});

t.test('the status on loopback is for names that no other site can have', async (t) => {
  for (const host of ['localhost', 'LOCALHOST:9180', 'portico.localhost:1', '127.0.0.1:9180', '[::1]:9180', '10.0.0.1'])
    t.equal((await ask(port, '/', 'GET', { Host: host })).status, 200, host);
  for (const host of [
    'evil.example',
    'evil.example:9180',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '[evil]',
  ])
    t.match(await ask(port, '/', 'GET', { Host: host }), { status: 421, text: `http://127.0.0.1:${port}/` }, host);
  t.equal(
    (await ask(port, '/readyz', 'GET', { Host: 'portico.internal' })).status,
    200,
    'probes are asked by any name',
  );
});

t.test('a port that is taken by something else rejects with the reason', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  t.teardown(() => other.close());
  const taken = (other.address() as AddressInfo).port;
  await t.rejects(openAdmin('127.0.0.1', taken, told), { code: 'EADDRINUSE' });
});

const skip = process.platform === 'linux' ? false : 'ports are not shared there';

t.test('two answer on one port, so that one may take over from the other', { skip }, async (t) => {
  const shared = await freePort();
  const first = await openAdmin('127.0.0.1', shared, told);
  const second = await openAdmin('127.0.0.1', shared, told);
  t.teardown(() => second.close());
  first.close();
  for (let i = 0; i < 10; i++) t.equal((await ask(shared, '/livez')).status, 200);
});

t.test('close ends the connections and frees the port', async (t) => {
  const other = await freePort();
  const closing = await openAdmin('127.0.0.1', other, told);
  const socket = connect(other, '127.0.0.1');
  await once(socket, 'connect');
  socket.resume();
  const closed = once(socket, 'close');
  // An answer first, so that the connection is known to be accepted.
  socket.write('GET /livez HTTP/1.1\r\nHost: a\r\n\r\n');
  await once(socket, 'data');
  closing.close();
  await closed;
  const server = createServer().listen(other, '127.0.0.1');
  await once(server, 'listening');
  server.close();
  t.pass('closed and bound anew');
});

t.test('handed over, it takes nobody new and answers who was there before', async (t) => {
  const own = await freePort();
  const leaving = await openAdmin('127.0.0.1', own, told);
  t.teardown(() => leaving.close());
  const early = connect(own, '127.0.0.1');
  t.teardown(() => early.destroy());
  await once(early, 'connect');
  await leaving.handOver();
  early.write('GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  t.match(String((await once(early, 'data'))[0]), /^HTTP\/1\.1 200 OK\r\n/);
  await t.rejects(ask(own, '/readyz'), { code: 'ECONNREFUSED' });
});

t.test('connections that never finish their request do not keep health from answering for long', async (t) => {
  const sockets = Array.from({ length: 100 }, () => connect(port, '127.0.0.1').on('error', () => {}));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  for (const socket of sockets) socket.write('GET /livez HTTP/1.1\r\nHost: a\r\nX: ');
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  const isAnswered = () =>
    ask(port, '/livez')
      .then(({ status }) => status === 200)
      .catch(() => false);
  t.notOk(await isAnswered(), 'all places are taken');
  await waitFor(isAnswered, 9_000, 'an answer');
});
