// The limits of connections: how many there are in total, and of one client.

import type { Socket } from 'node:net';
import { plainAddress } from '../http/forwarded.ts';
import type { Door } from '../proxy/door.ts';

/** A flood is told of once in this time, in ms. */
const TELL_EVERY = 10_000;

/** Counts the connections of one listener. */
export class ConnectionLimits {
  readonly #door: Door;
  readonly #listener: string;
  readonly #ofAddress = new Map<string, number>();
  #total = 0;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(door: Door, listener: string) {
    this.#door = door;
    this.#listener = listener;
  }

  /** Counts a connection until it closes. False: it is one too many, and was closed. */
  admit(socket: Socket): boolean {
    const { connections } = this.#door.active.limits;
    if (this.#total >= connections) {
      this.#refuse(socket, {}, 'downstream.connections', connections);
      return false;
    }
    this.#total++;
    socket.once('close', () => {
      this.#total--;
    });
    return true;
  }

  /** The same for its client, as soon as it is known who that is. */
  admitClient(socket: Socket, address: string): boolean {
    const { limits, isTrusted } = this.#door.active;
    const { connectionsPerClient } = limits;
    const count = this.#ofAddress.get(address) ?? 0;
    // Behind a trusted hop stand many clients.
    if (connectionsPerClient !== 0 && count >= connectionsPerClient && !isTrusted(address)) {
      this.#refuse(socket, { client_ip: address }, 'downstream.connectionsPerClient', connectionsPerClient);
      return false;
    }
    this.#ofAddress.set(address, count + 1);
    socket.once('close', () => this.#leave(address));
    return true;
  }

  #leave(address: string): void {
    const count = this.#ofAddress.get(address)! - 1;
    if (count === 0) this.#ofAddress.delete(address);
    else this.#ofAddress.set(address, count);
  }

  #refuse(socket: Socket, who: { readonly client_ip?: string }, limit: string, value: number): void {
    const peer = plainAddress(socket.remoteAddress ?? '');
    socket.destroy();
    const now = this.#door.now();
    if (now - this.#toldAt < TELL_EVERY) return;
    this.#toldAt = now;
    this.#door.log.warn('a connection was closed: there are too many', {
      listener: this.#listener,
      peer_ip: peer,
      ...who,
      limit,
      value,
    });
  }
}
