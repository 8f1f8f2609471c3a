// OCSP answers made by hand: right ones, and wrong in each way that a test wants.

import { createHash, createPrivateKey, sign, X509Certificate } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import { TAG, writeDer } from '../../src/control/ocsp/der.ts';
import { type Question, questionOf } from '../../src/control/ocsp/question.ts';
import type { TestPair } from './certificates.ts';

export interface MadeAnswer {
  readonly leaf: TestPair;
  readonly issuer: TestPair;
  /** The issuer itself without it; its certificate is sent along. */
  readonly signer?: TestPair;
  readonly status?: 'good' | 'revoked' | 'unknown';
  /** In ms of the wall clock. */
  readonly thisUpdate: number;
  readonly nextUpdate?: number | undefined;
  /** OID of the signature, as hex. */
  readonly algorithm?: string;
  readonly hash?: 'sha1' | 'sha256';
}

const OIDS = { sha1: '2b0e03021a', sha256: '608648016503040201', basic: '2b0601050507300101' };
/** ecdsa-with-SHA256. */
const ECDSA = '2a8648ce3d040302';

const oid = (hex: string) => writeDer(TAG.oid, Buffer.from(hex, 'hex'));
const sequence = (...parts: Buffer[]) => writeDer(TAG.sequence, ...parts);
const octets = (bytes: Buffer) => writeDer(TAG.octets, bytes);
const time = (ms: number) =>
  writeDer(TAG.generalizedTime, Buffer.from(new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '')));

/** Certificates name whole seconds. */
export const wholeSeconds = (ms: number) => Math.floor(ms / 1_000) * 1_000;

export const askAbout = (leaf: TestPair, issuer: TestPair): Question =>
  questionOf(new X509Certificate(leaf.certificate), new X509Certificate(issuer.certificate));

export function makeAnswer(made: MadeAnswer): Buffer {
  const { leaf, issuer, signer, status = 'good', thisUpdate, nextUpdate, algorithm = ECDSA, hash = 'sha1' } = made;
  const { issuerName, issuerKey, serial } = askAbout(leaf, issuer);
  const digest = (bytes: Buffer) => octets(createHash(hash).update(bytes).digest());
  const id = sequence(sequence(oid(OIDS[hash])), digest(issuerName), digest(issuerKey), serial);
  const statuses = {
    good: writeDer(0x80),
    // keyCompromise
    revoked: writeDer(0xa1, time(thisUpdate), writeDer(0xa0, writeDer(TAG.enumerated, Buffer.of(1)))),
    unknown: writeDer(0x82),
  };
  const until = nextUpdate === undefined ? [] : [writeDer(0xa0, time(nextUpdate))];
  const single = sequence(id, statuses[status], time(thisUpdate), ...until);
  const signed = sequence(writeDer(0xa1, issuerName), time(thisUpdate), sequence(single));
  const signature = sign('sha256', signed, createPrivateKey((signer ?? issuer).key));
  const certificates =
    signer === undefined ? [] : [writeDer(0xa0, sequence(new X509Certificate(signer.certificate).raw))];
  const bits = writeDer(TAG.bits, Buffer.of(0), signature);
  const basic = sequence(signed, sequence(oid(algorithm)), bits, ...certificates);
  return sequence(writeDer(TAG.enumerated, Buffer.of(0)), writeDer(0xa0, sequence(oid(OIDS.basic), octets(basic))));
}

/** `unauthorized` (6) and the like. */
export const makeRefusal = (code: number): Buffer => sequence(writeDer(TAG.enumerated, Buffer.of(code)));

/** A responder that says what the test says, over HTTP on loopback. */
export async function startResponder(
  t: Test,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await new Promise((listening) => server.once('listening', listening));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
