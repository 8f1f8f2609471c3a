// Takes the connections of a TLS listener through their handshake, each with the certificate for its name and its abilities.

import type { Socket } from 'node:net';
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls';
import { readClientHello } from '../codec/client-hello.ts';
import type { Listener, Snapshot } from '../model/snapshot.ts';
import {
  type CertificateTable,
  type KeyKind,
  kindFor,
  PROTOCOLS,
  stapleFrom,
  TICKET_LIFETIME,
  TLS_POLICIES,
} from './tls.ts';

type Servers = Readonly<Record<KeyKind, Server>>;

/**
 * Two servers, of which neither listens: Node's SNICallback is told the name only, and of a context with several certificates it
 * takes the last. So what a client can do is read before its handshake begins, and each server has the certificates of one kind.
 * A server has one key of session tickets: for some minutes after these have changed, two more resume those of the key before.
 */
export class TlsAcceptor {
  #table: CertificateTable;
  #strict: boolean;
  readonly #onSecure: (socket: TLSSocket) => void;
  #servers: Servers;
  #previous: { readonly keyName: string; readonly servers: Servers } | undefined;

  constructor(listener: Listener, snapshot: Snapshot, table: CertificateTable, onSecure: (socket: TLSSocket) => void) {
    this.#table = table;
    this.#strict = listener.strictSni;
    this.#onSecure = onSecure;
    this.#servers = this.#open(listener, snapshot, snapshot.ticketKeys);
    this.#previous = this.#openPrevious(listener, snapshot);
  }

  /** True when it is known how to go on with a connection that began with these bytes. */
  isEnough(first: Uint8Array): boolean {
    return !this.#needsHello || readClientHello(first) !== 'more';
  }

  /** Starts the handshake. `first` is what was read of the connection and given back to it. */
  accept(socket: Socket, first: Uint8Array): void {
    const offer = this.#needsHello ? readClientHello(first) : undefined;
    if (offer === undefined || offer === 'more') {
      this.#servers.ecdsa.emit('connection', socket);
      return;
    }
    const isOld = offer.ticketKey !== '' && offer.ticketKey === this.#previous?.keyName;
    const servers = isOld ? this.#previous!.servers : this.#servers;
    servers[kindFor(offer)].emit('connection', socket);
  }

  /** Handshakes that begin from now on are by this snapshot. */
  renew(listener: Listener, snapshot: Snapshot, table: CertificateTable): void {
    this.#table = table;
    this.#strict = listener.strictSni;
    // They do not listen: those under way keep theirs.
    this.#servers = this.#open(listener, snapshot, snapshot.ticketKeys);
    this.#previous = this.#openPrevious(listener, snapshot);
  }

  get #needsHello(): boolean {
    return this.#table.hasBoth || this.#previous !== undefined;
  }

  #open(listener: Listener, snapshot: Snapshot, ticketKeys: Uint8Array): Servers {
    const open = (kind: KeyKind) => {
      const server = createServer({
        ...this.#defaults(listener, kind, ticketKeys),
        handshakeTimeout: snapshot.limits.headTimeout,
        ALPNProtocols: PROTOCOLS,
        SNICallback: (name, answer) => answer(null, this.#table.contextFor(name.toLowerCase(), kind)),
      });
      stapleFrom(server, this.#table);
      server.on('secureConnection', this.#onSecure);
      // Failed handshakes are the clients' affair: scanners produce them without end.
      server.on('tlsClientError', (_error, socket) => socket.destroy());
      return server;
    };
    return { ecdsa: open('ecdsa'), rsa: open('rsa') };
  }

  #openPrevious(listener: Listener, snapshot: Snapshot) {
    const { previousTicketKeys: keys } = snapshot;
    if (keys === undefined) return undefined;
    // Node's key begins with its name, which each ticket begins with.
    const keyName = String.fromCharCode(...keys.subarray(0, 16));
    return { keyName, servers: this.#open(listener, snapshot, keys) };
  }

  /** What holds for clients that ask for no name, or for one that is not known: strictly there is no certificate for them. */
  #defaults(listener: Listener, kind: KeyKind, ticketKeys: Uint8Array): SecureContextOptions {
    const { chain, key } = this.#table.fallback(kind);
    return {
      ...TLS_POLICIES[listener.tlsPolicy],
      ...(this.#strict ? {} : { cert: chain, key }),
      ticketKeys: Buffer.from(ticketKeys),
      sessionTimeout: TICKET_LIFETIME,
    };
  }
}
