// An upstream with a certificate of a private authority: trusted by the pool that names the authority, by its name, and by no other.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { makeFolder } from '../support/folder.ts';
import { httpsGet } from '../support/https-get.ts';
import { fileHead, startByFile } from '../support/portico-file.ts';
import { makeTestCertificate } from '../support/tls.ts';

t.test('an authority and a server name of a pool', async (t) => {
  const folder = makeFolder(t, 'inner');
  const inner = await makeTestCertificate(folder, ['inner.test']);
  const server = createServer(
    { cert: readFileSync(inner.certificateFile), key: readFileSync(inner.keyFile) },
    (request, response) => response.end(`host ${request.headers.host}`),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const pool = (name: string, more: string) => `  ${name}:\n    endpoints: ["${url}"]\n${more}`;
  const ca = `    ca: ${join(folder, 'ca.pem')}\n`;
  const door = await startByFile(
    t,
    ['door.test'],
    (ground) => `${fileHead(ground)}pools:
${pool('good', `${ca}    serverName: inner.test\n    host: inner.test\n`)}${pool('unnamed', ca)}${pool('untrusted', '    serverName: inner.test\n')}hosts:
  door.test:
    routes:
      - { path: /good, proxy: good }
      - { path: /unnamed, proxy: unnamed }
      - { path: /untrusted, proxy: untrusted }
`,
  );
  const get = (path: string) => httpsGet(door.httpsPort, 'door.test', path, door.certificate.ca);
  // More often than there are workers, so that a kept connection would be there to be taken wrongly.
  for (let i = 0; i < 4; i++) {
    t.match(await get('/good'), { status: 200, text: 'host inner.test' });
    t.match(await get('/unnamed'), { status: 502, text: /made no TLS connection that can be trusted/ });
    t.match(await get('/untrusted'), { status: 502, text: /made no TLS connection that can be trusted/ });
  }
});
