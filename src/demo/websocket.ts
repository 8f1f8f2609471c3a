// The demo backend's websocket: greets, echoes JSON frames with the time, and ticks, so that an idle connection stays open.

import type { Server } from 'node:http';
import { type WebSocket, WebSocketServer } from 'ws';

const SUBPROTOCOL = 'portico-demo';
const TICK_MS = 3_000;
const LARGEST_FRAME = 64 * 1024;
/** Of answers that a peer does not read; past it, the peer is cut rather than held in memory. */
const LARGEST_BACKLOG = 1024 * 1024;

/** Speaks websocket on every upgrade that the server lets through. Returns what ends all of them. */
export function acceptWebsockets(server: Server): () => void {
  const sockets = new WebSocketServer({
    noServer: true,
    clientTracking: true,
    maxPayload: LARGEST_FRAME,
    handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  });
  server.on('upgrade', (request, socket, head) => sockets.handleUpgrade(request, socket, head, greet));
  return () => {
    for (const socket of sockets.clients) {
      socket.close(1001, 'The demo ends.');
      socket.terminate();
    }
  };
}

/** A browser cannot set Authorization on a websocket, and a URL ends up in logs: the token is offered as a subprotocol. */
export function offeredToken(subprotocols: string | undefined): string | undefined {
  const [first, token] = (subprotocols ?? '').split(',').map((offer) => offer.trim());
  return first === SUBPROTOCOL ? token : undefined;
}

function greet(socket: WebSocket): void {
  const ticking = setInterval(() => send(socket, { kind: 'tick' }), TICK_MS);
  socket.on('close', () => clearInterval(ticking));
  // A frame too large, a reset: ws closes the connection by itself, but an error without a listener ends the process.
  socket.on('error', () => {});
  socket.on('message', (frame, isBinary) => echo(socket, isBinary ? undefined : frame.toString()));
  send(socket, { kind: 'hello', user: 'demo' });
}

function echo(socket: WebSocket, text: string | undefined): void {
  try {
    send(socket, { kind: 'echo', frame: JSON.parse(text ?? '') });
  } catch {
    send(socket, { kind: 'error', error: 'A frame must be JSON text.' });
  }
}

function send(socket: WebSocket, message: Record<string, unknown>): void {
  if (socket.bufferedAmount > LARGEST_BACKLOG) socket.terminate();
  else socket.send(JSON.stringify({ ...message, time: new Date().toISOString() }));
}
