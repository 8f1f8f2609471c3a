// What an issuer says is told in one line of bounded length, whatever it sends.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { describeProblem, IssuerError, Transport } from '../../../src/control/acme/transport.ts';
import { makeFolder } from '../../support/folder.ts';
import { makeTestCertificate } from '../../support/tls.ts';

t.test('a problem document, and the first of those below it', async (t) => {
  const below = { type: 'urn:ietf:params:acme:error:dns', detail: 'no such\nname', identifier: { value: 'a.example' } };
  t.equal(describeProblem({ detail: 'no', subproblems: [below] }), 'no (unknown); no such name (dns)');
  t.equal(describeProblem({ subproblems: [1, null, below, below] }).split('; ').length, 4);
});

t.test('one that is nested without end, or long everywhere, stays short', async (t) => {
  const depth = 15_000;
  const deep = JSON.parse(`${'{"subproblems":['.repeat(depth)}{}${']}'.repeat(depth)}`);
  t.equal(describeProblem(deep), 'no reason given (unknown); no reason given (unknown)');
  const long = { type: 'x'.repeat(10_000), detail: 'y'.repeat(10_000) };
  const all = [long, long, long];
  t.ok(describeProblem({ ...long, subproblems: all.map(() => ({ ...long, subproblems: all })) }).length < 2_500);
});

t.test('whatever is told of an issuer is one line', async (t) => {
  const { message } = new IssuerError('order', `the order is valid\n[+]readyz ok\u001b[2J${'x'.repeat(300_000)}`);
  t.notMatch(message, /[\x00-\x1f]/);
  t.ok(message.length <= 4_000);
});

t.test('an issuer that switches protocols is not waited for', async (t) => {
  const own = await makeTestCertificate(makeFolder(t, 'issuer'), ['localhost']);
  const pair = { cert: readFileSync(own.certificateFile), key: readFileSync(own.keyFile) };
  const server = createServer(pair, ({ socket }) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const transport = new Transport(own.ca, Date.now);
  t.teardown(() => {
    transport.close();
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  const asked = transport.send('GET', `https://localhost:${port}/dir`, undefined, new AbortController().signal);
  await t.rejects(asked, {
    name: 'IssuerError',
    type: 'rubbish',
    message: `localhost:${port} answered with status 101`,
  });
});
