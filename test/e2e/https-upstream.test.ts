// An upstream over TLS: its certificate is checked against its name, and a wrong one is a 502 that says why.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { makeFolder } from '../support/folder.ts';
import { httpsGet } from '../support/https-get.ts';
import { startPortico } from '../support/portico.ts';
import { makeTestCertificate } from '../support/tls.ts';

const NAME = 'door.test';

/** An upstream for `localhost` that tells what it was asked. */
async function startUpstream(t: Test) {
  const { certificateFile, keyFile, caFile } = await makeTestCertificate(makeFolder(t, 'upstream'), ['localhost']);
  const server = createServer(
    { cert: readFileSync(certificateFile), key: readFileSync(keyFile) },
    (request, response) => {
      const { servername } = request.socket as TLSSocket & { servername: string };
      response.end(JSON.stringify({ host: request.headers.host, servername }));
    },
  );
  server.listen(0, 'localhost');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return { port: (server.address() as AddressInfo).port, caFile };
}

t.test('by a trusted authority', async (t) => {
  const { port, caFile } = await startUpstream(t);
  const service = `https://localhost:${port}`;
  const door = await startPortico(t, {
    FRONTEND_DNS: NAME,
    FRONTEND_SERVICE: service,
    BACKEND_SERVICE: service,
    NODE_EXTRA_CA_CERTS: caFile,
  });
  for (let i = 0; i < 3; i++) {
    const answer = await httpsGet(door.httpsPort, NAME, '/', door.ca);
    t.equal(answer.status, 200);
    t.same(
      JSON.parse(answer.text),
      { host: `localhost:${port}`, servername: 'localhost' },
      'a frontend behind a URL is asked for under the name in it, as a bucket must be',
    );
    const api = await httpsGet(door.httpsPort, NAME, '/_api/', door.ca);
    t.same(
      JSON.parse(api.text),
      { host: `${NAME}:${door.httpsPort}`, servername: 'localhost' },
      'the backend gets the Host of the client',
    );
  }
});

t.test('by an unknown authority, or under another name', async (t) => {
  const { port, caFile } = await startUpstream(t);
  const door = await startPortico(t, {
    FRONTEND_DNS: NAME,
    FRONTEND_SERVICE: `https://localhost:${port}`,
    BACKEND_SERVICE: `https://127.0.0.1:${port}`,
  });
  const unknown = await httpsGet(door.httpsPort, NAME, '/', door.ca);
  t.equal(unknown.status, 502);
  t.match(unknown.headers['proxy-status'], 'upstream_tls');
  t.match(unknown.text, `the frontend (localhost:${port})`);
  t.match(unknown.text, /made no TLS connection that can be trusted \(.*certificate/);

  const trusting = await startPortico(t, {
    FRONTEND_DNS: NAME,
    FRONTEND_SERVICE: `https://localhost:${port}`,
    BACKEND_SERVICE: `https://127.0.0.1:${port}`,
    NODE_EXTRA_CA_CERTS: caFile,
  });
  const misnamed = await httpsGet(trusting.httpsPort, NAME, '/_api/', trusting.ca);
  t.equal(misnamed.status, 502, 'its certificate does not name the address');
  t.match(JSON.parse(misnamed.text).message, /127\.0\.0\.1/);
});
