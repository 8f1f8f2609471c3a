// The answers of dns-01: TXT records that a hook or nsupdate sets, that name servers show, and that are removed again whatever happens.

import { createHash } from 'node:crypto';
import type { DnsProof } from '../configuration.ts';
import type { Means } from './client.ts';
import { DnsZones, isRecordName, type Spot } from './dns-zone.ts';
import { type Answer, AnswerError, type Answering } from './issue.ts';
import { type Program, runProgram } from './run-program.ts';
import type { Lock } from './storage.ts';

/** Of the record, in seconds: it changes with each order, and issuers should not remember the one before. */
const TTL = 1;
/** How long to wait for another name that has its record at the same place, in ms. */
const TURN_WITHIN = 20 * 60_000;
const TURN_PAUSE = 1_000;
/** How long one record's removal may take once we stop, in ms: whoever stops a container kills it after 10 s, and what stays is written down. */
const REMOVAL_AT_STOP = 5_000;
/** More records are not remembered: a hook that never removes any must not fill the store. */
const MOST_LEFT = 10;

export interface DnsRecord extends Spot {
  readonly value: string;
}

/** What a name has set and not removed yet; it outlives the process. */
export interface Left {
  records(): readonly DnsRecord[];
  keep(records: readonly DnsRecord[]): Promise<void>;
}

/** What proofs by DNS need beside their settings. */
export interface DnsMeans extends Means {
  /** For what only waits: other names go on meanwhile. */
  aside<T>(work: () => Promise<T>): Promise<T>;
}

export class DnsAnswers {
  readonly #proof: DnsProof;
  readonly #means: DnsMeans;
  readonly #zones: DnsZones;
  readonly #left: Left;
  readonly #locks = new Map<string, Lock>();

  constructor(proof: DnsProof, means: DnsMeans, left: Left) {
    this.#proof = proof;
    this.#means = means;
    this.#zones = new DnsZones(proof.resolvers, means.clock);
    this.#left = left;
  }

  /** Answers dns-01, and leaves the others to those that do. */
  beside(others: Answering, signal: AbortSignal): Answering {
    const isOurs = ({ type }: Answer) => type === 'dns-01';
    return {
      present: (answer) => (isOurs(answer) ? this.#present(answer, signal) : others.present(answer)),
      withdraw: (answer) => (isOurs(answer) ? this.#withdraw(answer, signal) : others.withdraw(answer)),
    };
  }

  /** What an earlier process has left behind. Does not reject. */
  async clean(signal: AbortSignal): Promise<void> {
    for (const record of this.#left.records()) {
      if (signal.aborted) return;
      const isOurs = await this.#means
        .aside(() => this.#takeTurn(record, signal))
        .then(
          () => true,
          () => false,
        );
      if (isOurs) await this.#remove(record, signal);
      await this.#endTurn(record.value);
    }
  }

  /** Resolves when the record is seen. */
  async #present({ name, keyAuthorization }: Answer, signal: AbortSignal): Promise<void> {
    const record = await this.#means.aside(async () => {
      // RFC 8555 §8.4: that of a wildcard is at the name below it.
      const spot = await this.#zones.find(`_acme-challenge.${name.replace(/^\*\./, '')}`);
      const record = { ...spot, value: recordValue(keyAuthorization) };
      await this.#takeTurn(record, signal);
      return record;
    });
    await this.#left.keep([...this.#left.records(), record].slice(-MOST_LEFT));
    await this.#run('present', record, signal);
    this.#means.log.info('a TXT record is set, and is looked for at the name servers', { name: record.name });
    await this.#means.aside(() => this.#zones.untilShown(record, record.value, signal));
  }

  /** Never rejects: what cannot be removed now is removed with the next attempt. */
  async #withdraw({ keyAuthorization }: Answer, signal: AbortSignal): Promise<void> {
    const value = recordValue(keyAuthorization);
    for (const record of this.#left.records()) if (record.value === value) await this.#remove(record, signal);
    await this.#endTurn(value);
  }

  async #remove(record: DnsRecord, signal: AbortSignal): Promise<void> {
    try {
      await this.#run('cleanup', record, signal);
      await this.#left.keep(this.#left.records().filter((each) => each.value !== record.value));
    } catch (error) {
      const { message } = error as Error;
      this.#means.log.warn('a TXT record is left over, and is removed with the next attempt', {
        ...{ name: record.name, error: message },
      });
    }
  }

  async #run(task: Task, record: DnsRecord, signal: AbortSignal): Promise<void> {
    try {
      const program = programOf(this.#proof, task, record);
      // A stop does not break a removal off at once: who else would do it now?
      const grace = task === 'cleanup' ? REMOVAL_AT_STOP : 0;
      await runProgram({ ...program, grace }, this.#means.clock, signal);
    } catch (error) {
      throw new AnswerError((error as Error).message);
    }
  }

  /**
   * Among all who share the store. Many hooks put a value in the place of the one before, or remove all that is there: and
   * `example.com` and `*.example.com` have theirs at the same place.
   */
  async #takeTurn({ name, value }: DnsRecord, signal: AbortSignal): Promise<void> {
    if (this.#proof.kind !== 'hook') return;
    const { storage, clock } = this.#means;
    const end = clock.now() + TURN_WITHIN;
    while (!signal.aborted && clock.now() < end) {
      const lock = await storage.lock(`dns-${name}`);
      if (lock !== undefined) {
        this.#locks.set(value, lock);
        return;
      }
      await clock.wait(TURN_PAUSE, signal);
    }
    throw new AnswerError(`another certificate needs ${name} for too long`);
  }

  async #endTurn(value: string): Promise<void> {
    await this.#locks.get(value)?.release();
    this.#locks.delete(value);
  }
}

/** As it was stored: it goes to programs. */
export function isDnsRecord(value: unknown): value is DnsRecord {
  const { name, zone, value: text } = (value ?? {}) as Record<string, unknown>;
  if (typeof name !== 'string' || typeof zone !== 'string' || typeof text !== 'string') return false;
  return isRecordName(name) && `.${name}`.endsWith(`.${zone}`) && /^[\w-]{43}$/.test(text);
}

type Task = 'present' | 'cleanup';

function recordValue(keyAuthorization: string): string {
  return createHash('sha256').update(keyAuthorization).digest('base64url');
}

/** The hook is called as lego calls its own. The key of nsupdate is in its file only. */
function programOf(proof: DnsProof, task: Task, { name, zone, value }: DnsRecord): Program {
  if (proof.kind === 'hook') {
    return { title: `${proof.file} ${task}`, command: proof.file, args: [task, `${name}.`, value] };
  }
  const { host, port, keyFile } = proof;
  const change = task === 'present' ? `add ${name}. ${TTL} IN TXT "${value}"` : `delete ${name}. IN TXT "${value}"`;
  const lines = [`server ${host} ${port}`, `zone ${zone}.`, `update ${change}`, 'send', ''];
  const title = `nsupdate at ${host}, port ${port},`;
  return { title, command: 'nsupdate', args: ['-k', keyFile], input: lines.join('\n') };
}
