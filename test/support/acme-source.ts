// An ACME source inside of a test: its clock is the test's, and what it wants found by an issuer is found at a port.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Test } from 'tap';
import type { Clock } from '../../src/control/acme/clock.ts';
import { DirectoryStorage } from '../../src/control/acme/directory-storage.ts';
import { OrderCounts } from '../../src/control/acme/measures.ts';
import { AcmeSource } from '../../src/control/acme/source.ts';
import type { Storage } from '../../src/control/acme/storage.ts';
import type { ChallengeType, DnsProof, Issuer } from '../../src/control/configuration.ts';
import { createLog } from '../../src/telemetry/log.ts';

/** Short waits pass faster than they say, longer ones when the test lets time go by. */
const SHORT = 15_000;

export class TestClock implements Clock {
  #ahead = 0;
  readonly #held = new Set<{ readonly at: number; readonly over: () => void }>();

  now(): number {
    return Date.now() + this.#ahead;
  }

  random(): number {
    return 0;
  }

  wait(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((over) => {
      if (signal.aborted) return over();
      if (ms < SHORT) {
        setTimeout(over, ms / 10);
        return;
      }
      const held = { at: this.now() + ms, over };
      this.#held.add(held);
      signal.addEventListener('abort', () => {
        this.#held.delete(held);
        over();
      });
    });
  }

  /** How many wait for time to go by. */
  waiting(): number {
    return this.#held.size;
  }

  /** Issuers live in the present: what they issue now begins now. */
  backToPresent(): void {
    this.#ahead = 0;
  }

  advance(ms: number): void {
    this.#ahead += ms;
    for (const held of this.#held) {
      if (held.at > this.now()) continue;
      this.#held.delete(held);
      held.over();
    }
  }
}

export interface AcmeGround {
  readonly clock: TestClock;
  readonly lines: readonly string[];
  /** Issuers that are reached with `ca`. */
  open(options: SourceOptions): Promise<AcmeSource>;
}

export interface TestIssuer
  extends Pick<Issuer, 'directory'>,
    Partial<Pick<Issuer, 'rehearsal' | 'preferredChain' | 'profile'>> {
  readonly caFile: string;
}

export interface SourceOptions {
  readonly names: readonly string[];
  readonly issuers: readonly TestIssuer[];
  readonly folder: string;
  readonly storage?: Storage;
  readonly challenges?: readonly ChallengeType[];
  readonly dns?: DnsProof;
}

/** `httpPort`: where the issuer looks. */
export async function prepareSources(t: Test, httpPort: number): Promise<AcmeGround> {
  const clock = new TestClock();
  const lines: string[] = [];
  const log = createLog('debug', { put: (line) => lines.push(line), flush: async () => {} });
  const sources = new Set<AcmeSource>();
  const server = createServer((request, response) => {
    const host = request.headers.host!.split(':')[0];
    const answers = [...sources].flatMap((source) => source.answers()?.http ?? []);
    const found = answers.find((each) => each.host === host && request.url!.endsWith(`/${each.token}`));
    response.statusCode = found === undefined ? 404 : 200;
    response.end(found?.text ?? 'nothing is here');
  });
  server.listen(httpPort, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(async () => {
    for (const source of sources) source.stop();
    await Promise.all([...sources].map((source) => source.ended()));
    server.close();
    server.closeAllConnections();
  });
  return {
    clock,
    lines,
    open: async ({ names, issuers, folder, storage, challenges = ['http-01'], dns }) => {
      const authorities = new Map(issuers.map(({ caFile }) => [caFile, readFileSync(caFile, 'latin1')]));
      const setting = { place: 'test', name: 'test' };
      const read = issuers.map(({ directory, caFile, rehearsal, preferredChain, profile }) => ({
        ...{ directory, email: undefined, eab: undefined, profile, rehearsal, preferredChain },
        ca: { file: caFile, setting },
      }));
      const source = await AcmeSource.open([{ names, issuers: read, challenges, dns, setting }], {
        ...{ storage: storage ?? new DirectoryStorage(folder), clock, log, counts: new OrderCounts(), authorities },
      });
      sources.add(source);
      return source;
    },
  };
}
