// What a door has to do with what it reads, however it reads it: uploads side by side, requests sent ahead, and a tunnel.

import { createHash, randomBytes } from 'node:crypto';
import type { Test } from 'tap';
import { HOST, local, openDoor } from './door.ts';
import { waitFor } from './ports.ts';
import { type Address, RawClient } from './raw-client.ts';
import { startRecorder } from './recorder.ts';
import { visitWebSocket } from './websocket-client.ts';

/** Over plain connections and TLS. */
export async function readEverything(t: Test): Promise<void> {
  const recorder = await startRecorder(t);
  const endpoints = [local(recorder.port)];
  const door = await openDoor({ frontend: endpoints, backend: endpoints });
  t.teardown(() => door.close());
  const plain: Address = { port: door.plainPort };
  const secure: Address = { port: door.tlsPort, ca: door.ca, serverName: HOST };
  for (const address of [plain, secure]) {
    const over = address === secure ? 'TLS' : 'plain';
    const connect = async () => {
      const client = await RawClient.connect(address);
      t.teardown(() => client.close());
      return client;
    };
    recorder.clear();
    const bodies = Array.from({ length: 8 }, (_, i) => randomBytes(300_000 + i * 7_919));
    for (const [i, body] of bodies.entries()) {
      const client = await connect();
      client.write(`POST /${i} HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: ${body.length}\r\n\r\n`);
      client.write(body);
    }
    await waitFor(() => recorder.records.filter((each) => each.bodySha256 !== '').length === 8, 20_000, 'all uploads');
    t.strictSame(
      recorder.records.map(({ target, bodySha256 }) => `${target} ${bodySha256}`).sort(),
      bodies.map((body, i) => `/${i} ${createHash('sha256').update(body).digest('hex')}`),
      `each upload has its own bytes (${over})`,
    );

    recorder.clear();
    const client = await connect();
    const answers = Array.from({ length: 20 }, () => client.reader('GET'));
    client.write(answers.map((_, i) => `GET /ahead-${i} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`).join(''));
    await waitFor(() => answers.every(({ isDone }) => isDone), 20_000, 'all answers');
    t.strictSame(
      recorder.records.map(({ target }) => target),
      answers.map((_, i) => `/ahead-${i}`),
      `what is sent ahead waits and is not lost (${over})`,
    );
  }
  const messages = ['one', 'x'.repeat(100_000), 'two'];
  const visit = { target: '/ws', authority: HOST, protocols: [], messages };
  const seen = await visitWebSocket({ port: door.tlsPort, serverName: HOST, ca: door.ca }, visit);
  t.strictSame(
    seen.messages.map(({ length }) => length),
    messages.map(({ length }) => length),
    'a tunnel',
  );
}
