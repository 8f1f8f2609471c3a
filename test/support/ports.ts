// Free loopback ports for servers that cannot choose their own, and waiting for a condition by asking again.

import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

// Below the range from which kernels take ports for outgoing connections (32768 and up on Linux, 49152 elsewhere):
// a port of that range could be taken by any connection between this check and the moment when the server binds it.
const LOWEST = 10_240;
const HIGHEST = 32_000;
const handedOut = new Set<number>();

/** A port that nobody listens on and that was not handed out by this process before. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
    if (handedOut.has(port) || !(await canListen(port))) continue;
    handedOut.add(port);
    return port;
  }
  throw new Error('no free port was found');
}

/** Asks `condition` until it answers something true; its answer, or an error that names what was waited for. */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  milliseconds: number,
  what = 'a condition',
): Promise<NonNullable<T>> {
  const deadline = performance.now() + milliseconds;
  let pause = 5;
  for (;;) {
    const answer = await condition();
    if (answer) return answer;
    if (performance.now() > deadline) throw new Error(`waited ${milliseconds} ms for ${what}`);
    await sleep(pause);
    pause = Math.min(pause * 1.5, 100);
  }
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
