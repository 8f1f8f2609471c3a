// A load balancer that passes on bytes stands before Portico: HAProxy itself, and curl as one.

import t from 'tap';
import { allValues } from '../../src/http/headers.ts';
import { makeCurl, PROTOCOLS } from '../support/curl.ts';
import { startHaproxy } from '../support/haproxy.ts';
import { needParts } from '../support/parts.ts';
import { startPortico } from '../support/portico.ts';
import { waitFor } from '../support/ports.ts';
import { startRecorder } from '../support/recorder.ts';

const NAME = 'front.test';

for (const option of [
  'send-proxy',
  'send-proxy-v2',
  'send-proxy-v2 proxy-v2-options ssl,cert-cn,crc32c,unique-id,authority',
]) {
  t.test(`HAProxy with ${option}: the backend hears of the client, not of HAProxy`, async (t) => {
    if (!needParts(t, ['curl', 'haproxy'])) return;
    const backend = await startRecorder(t);
    const portico = await startPortico(t, {
      FRONTEND_DNS: NAME,
      FRONTEND_SERVICE: backend.service,
      BACKEND_SERVICE: backend.service,
      PROXY_PROTOCOL_FROM: '127.0.0.1',
    });
    const httpsPort = await startHaproxy(t, portico.httpsPort, option);
    const httpPort = await startHaproxy(t, portico.httpPort, option);
    const curl = makeCurl(t, { httpPort, httpsPort, caFile: portico.caFile });
    for (const [, version] of PROTOCOLS) {
      const answer = await curl(`https://${NAME}/`, version, '--interface', '127.0.0.7');
      t.equal(answer.status, 200);
    }
    t.equal((await curl(`http://${NAME}/`, '--interface', '127.0.0.7')).status, 301);
    for (const { headers } of backend.records) t.strictSame(allValues(headers, 'x-forwarded-for'), ['127.0.0.7']);
    t.equal(backend.records.length, 2);
    const lines = () => portico.logs().filter(({ msg }) => msg === 'access');
    await waitFor(() => lines().length === 3, 10_000, 'three lines');
    for (const line of lines()) t.match(line, { client_ip: '127.0.0.7', peer_ip: '127.0.0.1' });
    // Its health checks come ten times a second, by LOCAL.
    t.strictSame(
      portico.logs().filter(({ level }) => level === 'warn'),
      [],
    );
  });
}

t.test('curl as the load balancer, and as somebody who poses as one', async (t) => {
  if (!needParts(t, ['curl'])) return;
  const backend = await startRecorder(t);
  const portico = await startPortico(t, {
    FRONTEND_DNS: NAME,
    FRONTEND_SERVICE: backend.service,
    BACKEND_SERVICE: backend.service,
    PROXY_PROTOCOL_FROM: '127.0.0.0/30',
  });
  const curl = makeCurl(t, portico);
  t.equal((await curl(`https://${NAME}/`, '--haproxy-protocol', '--http2')).status, 200);
  t.not((await curl(`https://${NAME}/`)).exit, 0, 'without a header a load balancer is not served');
  t.equal((await curl(`https://${NAME}/`, '--interface', '127.0.0.9')).status, 200, 'all others are, without one');
  const posing = await curl(`https://${NAME}/`, '--interface', '127.0.0.9', '--haproxy-protocol');
  t.not(posing.exit, 0, 'and with one they are not');
  t.equal(backend.records.length, 2);
});
