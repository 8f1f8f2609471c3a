// Endpoints that are this door itself: a request for one would come back to us, again and again.

import { isIP } from 'node:net';
import type { Endpoint } from '../model/snapshot.ts';
import { Wrong } from './values.ts';

interface Bound {
  readonly address: string | undefined;
  readonly port: number;
}

/** What to say of an endpoint that leads to one of the ports that we bind; undefined: it leads elsewhere. */
export function problemOfOwnPort({ host, port }: Endpoint, bound: readonly Bound[]): Wrong | undefined {
  if (!bound.some((each) => each.port === port && isReachedAt(host, each.address))) return undefined;
  return new Wrong(
    `port ${port} there is Portico's own, so it would call itself`,
    'give the address of what stands behind Portico (in a container localhost is this container), or set another port for Portico',
  );
}

/** True when who calls `host` on this machine reaches what is bound to `address`. */
function isReachedAt(host: string, address: string | undefined): boolean {
  if (address === undefined || address === '::') return isHere(host);
  if (address === '0.0.0.0') return isHere(host) && isIP(host) !== 6;
  return host === address || (host === 'localhost' && isHere(address));
}

/** This machine, whatever its addresses are. */
function isHere(host: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|0\.0\.0\.0|::1?)$/.test(host);
}
