// The workers of a supervisor: started, given snapshots in two phases, restarted with back-off, drained.

import { type ChildProcess, spawn } from 'node:child_process';
import { isSea } from 'node:sea';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { FailedExchange, Family } from '../model/measures.ts';
import type { Order, Report } from '../model/orders.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { Log } from '../telemetry/log.ts';
import { sumFamilies } from '../telemetry/scrape.ts';

/** What runs now, even when another version has taken its file's place: supervisor and workers are always of one version. */
const EXECUTABLE = process.platform === 'linux' ? '/proc/self/exe' : process.execPath;
/** The one executable is the program; Node has to be told where it is. */
const PROGRAM = isSea() ? [] : [fileURLToPath(new URL('../launch.mjs', import.meta.url))];
const MAX_BACKOFF = 30_000;
/** A worker that served this long is healthy: its next crash starts the back-off anew. */
const HEALTHY_AFTER = 60_000;
/** A worker reports once a second; what it is given to be late, in ms. */
const LATE_REPORT = 3_000;
/** A worker that says nothing for so long (ms), while another one does, hangs. */
const HUNG_AFTER = 30_000;
/** How long a new snapshot waits for a worker that serves, in ms: after a crash none may for a moment. */
const WAIT_FOR_ONE = 10_000;
/** Exchanges that failed, of all workers. */
const FAILED_KEPT = 20;
/** How long a worker may take to accept a snapshot, in ms. */
const ANSWER_TIMEOUT = 20_000;

interface Worker {
  /** Its place, from 0: a label that a restart does not change. */
  readonly slot: number;
  readonly child: ChildProcess;
  readonly startedAt: number;
  serving: boolean;
  /** When it last said anything, in ms of the monotonic clock. */
  heardAt: number;
  forced: number;
  families: readonly Family[];
  hasEnded: boolean;
  /** Waits for the answer to an order; rejected when the worker ends. */
  waiting: { isAnswer(report: Report): boolean; settle(report: Report | Error): void } | undefined;
}

export class Workers {
  readonly #count: number;
  readonly #log: Log;
  readonly #hungAfter: number;
  readonly #answerTimeout: number;
  readonly #all = new Set<Worker>();
  #snapshot: Snapshot | undefined;
  /** A new snapshot is being given to the workers that serve. */
  #replacing: Promise<void> | undefined;
  /** What workers had counted that have ended since. */
  #retired: Promise<Family[]> = Promise.resolve([]);
  #failed: readonly FailedExchange[] = [];
  #crashes = 0;
  #stopping = false;

  constructor(count: number, log: Log, hungAfter = HUNG_AFTER, answerTimeout = ANSWER_TIMEOUT) {
    this.#count = count;
    this.#log = log;
    this.#hungAfter = hungAfter;
    this.#answerTimeout = answerTimeout;
  }

