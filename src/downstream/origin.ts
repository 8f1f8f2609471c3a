// The origin of a connection: what it tells about whoever holds it.

import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { ProxySource } from '../codec/proxy-header.ts';
import { plainAddress } from '../http/forwarded.ts';
import type { Bound, ClientProof, Origin } from '../model/exchange.ts';
import type { Listener } from '../model/snapshot.ts';

/** `source`: whom the peer's PROXY header named; `client`: what the handshake found out about a certificate of the client. */
export function originOf(
  socket: Socket,
  listener: Listener,
  bound: Bound,
  source: ProxySource | undefined,
  client?: ClientProof,
): Origin {
  const secure = socket instanceof TLSSocket;
  const serverName = secure ? (socket as TLSSocket & { servername?: string | false }).servername : undefined;
  const peerAddress = plainAddress(socket.remoteAddress ?? '');
  return {
    listener: listener.name,
    bound,
    redirects: listener.kind === 'redirect',
    scheme: secure ? 'https' : 'http',
    peerAddress,
    callerAddress: source?.address ?? peerAddress,
    tlsVersion: secure ? (socket.getProtocol() ?? undefined) : undefined,
    client,
    serverName: typeof serverName === 'string' ? serverName.toLowerCase() : undefined,
  };
}
