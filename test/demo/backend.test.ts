// The demo's backend answers as the product's API does, bounds what it takes, and survives whoever leaves early.

import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { WebSocket } from 'ws';
import { startDemoBackend } from '../../src/demo/backend.ts';

const backend = await startDemoBackend();
t.teardown(() => backend.close());
const base = `http://127.0.0.1:${backend.port}`;

const LOGIN = JSON.stringify({ username: 'demo', password: 'demo' });
const loggedIn = await fetch(`${base}/login`, { method: 'POST', body: LOGIN });
const { token } = (await loggedIn.json()) as { token: string };
const authorization = { Authorization: `Bearer ${token}` };

t.test('status tells name, version and start, as exactly application/json', async (t) => {
  const response = await fetch(`${base}/`);
  t.equal(response.status, 200);
  t.equal(response.headers.get('content-type'), 'application/json');
  t.match(await response.json(), { name: 'portico-demo-backend', version: /^\d/, started: /^\d{4}-/ });
});

t.test('HEAD answers like GET, without the body', async (t) => {
  const response = await fetch(`${base}/`, { method: 'HEAD' });
  t.equal(response.status, 200);
  t.equal(await response.text(), '');
});

t.test('a login gives a token and a cookie', async (t) => {
  t.equal(loggedIn.status, 200);
  t.match(token, /^[\w-]{40,}$/, 'fit for a subprotocol');
  t.match(loggedIn.headers.get('set-cookie'), /; Path=\/; HttpOnly; SameSite=Lax$/);
});

t.test('behind TLS the cookie is one that another site may send', async (t) => {
  const headers = { 'X-Forwarded-Proto': 'https' };
  const response = await fetch(`${base}/login`, { method: 'POST', body: LOGIN, headers });
  t.match(response.headers.get('set-cookie'), /; Secure; SameSite=None$/);
});

t.test('the doubled slash of a base route with a trailing slash is one', async (t) => {
  const response = await fetch(`${base}//login`, { method: 'POST', body: LOGIN });
  t.equal(response.status, 200);
});

t.test('a wrong password is 401', async (t) => {
  const body = JSON.stringify({ username: 'demo', password: 'guess' });
  await refused(t, await fetch(`${base}/login`, { method: 'POST', body }), 401);
});

t.test('a body that is no JSON object is 400', async (t) => {
  for (const body of ['{', '[]', 'null', '"demo"', '\xff']) {
    await refused(t, await fetch(`${base}/login`, { method: 'POST', body }), 400);
  }
});

t.test('an oversize body is 413, announced or not', async (t) => {
  const body = new Uint8Array(300 * 1024).fill(0x20);
  await refused(t, await fetch(`${base}/login`, { method: 'POST', body }), 413);
  const stream = new Blob([body]).stream();
  await refused(t, await fetch(`${base}/login`, { method: 'POST', body: stream, duplex: 'half' }), 413);
});

t.test('what needs a user is 401 without a token, or with a wrong one', async (t) => {
  const routes = [
    ['GET', '/auth/check'],
    ['POST', '/demo/data'],
    ['POST', '/demo/data/sources'],
  ] as const;
  for (const [method, path] of routes) {
    for (const headers of [
      {},
      { Authorization: `Bearer ${'x'.repeat(token.length)}` },
      { Authorization: 'Basic eDp5' },
    ]) {
      const response = await fetch(base + path, { method, headers });
      t.equal(response.headers.get('www-authenticate'), 'Bearer');
      await refused(t, response, 401);
    }
  }
});

t.test('the check shows what came through, and no secret', async (t) => {
  const headers = { ...authorization, 'X-Forwarded-For': '192.0.2.7', 'X-Forwarded-Proto': 'https', Cookie: 'a=b' };
  const response = await fetch(`${base}/auth/check`, { headers });
  t.equal(response.status, 200);
  t.strictSame(await response.json(), {
    user: 'demo',
    method: 'GET',
    target: '/auth/check',
    headers: {
      Host: `127.0.0.1:${backend.port}`,
      'X-Forwarded-For': '192.0.2.7',
      'X-Forwarded-Proto': 'https',
      'X-Forwarded-Host': null,
      'X-Forwarded-Port': null,
      'X-Forwarded-Prefix': null,
      'X-Request-Id': null,
    },
  });
});

t.test('a query takes its time and gives rows', async (t) => {
  const begun = performance.now();
  const response = await fetch(`${base}/demo/data?seconds=0.3`, { method: 'POST', headers: authorization, body: '{}' });
  t.ok(performance.now() - begun > 280);
  t.match(await response.json(), { seconds: 0.3, rows: [{ city: String, orders: Number, revenue: Number }] });
});

t.test('a query time that is no number is 400', async (t) => {
  for (const seconds of ['soon', '-1', 'NaN']) {
    const target = `${base}/demo/data?seconds=${seconds}`;
    await refused(t, await fetch(target, { method: 'POST', headers: authorization }), 400);
  }
});

