// Connects to an endpoint: its name resolved, its addresses raced, within a deadline, and what goes wrong in words.

import { isIP, connect as netConnect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as tlsConnect } from 'node:tls';
import { FAILURES, type Failure } from '../model/failure.ts';
import type { Endpoint } from '../model/snapshot.ts';
import { UpstreamConnection } from './connection.ts';
import { lookupThrough, type Resolver } from './resolver.ts';

/** Told once: the connection, or why there is none. */
export type Opened = (connection: UpstreamConnection | undefined, failure: Failure | undefined, detail: string) => void;

/**
 * Connects within `timeout` (ms). Addresses from the cache that fail are asked anew at once, and tried once more.
 * `streaming`: for a tunnel, whose bytes are somebody else's to read.
 */
export function openConnection(
  endpoint: Endpoint,
  timeout: number,
  resolver: Resolver,
  streaming: boolean,
  opened: Opened,
  again = false,
): void {
  let fromCache = false;
  let isResolved = isIP(endpoint.host) !== 0;
  const connection = new UpstreamConnection(endpoint.tls);
  const lookup = lookupThrough(resolver, (cached) => {
    fromCache = cached;
    isResolved = true;
  });
  const { host, port } = endpoint;
  const options = {
    host,
    port,
    lookup,
    autoSelectFamily: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
    ...(streaming ? {} : { onread: connection.reading }),
  };
  const socket = endpoint.tls ? tlsConnect({ ...options, ...trustOf(endpoint) }) : netConnect(options);
  // Before it is attached: over TLS an upstream may speak as soon as its half of the handshake is done.
  connection.socket = socket;
  const deadline = setTimeout(() => {
    const limit = `within ${timeout} ms (limit upstream.connectTimeout)`;
    if (isResolved) finish(FAILURES.connectTimeout, `accepted no connection ${limit}`);
    else finish(FAILURES.dns, `has a name that was not resolved ${limit}`);
  }, timeout);
  const onError = (error: NodeJS.ErrnoException) => {
    if (fromCache && !again) {
      cleanUp();
      socket.destroy();
      resolver.doubt(host);
      openConnection(endpoint, timeout, resolver, streaming, opened, true);
      return;
    }
    const failure = connectFailure(error, endpoint);
    finish(failure, `${CONNECT_WORDS.get(failure)} (${describe(error)})`);
  };
  const onConnect = () => {
    cleanUp();
    holdWriteErrors(socket, connection);
    connection.attach(streaming);
    opened(connection, undefined, '');
  };
  const event = endpoint.tls ? 'secureConnect' : 'connect';
  socket.once('error', onError);
  socket.once(event, onConnect);

  function cleanUp(): void {
    clearTimeout(deadline);
    socket.removeListener('error', onError);
    socket.removeListener(event, onConnect);
  }
  function finish(failure: Failure, detail: string): void {
    cleanUp();
    socket.on('error', () => {});
    socket.destroy();
    if (isResolved) resolver.doubt(host);
    opened(undefined, failure, detail);
  }
}

/** Whom the handshake asks for, and who may vouch for it: an authority of the pool's own in place of the system's. */
function trustOf({ host, ca, serverName }: Endpoint): ConnectionOptions {
  const name = serverName ?? (isIP(host) === 0 ? host : undefined);
  return {
    ALPNProtocols: ['http/1.1'],
    ...(name === undefined ? {} : { servername: name }),
    ...(ca === undefined ? {} : { ca }),
  };
}

/** What each means, for whoever has to mend it; the endpoint is named before. */
const CONNECT_WORDS: ReadonlyMap<Failure, string> = new Map([
  [FAILURES.dns, 'has a name that cannot be resolved: is it running, and in the same network?'],
  [FAILURES.refused, 'refused the connection: nothing listens there, or it is still starting'],
  [FAILURES.connectTimeout, 'accepted no connection: is there a firewall between?'],
  [FAILURES.unreachable, 'cannot be reached from here'],
  [FAILURES.tls, 'made no TLS connection that can be trusted'],
]);

function connectFailure(error: NodeJS.ErrnoException, endpoint: Endpoint): Failure {
  switch (error.code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EAI_NODATA':
    case 'EAI_NONAME':
      return FAILURES.dns;
    case 'ECONNREFUSED':
      return FAILURES.refused;
    case 'ETIMEDOUT':
      return FAILURES.connectTimeout;
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
    case 'EMFILE':
    case 'ENFILE':
      return FAILURES.unreachable;
    default:
      return endpoint.tls ? FAILURES.tls : FAILURES.unreachable;
  }
}

/** The system's words; of a race over several addresses the first one's. */
function describe(error: Error): string {
  const first = error instanceof AggregateError ? (error.errors[0] as Error) : error;
  return first.message;
}

/** How long a failed write waits for the answer that may already be there. */
const READ_AFTER_WRITE_ERROR = 2_000;

/**
 * An upstream that refuses an upload answers and closes: our next write fails while its answer still waits to be read, and
 * Node destroys a socket on a failed write. So the error is held back until the reading side has ended, or a short time.
 */
function holdWriteErrors(socket: Socket, connection: UpstreamConnection): void {
  const write = socket._write;
  const writev = socket._writev;
  const hold = (callback: (error?: Error | null) => void) => (error?: Error | null) => {
    if (!error || socket.destroyed) {
      callback(error);
      return;
    }
    connection.onWriteFailed(error);
    // Whoever wrote is told in the end, whatever comes first: what was to be written is theirs again.
    const tell = () => {
      clearTimeout(timer);
      socket.removeListener('close', tell);
      callback(error);
    };
    const timer = setTimeout(tell, READ_AFTER_WRITE_ERROR);
    socket.once('close', tell);
  };
  socket._write = (chunk, encoding, callback) => write.call(socket, chunk, encoding, hold(callback));
  if (writev !== undefined && writev !== null) {
    socket._writev = (chunks, callback) => writev.call(socket, chunks, hold(callback));
  }
}
