// The limits of connections: how many there are in total, and of one peer address.

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
    const { limits, isTrusted } = this.#door.active;
    const address = plainAddress(socket.remoteAddress ?? '');
    const count = this.#ofAddress.get(address) ?? 0;
    if (this.#total >= limits.connections) {
      this.#refuse(socket, address, 'downstream.connections', limits.connections);
      return false;
    }
    // Behind a trusted hop stand many clients.
    if (limits.connectionsPerClient !== 0 && count >= limits.connectionsPerClient && !isTrusted(address)) {
      this.#refuse(socket, address, 'downstream.connectionsPerClient', limits.connectionsPerClient);
      return false;
    }
    this.#total++;
    this.#ofAddress.set(address, count + 1);
    socket.once('close', () => this.#leave(address));
    return true;
  }

  #leave(address: string): void {
    this.#total--;
    const count = this.#ofAddress.get(address)! - 1;
    if (count === 0) this.#ofAddress.delete(address);
    else this.#ofAddress.set(address, count);
  }

  #refuse(socket: Socket, address: string, limit: string, value: number): void {
    socket.destroy();
    const now = this.#door.now();
    if (now - this.#toldAt < TELL_EVERY) return;
    this.#toldAt = now;
    this.#door.log.warn('a connection was closed: there are too many', {
      listener: this.#listener,
      peer_ip: address,
      limit,
      value,
    });
  }
}
