// The log: JSON lines on standard output, written without ever blocking the data plane.

import { constants, fstatSync, openSync, writeSync, writev } from 'node:fs';
import { isatty } from 'node:tty';
import type { Family } from '../model/measures.ts';
import type { LogLevel } from '../model/snapshot.ts';
import { jsonLine, type Members, PIPE_BUF } from './line.ts';
import { LF, LineQueue } from './line-queue.ts';

export interface Log {
  debug(message: string, fields?: Members): void;
  info(message: string, fields?: Members): void;
  warn(message: string, fields?: Members): void;
  error(message: string, fields?: Members): void;
  /** A line that is already written. */
  line(text: string): void;
  /** Waits until all is written, or until it is plain that nobody reads. */
  flush(): Promise<void>;
}

const RANKS = Object.freeze({ debug: 0, info: 1, warn: 2, error: 3, silent: 4 });

/** A log of lines at least as grave as `level`. Access lines (`line`) are written unless it is `silent`. */
export function createLog(level: LogLevel, sink: Sink): Log {
  const rank = RANKS[level];
  const at = (name: Exclude<LogLevel, 'silent'>) => (message: string, fields?: Members) => {
    if (RANKS[name] >= rank)
      sink.put(jsonLine({ time: new Date().toISOString(), level: name, msg: message, ...fields }));
  };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    line: (text) => {
      if (rank < RANKS.silent) sink.put(text);
    },
    flush: () => sink.flush(),
  };
}

/** Where lines go. */
export interface Sink {
  put(line: string): void;
  flush(): Promise<void>;
}

/** A reader that stands still, or a full disk, costs at most this many bytes of lines; what comes on top is dropped and counted. */
const MAX_HELD = 4 * 1024 * 1024;
/**
 * Of one write to a socket, as systemd's journal is one, in bytes: up to here Linux takes it whole, between those of others (UNIX_SKB_FRAGS_SZ
 * in net/unix/af_unix.c). One such write is done in a turn.
 */
const MAX_SOCKET_PIECE = 32 * 1024;
/** What is full is tried again after so many ms, and after twice as many each time up to the longest pause. */
const SHORTEST_RETRY = 1;
const LONGEST_RETRY = 64;
/** How long the end of the process waits for a reader that stands still, in ms. */
const FLUSH_TIMEOUT = 2_000;

/**
 * Lines are gathered for so long before they are written, in ms: a write for each cost 60 to 80 us of CPU, more than all
 * that we do for a request.
 */
const GATHER = 5;

export interface DescriptorSink extends Sink {
  /** A write waits in the kernel, perhaps for ever: a process with such a thread does not end, not even by process.exit(). */
  readonly isStuck: boolean;
  /** Lines that nobody will read, for whatever reason. */
  readonly lost: number;
}

/** For the scrape: a log that loses lines says so late, or not at all. */
export function lostLines({ lost }: DescriptorSink): Family {
  return {
    name: 'portico_log_lines_lost_total',
    help: 'Lines of the log that could not be written in time, or not at all',
    type: 'counter',
    aggregator: 'sum',
    values: [{ labels: {}, value: lost }],
  };
}

