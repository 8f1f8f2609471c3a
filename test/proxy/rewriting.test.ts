// Rewriting: parameters and the base of pages written into answers as they pass, and nothing written where it does not belong.

import { gunzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { allValues, firstValue, type Headers } from '../../src/http/headers.ts';
import type { Route } from '../../src/model/snapshot.ts';
import { HOST, local, openDoor, proxyRoute } from '../support/door.ts';
import { sendHttp1 } from '../support/http1-client.ts';
import { sendHttp2 } from '../support/http2-client.ts';
import { waitFor } from '../support/ports.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream } from '../support/raw-upstream.ts';

const PARAMETERS = { script: { API_BASEROUTE: 'https://door.test/_api', TENANT: 'a&b</script>' }, embed: {} };
const SCRIPT = '// parameters\nwindow.TC_PARAMS = { API_BASEROUTE: "__API_BASEROUTE_PLACEHOLDER__", TENANT: "" };\n';
const WANTED =
  '// parameters\nwindow.TC_PARAMS = { API_BASEROUTE: "https://door.test/_api", TENANT: "a&b\\u003c/script>" };\n';
const PATH = '/scripts/tc-params.js';

async function setUp(t: Test, route: Partial<Route> & { rewrites?: boolean; base?: boolean; frontendHost?: string }) {
  const upstream = await RawUpstream.open();
  const { prefix = '', path = prefix, compress = false, rewrites = false, base = false, frontendHost } = route;
  const more = {
    ...{ compress, base },
    ...(rewrites ? { parameters: PARAMETERS } : {}),
    ...(route.responseRules === undefined ? {} : { responseRules: route.responseRules }),
  };
  const endpoints = [local(upstream.port)];
  const door = await openDoor({
    frontend: endpoints,
    backend: endpoints,
    routes: [
      ...(path === '' ? [] : [{ ...proxyRoute('site', path, 'frontend', more), prefix }]),
      proxyRoute('site', '', 'frontend', more),
    ],
    ...(frontendHost === undefined ? {} : { frontendHost }),
  });
  t.teardown(() => {
    door.close();
    upstream.close();
  });
  const get = (target: string, headers: Headers = [], method = 'GET', send: typeof sendHttp1 = sendHttp1) =>
    send({ port: door.tlsPort, ca: door.ca, serverName: HOST }, { method, target, authority: HOST, headers });
  const warnings = () => door.lines.filter((line) => line.level === 'warn').map((line) => line.msg);
  return { upstream, door, get, warnings };
}

const answer = (type: string, body: string, more = '') =>
  `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nETag: "up"\r\nLast-Modified: Sun, 01 Jan 2023 00:00:00 GMT\r\n` +
  `Cache-Control: max-age=99\r\nAccept-Ranges: bytes\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`;

for (const send of [sendHttp1, sendHttp2]) {
  t.test(`${send.name}: parameters are written in, and the answer is ours`, async (t) => {
    const { upstream, get } = await setUp(t, { rewrites: true });
    for (const type of ['application/javascript', 'text/javascript; charset=utf-8', 'binary/octet-stream']) {
      upstream.answer(answer(type, SCRIPT));
      const seen = await get(`${PATH}?v=1`, ['Accept-Encoding', 'gzip', 'Range', 'bytes=0-1'], 'GET', send);
      t.equal(seen.status, 200);
      t.equal(seen.body.toString(), WANTED);
      t.equal(firstValue(seen.headers, 'content-length'), String(WANTED.length));
      t.equal(firstValue(seen.headers, 'cache-control'), 'no-store');
      t.equal(firstValue(seen.headers, 'content-type'), type);
      for (const name of ['last-modified', 'accept-ranges', 'vary']) t.equal(firstValue(seen.headers, name), undefined);
      const etag = firstValue(seen.headers, 'etag')!;
      t.match(etag, /^"[\w-]{27}"$/);
      const known = await get(PATH, ['If-None-Match', etag], 'GET', send);
      t.equal(known.status, 304);
      t.ok(firstValue(known.headers, 'x-request-id'));
      t.equal((await get(PATH, ['If-Match', '"other"'], 'GET', send)).status, 412);
      const head = await get(PATH, [], 'HEAD', send);
      t.equal(head.body.length, 0);
      t.equal(firstValue(head.headers, 'content-length'), String(WANTED.length));
      t.equal(firstValue(head.headers, 'etag'), etag);
    }
  });
}

t.test('the upstream is asked for all of it, plain', async (t) => {
  const { upstream, get } = await setUp(t, { rewrites: true });
  upstream.answer(answer('text/javascript', SCRIPT));
  const conditions = ['If-None-Match', '"up"', 'if-modified-since', 'x', 'If-Range', '"up"', 'Range', 'bytes=0-1'];
  await get(PATH, [...conditions, 'Accept-Encoding', 'br', 'Cookie', 'a=b'], 'HEAD');
  const request = await upstream.request();
  t.equal(request.method, 'GET');
  for (const name of ['accept-encoding', 'range', 'if-range', 'if-none-match', 'if-modified-since']) {
    t.strictSame(request.values(name), [], name);
  }
  t.strictSame(request.values('cookie'), ['a=b']);
});

t.test('only these two paths are touched, and only GET and HEAD of them', async (t) => {
  const { upstream, get } = await setUp(t, { rewrites: true });
  upstream.answer(answer('text/javascript', SCRIPT));
  for (const target of [
    '/main.js',
    '/other/scripts/tc-params.js',
    '/scripts/tc-params.js/x',
    '/__proto__',
    '/?/scripts/tc-params.js',
  ]) {
    const seen = await get(target, ['Range', 'bytes=0-1']);
    t.equal(seen.body.toString(), SCRIPT, target);
    t.equal(firstValue(seen.headers, 'etag'), '"up"');
  }
  t.equal((await get(PATH, [], 'POST')).body.toString(), SCRIPT);
  upstream.answer(answer('application/json', '{"API_BASEROUTE":"x"}'));
  t.equal((await get('/embed-params.json')).body.toString(), '{"API_BASEROUTE":"https://door.test/_api"}');
});

t.test('what is no such file passes as it is, and that is said once', async (t) => {
  const { upstream, get, warnings } = await setUp(t, { rewrites: true });
  const page = '<!doctype html><title>TC_PARAMS = {}</title>';
  upstream.answer(answer('text/html', page));
  for (let i = 0; i < 3; i++) {
    const seen = await get(PATH);
    t.equal(seen.body.toString(), page);
    t.equal(firstValue(seen.headers, 'etag'), '"up"');
    t.equal(firstValue(seen.headers, 'cache-control'), 'max-age=99');
  }
  t.equal(warnings().length, 1);
  t.match(
    warnings()[0],
    'scripts/tc-params.js is not rewritten: what the upstream answered is no such file, but text/html',
  );
  upstream.answer('HTTP/1.1 404 Not Found\r\nContent-Type: text/javascript\r\nContent-Length: 4\r\n\r\nnone');
  t.equal((await get(PATH)).body.toString(), 'none');
  upstream.answer(answer('text/javascript', 'zzzz', 'Content-Encoding: gzip\r\n'));
  t.equal((await get(PATH)).body.toString(), 'zzzz');
  t.strictSame(warnings().slice(1), [
    'scripts/tc-params.js is not rewritten: the upstream answered 404',
    'scripts/tc-params.js is not rewritten: it is stored compressed',
  ]);
});

t.test('what is left over in a file is told once for each change, without values', async (t) => {
  const { upstream, get, warnings } = await setUp(t, { rewrites: true });
  upstream.answer(answer('text/javascript', 'TC_PARAMS = { A: "__LEFT_PLACEHOLDER__", PASSWORD: "s3cr3t" };'));
  await get(PATH);
  await get(PATH);
  t.equal(warnings().length, 2);
  t.match(warnings()[0], 'still holds the placeholder __LEFT_PLACEHOLDER__');
  t.match(warnings()[1], 'gives everybody the PASSWORD');
  t.notMatch(JSON.stringify(warnings()), /s3cr3t/);
  upstream.answer(answer('text/javascript', SCRIPT));
  await get(PATH);
  upstream.answer(answer('text/javascript', 'TC_PARAMS = { A: "__LEFT_PLACEHOLDER__" };'));
  await get(PATH);
  t.equal(warnings().length, 3, 'it is news again');
});

t.test('a file that is too large, or that is cut off, is a failure and no half of a file', async (t) => {
  const { upstream, get, door } = await setUp(t, { rewrites: true });
  upstream.answer(answer('text/javascript', `//${'x'.repeat(1_100_000)}`));
  const large = await get(PATH, ['Accept', 'text/plain']);
  t.equal(large.status, 502);
  t.match(
    large.body.toString(),
    /the frontend \(127\.0\.0\.1:\d+\) sent more than 1048576 bytes of scripts\/tc-params\.js/,
  );
  upstream.script = async (request) => {
    await request.flush(answer('text/javascript', SCRIPT).slice(0, -10));
    request.drop();
  };
  const cut = await get(PATH);
  t.equal(cut.status, 502);
  t.equal(cut.end, 'complete', 'nothing of it was sent yet: a whole answer of ours');
  await waitFor(() => door.door.exchanges.size === 0, 5_000, 'the exchanges to end');
  await waitFor(() => door.door.watched.size === 0, 5_000, 'nothing to be watched any more');
});

t.test('compressed behind the rewriting', async (t) => {
  const { upstream, get } = await setUp(t, { rewrites: true, compress: true });
  upstream.answer(answer('text/javascript', `${SCRIPT}// ${'more '.repeat(100)}`));
  const seen = await get(PATH, ['Accept-Encoding', 'gzip']);
  t.match(gunzipSync(seen.body).toString(), WANTED.trim());
  const etag = firstValue(seen.headers, 'etag')!;
  t.match(etag, /^W\//);
  const known = await get(PATH, ['Accept-Encoding', 'gzip', 'If-None-Match', etag]);
  t.equal(known.status, 304);
  t.equal(firstValue(known.headers, 'etag'), etag);
});

const PAGE = `<!doctype html>\n<head><base href="/"><title>t</title></head>${'x'.repeat(200_000)}`;
const REBASED = PAGE.replace('"/"', '"/app/"');

t.test('a page under a prefix gets its base, as soon as it tells one', async (t) => {
  const { upstream, get } = await setUp(t, { prefix: '/app', base: true });
  upstream.answer(answer('text/html; charset=utf-8', PAGE));
  const seen = await get('/app/', ['Accept-Encoding', 'gzip']);
  t.equal(seen.body.toString(), REBASED);
  t.equal(firstValue(seen.headers, 'content-length'), String(REBASED.length));
  t.equal(firstValue(seen.headers, 'etag'), 'W/"up"');
  t.equal(firstValue(seen.headers, 'accept-ranges'), undefined);
  t.equal(firstValue(seen.headers, 'cache-control'), 'max-age=99');
  t.strictSame((await upstream.request()).values('accept-encoding'), []);
  upstream.answer(answer('text/html', PAGE).slice(0, -PAGE.length));
  const head = await get('/app/', [], 'HEAD');
  t.equal(firstValue(head.headers, 'content-length'), undefined);
  t.equal(firstValue(head.headers, 'etag'), 'W/"up"');

  upstream.script = async (request) => {
    await request.flush('HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (const char of '<p><base href="/"><p>') await request.flush(`1\r\n${char}\r\n`);
    await request.flush('0\r\n\r\n');
  };
  t.equal((await get('/app/')).body.toString(), '<p><base href="/app/"><p>', 'byte by byte');
  upstream.script = async (request) => {
    await request.flush(
      'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 999\r\n\r\n<base href="/"><body>',
    );
    request.drop();
  };
  t.equal((await get('/app/')).end, 'cut');
});

t.test('a page that tells its base is not held until more of it comes', async (t) => {
  const { upstream, door } = await setUp(t, { prefix: '/app', base: true });
  const title = `<!doctype html><title>${'t'.repeat(1_000)}`;
  const base = '</title><base href="/"><p>first part';
  const more = Promise.withResolvers<void>();
  upstream.script = async (request) => {
    await request.flush(
      `HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: ${title.length + base.length + 4}\r\n\r\n`,
    );
    await request.flush(title);
    await new Promise((done) => setTimeout(done, 50));
    await request.flush(base);
    await more.promise;
    await request.flush('rest');
  };
  const client = await RawClient.connect({ port: door.plainPort });
  t.teardown(() => client.close());
  client.write(`GET /app/ HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
  await waitFor(() => client.text.endsWith('</title><base href="/app/"><p>first part'), 5_000, 'the first part');
  more.resolve();
  await waitFor(() => client.text.endsWith('first partrest'), 5_000, 'the rest');
});

t.test('what was rewritten has no trailers that are bound to what it was', async (t) => {
  const { upstream, get } = await setUp(t, { prefix: '/app', base: true, rewrites: true });
  const sum = '0\r\nX-Sum: 7\r\nRepr-Digest: sha-256=:x:\r\nETag: "2"\r\n\r\n';
  const send = async (type: string, body: string, target: string) => {
    const head = `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nTransfer-Encoding: chunked\r\n\r\n`;
    upstream.answer(`${head}${body.length.toString(16)}\r\n${body}\r\n${sum}`);
    const { trailers } = await get(target, ['TE', 'trailers'], 'GET', sendHttp2);
    return trailers.filter((_each, i) => i % 2 === 0);
  };
  t.strictSame(await send('text/html', PAGE, '/app/'), ['x-sum']);
  t.strictSame(await send('text/plain', PAGE, '/app/'), ['x-sum', 'repr-digest', 'etag']);
  t.strictSame(await send('text/javascript', SCRIPT, PATH), ['x-sum']);
});

t.test('other answers and other places keep theirs', async (t) => {
  const { upstream, get } = await setUp(t, { prefix: '/app', base: true });
  upstream.answer(answer('text/html', PAGE));
  t.equal((await get('/')).body.toString(), PAGE, 'without a prefix');
  upstream.answer(answer('text/javascript', PAGE));
  const script = await get('/app/x.js');
  t.equal(script.body.toString(), PAGE);
  t.equal(firstValue(script.headers, 'etag'), '"up"');
  upstream.answer(answer('text/html', ''));
  t.equal((await get('/app/')).body.length, 0);
  const late = `${' '.repeat(70_000)}<base href="/">`;
  upstream.answer(answer('text/html', late));
  t.equal((await get('/app/')).body.toString(), late, 'behind the first 64 KiB');
});

t.test('a path that is matched and not taken off is known to the upstream: its pages keep their base', async (t) => {
  const { upstream, get } = await setUp(t, { path: '/app', prefix: '', base: true });
  upstream.answer(answer('text/html', PAGE));
  const seen = await get('/app/');
  t.equal(seen.body.toString(), PAGE);
  t.equal(firstValue(seen.headers, 'etag'), '"up"');
  t.equal((await upstream.request()).target, '/app/');
});

t.test('the rules of the route come last and once, whatever becomes of the answer', async (t) => {
  const responseRules = { remove: [], set: ['Cache-Control', 'no-cache'], add: ['Link', '<x>'] };
  const { upstream, get } = await setUp(t, {
    prefix: '/app',
    base: true,
    rewrites: true,
    compress: true,
    responseRules,
  });
  const check = (headers: Headers, what: string) => {
    t.strictSame(allValues(headers, 'cache-control'), ['no-cache'], what);
    t.strictSame(allValues(headers, 'link'), ['<x>'], what);
  };
  upstream.answer(answer('text/javascript', SCRIPT));
  const script = await get(PATH);
  t.equal(script.body.toString(), WANTED);
  check(script.headers, 'parameters');
  const known = await get(PATH, ['If-None-Match', firstValue(script.headers, 'etag')!]);
  t.equal(known.status, 304);
  check(known.headers, 'parameters that are known');
  check((await get('/other.js', ['Accept-Encoding', 'gzip'])).headers, 'what is not rewritten');
  upstream.answer(answer('text/html', PAGE));
  const page = await get('/app/', ['Accept-Encoding', 'gzip']);
  t.equal(gunzipSync(page.body).toString(), REBASED);
  check(page.headers, 'a page');
  check((await get(`/app${PATH}`)).headers, 'no such file');
});

t.test("the Host of a pool takes the place of the client's, which is told beside it", async (t) => {
  const { upstream, get } = await setUp(t, { frontendHost: 'bucket.example' });
  for (const send of [sendHttp1, sendHttp2]) {
    await get('/', [], 'GET', send);
    const request = upstream.requests.at(-1)!;
    t.strictSame(request.values('host'), ['bucket.example']);
    t.strictSame(request.values('x-forwarded-host'), [HOST]);
  }
});
