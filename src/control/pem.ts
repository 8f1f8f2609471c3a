// PEM files: read whole and bounded, taken apart into blocks, with plain words for whatever stands in the way.

import { closeSync, constants, fstatSync, openSync, readFileSync, statSync } from 'node:fs';
import type { Problem } from './problem.ts';

/** A chain is a few kB; a system's whole store of roots is 200 kB. */
const MAX_FILE_BYTES = 1024 * 1024;

/** A file, and the setting that names it. */
export interface Source {
  readonly place: string;
  /** What the setting is called, for hints. */
  readonly name: string;
  readonly file: string;
}

export function report(problems: Problem[], { place, file }: Source, what: string, hint: string): void {
  problems.push({ place, message: `${file} ${what}`, hint });
}

/** One `-----BEGIN ...-----` to its END. */
export interface Block {
  readonly label: string;
  /** `block 2 (line 31)`, for messages. */
  readonly where: string;
  /** Written anew, so that CRLF, indentation and unbroken lines do not matter. */
  readonly pem: string;
  readonly encrypted: boolean;
}

/** The blocks of a file; undefined, and a problem reported, when there are none. */
export function readBlocks(source: Source, problems: Problem[]): Block[] | undefined {
  const text = readText(source, problems);
  if (text === undefined) return undefined;

  const blocks: Block[] = [];
  let open: { label: string; start: number; where: string } | undefined;
  let count = 0;
  let line = 1;
  let counted = 0;
  const cutOff = (where: string) => {
    report(problems, source, `has no end to its ${where}: a part of the file is missing`, 'copy the whole file again');
    return undefined;
  };
  // Markers need not stand on lines of their own: `cat a.crt b.crt` runs them together when a.crt lacks its last newline.
  for (const marker of text.matchAll(/-----(BEGIN|END) ([A-Z0-9 ]{1,40})-----/g)) {
    const label = marker[2]!;
    if (marker[1] === 'BEGIN') {
      if (open) return cutOff(open.where);
      for (; counted < marker.index; counted++) if (text.charCodeAt(counted) === 10) line++;
      open = { label, start: marker.index + marker[0].length, where: `block ${++count} (line ${line})` };
    } else if (open?.label === label) {
      const body = text.slice(open.start, marker.index);
      const base64 = body.replace(/\s+/g, '').match(/.{1,64}/g) ?? [];
      blocks.push({
        label,
        where: open.where,
        pem: `-----BEGIN ${label}-----\n${base64.join('\n')}\n-----END ${label}-----\n`,
        encrypted: label === 'ENCRYPTED PRIVATE KEY' || /^Proc-Type:.*ENCRYPTED/m.test(body),
      });
      open = undefined;
    }
  }
  if (open) return cutOff(open.where);
  if (blocks.length > 0) return blocks;

  // 0x30 0x8_: an ASN.1 sequence of more than 127 bytes, as certificates, keys and PKCS#12 stores begin.
  if (text.charCodeAt(0) === 0x30 && (text.charCodeAt(1) & 0xf0) === 0x80) {
    const hint = `convert it: openssl x509 -inform der, openssl pkey -inform der, or openssl pkcs12 -nodes for a .pfx`;
    report(problems, source, 'is in a binary form (DER or PKCS#12), not PEM', hint);
  } else {
    report(problems, source, 'is not PEM', 'it must be text with a line like -----BEGIN CERTIFICATE-----');
  }
  return undefined;
}

function readText(source: Source, problems: Problem[]): string | undefined {
  let descriptor: number | undefined;
  try {
    // Non-blocking: opening a named pipe that nobody writes to would hang the start.
    descriptor = openSync(source.file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const stat = fstatSync(descriptor);
    if (stat.isDirectory()) {
      const hint = `remove the directory where it is mounted from, put the file there, and create the container anew`;
      const what = 'is a directory, not a file: Docker makes one when the file to mount is missing on the host';
      report(problems, source, what, hint);
    } else if (!stat.isFile()) {
      report(problems, source, 'is not a regular file', `let ${source.name} name a PEM file`);
    } else if (stat.size > MAX_FILE_BYTES) {
      const what = `has ${stat.size} bytes, more than the ${MAX_FILE_BYTES} that a certificate or key may have`;
      report(problems, source, what, `is ${source.name} the file that you meant?`);
    } else if (stat.size === 0) {
      report(problems, source, 'is empty', 'copy the file again');
    } else {
      return readFileSync(descriptor, 'latin1');
    }
  } catch (error) {
    reportUnreadable((error as NodeJS.ErrnoException).code ?? 'unknown error', source, problems);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
  return undefined;
}

function reportUnreadable(code: string, source: Source, problems: Problem[]): void {
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const hint = `correct ${source.name}, or put the file there; in a container it must be mounted`;
    report(problems, source, 'does not exist', hint);
  } else if (code === 'EACCES' || code === 'EPERM') {
    const user = process.geteuid?.();
    const hint =
      user === undefined ? 'permit this user to read it' : `permit it: chown ${user}, or chgrp and chmod g+r`;
    report(problems, source, `may not be read by this process${describeOwner(source.file, user)}`, hint);
  } else {
    report(problems, source, `cannot be read: ${code}`, 'check the file and the disk that it is on');
  }
}

function describeOwner(file: string, user: number | undefined): string {
  try {
    const { uid, mode } = statSync(file);
    return `, which runs as user ${user}; the file belongs to user ${uid}, mode ${(mode & 0o777).toString(8)}`;
  } catch {
    return `, which runs as user ${user}; a directory above it is closed`;
  }
}
