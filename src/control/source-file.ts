// Files that a setting names: read whole and bounded, with plain words for whatever stands in the way.

import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats, statSync } from 'node:fs';
import type { Problem } from './problem.ts';

/** A chain is a few kB; a system's whole store of roots is 200 kB. */
const MAX_FILE_BYTES = 1024 * 1024;

/** A file, and the setting that names it. */
export interface NamedFile {
  readonly place: string;
  /** What the setting is called, for hints. */
  readonly name: string;
  readonly file: string;
}

export interface FileContent {
  readonly bytes: Buffer;
  readonly stats: Stats;
}

export function report(problems: Problem[], { place, file }: NamedFile, what: string, hint: string): void {
  problems.push({ place, message: `${file} ${what}`, hint });
}

/** What every user of this machine may do with a file of this mode; undefined: neither. */
export function openTo(mode: number): 'read' | 'write' | undefined {
  if (process.platform === 'win32' || (mode & 0o006) === 0) return undefined;
  return (mode & 0o002) === 0 ? 'read' : 'write';
}

/** To whoever runs this, when a secret is in it. */
export const closeIt = (file: string) => `chmod 640 ${file}; in Kubernetes set defaultMode: 0440 on the volume`;

/** undefined: it cannot be read, and a problem was reported. `most`: bytes that such a file may have. */
export function readNamedFile(
  named: NamedFile,
  problems: Problem[],
  most: number = MAX_FILE_BYTES,
): FileContent | undefined {
  let descriptor: number | undefined;
  try {
    // Non-blocking: opening a named pipe that nobody writes to would hang the start.
    descriptor = openSync(named.file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const stats = fstatSync(descriptor);
    if (stats.isDirectory()) {
      const hint = `remove the directory where it is mounted from, put the file there, and create the container anew`;
      const what = 'is a directory, not a file: Docker makes one when the file to mount is missing on the host';
      report(problems, named, what, hint);
    } else if (!stats.isFile()) {
      report(problems, named, 'is not a regular file', `let ${named.name} name a file`);
    } else if (stats.size > most) {
      const what = `has ${stats.size} bytes, more than the ${most} that such a file may have`;
      report(problems, named, what, `is ${named.name} the file that you meant?`);
    } else if (stats.size === 0) {
      report(problems, named, 'is empty', 'copy the file again');
    } else {
      return { bytes: readFileSync(descriptor), stats };
    }
  } catch (error) {
    reportUnreadable((error as NodeJS.ErrnoException).code ?? 'unknown error', named, problems);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
  return undefined;
}

/** UTF-8, or UTF-16 with its mark: Windows writes that where its user did not ask for it. The mark is left out. */
export function decodeText(bytes: Uint8Array): string {
  const mark = (bytes[0] ?? 0) * 256 + (bytes[1] ?? 0);
  const encoding = mark === 0xfffe ? 'utf-16le' : mark === 0xfeff ? 'utf-16be' : 'utf-8';
  return new TextDecoder(encoding).decode(bytes);
}

function reportUnreadable(code: string, named: NamedFile, problems: Problem[]): void {
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const hint = `correct ${named.name}, or put the file there; in a container it must be mounted`;
    report(problems, named, 'does not exist', hint);
  } else if (code === 'EACCES' || code === 'EPERM') {
    const { message, hint } = wordsForForbidden(named.file);
    report(problems, named, message, hint);
  } else {
    report(problems, named, `cannot be read: ${code}`, 'check the file and the disk that it is on');
  }
}

/** Of a file that is there and closed to us. */
export function wordsForForbidden(file: string): { readonly message: string; readonly hint: string } {
  const user = process.geteuid?.();
  return {
    message: `may not be read by this process${describeOwner(file, user)}`,
    hint: user === undefined ? 'permit this user to read it' : `permit it: chown ${user}, or chgrp and chmod g+r`,
  };
}

function describeOwner(file: string, user: number | undefined): string {
  try {
    const { uid, mode } = statSync(file);
    return `, which runs as user ${user}; the file belongs to user ${uid}, mode ${(mode & 0o777).toString(8)}`;
  } catch {
    return `, which runs as user ${user}; a directory above it is closed`;
  }
}
