// The challenge: is this request one of an issuer, who looks whether a name is ours (RFC 8555, 8.3).

import type { AcmeAnswers } from '../model/snapshot.ts';

const BELOW = '/.well-known/acme-challenge/';

/** The text that it is to find; undefined: it is a request like any other. */
export function findAnswer({ http }: AcmeAnswers, method: string, host: string, path: string): string | undefined {
  if (!path.startsWith(BELOW) || (method !== 'GET' && method !== 'HEAD')) return undefined;
  const token = path.slice(BELOW.length);
  return http.find((each) => each.token === token && each.host === host)?.text;
}
