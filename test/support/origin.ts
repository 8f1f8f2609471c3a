// Where the exchanges of a test come from, when that does not matter: a client on a TLS connection.

import type { Origin } from '../../src/model/exchange.ts';

export const ORIGIN: Origin = {
  listener: 'https',
  bound: { draining: false },
  redirects: false,
  scheme: 'https',
  peerAddress: '10.0.0.1',
  callerAddress: '10.0.0.1',
  client: undefined,
  tlsVersion: 'TLSv1.3',
  serverName: undefined,
};
