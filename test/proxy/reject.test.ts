// Rejections: bytes that never became a request have their line, which fits one write, and their count.

import t from 'tap';
import { HOST, openDoor } from '../support/door.ts';
import { waitFor } from '../support/ports.ts';
import { RawClient } from '../support/raw-client.ts';

t.test('each rejection is counted by its reason, beside the requests', async (t) => {
  const door = await openDoor({ frontend: [], backend: [], limits: { headBytes: 16_384 } });
  t.teardown(() => door.close());
  const send = async (bytes: string) => {
    const client = await RawClient.connect({ port: door.plainPort });
    t.teardown(() => client.close());
    client.write(bytes);
    await waitFor(() => client.text.includes('request id'), 5_000, 'the answer');
    return client.text;
  };
  await send('nonsense\r\n\r\n');
  await send('nonsense\r\n\r\n');
  const answer = await send(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n${'n'.repeat(20_000)}: x\r\n\r\n`);
  t.match(answer, /its largest field is n{100} with 200\d\d bytes/, 'a long name is cut');
  t.match(
    door.lines.map(({ msg, failure }) => `${msg} ${failure}`),
    ['rejected malformed_request', 'rejected malformed_request', 'rejected head_too_large'],
  );
  t.ok(JSON.stringify(door.lines[2]).length < 1_000);
  const values = (name: string) => door.door.measures().find((each) => each.name === name)?.values;
  t.same(values('portico_http_rejections_total'), [
    { labels: { listener: 'plain', reason: 'malformed_request' }, value: 2 },
    { labels: { listener: 'plain', reason: 'head_too_large' }, value: 1 },
  ]);
  t.same(values('portico_http_requests_total'), []);
});