t.test('an upload is counted and hashed', async (t) => {
  const form = new FormData();
  form.append('note', 'not a file');
  form.append('file', new File(['a;b\n1;2\n'], 'naïve name.csv', { type: 'text/csv' }));
  const response = await fetch(`${base}/demo/data/sources`, { method: 'POST', headers: authorization, body: form });
  t.strictSame(await response.json(), {
    files: [
      {
        field: 'file',
        name: 'naïve name.csv',
        type: 'text/csv',
        bytes: 8,
        sha256: '403bea5152c251c5bc7ef420d824d191605723f99392e83a0549ad58c6d46291',
      },
    ],
  });
});

t.test('an upload over the limit is 413, a broken one 400, another type 415', async (t) => {
  const target = `${base}/demo/data/sources`;
  const form = new FormData();
  form.append('file', new Blob([new Uint8Array(16 * 1024 * 1024)]));
  await refused(t, await fetch(target, { method: 'POST', headers: authorization, body: form }), 413);
  const multipart = { ...authorization, 'Content-Type': 'multipart/form-data; boundary=b' };
  await refused(t, await fetch(target, { method: 'POST', headers: multipart, body: '--b\r\nbroken' }), 400);
  const json = { ...authorization, 'Content-Type': 'application/json' };
  await refused(t, await fetch(target, { method: 'POST', headers: json, body: '{}' }), 415);
});

t.test('single sign-on: the form post sets a cookie for / and leads on without naming a host', async (t) => {
  const body = new URLSearchParams({ SAMLResponse: 'PHI+' });
  const response = await fetch(`${base}/auth/provider/demo/acs`, { method: 'POST', body, redirect: 'manual' });
  t.equal(response.status, 302);
  t.equal(response.headers.get('location'), '/auth/session');
  const cookie = response.headers.get('set-cookie')!;
  t.match(cookie, /Path=\/;/);
  const session = await fetch(`${base}/auth/session`, { headers: { Cookie: `other=1; ${cookie.split(';', 1)[0]}` } });
  t.strictSame(await session.json(), { user: 'demo' });
  t.strictSame(await (await fetch(`${base}/auth/session`)).json(), { user: null });
});

t.test('single sign-on without an assertion is 400', async (t) => {
  const body = new URLSearchParams({ RelayState: '/' });
  await refused(t, await fetch(`${base}/auth/provider/demo/acs`, { method: 'POST', body }), 400);
});

t.test('providers are listed', async (t) => {
  t.match(await (await fetch(`${base}/auth/providers`)).json(), [{ id: 'demo', acs: '/auth/provider/demo/acs' }]);
});

t.test('a redirect names a path only', async (t) => {
  const response = await fetch(`${base}/redirect`, { redirect: 'manual' });
  t.equal(response.status, 302);
  t.equal(response.headers.get('location'), '/');
});

t.test('events come one by one', async (t) => {
  const response = await fetch(`${base}/events`);
  t.equal(response.headers.get('content-type'), 'text/event-stream');
  const chunks: string[] = [];
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) chunks.push(chunk);
  t.equal(chunks.length, 5);
  t.equal(chunks[0], 'id: 1\nevent: tick\ndata: {"tick":1,"of":5}\n\n');
});

t.test('whatever is unknown is 404 JSON', async (t) => {
  await refused(t, await fetch(`${base}/nothing`), 404);
  await refused(t, await fetch(`${base}/login`), 404);
  await refused(t, await fetch(`${base}/`, { method: 'DELETE' }), 404);
});

t.test('CORS: a preflight is 204 and allows what the page sends', async (t) => {
  const headers = {
    Origin: 'https://front.example',
    'Access-Control-Request-Method': 'POST',
    'Access-Control-Request-Headers': 'authorization,content-type,x-json-flavor',
  };
  const response = await fetch(`${base}/demo/data`, { method: 'OPTIONS', headers });
  t.equal(response.status, 204);
  t.equal(response.headers.get('access-control-allow-origin'), 'https://front.example');
  t.equal(response.headers.get('access-control-allow-credentials'), 'true');
  t.match(response.headers.get('access-control-allow-methods'), /POST/);
  t.equal(response.headers.get('access-control-allow-headers'), 'Authorization, Content-Type, x-json-flavor');
});

t.test('CORS: errors and streams are readable from another origin too', async (t) => {
  for (const path of ['/', '/nothing', '/auth/check', '/events']) {
    const response = await fetch(base + path, { headers: { Origin: 'https://front.example' } });
    t.equal(response.headers.get('access-control-allow-origin'), 'https://front.example', path);
    t.equal(response.headers.get('access-control-expose-headers'), 'X-Request-Id', path);
    t.equal(response.headers.get('vary'), 'Origin', path);
    await response.body?.cancel();
  }
  t.equal((await fetch(`${base}/`)).headers.get('access-control-allow-origin'), null, 'not without an Origin');
});

