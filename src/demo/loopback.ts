// Binds a demo server to a free port of 127.0.0.1, where only this machine reaches it.

import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Longer than any proxy keeps an idle connection, so that it is never closed under a request on its way (a sporadic 502). */
const KEEP_ALIVE_MS = 65_000;

export interface Listening {
  readonly port: number;
  /** Ends every connection, busy or not. May be called again. */
  close(): Promise<void>;
}

export async function listenOnLoopback(server: Server): Promise<Listening> {
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