  /** How many serve now. */
  get serving(): number {
    let count = 0;
    for (const worker of this.#all) if (worker.serving) count++;
    return count;
  }

  get wanted(): number {
    return this.#count;
  }

  /** Some worker serves and has said something within this time (ms): one that hangs says nothing. */
  heardWithin(milliseconds: number): boolean {
    const since = performance.now() - Math.max(milliseconds, LATE_REPORT);
    for (const worker of this.#all) if (worker.serving && worker.heardAt >= since) return true;
    return false;
  }

  /** Starts all workers. Rejects with a worker's reason when one cannot serve; then none is left. */
  async start(snapshot: Snapshot): Promise<void> {
    this.#snapshot = snapshot;
    try {
      await Promise.all(Array.from({ length: this.#count }, (_, slot) => this.#startOne(slot, snapshot)));
    } catch (error) {
      this.#stopping = true;
      this.kill();
      throw error;
    }
    setInterval(() => this.#endHung(), LATE_REPORT).unref();
  }

  /** Its connections get no answer any more, but new ones still reach it. When all are silent it may be the machine, or us. */
  #endHung(): void {
    if (this.#stopping || !this.heardWithin(LATE_REPORT)) return;
    const before = performance.now() - this.#hungAfter;
    for (const { serving, heardAt, slot, child } of this.#all) {
      if (!serving || heardAt >= before) continue;
      this.#log.error('a worker hangs: it is ended', {
        worker: slot,
        silent_ms: Math.round(performance.now() - heardAt),
      });
      child.kill('SIGKILL');
    }
  }

  /** Gives all workers a new snapshot, or none: the old one is kept when any refuses. Rejects with the reason. One at a time. */
  async replace(snapshot: Snapshot): Promise<void> {
    await this.#untilOneServes();
    this.#replacing = this.#replace(snapshot).finally(() => {
      this.#replacing = undefined;
    });
    return this.#replacing;
  }

  /** What nobody has tried must not come into force. */
  async #untilOneServes(): Promise<void> {
    const deadline = performance.now() + WAIT_FOR_ONE;
    while (this.serving === 0) {
      if (this.#stopping || performance.now() > deadline) {
        throw new Error('no worker serves that could try it: try again when one does, or restart');
      }
      await sleep(50);
    }
  }

  async #replace(snapshot: Snapshot): Promise<void> {
    const workers = [...this.#all].filter((worker) => worker.serving);
    const prepared = await Promise.allSettled(workers.map((worker) => this.#prepare(worker, snapshot)));
    const refused = prepared.find((each) => each.status === 'rejected');
    if (refused !== undefined) {
      for (const worker of workers) tell(worker, { kind: 'abandon', generation: snapshot.generation });
      throw refused.reason as Error;
    }
    this.#snapshot = snapshot;
    // From here on there is no way back: a worker that fails now is replaced by one that starts with the new snapshot.
    const committed = await Promise.allSettled(workers.map((worker) => this.#commit(worker, snapshot)));
    committed.forEach((each, i) => {
      if (each.status === 'rejected') workers[i]!.child.kill('SIGKILL');
    });
  }

  /** Another instance serves beside us: all accept nothing more. One that does not say so in time is ended. */
  async close(): Promise<void> {
    this.#stopping = true;
    const closed = [...this.#all].map(async (worker) => {
      // One that is still starting holds nothing.
      if (!worker.serving) worker.child.kill('SIGKILL');
      else await this.#close(worker).catch(() => worker.child.kill('SIGKILL'));
    });
    await Promise.all(closed);
  }

  /**
   * Lets all finish what they hold. Resolves to the number of exchanges that the deadline (ms) cut. `patient`: websockets and idle
   * connections may stay until then.
   */
  async drain(deadline: number, patient: boolean): Promise<number> {
    this.#stopping = true;
    const ends = [...this.#all].map(
      (worker) =>
        new Promise<number>((ended) => {
          worker.child.once('exit', (code) => ended(worker.forced + (code === 0 ? 0 : 1)));
          tell(worker, { kind: 'drain', deadline, patient });
          // The worker keeps the deadline itself; this is for one that hangs.
          setTimeout(() => worker.child.kill('SIGKILL'), deadline + 5_000).unref();
        }),
    );
    const forced = await Promise.all(ends);
    return forced.reduce((sum, each) => sum + each, 0);
  }

  /** Of a patient drain: websockets and idle connections are not waited for any more. */
  hasten(): void {
    for (const worker of this.#all) tell(worker, { kind: 'hasten' });
  }

  /** What all workers count, those that ended included: a counter never goes back. */
  async families(): Promise<(readonly Family[])[]> {
    return [await this.#retired, ...[...this.#all].map((worker) => worker.families)];
  }

  /** The last exchanges that failed. */
  get failed(): readonly FailedExchange[] {
    return this.#failed;
  }

  kill(): void {
    this.#stopping = true;
    for (const worker of this.#all) worker.child.kill('SIGKILL');
  }

  async #startOne(slot: number, snapshot: Snapshot): Promise<void> {
    const worker = this.#open(slot);
    try {
      let given = snapshot;
      await this.#give(worker, given);
      // A reload that came while it was starting has passed it by, or is about to.
      while (this.#replacing !== undefined || this.#snapshot !== given) {
        await this.#replacing?.catch(() => {});
        given = this.#snapshot!;
        await this.#give(worker, given);
      }
      worker.serving = true;
    } catch (error) {
      worker.child.kill('SIGKILL');
      throw error;
    }
  }

  /** A process that cannot be made (no memory, no descriptor, too many processes) has no exit: that is thrown, or told as an error. */
  #open(slot: number): Worker {
    let child: ChildProcess;
    try {
      child = spawnWorker(slot);
    } catch (error) {
      this.#replaceEnded(slot, false, (error as Error).message);
      throw error;
    }
    const worker: Worker = {
      slot,
      child,
      startedAt: Date.now(),
      serving: false,
      heardAt: performance.now(),
      forced: 0,
      families: [],
      hasEnded: false,
      waiting: undefined,
    };
    this.#all.add(worker);
    child.on('message', (report: Report) => {
      if (report.kind === 'measures') this.#failed = [...this.#failed, ...report.failed].slice(-FAILED_KEPT);
      onReport(worker, report);
    });
    child.on('error', (error) => {
      if (child.pid === undefined) this.#onEnd(worker, error.message);
    });
    child.once('exit', (code, signal) => {
      this.#onEnd(worker, signal === null ? `exit code ${code}` : `signal ${signal}`);
    });
    return worker;
  }

  async #give(worker: Worker, snapshot: Snapshot): Promise<void> {
    await this.#prepare(worker, snapshot);
    await this.#commit(worker, snapshot);
  }

  async #prepare(worker: Worker, snapshot: Snapshot): Promise<void> {
    await this.#ask(worker, { kind: 'prepare', snapshot }, isAnswerTo(snapshot, 'accepted'));
  }

  async #commit(worker: Worker, snapshot: Snapshot): Promise<void> {
    const { generation } = snapshot;
    await this.#ask(worker, { kind: 'commit', generation }, isAnswerTo(snapshot, 'serving'));
  }

  async #close(worker: Worker): Promise<void> {
    await this.#ask(worker, { kind: 'close' }, ({ kind }) => kind === 'closed');
  }

  /** Rejects with the reason of a worker that refuses. */
  async #ask(worker: Worker, order: Order, isAnswer: (report: Report) => boolean): Promise<void> {
    const report = await ask(worker, order, isAnswer, this.#answerTimeout);
    if (report.kind === 'refused') throw new Error(report.reason);
  }

  #onEnd(worker: Worker, how: string): void {
    const { serving } = worker;
    worker.serving = false;
    worker.hasEnded = true;
    this.#all.delete(worker);
    this.#retire(worker);
    worker.waiting?.settle(new Error(`a worker ended before it answered (${how})`));
    if (serving && Date.now() - worker.startedAt > HEALTHY_AFTER) this.#crashes = 0;
    this.#replaceEnded(worker.slot, serving, how);
  }