t.test('the websocket greets, echoes JSON, names what is none, and closes', async (t) => {
  const socket = new WebSocket(`ws://127.0.0.1:${backend.port}/ws`, ['portico-demo', token]);
  const next = messagesOf(socket);
  t.match(await next(), { kind: 'hello', user: 'demo', time: String });
  t.equal(socket.protocol, 'portico-demo', 'and the token is not echoed in the handshake');
  socket.send('{"text":"hé"}');
  t.match(await next(), { kind: 'echo', frame: { text: 'hé' }, time: String });
  socket.send('not JSON');
  t.match(await next(), { kind: 'error', error: String });
  t.match(await next(), { kind: 'tick', time: String });
  socket.close(1000);
  t.equal((await once(socket, 'close'))[0], 1000);
});

t.test('the websocket refuses a frame that is too large', async (t) => {
  const socket = new WebSocket(`ws://127.0.0.1:${backend.port}//ws`, ['portico-demo', token]);
  await once(socket, 'open');
  socket.send('x'.repeat(70 * 1024));
  t.equal((await once(socket, 'close'))[0], 1009);
});

t.test('the websocket is 401 without the token, and 426 without an upgrade', async (t) => {
  for (const subprotocols of [[], ['portico-demo'], ['portico-demo', 'wrong'], ['other', token]]) {
    const socket = new WebSocket(`ws://127.0.0.1:${backend.port}/ws`, subprotocols);
    const [error] = (await once(socket, 'error').catch((cause) => [cause])) as [Error];
    t.match(error.message, /401/);
  }
  await refused(t, await fetch(`${base}/ws`), 426);
});

t.test('it outlives peers that leave', async (t) => {
  const leave = { method: 'POST', headers: authorization, signal: AbortSignal.timeout(100) };
  await t.rejects(fetch(`${base}/demo/data?seconds=30`, leave));
  await t.rejects(fetch(`${base}/events`, { signal: AbortSignal.timeout(100) }).then((response) => response.text()));
  await sendAndReset('POST /login HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{');
  const upload = 'POST /demo/data/sources HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n';
  const fields = `Authorization: Bearer ${token}\r\nContent-Length: 100\r\n\r\n--b`;
  // More than may run at once: each must give its place back.
  for (let upTo = 0; upTo < 6; upTo++) await sendAndReset(upload + fields);
  await sendAndReset(
    `GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: portico-demo, ${token}\r\n\r\n`,
  );
  await sendAndReset('GET * HTTP/1.1\r\nHost: a\r\n\r\n');
  await sendAndReset('nonsense\r\n\r\n');
  const form = new FormData();
  form.append('file', new Blob(['still here']));
  const response = await fetch(`${base}/demo/data/sources`, { method: 'POST', headers: authorization, body: form });
  t.equal(response.status, 200);
});

t.test('close ends queries, streams, websockets and idle connections, and may be called again', async (t) => {
  const other = await startDemoBackend();
  const there = `http://127.0.0.1:${other.port}`;
  const login = await fetch(`${there}/login`, { method: 'POST', body: LOGIN });
  const mine = ((await login.json()) as { token: string }).token;
  t.not(mine, token, 'each run has its own token');
  const headers = { Authorization: `Bearer ${mine}` };
  const query = t.rejects(fetch(`${there}/demo/data?seconds=30`, { method: 'POST', headers }));
  const events = t.rejects(fetch(`${there}/events`).then((response) => response.text()));
  const idle = connect(other.port, '127.0.0.1');
  const socket = new WebSocket(`ws://127.0.0.1:${other.port}/ws`, ['portico-demo', mine]);
  await once(socket, 'message');
  const closed = Promise.all([once(socket, 'close'), once(idle, 'close')]);
  await other.close();
  await Promise.all([query, events]);
  t.equal((await closed)[0][0], 1001);
  await other.close();
  await t.rejects(fetch(there));
});

async function refused(t: Test, response: Response, status: number): Promise<void> {
  t.equal(response.status, status);
  t.equal(response.headers.get('content-type'), 'application/json');
  t.match(await response.json(), { error: /\w/ });
}

/** Messages may come before they are asked for. */
function messagesOf(socket: WebSocket): () => Promise<unknown> {
  const arrived: unknown[] = [];
  socket.on('message', (frame) => arrived.push(JSON.parse(frame.toString())));
  return async () => {
    while (arrived.length === 0) await once(socket, 'message');
    return arrived.shift();
  };
}

async function sendAndReset(bytes: string): Promise<void> {
  const socket = connect(backend.port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(bytes);
  await setTimeout(20);
  socket.resetAndDestroy();
  if (!socket.closed) await once(socket, 'close');
}
