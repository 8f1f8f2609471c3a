// What a conformance case is: one behaviour as a sentence, the protocols that it is asked over, and the conversation that shows it.

import assert from 'node:assert/strict';
import type { Headers } from '../../src/http/headers.ts';
import type { Endpoint, Limits } from '../../src/model/snapshot.ts';
import { valuesOf } from '../support/raw-upstream.ts';
import type { Answer } from './call.ts';
import type { Subject } from './subjects.ts';

export type Protocol = 'HTTP/1.1' | 'TLS' | 'HTTP/2';

export const EVERY: readonly Protocol[] = ['HTTP/1.1', 'TLS', 'HTTP/2'];
/** Where bytes that HTTP/2 cannot express are sent, and where tunnels are. */
export const HTTP1: readonly Protocol[] = ['HTTP/1.1', 'TLS'];
export const HTTP2: readonly Protocol[] = ['HTTP/2'];

/** What a case needs of the door; peers are never asked such a case. */
export interface Setting {
  readonly limits?: Partial<Limits>;
  readonly trustedProxies?: readonly string[];
  readonly sweepEvery?: number;
  /** Endpoints of the frontend, given the upstream's. */
  readonly frontend?: (upstream: Endpoint) => Promise<readonly Endpoint[]>;
}

export interface Case {
  readonly behaviour: string;
  readonly protocols: readonly Protocol[];
  /** It is put to the peers as well, and printed. All others are about what Portico alone promises. */
  readonly peers?: true;
  readonly setting?: Setting;
  /** Throws when the behaviour is not shown. */
  run(subject: Subject): Promise<unknown>;
}

/** How often a case repeats what may be a race: fewer times when it is asked only for the table. */
export function times(subject: Subject, count: number): number {
  return subject.isProof ? count : Math.min(count, 3);
}

export function hasStatus(answer: Answer, status: number): void {
  assert.equal(answer.status, status, `status of ${JSON.stringify(answer.body.toString('latin1').slice(0, 300))}`);
  assert.equal(answer.end, 'complete');
}

export function isCut(answer: Answer): void {
  assert.equal(answer.end, 'cut', 'the client can tell that the answer is not whole');
  if (answer.frames === undefined) return;
  assert.equal(answer.frames.endStream, false, 'no END_STREAM was sent');
  assert.notEqual(answer.frames.resetCode, undefined, 'RST_STREAM was sent');
  assert.notEqual(answer.frames.resetCode, 0, 'RST_STREAM carries an error');
}

/** The field's values, in order. */
export function hasValues(fields: Headers, name: string, values: readonly string[]): void {
  assert.deepEqual(valuesOf(fields, name), values, `${name} in ${JSON.stringify(fields)}`);
}

/** The names that are there, in lower case. */
export function namesOf(fields: Headers): string[] {
  return fields.filter((_value, i) => i % 2 === 0).map((name) => name.toLowerCase());
}