  #replaceEnded(slot: number, hasServed: boolean, how: string): void {
    // While the first ones start, start() fails; later ones are replaced.
    if (this.#stopping || (!hasServed && this.#crashes === 0)) return;
    this.#restart(slot, how);
  }

  /** Gauges of a process end with it; what it counted stays. */
  #retire({ families }: Worker): void {
    const counted = families.filter(
      (family) => family.aggregator === 'sum' && family.type !== 'gauge' && family.name.startsWith('portico_'),
    );
    this.#retired = this.#retired.then((before) => sumFamilies([before, counted]));
  }

  #restart(slot: number, how: string): void {
    const delay = Math.min(MAX_BACKOFF, 500 * 2 ** Math.min(this.#crashes++, 10));
    this.#log.error('a worker ended; the others serve on, and it is started again', {
      how,
      delay_ms: delay,
      serving: this.serving,
    });
    setTimeout(() => {
      if (this.#stopping) return;
      this.#startOne(slot, this.#snapshot!).catch((error: Error) => {
        this.#log.error('a worker could not be started again', { error: error.message });
      });
    }, delay);
  }
}

function spawnWorker(slot: number): ChildProcess {
  // Structured clone, so that bytes stay bytes; and none of our own flags, which may be those of a debugger.
  return spawn(EXECUTABLE, [...PROGRAM, 'worker', String(slot)], {
    argv0: process.argv0,
    // Else SIGUSR1 would have it open a debugger, by which any user of the machine could do there as he likes.
    env: { ...process.env, NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --disable-sigusr1` },
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    serialization: 'advanced',
  });
}

function onReport(worker: Worker, report: Report): void {
  worker.heardAt = performance.now();
  if (report.kind === 'measures') worker.families = report.families;
  else if (report.kind === 'drained') worker.forced = report.forced;
  else if (worker.waiting?.isAnswer(report)) worker.waiting.settle(report);
}

/** One that was stopped for a while answers late, and what it answers is of a snapshot that nobody waits for any more. */
function isAnswerTo({ generation }: Snapshot, kind: 'accepted' | 'serving') {
  return (report: Report) => (report.kind === kind || report.kind === 'refused') && report.generation === generation;
}

function ask(worker: Worker, order: Order, isAnswer: (report: Report) => boolean, timeout: number): Promise<Report> {
  return new Promise((answered, failed) => {
    // It was told by its end already that nobody will answer.
    if (worker.hasEnded) return failed(new Error('a worker ended before it was asked'));
    const timer = setTimeout(() => worker.waiting?.settle(new Error('a worker did not answer in time')), timeout);
    worker.waiting = {
      isAnswer,
      settle: (report) => {
        clearTimeout(timer);
        worker.waiting = undefined;
        if (report instanceof Error) failed(report);
        else answered(report);
      },
    };
    tell(worker, order);
  });
}

function tell(worker: Worker, order: Order): void {
  // A worker that just ended is reported by its 'exit'.
  if (worker.child.connected) worker.child.send(order, () => {});
}
