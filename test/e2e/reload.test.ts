// Reload: the new configuration comes into force as a whole or not at all, and what is under way lives on.

import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import t, { type Test } from 'tap';
import { WebSocket, WebSocketServer } from 'ws';
import { httpsGet } from '../support/https-get.ts';
import { fileHead, type Ground, startByFile } from '../support/portico-file.ts';
import { freePort, waitFor } from '../support/ports.ts';
import { answersOnPort } from '../support/process.ts';

const NAME = 'door.test';

/** Says its name; answers to /held wait until they are let go; websockets echo. */
async function startBackend(t: Test, says: string) {
  const held: ServerResponse[] = [];
  const server = createServer((request, response) => {
    if (request.url === '/held') held.push(response);
    else response.end(says);
  });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => socket.on('message', (message) => socket.send(`${says} ${message}`)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.close();
    server.closeAllConnections();
  });
  return { held, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const site = (url: string, more = '') => `pools:
  site:
    endpoints: ["${url}"]
hosts:
  ${NAME}:
    routes:
      - proxy: site
${more}`;

t.test('a reload swaps routes, pools and listeners; a request and a websocket under way live on', async (t) => {
  const first = await startBackend(t, 'first');
  const second = await startBackend(t, 'second');
  const [plain, other] = [await freePort(), await freePort()];
  let ground!: Ground;
  const listener = (name: string, port: number) =>
    fileHead(ground).replace(
      'admin:',
      `  ${name}:\n    kind: plain\n    address: 127.0.0.1\n    port: ${port}\nadmin:`,
    );
  const door = await startByFile(t, [NAME], (given) => {
    ground = given;
    return listener('plain', plain) + site(first.url);
  });
  const get = (path: string) => httpsGet(door.httpsPort, NAME, path, door.certificate.ca);
  const onPlain = (port: number) =>
    fetch(`http://127.0.0.1:${port}/`, { headers: { Host: NAME } }).then(
      (answer) => answer.status,
      () => 0,
    );
  t.equal((await get('/')).text, 'first');
  t.equal((await get('/new')).text, 'first');
  t.not(await onPlain(plain), 0);

  const held = get('/held');
  await waitFor(() => first.held.length === 1, 5_000, 'the request to reach the backend');
  const socket = new WebSocket(`wss://127.0.0.1:${door.httpsPort}/ws`, {
    ...{ headers: { Host: NAME }, servername: NAME, ca: door.certificate.ca },
  });
  t.teardown(() => socket.terminate());
  await once(socket, 'open');
  const echo = async (text: string) => {
    socket.send(text);
    return String((await once(socket, 'message'))[0]);
  };
  t.equal(await echo('a'), 'first a');

  door.write(
    listener('other', other) +
      site(second.url, '      - path: /new\n        reply: { status: 200, body: made here }\n'),
  );
  const reloaded = await door.command('reload');
  t.match(reloaded, { code: 0, stdout: 'reloaded (generation 2)\n' });
  t.notMatch(reloaded.stderr, /restart|failed/);
  for (let i = 0; i < 8; i++) {
    // More often than there are workers: each of them has it.
    t.match(await Promise.all([get('/'), get('/new')]), [{ text: 'second' }, { text: 'made here' }]);
  }
  t.not(await onPlain(other), 0, 'the new listener is open');
  t.notOk(await answersOnPort(plain), 'the old one is closed');
  t.equal(await echo('b'), 'first b', 'the websocket is where it was');
  first.held[0]!.end('whole');
  t.match(await held, { status: 200, text: 'whole' });
});

t.test('a listener that moves says goodbye, and what it still holds in the end is not said to have left', async (t) => {
  const backend = await startBackend(t, 'here');
  const more = 'limits:\n  drainTimeout: 4s\n';
  let ground!: Ground;
  const door = await startByFile(t, [NAME], (given) => {
    ground = given;
    return fileHead(given) + site(backend.url, more);
  });
  const open = async () => {
    const session = connectHttp2(`https://${NAME}:${door.httpsPort}`, {
      ca: door.certificate.ca,
      servername: NAME,
      lookup: (_host, _options, answer) => answer(null, [{ address: '127.0.0.1', family: 4 }]),
    });
    t.teardown(() => session.destroy());
    await once(session, 'remoteSettings');
    return session;
  };
  const fresh = await open();
  const busy = await open();
  const held = busy.request({ ':path': '/held' });
  const answer = once(held, 'response');
  held.resume();
  const get = httpsGet(door.httpsPort, NAME, '/held', door.certificate.ca);
  const socket = new WebSocket(`wss://127.0.0.1:${door.httpsPort}/ws`, {
    ...{ headers: { Host: NAME }, servername: NAME, ca: door.certificate.ca },
  });
  await once(socket, 'open');
  const closed = once(socket, 'close');
  await waitFor(() => backend.held.length === 2, 5_000, 'the requests to reach the backend');

  door.write(fileHead({ ...ground, httpsPort: await freePort() }) + site(backend.url, more));
  t.match(await door.command('reload'), { code: 0 });
  const goodbye = once(fresh, 'goaway');
  const first = fresh.request({ ':path': '/' });
  first.resume();
  t.match(await once(first, 'response'), [{ ':status': 200 }], 'its first request may have been on its way');
  await goodbye;

  t.match(await answer, [{ ':status': 503 }]);
  t.match(await get, { status: 503, text: /drain|close/ });
  await closed;
  const ended = () => door.logs().filter(({ failure }) => failure !== undefined);
  await waitFor(() => ended().length === 3, 5_000, 'the access lines');
  t.strictSame(
    ended()
      .map(({ status, failure }) => `${status} ${failure}`)
      .sort(),
    ['101 drain_deadline', '503 drain_deadline', '503 drain_deadline'],
  );
});

t.test('a broken file changes nothing, and says so everywhere', async (t) => {
  const backend = await startBackend(t, 'here');
  let ground!: Ground;
  const door = await startByFile(t, [NAME], (given) => {
    ground = given;
    return fileHead(given) + site(backend.url);
  });
  const good = fileHead(ground) + site(backend.url);
  const taken = createTcpServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.teardown(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  for (const [text, says] of [
    [
      good.replace('proxy: site', 'proxy: sight'),
      /portico\.yaml:19:16 hosts\["door\.test"\].*no pool is named "sight" \(/,
    ],
    [good.replace('admin:', 'admin: ['), /portico\.yaml:\d+:\d+ /],
    [good.replace('key.pem', 'none.pem'), /portico\.yaml:12:10 certificates\[0\]\.key: .*none\.pem does not exist/],
    [
      good.replace('admin:', `  b:\n    kind: plain\n    address: 127.0.0.1\n    port: ${port}\nadmin:`),
      /listeners\.b\.port: .*is taken by another process/,
    ],
    [
      good.replace('address: 127.0.0.1', 'address: 192.0.2.1'),
      /portico\.yaml:4:14 listeners\.https\.address: .*this machine has no such address \(give an address/,
    ],
  ] as const) {
    door.write(text);
    // The file that cannot be parsed does not tell where the instance is; a signal reaches it all the same.
    if (text.includes('admin: [')) {
      const before = door.logs().length;
      door.process.signal('SIGHUP');
      await waitFor(
        () =>
          door
            .logs()
            .slice(before)
            .some(({ error }) => says.test(String(error))),
        5_000,
        'the refusal',
      );
    } else {
      const { code, stderr } = await door.command('reload');
      t.equal(code, 1);
      t.match(stderr, /^portico: the reload failed, everything stays as it was:\n/);
      t.match(stderr, says);
    }
    t.equal((await httpsGet(door.httpsPort, NAME, '/', door.certificate.ca)).text, 'here');
  }
  const admin = async (path: string) => (await fetch(`http://127.0.0.1:${door.adminPort}${path}`)).text();
  t.match(await admin('/readyz?verbose'), /\[\+\]configuration ok: the last reload failed; in force since 20/);
  t.match(await admin('/metrics'), 'portico_config_last_reload_successful 0');

  door.write(`${good}log:\n  level: debug\n`);
  const fixed = await door.command('reload');
  t.match(fixed, {
    code: 0,
    stderr: /warning: a restart is needed for the change of log\.level \(info until then\)\n/,
  });
  t.match(await admin('/metrics'), 'portico_config_last_reload_successful 1');
  t.match(await admin('/readyz?verbose'), /\[\+\]configuration ok\n/);
});

t.test('limits, header rules and actions of a route, as they reach a client', async (t) => {
  const server = createServer((request, response) => {
    response.setHeader('X-Inner', '1');
    request.resume().on('end', () => response.end(JSON.stringify(request.headers)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const door = await startByFile(
    t,
    [NAME, '*.wild.test'],
    (ground) =>
      `${fileHead(ground)}pools:
  site:
    endpoints: ["${url}"]
    host: bucket.example
hosts:
  ${NAME}:
    routes:
      - path: /api
        name: api
        answers: json
        proxy: site
        request:
          set: { X-Set: one }
          remove: [X-Gone]
        response:
          remove: [X-Inner]
          add: { X-Added: "yes" }
      - path: /small
        proxy: site
        limits: { downstream: { bodyBytes: 1 } }
  "*.wild.test":
    routes:
      - redirect: { to: "https://${NAME}{uri}" }
`,
  );
  const { ca } = door.certificate;
  const api = await httpsGet(door.httpsPort, NAME, '/api/x', ca);
  t.match(JSON.parse(api.text), {
    host: 'bucket.example',
    'x-set': 'one',
    'x-forwarded-host': `${NAME}:${door.httpsPort}`,
  });
  t.equal(api.headers['x-inner'], undefined);
  t.equal(api.headers['x-added'], 'yes');
  t.match(await httpsGet(door.httpsPort, NAME, '/none', ca), {
    status: 404,
    text: /no route of door\.test is for this path/,
  });
  t.match(await httpsGet(door.httpsPort, 'a.wild.test', '//evil.example/?q', ca), {
    status: 301,
    headers: { location: `https://${NAME}//evil.example/?q` },
  });
  t.match(
    await httpsGet(door.httpsPort, 'a.b.wild.test', '/', ca).catch((error: Error) => error.message),
    /altnames|does not match/i,
  );
  const explained = await door.command('explain', `https://${NAME}/api/x`);
  t.match(explained, { code: 0, stdout: /route {6}api \(path \/api\)\naction {5}proxy to the pool site/ });
  t.match(await door.command('healthcheck'), { code: 0 });
});

t.test('without an instance a reload says so', async (t) => {
  const door = await startByFile(t, [NAME], (ground) => fileHead(ground) + site('http://127.0.0.1:1'));
  await door.process.stop();
  t.match(await door.command('reload'), { code: 1, stderr: /no instance runs here/ });
});

t.test('a door without TLS gets a TLS listener and its first certificate by a reload', async (t) => {
  const backend = await startBackend(t, 'here');
  const plain = await freePort();
  let ground!: Ground;
  const door = await startByFile(t, [NAME], (given) => {
    ground = given;
    const head = fileHead(given)
      .replace(/certificates:[\s\S]*/, '')
      .replace('kind: tls', 'kind: plain');
    return head.replace(`port: ${given.httpsPort}`, `port: ${plain}`) + site(backend.url);
  });
  const ready = await fetch(`http://127.0.0.1:${door.adminPort}/readyz?verbose`);
  t.equal(ready.status, 200);
  t.match(await ready.text(), '[+]certificate ok: there is none');
  t.equal(
    (await fetch(`http://127.0.0.1:${plain}/`, { headers: { Host: NAME } })).status,
    404,
    'fetch keeps its own Host',
  );
  door.write(fileHead(ground) + site(backend.url));
  t.match(await door.command('reload'), { code: 0 });
  for (let i = 0; i < 4; i++) {
    t.equal((await httpsGet(door.httpsPort, NAME, '/', door.certificate.ca)).text, 'here');
  }
  t.notOk(await answersOnPort(plain));
});
