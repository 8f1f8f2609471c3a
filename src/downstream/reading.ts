// Reading accepted sockets in place: into one buffer of this worker, that is looked at before the next read fills it.

import type { Socket } from 'node:net';

/** What one read takes from the kernel, in bytes. */
const READ_SIZE = 64 * 1024;

const SHARED = Buffer.allocUnsafeSlow(READ_SIZE);

/** Gets what was read, lent until it returns; `this` is the socket. */
export type OnRead = (this: never, length: number, bytes: Buffer) => boolean;

interface Names {
  readonly buffer: symbol;
  readonly callback: symbol;
}

type Carrier = Record<symbol, unknown> & { readonly _handle?: { useUserBuffer?(bytes: Uint8Array): void } | null };

/** What Node calls its own members for it; null: this Node has no such members. */
let names: Names | null | undefined;

/**
 * Reads a socket into the shared buffer from now on. Node has that (`onread`) for sockets that it connects and no way to ask for it on those
 * that it accepts, where it makes a buffer for each read: they lie outside of the heap, and their number keeps the collector marking,
 * a quarter of an upload's CPU time. So what `onread` sets is set here. False where this Node is built otherwise: then all that is
 * read comes as `data`, as what was read before comes in any case.
 */
export function readInPlace(socket: Socket, onRead: OnRead): boolean {
  if (names === undefined) names = findNames(socket);
  const carrier = socket as unknown as Carrier;
  const handle = carrier._handle;
  if (names === null || handle === null || handle?.useUserBuffer === undefined) return false;
  carrier[names.buffer] = SHARED;
  carrier[names.callback] = onRead;
  handle.useUserBuffer(SHARED);
  return true;
}

/** From now on what is read comes as `data`. For sockets that are read in place. */
export function readAsStream(socket: Socket): void {
  if (names) (socket as unknown as Carrier)[names.callback] = pushCopy;
}

function pushCopy(this: Socket, length: number, bytes: Buffer): boolean {
  return this.push(Buffer.from(bytes.subarray(0, length)));
}

function findNames(socket: Socket): Names | null {
  const symbols = Object.getOwnPropertySymbols(socket);
  const buffer = symbols.find(({ description }) => description === 'kBuffer');
  const callback = symbols.find(({ description }) => description === 'kBufferCb');
  return buffer === undefined || callback === undefined ? null : { buffer, callback };
}
