// The handshakes of tls-alpn-01 (RFC 8737), by which an issuer looks whether a name is ours; apart from all others, for no request ever comes of one.

import type { Socket } from 'node:net';
import { createSecureContext, createServer, type SecureContext, type Server, type TLSSocket } from 'node:tls';
import { readClientHello } from '../codec/client-hello.ts';
import type { Certificate } from '../model/snapshot.ts';
import type { Door } from '../proxy/door.ts';

const PROTOCOL = 'acme-tls/1';

/** Node asks for the certificate of a name before the protocol is known: so a handshake for an issuer is known by its first bytes. */
export class AcmeAcceptor {
  readonly #door: Door;
  readonly #contexts = new WeakMap<Certificate, SecureContext>();
  /** Opened by the first issuer. */
  #server: Server | undefined;

  constructor(door: Door) {
    this.#door = door;
  }

  /** True when it is known whether a connection that began with these bytes is an issuer's. */
  isEnough(first: Uint8Array): boolean {
    return !this.#isPending() || readClientHello(first) !== 'more';
  }

  isFor(first: Uint8Array): boolean {
    if (!this.#isPending()) return false;
    const offer = readClientHello(first);
    return offer !== undefined && offer !== 'more' && offer.protocols.includes(PROTOCOL);
  }

  accept(socket: Socket): void {
    this.#server ??= this.#open();
    this.#server.emit('connection', socket);
  }

  /** Handshakes that begin from now on are by the limits of now. */
  renew(): void {
    // It does not listen: those under way keep theirs.
    this.#server = undefined;
  }

  #isPending(): boolean {
    const { acme } = this.#door.active.snapshot;
    return acme !== undefined && acme.tls.length > 0;
  }

  #open(): Server {
    const server = createServer({
      minVersion: 'TLSv1.2',
      ALPNProtocols: [PROTOCOL],
      handshakeTimeout: this.#door.active.limits.headTimeout,
      SNICallback: (name, answer) => {
        const context = this.#contextFor(name.toLowerCase());
        if (context === undefined) answer(new Error('no challenge is pending for this name'));
        else answer(null, context);
      },
    });
    // The handshake was all.
    server.on('secureConnection', (socket: TLSSocket) => {
      socket.on('error', () => {});
      socket.destroySoon();
    });
    server.on('tlsClientError', (_error, socket: Socket) => socket.destroy());
    return server;
  }

  #contextFor(name: string): SecureContext | undefined {
    const certificate = this.#door.active.snapshot.acme?.tls.find(({ names }) => names.includes(name));
    if (certificate === undefined) return undefined;
    const context =
      this.#contexts.get(certificate) ?? createSecureContext({ cert: certificate.chain, key: certificate.key });
    this.#contexts.set(certificate, context);
    return context;
  }
}
