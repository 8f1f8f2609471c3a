// The real backend goes away and comes back, and closes kept connections whenever it likes: what clients notice of it.

import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { ClientAnswer } from '../support/exchange.ts';
import { sendHttp1 } from '../support/http1-client.ts';
import type { Portico } from '../support/portico.ts';
import { waitFor } from '../support/ports.ts';
import { FRONTEND_NAME, MODES, needStack, startStack } from '../support/stack.ts';

const NAVIGATION = ['-H', 'Accept: text/html,application/xhtml+xml,*/*;q=0.8', '-H', 'Sec-Fetch-Mode: navigate'];
const CALL_FIELDS = ['Accept', 'application/json', 'Content-Type', 'application/json'];
const CALL = ['-H', 'Accept: application/json'];

for (const mode of MODES) {
  t.test(`gunicorn gone and back, ${mode}`, async (t) => {
    if (!needStack(t)) return;
    const { curl, api, site, backend, portico } = await startStack(t, { mode });
    t.equal((await curl(`${api}/`)).status, 200);
    await backend.stop();

    const call = await curl(`${api}/demo/data`, ...CALL, '-d', '{}');
    t.equal(call.status, 502);
    t.equal(call.header('content-type'), 'application/json', 'exactly this, without a charset');
    const told = JSON.parse(call.text);
    t.match(JSON.stringify(told), /backend/, 'names the hop');
    t.match(JSON.stringify(told), call.header('x-request-id'), 'has the id for the log');
    t.match(call.header('proxy-status'), /error=connection_refused/);
    t.ok(
      await waitFor(
        () => portico.logs().some((line) => line.request_id === call.header('x-request-id') && line.status === 502),
        5000,
        'the line in the log',
      ),
    );

    const page = await curl(`${api}/auth/provider/demo/metadata`, ...NAVIGATION);
    t.equal(page.status, 502);
    t.match(page.header('content-type'), /^text\/html/);
    t.match(page.text, /backend/);
    t.notMatch(page.text, /<script|https?:\/\/(?!www\.w3\.org)/, 'needs nothing from elsewhere');

    t.equal((await curl(`${site}/tucana-version.txt`)).status, 200, 'the frontend goes on');
    const ready = await fetch(`http://127.0.0.1:${portico.adminPort}/readyz`);
    t.equal(ready.status, 200, 'the door that explains an outage stays open');

    await backend.restart();
    const isBack = async () => (await curl(`${api}/`)).status === 200;
    t.ok(await waitFor(isBack, 10_000, 'the backend to be reached again'));
  });
}

t.test('a restart behind the inner nginx', async (t) => {
  if (!needStack(t)) return;
  const { curl, api, backend } = await startStack(t, { mode: 'two domains', shape: 'inner nginx' });
  t.equal((await curl(`${api}/`)).status, 200);
  await backend.stop();
  const down = await curl(`${api}/`, ...CALL);
  t.equal(down.status, 502);
  t.match(down.text, '<center>nginx</center>', "the inner nginx's own answer is passed on");
  await backend.restart();
  const isBack = async () => (await curl(`${api}/`)).status === 200;
  t.ok(await waitFor(isBack, 10_000, 'the backend to be reached again'));
});

t.test('hundreds of requests, one after the other', async (t) => {
  if (!needStack(t)) return;
  const { portico } = await startStack(t, { mode: 'one domain' });
  const statuses: number[] = [];
  for (let i = 0; i < 300; i++) statuses.push((await ask(portico, `/_api/?n=${i}`)).status);
  t.same([...new Set(statuses)], [200]);
});

t.test('a backend that closes kept connections after a second', async (t) => {
  if (!needStack(t)) return;
  const { portico } = await startStack(t, { mode: 'one domain', keepAlive: 1 });
  // Each pause hits another moment between a request and the end of its connection.
  const pauses = Array.from({ length: 16 }, (_value, i) => 700 + i * 90);
  const statuses = await Promise.all(
    pauses.map(async (pause) => {
      const seen: number[] = [];
      for (let i = 0; i < 4; i++) {
        seen.push((await ask(portico, '/_api/')).status, (await ask(portico, '/_api/demo/data', QUERY)).status);
        await sleep(pause);
        seen.push((await ask(portico, '/_api/demo/data', QUERY)).status);
      }
      return seen;
    }),
  );
  t.same([...new Set(statuses.flat())], [200], 'no request is lost, whether it may be repeated or not');
});

const QUERY = Buffer.from('{"seconds":0}');

function ask(portico: Portico, target: string, body?: Buffer): Promise<ClientAnswer> {
  const method = body === undefined ? 'GET' : 'POST';
  const request = { method, target, authority: FRONTEND_NAME, headers: CALL_FIELDS, ...(body && { body }) };
  return sendHttp1(portico.door(FRONTEND_NAME), request);
}
