// `portico healthcheck`: asks the instance on this machine whether it is ready; for HEALTHCHECK lines and scripts.

import { get } from 'node:http';
import type { AdminAddress, Environment } from './configuration.ts';
import type { Answer } from './control-socket.ts';
import { type Source, sourceOf } from './source.ts';

/** From the first byte to the last one, in ms. */
const TIMEOUT = 5_000;

/** Resolves to 0 when the instance says that it is ready, else to 1 after saying why. */
export async function healthcheck(file: string | undefined, environment: Environment): Promise<number> {
  const source = sourceOf(file, environment);
  const { admin, doubt } = source.reach();
  // What has been broken since the start says nothing of how the instance fares.
  const told = doubt === undefined ? undefined : await askBySocket(source, environment);
  const why = told === undefined ? await askByAdmin(admin) : told.ok ? undefined : told.problems.join('\n');
  if (why === undefined) return 0;
  if (doubt !== undefined && told === undefined) {
    const { complain } = await import('./commands.ts');
    return complain('no instance was found that is ready', doubt);
  }
  process.stderr.write(`portico: not ready: ${why}\n`);
  return 1;
}

/** Resolves to undefined when nobody answers. */
async function askBySocket(source: Source, environment: Environment): Promise<Answer | undefined> {
  const { ask } = await import('./commands.ts');
  return ask(source, environment, 'status', TIMEOUT).catch(() => undefined);
}

/** Resolves to why it is not ready. */
function askByAdmin({ address, port }: AdminAddress): Promise<string | undefined> {
  // An instance bound to all addresses is reached on loopback.
  const host = address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address;
  return new Promise((answered) => {
    const fail = (why: string) => answered(`${host}:${port}: ${why}`);
    const late = AbortSignal.timeout(TIMEOUT);
    const explain = ({ message }: Error) => fail(late.aborted ? `no answer within ${TIMEOUT / 1_000} s` : message);
    const request = get({ host, port, path: '/readyz?verbose', signal: late, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text = (text + chunk).slice(0, 4_096);
      });
      response.on('error', explain);
      response.on('end', () => answered(response.statusCode === 200 ? undefined : text.trim()));
    });
    request.on('error', explain);
    // Without this an answer with 101 would end the request without a word.
    request.on('upgrade', ({ statusCode }, socket) => {
      socket.destroy();
      fail(`it answers with status ${statusCode}`);
    });
  });
}
