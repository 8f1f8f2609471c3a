// The status of this instance: looks at what is counted every few seconds, and tells it when somebody asks.

import type { FailedExchange, Family } from '../../model/measures.ts';
import type { Check } from '../checks.ts';
import { version } from '../version.ts';
import { History, SAMPLE_EVERY } from './history.ts';
import { type Overview, overviewOf } from './overview.ts';

/** Where what is told comes from. */
export interface StatusSources {
  checks(): Promise<readonly Check[]>;
  /** What each worker has counted. */
  families(): Promise<(readonly Family[])[]>;
  /** Of the certificates in force: the head, and a row each. */
  certificates(): readonly (readonly string[])[];
  failed(): readonly FailedExchange[];
}

export class Status {
  readonly #sources: StatusSources;
  readonly #history = new History();
  readonly #startedAt = performance.now();

  constructor(sources: StatusSources) {
    this.#sources = sources;
  }

  /** Looks from now on. It keeps no process alive. */
  begin(): void {
    const look = () => {
      const note = (groups: readonly (readonly Family[])[]) => this.#history.note(performance.now(), groups);
      // Who asks meanwhile is told of the failure.
      this.#sources.families().then(note, () => {});
    };
    look();
    setInterval(look, SAMPLE_EVERY).unref();
  }

  async overview(): Promise<Overview> {
    const sources = this.#sources;
    return overviewOf({
      version: version(),
      uptime: performance.now() - this.#startedAt,
      checks: await sources.checks(),
      groups: await sources.families(),
      history: this.#history,
      certificates: sources.certificates(),
      failed: sources.failed(),
    });
  }
}
