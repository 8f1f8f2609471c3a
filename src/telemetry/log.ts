// The log: JSON lines on standard output, written without ever blocking the data plane.

import { write } from 'node:fs';
import type { LogLevel } from '../model/snapshot.ts';

/** Extra members of a line. Values that are undefined are left out. */
export type Fields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Log {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
  /** A line that is already written as JSON. */
  line(text: string): void;
  /** Waits until all is written. */
  flush(): Promise<void>;
}

const RANKS = Object.freeze({ debug: 0, info: 1, warn: 2, error: 3, silent: 4 });

/** A log of lines at least as grave as `level`. Access lines (`line`) are written unless it is `silent`. */
export function createLog(level: LogLevel, sink: Sink): Log {
  const rank = RANKS[level];
  const at = (name: Exclude<LogLevel, 'silent'>) => (message: string, fields?: Fields) => {
    if (RANKS[name] >= rank)
      sink.put(JSON.stringify({ time: new Date().toISOString(), level: name, msg: message, ...fields }));
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

/** POSIX promises that a write of this many bytes to a pipe is not interleaved with another process's. */
const PIPE_BUF = 4_096;
/** A reader that stands still costs at most this much memory; what comes on top is dropped and counted. */
const MAX_HELD = 4 * 1024 * 1024;

/** Lines to a file descriptor: one write under way at a time, in pieces that several workers may write side by side. */
export function descriptorSink(descriptor: number): Sink {
  let held: string[] = [];
  let heldLength = 0;
  let dropped = 0;
  let writing = false;
  let idle: (() => void)[] = [];

  function put(line: string): void {
    if (heldLength + line.length > MAX_HELD) {
      dropped++;
      return;
    }
    held.push(line);
    heldLength += line.length;
    if (!writing) {
      writing = true;
      setImmediate(writeSome);
    }
  }

  function writeSome(): void {
    if (dropped > 0 && heldLength < MAX_HELD / 2) {
      const lost = dropped;
      dropped = 0;
      held.push(
        JSON.stringify({
          time: new Date().toISOString(),
          level: 'warn',
          msg: 'log lines lost: their reader is too slow',
          lost,
        }),
      );
    }
    if (held.length === 0) {
      writing = false;
      for (const each of idle) each();
      idle = [];
      return;
    }
    let piece = '';
    let count = 0;
    while (count < held.length && (count === 0 || piece.length + held[count]!.length < PIPE_BUF))
      piece += `${held[count++]!}\n`;
    held = held.slice(count);
    heldLength = held.reduce((sum, line) => sum + line.length, 0);
    writeAll(Buffer.from(piece));
  }

  function writeAll(bytes: Buffer): void {
    write(descriptor, bytes, (error, written) => {
      if (error?.code === 'EAGAIN') setTimeout(writeAll, 10, bytes);
      else if (error === null && written < bytes.length) writeAll(bytes.subarray(written));
      else writeSome();
    });
  }

  return { put, flush: () => (writing ? new Promise((done) => idle.push(done)) : Promise.resolve()) };
}
