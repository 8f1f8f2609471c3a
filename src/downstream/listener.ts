// Listeners: an address bound, its connections told apart (TLS or not, HTTP/1.1 or HTTP/2), and its orderly end.

import { createServer, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { HANDSHAKE } from '../codec/client-hello.ts';
import type { ProxySource } from '../codec/proxy-header.ts';
import { plainAddress } from '../http/forwarded.ts';
import type { Bound, ClientProof, Origin } from '../model/exchange.ts';
import { FAILURES } from '../model/failure.ts';
import { whenQuiet } from '../model/quiet.ts';
import { Roster } from '../model/roster.ts';
import type { Listener, Snapshot } from '../model/snapshot.ts';
import type { Door } from '../proxy/door.ts';
import { rejectConnection } from '../proxy/reject.ts';
import { AcmeAcceptor } from './acme-tls.ts';
import { ClientAuthAcceptor } from './client-auth.ts';
import { ConnectionLimits } from './connection-limits.ts';
import { type Http1Connection, serveHttp1 } from './http1.ts';
import { type Http2Connection, serveHttp2 } from './http2.ts';
import { linger } from './linger.ts';
import { originOf } from './origin.ts';
import { noticeUnlisted, ProxySenders } from './proxy-senders.ts';
import type { CertificateTable } from './tls.ts';
import { TlsAcceptor } from './tls-acceptor.ts';

/** A client that has ended its side may still read: when a connection ends is for its protocol to say. */
const SOCKET_OPTIONS = Object.freeze({
  allowHalfOpen: true,
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: 60_000,
});

export interface OpenListener {
  readonly listener: Listener;
  /** As the origins of its connections have it. */
  readonly bound: Bound;
  readonly port: number;
  /** Connections that begin from now on are by this snapshot. */
  renew(listener: Listener, snapshot: Snapshot, table: CertificateTable | undefined): void;
  /** How many are open. */
  readonly connections: number;
  /** Accepts nothing more, as another process that shares the port takes what comes. Resolves when it is closed. */
  stopAccepting(): Promise<void>;
  /** Accepts nothing more; HTTP/2 clients are told by GOAWAY, idle connections end (`patient`: with their next answer). */
  drain(patient: boolean): void;
  /** Ends every connection at once. */
  close(): void;
}

/**
 * Binds a listener. Rejects with the system's error when that fails. `table`: for a listener that speaks TLS; `share`: several
 * workers bind the same port.
 */
export async function openListener(
  door: Door,
  listener: Listener,
  snapshot: Snapshot,
  table: CertificateTable | undefined,
  share: boolean,
): Promise<OpenListener> {
  const sessions = new Roster<Http2Connection>();
  const connections = new Roster<Http1Connection>();
  const server = createServer(SOCKET_OPTIONS);
  const senders = new ProxySenders(door, listener);
  const bound: Bound = { draining: false };
  const onSecure = (socket: TLSSocket, client?: ClientProof) => {
    socket.allowHalfOpen = SOCKET_OPTIONS.allowHalfOpen;
    door.metrics.handshake(socket.getProtocol() ?? 'unknown', socket.isSessionReused());
    const origin = originOf(socket, listener, bound, senders.sourceOf(socket), client);
    if (socket.alpnProtocol === 'h2') serveHttp2(socket, origin, door, sessions);
    else serveHttp1(socket, origin, door, connections);
  };
  const acceptor = listener.kind === 'tls' ? new TlsAcceptor(listener, snapshot, table!, onSecure) : undefined;
  const clientAuth = listener.kind === 'tls' ? new ClientAuthAcceptor(door, listener, table!, onSecure) : undefined;
  const acme = listener.kind === 'tls' ? new AcmeAcceptor(door) : undefined;
  const connectionLimits = new ConnectionLimits(door, listener.name);
  const sockets = new Roster<Socket>();
  let accepted = 0;
  server.on('connection', (socket: Socket) => {
    // An error that nobody hears ends the process; what it means is told by the close that follows.
    socket.on('error', () => {});
    accepted++;
    if (socket.remoteAddress === undefined) {
      // Reset already, as health checks of load balancers are. Who it was decides what its bytes mean.
      socket.destroy();
      return;
    }
    if (!connectionLimits.admit(socket)) return;
    const place = sockets.add(socket);
    socket.once('close', () => sockets.remove(place));
    if (senders.owesHeader(socket)) senders.readHeader(socket, onSource);
    else if (connectionLimits.admitClient(socket, plainAddress(socket.remoteAddress))) begin(socket, undefined);
  });
  // Where it names nobody, it is the sender itself that asks, and behind a sender stand many clients.
  const onSource = (socket: Socket, source: ProxySource | undefined) => {
    if (source === undefined || connectionLimits.admitClient(socket, source.address)) begin(socket, source);
  };
  const begin = (socket: Socket, source: ProxySource | undefined) => {
    if (acceptor === undefined) serveHttp1(socket, originOf(socket, listener, bound, source), door, connections);
    else peek(door, socket, acceptor, clientAuth!, acme!, () => originOf(socket, listener, bound, source));
  };
  await new Promise<void>((listening, failed) => {
    server.once('error', failed);
    const address = listener.address === undefined ? {} : { host: listener.address };
    server.listen({ ...address, port: listener.port, reusePort: share, backlog: 4_096 }, () => {
      server.removeListener('error', failed);
      listening();
    });
  });
  server.on('error', (error) => door.log.error('a listener failed', { listener: listener.name, error: error.message }));
  const address = server.address();
  return {
    listener,
    bound,
    port: typeof address === 'object' && address !== null ? address.port : listener.port,
    get connections() {
      return sockets.size;
    },
    stopAccepting: async () => {
      await whenQuiet(
        () => accepted,
        () => performance.now(),
        (run) => setImmediate(run),
      );
      // Its callback would wait for the end of the last connection.
      server.close();
    },
    renew: (renewed, next, nextTable) => {
      senders.renew(renewed);
      if (nextTable === undefined) return;
      acceptor?.renew(renewed, next, nextTable);
      clientAuth?.renew(renewed, nextTable);
      acme?.renew();
    },
    drain: (patient) => {
      bound.draining = true;
      server.close();
      if (!patient) for (const connection of connections) connection.drain();
      for (const session of sessions) session.drain();
    },
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Looks at the first bytes: somebody who speaks plain HTTP to the TLS port is told so; everybody else goes on to the handshake: issuers to one of their own, and clients of hosts that ask for a certificate. */
function peek(
  door: Door,
  socket: Socket,
  acceptor: TlsAcceptor,
  clientAuth: ClientAuthAcceptor,
  acme: AcmeAcceptor,
  originNow: () => Origin,
): void {
  const timer = setTimeout(() => socket.destroy(), door.active.limits.headTimeout);
  socket.once('close', () => clearTimeout(timer));
  // Who ends their side before the handshake is done has left. A TLS socket takes this over from the one that it is made of.
  socket.allowHalfOpen = false;
  let seen: Buffer = Buffer.alloc(0);
  const onReadable = () => {
    const more: Buffer | null = socket.read();
    if (more === null) {
      socket.destroy();
      return;
    }
    seen = seen.length === 0 ? more : Buffer.concat([seen, more]);
    if (seen[0] === HANDSHAKE && !(acceptor.isEnough(seen) && clientAuth.isEnough(seen) && acme.isEnough(seen))) return;
    clearTimeout(timer);
    socket.removeListener('readable', onReadable);
    if (seen[0] === HANDSHAKE) {
      socket.unshift(seen);
      if (acme.isFor(seen)) acme.accept(socket);
      else if (!clientAuth.accept(socket, seen)) acceptor.accept(socket, seen);
      return;
    }
    const origin = originNow();
    noticeUnlisted(door, origin, seen);
    const detail = 'this port speaks HTTPS, and the request was plain HTTP; use https:// in the address';
    socket.write(rejectConnection(door, origin, FAILURES.plainHttp, detail), 'latin1');
    linger(socket);
  };
  socket.on('readable', onReadable);
}
