// A responder is asked once: bounded in time and size, and never followed elsewhere.

import t from 'tap';
import { askResponder } from '../../../src/control/ocsp/transport.ts';
import { startResponder } from '../../support/ocsp-answer.ts';
import { freePort } from '../../support/ports.ts';

const never = new AbortController().signal;
const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n';
const body = Buffer.from('what of this one?');
const ask = (url: string, timeout = 20_000) => askResponder(new URL(url), body, timeout, never);

t.test('the question is posted, and the answer is all that came', async (t) => {
  const url = await startResponder(t, async (request, response) => {
    const asked = Buffer.concat(await request.toArray()).toString();
    t.match(request.headers, { 'content-type': 'application/ocsp-request', 'content-length': String(body.length) });
    response.end(`${request.method} ${request.url} ${asked}`);
  });
  t.equal((await ask(`${url}/ocsp?x=1`)).toString(), 'POST /ocsp?x=1 what of this one?');
});

t.test('redirects are not followed', async (t) => {
  let asked = 0;
  const url = await startResponder(t, (_request, response) => {
    asked++;
    response.writeHead(302, { Location: '/elsewhere' }).end();
  });
  await t.rejects(ask(url), { name: 'OcspError', message: 'answered with status 302; redirects are not followed' });
  t.equal(asked, 1);
});

t.test('what goes wrong is told in words', async (t) => {
  const failing = await startResponder(t, (_request, response) => response.writeHead(503).end('no'));
  await t.rejects(ask(failing), { message: 'answered with status 503' });
  const switching = await startResponder(t, ({ socket }) => socket.write(SWITCHING));
  await t.rejects(ask(switching), { message: 'answered with status 101' });
  const endless = await startResponder(t, (_request, response) => {
    const more = () => {
      while (response.write(Buffer.alloc(16_384)));
      response.once('drain', more);
    };
    more();
  });
  await t.rejects(ask(endless), { message: 'answered with more than 65536 bytes' });
  const silent = await startResponder(t, () => {});
  await t.rejects(ask(silent, 50), { message: 'did not answer within 0.05 s' });
  const slow = await startResponder(t, (_request, response) => {
    response.write('the beginning');
  });
  await t.rejects(ask(slow, 200), { message: 'did not answer within 0.2 s' });
  const cut = await startResponder(t, (_request, response) => {
    response.writeHead(200, { 'Content-Length': 100 });
    response.write('half', () => response.destroy());
  });
  await t.rejects(ask(cut), { message: 'cannot be reached (ECONNRESET)' });
  await t.rejects(ask(`http://127.0.0.1:${await freePort()}`), { message: 'cannot be reached (ECONNREFUSED)' });
});
