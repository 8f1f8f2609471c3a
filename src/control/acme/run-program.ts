// Runs a program of the operator's that changes DNS: without a shell, in a clean environment, bounded in time and in what it says.

import { type ChildProcess, spawn } from 'node:child_process';
import { redactText } from '../../telemetry/redact.ts';
import type { Clock } from './clock.ts';
import { plain } from './transport.ts';

/** In ms. */
export const LONGEST_RUN = 2 * 60_000;
/** Of each of the two that it writes to, the end is kept, in bytes. */
const KEPT_OUTPUT = 4_096;
const LONGEST_WORDS = 200;
/** What it has written last may come a moment after its end; what it has left behind may hold its output for ever. */
const LAST_WORDS_WITHIN = 500;

export interface Program {
  /** What it is called in messages. */
  readonly title: string;
  readonly command: string;
  readonly args: readonly string[];
  /** For its standard input. */
  readonly input?: string;
  /** How long it may run once we stop, in ms, even when it begins only then; without it it is ended at once. */
  readonly grace?: number;
}

/** Resolves when it has ended well. Rejects with a sentence that says how it did not. The signal: we stop. */
export async function runProgram(program: Program, clock: Clock, signal: AbortSignal): Promise<void> {
  const { title, command, args, input = '', grace = 0 } = program;
  if (signal.aborted && grace === 0) throw new Error(`${title} was not started: we stop`);
  // A group of its own: what it has started ends with it.
  const child = spawn(command, args, { cwd: '/', env: cleanEnvironment(), detached: true });
  const words = [new LastWords(child.stderr), new LastWords(child.stdout)];
  child.stdin.on('error', () => {}).end(input);
  const ended = new AbortController();
  const waits = AbortSignal.any([signal, ended.signal]);
  const outcome = await Promise.race([
    untilEnd(child),
    clock.wait(LONGEST_RUN, waits).then(async () => {
      if (!signal.aborted) return TOO_LONG;
      await clock.wait(grace, ended.signal);
      return 'was ended: we stop';
    }),
  ]);
  ended.abort();
  endGroup(child);
  child.stdout.destroy();
  child.stderr.destroy();
  if (outcome === undefined) return;
  const said = words.map((each) => each.line()).find((line) => line !== '');
  throw new Error(`${title} ${outcome}${said === undefined ? '' : `: ${said}`}`);
}

const TOO_LONG = `did not end within ${LONGEST_RUN / 60_000} minutes, and was ended`;

/** undefined: it ended well. */
function untilEnd(child: ChildProcess): Promise<string | undefined> {
  return new Promise((ended) => {
    child.once('error', ({ code, message }: NodeJS.ErrnoException) => ended(`cannot be run (${code ?? message})`));
    child.once('exit', (status, by) => {
      const outcome = status === 0 ? undefined : by === null ? `ended with status ${status}` : `was ended by ${by}`;
      const late = setTimeout(() => ended(outcome), LAST_WORDS_WITHIN);
      child.once('close', () => {
        clearTimeout(late);
        ended(outcome);
      });
    });
  });
}

/** Nothing of ours, which holds secrets: what a program needs to find others, and to write as everybody reads it. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const { PATH, HOME } = process.env;
  return { PATH: PATH ?? '/usr/local/bin:/usr/bin:/bin', LANG: 'C', ...(HOME === undefined ? {} : { HOME }) };
}

function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nothing of it is left.
  }
}

class LastWords {
  #kept = Buffer.alloc(0);

  constructor(stream: NodeJS.ReadableStream | null) {
    stream
      ?.on('error', () => {})
      .on('data', (chunk: Buffer) => {
        this.#kept = Buffer.concat([this.#kept, chunk]).subarray(-KEPT_OUTPUT);
      });
  }

  /** The last line with anything in it, plain, and not at all where it may hold a secret. */
  line(): string {
    const lines = this.#kept.toString('utf8').split('\n');
    const last = lines.findLast((line) => line.trim() !== '') ?? '';
    return redactText(plain(last).trim().slice(0, LONGEST_WORDS));
  }
}
