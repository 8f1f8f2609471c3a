// The format of golden byte cases (test/golden/wire/README.md): reading a file, and writing what was seen in the same notation.

import { LIMITS, type Limits } from '../../src/model/snapshot.ts';

/** Something that is sent. `taken`: the client has the head of the answer. */
export interface Step {
  readonly when: 'now' | 'seen' | 'answered' | 'whole' | 'taken';
  /** latin1. */
  readonly bytes: string;
  readonly ending: 'none' | 'ends' | 'resets';
}

export type WireProtocol = 'http' | 'https';

export interface WireCase {
  readonly limits: Partial<Limits>;
  readonly protocols: readonly WireProtocol[];
  readonly methods: readonly string[];
  readonly client: readonly Step[];
  /** One for each request, in the steps that it is made of. */
  readonly answers: readonly (readonly Step[])[];
  /** In the notation of the files, one way of writing each. */
  readonly upstreamSees: string;
  readonly clientGets: string;
}

const CLIENT: Readonly<Record<string, Step['when']>> = {
  'the client sends': 'now',
  'once it is seen, the client sends': 'seen',
  'once answered, the client sends': 'answered',
};
const UPSTREAM: Readonly<Record<string, Step['when']>> = {
  'the upstream answers': 'whole',
  'the upstream answers at once': 'now',
};
const MORE: Readonly<Record<string, Step['when']>> = {
  'once it is whole, the upstream goes on': 'whole',
  'once the client has it, the upstream goes on': 'taken',
};

/** Throws when the file is not in the format. */
export function readWireCase(text: string): WireCase {
  const [preface, ...sections] = text.replace(/\n$/, '').split(/^--- /m);
  const limits: Record<string, number> = {};
  let methods: string[] = [];
  let protocols: readonly WireProtocol[] = ['http', 'https'];
  for (const line of preface!.split('\n')) {
    const [word, ...rest] = line.split(' ');
    if (word === '@methods') methods = rest;
    else if (line === '@over http' || line === '@over https') protocols = rest as WireProtocol[];
    else if (word === '@limits') for (const each of rest) readLimit(each, limits);
    else if (line !== '' && !line.startsWith('#')) throw new Error(`neither a comment nor a section: ${line}`);
  }
  const client: Step[] = [];
  const answers: Step[][] = [];
  const seen = new Map<string, string>();
  for (const section of sections) {
    const end = section.indexOf('\n');
    const title = section.slice(0, end);
    const lines = section.slice(end + 1).replace(/\n$/, '');
    const [, who, ending] = /^(.*?)(?:, and (ends|resets))?$/.exec(title)!;
    const step = { bytes: readBytes(lines), ending: (ending ?? 'none') as Step['ending'] };
    if (CLIENT[who!] !== undefined) client.push({ when: CLIENT[who!]!, ...step });
    else if (UPSTREAM[who!] !== undefined) answers.push([{ when: UPSTREAM[who!]!, ...step }]);
    else if (MORE[who!] !== undefined) answers.at(-1)!.push({ when: MORE[who!]!, ...step });
    else if (title === 'the upstream sees' || title === 'the client gets') seen.set(title, lines);
    else throw new Error(`no such section: ${title}`);
  }
  const clientGets = seen.get('the client gets');
  if (!/\(the connection (?:ends|goes on)\)$/.test(clientGets ?? '')) throw new Error('it does not say how it ends');
  return {
    limits,
    protocols,
    methods,
    client,
    answers,
    upstreamSees: writeAgain(seen.get('the upstream sees') ?? 'nothing'),
    clientGets: writeAgain(clientGets!),
  };
}

function readLimit(text: string, limits: Record<string, number>): void {
  const [name, value] = text.split('=');
  if (!(name! in LIMITS) || !/^\d+$/.test(value ?? '')) throw new Error(`no such limit: ${text}`);
  limits[name!] = Number(value);
}

/** Lines of a file as bytes (latin1). */
function readBytes(lines: string): string {
  if (lines === '') return '';
  let bytes = '';
  for (const line of lines.split('\n')) bytes += isOpen(line) ? readLine(line.slice(0, -1)) : `${readLine(line)}\r\n`;
  return bytes;
}

/** The one way of writing each line. */
function writeAgain(lines: string): string {
  const write = (line: string) => writeBytes(readBytes(line));
  return lines.split('\n').map(write).join('\n');
}

/** Its last character is a backslash that is not itself escaped. */
function isOpen(line: string): boolean {
  return /(?:^|[^\\])(?:\\\\)*\\$/.test(line);
}

const NAMED: Readonly<Record<string, string>> = { r: '\r', n: '\n', t: '\t', '0': '\0', '\\': '\\' };

function readLine(line: string): string {
  if (/[^ -~]/.test(line)) throw new Error(`write other bytes as escapes: ${line}`);
  return line.replace(/\\(?:x([0-9a-f]{2})|\((.+?)\*(\d+)\)|(.))/g, (all, hex, what, times, name) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    if (what !== undefined) return readLine(what).repeat(Number(times));
    if (NAMED[name] === undefined) throw new Error(`no such escape: ${all}`);
    return NAMED[name];
  });
}

/** Bytes (latin1) in the notation of the files. */
export function writeBytes(bytes: string): string {
  const lines = bytes.split('\r\n').map((line) =>
    line
      .replace(/[^ -[\]-~]/g, (char) => {
        const name = Object.keys(NAMED).find((each) => NAMED[each] === char);
        return name === undefined ? `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}` : `\\${name}`;
      })
      .replace(/([^\\])\1{99,}/g, (run, char) => `\\(${char}*${run.length})`),
  );
  const last = lines.pop()!;
  return last === '' ? lines.join('\n') : [...lines, `${last}\\`].join('\n');
}
