// Client certificates: whether the one who asks may come in, and what an upstream is told about the certificate.

import type { Headers } from '../http/headers.ts';
import type { ClientProof, Origin } from '../model/exchange.ts';
import { FAILURES, type Failure } from '../model/failure.ts';
import type { ClientAuth, ClientForward } from '../model/snapshot.ts';
import type { Refusal } from './admit.ts';

export interface Stranger extends Refusal {
  /** The connection is older than what holds now: only another one can be let in. */
  readonly isStale: boolean;
}

/**
 * Judged by what the handshake of this very connection found out, under the rules that are in force now. A connection that was opened
 * for another name, for none, or under other rules says nothing about who asks here. `now` is of the wall clock, in ms.
 */
export function identifyClient(
  host: string,
  { trust, required }: ClientAuth,
  { client, scheme, serverName }: Origin,
  now: number,
): Stranger | undefined {
  if (client === undefined || client.trust !== trust || now > client.judgedUntil) {
    const isStale = scheme === 'https' && serverName === host;
    const why = isStale
      ? 'this connection is older than what holds for it now: open a new one'
      : otherwise(scheme, serverName);
    return refuse(FAILURES.misdirected, `${host} asks for a client certificate, and ${why}`, isStale);
  }
  if (client.certificate === '') {
    if (!required) return undefined;
    return refuse(FAILURES.clientUnknown, `${host} needs a client certificate, and none was sent`);
  }
  const problem = client.problem === '' && now > client.validUntil ? 'CERT_HAS_EXPIRED' : client.problem;
  if (problem === '') return undefined;
  return refuse(FAILURES.clientRefused, `the client certificate is not accepted: ${PROBLEMS.get(problem) ?? problem}`);
}

/** Names are ours alone: whoever asks cannot have sent them. */
export function clientFields({ certificate, chain }: ClientProof, forward: ClientForward): Headers {
  if (forward === 'none' || certificate === '') return [];
  if (forward === 'certificate' || chain === '') return ['Client-Cert', certificate];
  return ['Client-Cert', certificate, 'Client-Cert-Chain', chain];
}

const refuse = (failure: Failure, detail: string, isStale = false): Stranger => ({ failure, detail, isStale });

function otherwise(scheme: string, serverName: string | undefined): string {
  if (scheme === 'http') return 'this connection has no TLS';
  return `this connection was opened ${serverName === undefined ? 'without a name (SNI)' : `for ${serverName}`}`;
}

const NOBODY = 'no authority of this site vouches for it';
/** The library goes on to look for a list, and tells of the last that it missed. */
const NO_LIST = `${NOBODY}, or there is no revocation list of that authority here (whoever runs the site finds that in the log)`;
/** By the codes of the TLS library. */
const PROBLEMS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    CERT_HAS_EXPIRED: 'it has expired',
    CERT_NOT_YET_VALID: 'it is not valid yet',
    CERT_REVOKED: 'it was revoked',
    CRL_HAS_EXPIRED: 'the revocation list of this site is out of date (whoever runs the site has to renew it)',
    CRL_NOT_YET_VALID: 'the revocation list of this site is not valid yet (whoever runs the site has to look at it)',
    CRL_SIGNATURE_FAILURE: NO_LIST,
    UNABLE_TO_GET_CRL: NO_LIST,
    UNABLE_TO_GET_CRL_ISSUER: NO_LIST,
    INVALID_PURPOSE: 'it is not for clients',
    DEPTH_ZERO_SELF_SIGNED_CERT: NOBODY,
    SELF_SIGNED_CERT_IN_CHAIN: NOBODY,
    UNABLE_TO_GET_ISSUER_CERT: NOBODY,
    UNABLE_TO_GET_ISSUER_CERT_LOCALLY: NOBODY,
    UNABLE_TO_VERIFY_LEAF_SIGNATURE: NOBODY,
  }),
);
