// The PROXY protocol on a listener: who may speak it, and what each connection's header said.

import type { Socket } from 'node:net';
import { looksLikeProxyHeader, type ProxySource, readProxyHeader } from '../codec/proxy-header.ts';
import { plainAddress, trustOf } from '../http/forwarded.ts';
import type { Origin } from '../model/exchange.ts';
import type { Listener } from '../model/snapshot.ts';
import type { Door } from '../proxy/door.ts';

/** From a listed peer a header is demanded, and from no other one is read: nothing is guessed. */
export class ProxySenders {
  readonly #door: Door;
  readonly #listener: string;
  #isSender: (address: string) => boolean;
  /** Of connections that are open. Node does not tell which socket a TLS socket came of: both have the same ends. */
  readonly #sources = new Map<string, ProxySource>();

  constructor(door: Door, listener: Listener) {
    this.#door = door;
    this.#listener = listener.name;
    this.#isSender = trustOf(listener.proxyProtocol ?? []);
  }

  /** Connections that begin from now on are by this one. */
  renew(listener: Listener): void {
    this.#isSender = trustOf(listener.proxyProtocol ?? []);
  }

  /** A header is to come on it. */
  owesHeader(socket: Socket): boolean {
    return this.#isSender(plainAddress(socket.remoteAddress ?? ''));
  }

  /** Reads the header, and gives back what came behind it. `source`: whom it names. A connection without one ends, and nothing is called. */
  readHeader(socket: Socket, onHeader: (socket: Socket, source: ProxySource | undefined) => void): void {
    const { headTimeout } = this.#door.active.limits;
    const timer = setTimeout(
      () => this.#refuse(socket, `it did not come within ${headTimeout / 1_000} s`),
      headTimeout,
    );
    const onClose = () => clearTimeout(timer);
    socket.once('close', onClose);
    let seen: Buffer = Buffer.alloc(0);
    const onReadable = () => {
      const more: Buffer | null = socket.read();
      if (more === null) {
        // A look whether the port is open, as load balancers take it.
        socket.destroy();
        return;
      }
      seen = seen.length === 0 ? more : Buffer.concat([seen, more]);
      const header = readProxyHeader(seen);
      if (header === 'more') return;
      if ('broken' in header) {
        this.#refuse(socket, header.broken);
        return;
      }
      clearTimeout(timer);
      socket.removeListener('close', onClose);
      socket.removeListener('readable', onReadable);
      if (seen.length > header.length) socket.unshift(seen.subarray(header.length));
      if (header.source !== undefined) this.#keep(socket, header.source);
      onHeader(socket, header.source);
    };
    socket.on('readable', onReadable);
  }

  /** Whom the header of this connection named; undefined: nobody, or there was none. */
  sourceOf(socket: Socket): ProxySource | undefined {
    return this.#sources.size === 0 ? undefined : this.#sources.get(endsOf(socket));
  }

  #keep(socket: Socket, source: ProxySource): void {
    const ends = endsOf(socket);
    this.#sources.set(ends, source);
    socket.once('close', () => this.#sources.delete(ends));
  }

  /** What came is nobody's: read as a client's it would be said in the name of the sender. */
  #refuse(socket: Socket, detail: string): void {
    this.#door.notices.seldom('a connection was closed: it did not begin with the PROXY header that its peer owes', {
      listener: this.#listener,
      peer_ip: plainAddress(socket.remoteAddress ?? ''),
      detail,
    });
    socket.destroy();
  }
}

/** For whoever forgot to list a load balancer. `first`: how a connection began that could not be read. */
export function noticeUnlisted(door: Door, origin: Origin, first: Buffer): void {
  const { listener, peerAddress: peer_ip, callerAddress } = origin;
  // Behind a header that was read, it is the client who sends another one.
  if (callerAddress !== peer_ip || !looksLikeProxyHeader(first)) return;
  const message = 'a PROXY header was not read: proxyProtocol of the listener does not list its sender';
  door.notices.seldom(message, { listener, peer_ip });
}

const endsOf = ({ remoteAddress, remotePort, localAddress }: Socket) =>
  `${remoteAddress} ${remotePort} ${localAddress}`;
