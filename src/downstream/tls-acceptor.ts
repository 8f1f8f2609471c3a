// Takes the connections of a TLS listener through their handshake, each with the certificate for its name and its abilities.

import type { Socket } from 'node:net';
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls';
import { readClientHello } from '../codec/client-hello.ts';
import type { Listener, Snapshot } from '../model/snapshot.ts';
import { type CertificateTable, type KeyKind, kindFor, TLS_POLICIES } from './tls.ts';

type OcspCallback = (error: Error | null, staple: Buffer | undefined) => void;

/**
 * Two servers, of which neither listens: Node's SNICallback is told the name only, and of a context with several certificates it
 * takes the last. So what a client can do is read before its handshake begins, and each server has the certificates of one kind.
 */
export class TlsAcceptor {
  #table: CertificateTable;
  #strict: boolean;
  readonly #servers: Readonly<Record<KeyKind, Server>>;

  constructor(listener: Listener, snapshot: Snapshot, table: CertificateTable, onSecure: (socket: TLSSocket) => void) {
    this.#table = table;
    this.#strict = listener.strictSni;
    const open = (kind: KeyKind) => {
      const server = createServer({
        ...this.#defaults(listener, snapshot, kind),
        handshakeTimeout: snapshot.limits.headTimeout,
        ALPNProtocols: ['h2', 'http/1.1'],
        SNICallback: (name, answer) => answer(null, this.#table.contextFor(name.toLowerCase(), kind)),
      });
      server.on('secureConnection', onSecure);
      // Failed handshakes are the clients' affair: scanners produce them without end.
      server.on('tlsClientError', (_error, socket) => socket.destroy());
      return server;
    };
    this.#servers = { ecdsa: open('ecdsa'), rsa: open('rsa') };
    this.#staple();
  }

  /** True when it is known how to go on with a connection that began with these bytes. */
  isEnough(first: Uint8Array): boolean {
    return !this.#table.hasBoth || readClientHello(first) !== 'more';
  }

  /** Starts the handshake. `first` is what was read of the connection and given back to it. */
  accept(socket: Socket, first: Uint8Array): void {
    const offer = this.#table.hasBoth ? readClientHello(first) : undefined;
    const kind = offer === undefined || offer === 'more' ? 'ecdsa' : kindFor(offer);
    this.#servers[kind].emit('connection', socket);
  }

  /** Handshakes that begin from now on are by this snapshot. */
  renew(listener: Listener, snapshot: Snapshot, table: CertificateTable): void {
    this.#table = table;
    this.#strict = listener.strictSni;
    for (const kind of ['ecdsa', 'rsa'] as const) {
      this.#servers[kind].setSecureContext(this.#defaults(listener, snapshot, kind));
    }
    this.#staple();
  }

  /** Node looks for who listens before it copies the certificate for them: where nothing is stapled, nobody does. */
  #staple(): void {
    for (const kind of ['ecdsa', 'rsa'] as const) {
      this.#servers[kind].removeListener('OCSPRequest', this.#onOcspRequest);
      if (this.#table.staples.size > 0) this.#servers[kind].on('OCSPRequest', this.#onOcspRequest);
    }
  }

  /** `leaf`: of the certificate that was chosen, in DER; there may be none with strict SNI. */
  readonly #onOcspRequest = (leaf: Buffer | undefined, _issuer: unknown, answer: OcspCallback) => {
    answer(null, this.#table.staples.get(leaf?.toString('latin1') ?? '') as Buffer | undefined);
  };

  /** What holds for clients that ask for no name, or for one that is not known: strictly there is no certificate for them. */
  #defaults(listener: Listener, snapshot: Snapshot, kind: KeyKind): SecureContextOptions {
    const { chain, key } = this.#table.fallback(kind);
    return {
      ...TLS_POLICIES[listener.tlsPolicy],
      ...(this.#strict ? {} : { cert: chain, key }),
      ticketKeys: Buffer.from(snapshot.ticketKeys),
    };
  }
}
