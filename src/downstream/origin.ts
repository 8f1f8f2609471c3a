// The origin of a connection: what it tells about whoever holds it.

import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { plainAddress } from '../http/forwarded.ts';
import type { Origin } from '../model/exchange.ts';
import type { Listener } from '../model/snapshot.ts';

export function originOf(socket: Socket, listener: Listener): Origin {
  const secure = socket instanceof TLSSocket;
  const serverName = secure ? (socket as TLSSocket & { servername?: string | false }).servername : undefined;
  return {
    listener: listener.name,
    redirects: listener.kind === 'redirect',
    scheme: secure ? 'https' : 'http',
    peerAddress: plainAddress(socket.remoteAddress ?? ''),
    peerPort: socket.remotePort ?? 0,
    tlsVersion: secure ? (socket.getProtocol() ?? undefined) : undefined,
    serverName: typeof serverName === 'string' ? serverName.toLowerCase() : undefined,
  };
}