/** Lines to a file descriptor: one write under way at a time, and to a pipe in pieces that several workers may write side by side. */
export function descriptorSink(given: number): DescriptorSink {
  const { descriptor, kind } = openTarget(given);
  const held = new LineQueue();
  /** Of these nothing was said yet. */
  let dropped = 0;
  let lost = 0;
  /** A write is under way, or will be soon. */
  let writing = false;
  /** One that is under way has a thread of its own. */
  let isStuck = false;
  let gathering: NodeJS.Timeout | undefined;
  let retry = SHORTEST_RETRY;
  let idle: (() => void)[] = [];

  function put(line: string): void {
    if (held.length + line.length >= MAX_HELD) {
      dropped++;
      lost++;
      return;
    }
    held.put(line);
    if (writing) return;
    writing = true;
    gathering = setTimeout(writeSome, GATHER);
  }

  function writeSome(): void {
    gathering = undefined;
    if (dropped > 0 && held.length < MAX_HELD / 2) {
      const untold = dropped;
      dropped = 0;
      put(
        jsonLine({
          time: new Date().toISOString(),
          level: 'warn',
          msg: 'log lines lost: they could not be written in time',
          lost: untold,
        }),
      );
    }
    if (held.length === 0) rest();
    else if (kind === 'ready') writeWhatFits();
    else {
      isStuck = true;
      const pieces = kind === 'file' ? held.peekAll() : [held.peek(kind === 'socket' ? MAX_SOCKET_PIECE : PIPE_BUF)];
      writev(descriptor, pieces, onWritten);
    }
  }

  function rest(): void {
    writing = false;
    for (const each of idle) each();
    idle = [];
  }

  /** All that is taken now: a turn may bring more lines than fit one piece. */
  function writeWhatFits(): void {
    while (held.length > 0) {
      const piece = held.peek(PIPE_BUF);
      let written = piece.length;
      try {
        written = writeSync(descriptor, piece);
      } catch (error) {
        if (isFull(error as NodeJS.ErrnoException)) return tryAgain();
        lost += countLines([piece]);
      }
      retry = SHORTEST_RETRY;
      held.drop(written);
    }
    writeSome();
  }

  function onWritten(error: NodeJS.ErrnoException | null, written: number, pieces: readonly Buffer[]): void {
    isStuck = false;
    if (error !== null && isFull(error)) return tryAgain();
    retry = SHORTEST_RETRY;
    if (error !== null) lost += countLines(pieces);
    held.drop(error === null ? written : pieces.reduce((sum, { length }) => sum + length, 0));
    writeSome();
  }

  function tryAgain(): void {
    setTimeout(writeSome, retry).unref();
    retry = Math.min(retry * 2, LONGEST_RETRY);
  }

  function flush(): Promise<void> {
    if (!writing) return Promise.resolve();
    if (gathering !== undefined) {
      clearTimeout(gathering);
      gathering = undefined;
      setImmediate(writeSome);
    }
    return new Promise((done) => {
      const timer = setTimeout(done, FLUSH_TIMEOUT);
      idle.push(() => {
        clearTimeout(timer);
        done();
      });
    });
  }

  return {
    put,
    flush,
    get isStuck() {
      return isStuck;
    },
    get lost() {
      return lost;
    },
  };
}

function countLines(pieces: readonly Buffer[]): number {
  let count = 0;
  for (const piece of pieces) for (const byte of piece) if (byte === LF) count++;
  return count;
}

/** The reader is slow, or the disk or a user's part of it is full; all else does not pass. */
const FULL: readonly (string | undefined)[] = ['EAGAIN', 'ENOSPC', 'EDQUOT'];

const isFull = (error: NodeJS.ErrnoException) => FULL.includes(error.code);

interface Target {
  readonly descriptor: number;
  /** What is `ready` never waits, so that it needs no thread: pipes, terminals. To all but a file several processes may write at once. */
  readonly kind: 'file' | 'ready' | 'socket' | 'other';
}

/**
 * A pipe is opened anew, and a terminal, because a write to a full one, or to one that was stopped by Ctrl-S, would hold a thread in the
 * kernel. Anew, because O_NONBLOCK on what we share with others would be theirs too. A socket cannot be.
 */
function openTarget(given: number): Target {
  try {
    const stats = fstatSync(given);
    if (stats.isFile()) return { descriptor: given, kind: 'file' };
    if (stats.isSocket()) return { descriptor: given, kind: 'socket' };
    if (stats.isFIFO() || isatty(given)) {
      const flags = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
      return { descriptor: openSync(`/proc/self/fd/${given}`, flags), kind: 'ready' };
    }
  } catch {
    // No /proc, or one that is another user's: as it is.
  }
  return { descriptor: given, kind: 'other' };
}
