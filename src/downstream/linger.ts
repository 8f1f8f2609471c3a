// The lingering close: a connection ends so that the peer can read our last bytes.

import type { Socket } from 'node:net';

/** How long what the peer still sends is read and thrown away, in ms. */
export const LINGER = 3_000;

/** Ends our side and waits for the peer's: a close with unread input would reset our last bytes away (RFC 9112 §9.6). */
export function linger(socket: Socket): void {
  if (socket.destroyed) return;
  socket.end();
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), LINGER);
  socket.once('end', () => socket.destroy());
  socket.once('close', () => clearTimeout(timer));
}
