// A steady load on a door: it asks again and again over HTTP/1.1 and HTTP/2, on connections that are kept and on new ones, until it is told to stop.

import { type ClientHttp2Session, connect } from 'node:http2';
import { Agent, request } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';

export interface Load {
  /** What was answered by `here`, by kind, and each failure. */
  stop(): Promise<{ readonly answered: Readonly<Record<LoadKind, number>>; readonly failures: readonly string[] }>;
}

export const LOAD_KINDS = ['h1 kept', 'h1 new', 'h2 kept', 'h2 new'] as const;
export type LoadKind = (typeof LOAD_KINDS)[number];

/** Between two requests of a kind, in ms. */
const PAUSE = 20;

export function startLoad(t: Test, port: number, name: string, ca: string): Load {
  const answered = Object.fromEntries(LOAD_KINDS.map((kind) => [kind, 0])) as Record<LoadKind, number>;
  const failures: string[] = [];
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const openSession = () => connect(`https://127.0.0.1:${port}`, { servername: name, ca });
  const session = openSession();
  const asks: Record<LoadKind, () => Promise<string>> = {
    'h1 kept': () => askHttp1(port, name, ca, agent),
    'h1 new': () => askHttp1(port, name, ca, false),
    'h2 kept': () => askHttp2(session, name),
    'h2 new': async () => {
      const own = openSession();
      return askHttp2(own, name).finally(() => own.close());
    },
  };
  let going = true;
  const loop = async (kind: LoadKind) => {
    while (going) {
      const outcome = await asks[kind]().catch((error: Error) => `failed: ${error.message}`);
      if (outcome === '200 here') answered[kind]++;
      else failures.push(`${kind}: ${outcome}`);
      await sleep(PAUSE);
    }
  };
  const running = Promise.all(LOAD_KINDS.map(loop));
  const stop = async () => {
    going = false;
    await running;
    session.close();
    agent.destroy();
    return { answered, failures };
  };
  t.teardown(stop);
  return { stop };
}

function askHttp1(port: number, name: string, ca: string, agent: Agent | false): Promise<string> {
  return new Promise((told, failed) => {
    const options = { host: '127.0.0.1', port, servername: name, ca, agent, headers: { Host: name } };
    const asked = request(options, (answer) => {
      answer.toArray().then((chunks) => told(`${answer.statusCode} ${Buffer.concat(chunks)}`), failed);
    });
    asked.setTimeout(20_000, () => asked.destroy(new Error('no answer within 20 s')));
    asked.on('error', failed);
    asked.end();
  });
}

function askHttp2(session: ClientHttp2Session, name: string): Promise<string> {
  return new Promise((told, failed) => {
    session.once('error', failed);
    const stream = session.request({ ':authority': name });
    let status = 0;
    stream.on('response', (headers) => {
      status = headers[':status'] ?? 0;
    });
    stream.setTimeout(20_000, () => stream.destroy(new Error('no answer within 20 s')));
    stream.on('error', failed);
    stream.toArray().then((chunks) => {
      session.removeListener('error', failed);
      told(`${status} ${Buffer.concat(chunks)}`);
    }, failed);
  });
}
