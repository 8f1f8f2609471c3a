// One question to a responder over plain HTTP: bounded in size and time, and never led elsewhere.

import { type IncomingMessage, request } from 'node:http';
import { version } from '../version.ts';
import { OcspError } from './answer.ts';

/** An answer with its certificates has two or three KiB. */
const MAX_BYTES = 64 * 1024;

/** Resolves to the body of a 200. Rejects with an OcspError. `timeout`: for all of it, in ms. */
export function askResponder(responder: URL, body: Buffer, timeout: number, signal: AbortSignal): Promise<Buffer> {
  return new Promise((answered, failed) => {
    const fail = (error: Error) => failed(explain(error, timeout));
    const asked = request(
      responder,
      {
        method: 'POST',
        // A connection of its own: it is asked every few days.
        agent: false,
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeout)]),
        headers: {
          'Content-Type': 'application/ocsp-request',
          'Content-Length': body.length,
          Accept: 'application/ocsp-response',
          'User-Agent': `portico/${version()}`,
        },
      },
      (answer) => read(answer).then(answered, fail),
    );
    asked.on('error', fail);
    // Without this an answer with 101 would end the request without a word.
    asked.on('upgrade', ({ statusCode }, socket) => {
      socket.destroy();
      fail(new OcspError(`answered with status ${statusCode}`));
    });
    asked.end(body);
  });
}

async function read(answer: IncomingMessage): Promise<Buffer> {
  if (answer.statusCode !== 200) {
    answer.destroy();
    const { location, 'retry-after': retryAfter } = answer.headers;
    const more = location === undefined ? '' : '; redirects are not followed';
    throw new OcspError(`answered with status ${answer.statusCode}${more}`, retryAfter);
  }
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BYTES) throw new OcspError(`answered with more than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function explain(error: Error, timeout: number): OcspError {
  if (error instanceof OcspError) return error;
  const { code, cause } = error as NodeJS.ErrnoException & { cause?: Error };
  if (error.name === 'TimeoutError' || cause?.name === 'TimeoutError') {
    return new OcspError(`did not answer within ${timeout / 1_000} s`);
  }
  return new OcspError(`cannot be reached (${code ?? error.name})`);
}
