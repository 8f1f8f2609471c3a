// What requests and responses of HTTP/1 have in common on the wire (RFC 9112): fields, bodies, chunks and trailers. Bytes in, events out.

import {
  countOf,
  FRAMING,
  fieldFlags,
  firstValue,
  type Headers,
  knownName,
  largestField,
  listMembers,
} from '../http/headers.ts';

/** What a parser has read last. */
export const EVENT = Object.freeze({
  /** Nothing more can be told before more bytes come. */
  more: 0,
  /** A head is there. */
  head: 1,
  /** The head of an interim response is there; the final one is still to come. */
  interim: 2,
  /** `chunk` holds bytes of the body. */
  chunk: 3,
  /** The message is complete; `trailers` holds what came behind a chunked body. */
  end: 4,
  /** A 101 was read: what follows is no HTTP. */
  tunnel: 5,
  /** The bytes are no HTTP that has one reading; `problem` says why. Nothing more is read. */
  problem: 6,
  /** The message outgrew a limit; `excess` names it. Nothing more is read. */
  excess: 7,
});
export type Event = (typeof EVENT)[keyof typeof EVENT];

/** How much a head may hold, in bytes. */
export interface HeadLimits {
  readonly startLine: number;
  readonly head: number;
}

/** Which limit was passed: the start line's, the head's, or the trailers'. */
export type Excess = 'start line' | 'head' | 'trailers';

/** How the body that follows a head ends (RFC 9112 §6.3). `length` counts only when it is `length`. */
export const BODY = Object.freeze({ none: 0, length: 1, chunked: 2, untilClose: 3, tunnel: 4 });
export type Body = (typeof BODY)[keyof typeof BODY];

const STATE = Object.freeze({
  startLine: 0,
  fields: 1,
  length: 2,
  chunkSize: 3,
  chunkData: 4,
  chunkEnd: 5,
  trailers: 6,
  untilClose: 7,
  end: 8,
  tunnel: 9,
  dead: 10,
});
type State = (typeof STATE)[keyof typeof STATE];

const EMPTY = Buffer.alloc(0);
const HEAD_END = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a]);
const CR = 0x0d;
const LF = 0x0a;
const COLON = 0x3a;
const SPACE = 0x20;
const TAB = 0x09;

/** RFC 9110 §5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** What no field value holds (RFC 9110 §5.5): controls but the tab. A bare CR is one of them. */
const NO_VALUE = /[\x00-\x08\x0a-\x1f\x7f]/;
/** 13 hexadecimal digits stay below 2^53. Extensions as the grammar has them (RFC 9112 §7.1.1), without white space. */
const CHUNK_SIZE =
  /^([0-9A-Fa-f]{1,13})(?:;[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:=(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|"(?:[\t !#-[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"))?)*$/;
/** Of one line, and of all extensions of one message (CVE-2024-22019: they cost the reader and bring nothing). */
const MAX_CHUNK_LINE = 4_096;
const MAX_EXTENSIONS = 16 * 1024;
/** Trailers are read by few and sent by fewer. In bytes. */
export const MAX_TRAILERS = 16 * 1024;
/** So many names of a head are remembered for the next one. */
const MAX_NAMES = 32;
const NO_FIELDS: Headers = Object.freeze([] as string[]) as Headers;

/**
 * Reads messages one after another. Bytes are given by `feed`, and `next` is called until it says `more`; where the bytes were
 * split makes no difference. What is given is not copied: a chunk is a part of what was fed.
 */
export abstract class MessageParser {
  /** Of the head read last. */
  headers: Headers = [];
  /** HTTP/1.x: the x. */
  minor = 1;
  chunk: Uint8Array = EMPTY;
  trailers: Headers = [];
  problem = '';
  excess: Excess = 'head';
  readonly #limits: HeadLimits;
  readonly #emptyLine: boolean;
  #state: State = STATE.startLine;
  #bytes: Buffer = EMPTY;
  /** The first of them that was not read yet. */
  #at = 0;
  /** The start of a line whose end has not come yet. */
  #carry = '';
  /** Bytes of this head, or of these trailers, in whole lines. */
  #size = 0;
  /** Bytes that are left of the body, or of the chunk. */
  #left = 0;
  #extensions = 0;
  /** Of the head before, in their order, as far as they are known ones. */
  readonly #names: (string | undefined)[] = [];
  /** What a line that is not to be had is told by: `more`, or why it was refused. */
  #verdict: Event = EVENT.more;

  /** `emptyLine`: one before the start line is passed over. */
  protected constructor(limits: HeadLimits, emptyLine: boolean) {
    this.#limits = limits;
    this.#emptyLine = emptyLine;
  }

  /** Gives bytes. Those that were not read yet are kept before them; where nothing is read any more, nothing is kept. */
  feed(bytes: Buffer): void {
    if (this.#state === STATE.dead) return;
    this.#bytes = this.#at === this.#bytes.length ? bytes : Buffer.concat([this.#bytes.subarray(this.#at), bytes]);
    this.#at = 0;
  }

  /** What was given was lent, and goes back now: what was not read yet is copied. */
  own(): void {
    if (this.#at === this.#bytes.length) this.#bytes = EMPTY;
    else this.#bytes = Buffer.from(this.#bytes.subarray(this.#at));
    this.#at = 0;
  }

  /** Bytes that were given and not read yet. */
  get unread(): number {
    return this.#bytes.length - this.#at;
  }

  /** A message has begun and is not complete. */
  get midway(): boolean {
    return this.#state !== STATE.startLine || this.#carry !== '' || this.unread > 0;
  }

  /** Part of a head is there. */
  get midHead(): boolean {
    return this.#state === STATE.fields || (this.#state === STATE.startLine && (this.#carry !== '' || this.unread > 0));
  }

  /** Hands out what was given and not read, the beginning of a line included; the parser is done. */
  takeRest(): Buffer {
    const unread = this.#bytes.subarray(this.#at);
    const rest = this.#carry === '' ? unread : Buffer.concat([Buffer.from(this.#carry, 'latin1'), unread]);
    this.#bytes = EMPTY;
    this.#at = 0;
    this.#state = STATE.dead;
    return rest;
  }

  /** Of the head that is being read, or was read last, the field that takes most; an unfinished line counts with what is there. */
  largestField(): { name: string; size: number } {
    const largest = largestField(this.headers);
    const colon = this.#carry.indexOf(':');
    if (this.#carry.length <= largest.size || !TOKEN.test(this.#carry.slice(0, colon))) return largest;
    return { name: this.#carry.slice(0, colon), size: this.#carry.length };
  }

  /** Reads on. */
  next(): Event {
    switch (this.#state) {
      case STATE.startLine:
      case STATE.fields:
        return this.#readHead();
      case STATE.length:
        return this.#readData(STATE.end);
      case STATE.chunkSize:
        return this.#readChunkSize();
      case STATE.chunkData:
        return this.#readData(STATE.chunkEnd);
      case STATE.chunkEnd:
        return this.#readChunkEnd();
      case STATE.trailers:
        return this.#readTrailers();
      case STATE.untilClose:
        return this.#readUntilClose();
      case STATE.end:
        this.#state = STATE.startLine;
        // An idle connection holds no head.
        this.headers = NO_FIELDS;
        return EVENT.end;
      case STATE.tunnel:
      case STATE.dead:
        return EVENT.more;
    }
  }

  /** The sender has ended its side: `end` completes a body that ends so, `more` is a clean end between messages, else a problem. */
  finish(): Event {
    if (this.#state === STATE.untilClose) {
      this.#state = STATE.dead;
      return EVENT.end;
    }
    if (!this.midway || this.#state === STATE.tunnel || this.#state === STATE.dead) return EVENT.more;
    return this.refuse('it ended in the middle of a message');
  }

  /** Reads a start line (without its CRLF). A string says why it is none. */
  protected abstract readStartLine(line: string): string | undefined;

  /** The fields are there: decides what follows them. A string says why that cannot be known. */
  protected abstract readFraming(): string | undefined;

  /** The event that a complete head is. */
  protected abstract headEvent(): Event;

  /** Says what follows the head. */
  protected expectBody(body: Body, length: number): void {
    switch (body) {
      case BODY.none:
        this.#state = STATE.end;
        break;
      case BODY.length:
        this.#left = length;
        this.#state = length === 0 ? STATE.end : STATE.length;
        break;
      case BODY.chunked:
        this.#extensions = 0;
        this.#state = STATE.chunkSize;
        break;
      case BODY.untilClose:
        this.#state = STATE.untilClose;
        break;
      case BODY.tunnel:
        this.#state = STATE.tunnel;
        break;
    }
  }

  /** After an interim head, the next one is read. */
  protected expectHead(): void {
    this.#state = STATE.startLine;
  }

  /** Whether the sender wants to go on with this connection (RFC 9112 §9.3). */
  protected keepsAlive(): boolean {
    const value = firstValue(this.headers, 'connection');
    if (value === undefined) return this.minor === 1;
    if (value === 'keep-alive' && countOf(this.headers, 'connection') === 1) return true;
    const options = listMembers(this.headers, 'connection');
    if (options.includes('close')) return false;
    return this.minor === 1 || options.includes('keep-alive');
  }

  protected refuse(problem: string): Event {
    this.#state = STATE.dead;
    this.problem = problem;
    this.#verdict = EVENT.problem;
    return EVENT.problem;
  }

  #tooMuch(excess: Excess): Event {
    this.#state = STATE.dead;
    this.excess = excess;
    this.#verdict = EVENT.excess;
    return EVENT.excess;
  }

  /**
   * Reads lines in the order of their bytes, so that the first fault is the one that is told, wherever the bytes were split.
   * The text ends behind the empty line when that is among the bytes: a body is never made a string.
   */
  #readHead(): Event {
    if (this.#at === this.#bytes.length) return EVENT.more;
    const found = this.#bytes.indexOf(HEAD_END, this.#at);
    const stop = found === -1 ? this.#bytes.length : found + HEAD_END.length;
    const text = this.#carry + this.#bytes.toString('latin1', this.#at, stop);
    let from = 0;
    let end = text.indexOf('\n', this.#carry.length);
    while (end !== -1) {
      if (this.#state === STATE.startLine) {
        if (end - from > this.#limits.startLine) return this.#tooMuch('start line');
      }
      this.#size += end + 1 - from;
      if (this.#size > this.#limits.head) {
        this.#carry = text.slice(from, end);
        return this.#tooMuch('head');
      }
      if (text.charCodeAt(end - 1) !== CR || end === from) return this.refuse('a line ends with a bare LF');
      const isWhole = this.#state === STATE.fields && end - 1 === from;
      if (isWhole) this.#size = 0;
      const problem = isWhole ? this.readFraming() : this.#readHeadLine(text, from, end - 1);
      if (problem !== undefined) return this.refuse(problem);
      from = end + 1;
      if (isWhole) {
        this.#at = stop - (text.length - from);
        this.#carry = '';
        return this.headEvent();
      }
      end = text.indexOf('\n', from);
    }
    this.#at = stop;
    this.#carry = text.slice(from);
    if (this.#state === STATE.startLine && this.#carry.length > this.#limits.startLine)
      return this.#tooMuch('start line');
    if (this.#size + this.#carry.length > this.#limits.head) return this.#tooMuch('head');
    return EVENT.more;
  }

  #readHeadLine(text: string, from: number, end: number): string | undefined {
    if (this.#state === STATE.startLine) {
      if (end === from) {
        // RFC 9112 §2.2: one empty line before a message is an old client's mistake, several are nobody's.
        return this.#emptyLine && this.#size === 2 ? undefined : 'an empty line stands before the start line';
      }
      this.headers = [];
      this.trailers = [];
      this.#state = STATE.fields;
      return this.readStartLine(text.slice(from, end));
    }
    return this.#readHeadField(text, from, end);
  }

  /** Most heads of a connection have the names of the one before, in the same order: those are found without being cut out and tested. */
  #readHeadField(text: string, from: number, end: number): string | undefined {
    const { headers } = this;
    const place = headers.length >> 1;
    const before = this.#names[place];
    if (before !== undefined && text.charCodeAt(from + before.length) === COLON && text.startsWith(before, from))
      return readValue(text, from + before.length, end, before, headers);
    const problem = readField(text, from, end, headers);
    if (place < MAX_NAMES && problem === undefined) this.#names[place] = knownName(headers[place * 2]!);
    return problem;
  }

  #readData(after: State): Event {
    const bytes = this.#bytes;
    const available = bytes.length - this.#at;
    if (available === 0) return EVENT.more;
    const start = this.#at;
    if (available > this.#left) {
      this.#at += this.#left;
      this.#left = 0;
    } else {
      this.#at = bytes.length;
      this.#left -= available;
    }
    if (this.#left === 0) this.#state = after;
    this.chunk = start === 0 && this.#at === bytes.length ? bytes : bytes.subarray(start, this.#at);
    return EVENT.chunk;
  }

  #readUntilClose(): Event {
    if (this.#at === this.#bytes.length) return EVENT.more;
    this.chunk = this.#bytes.subarray(this.#at);
    this.#at = this.#bytes.length;
    return EVENT.chunk;
  }

  #readChunkSize(): Event {
    const line = this.#readLine(MAX_CHUNK_LINE);
    if (line === undefined) return this.#verdict;
    const size = CHUNK_SIZE.exec(line)?.[1];
    if (size === undefined) return this.refuse('a chunk size is no hexadecimal number');
    this.#extensions += line.length - size.length;
    if (this.#extensions > MAX_EXTENSIONS) return this.refuse('the chunk extensions are too long');
    this.#left = Number.parseInt(size, 16);
    this.#state = this.#left === 0 ? STATE.trailers : STATE.chunkData;
    return this.next();
  }

  #readChunkEnd(): Event {
    const line = this.#readLine(0);
    if (line === undefined) return this.#verdict;
    this.#state = STATE.chunkSize;
    return this.next();
  }

  #readTrailers(): Event {
    for (;;) {
      const line = this.#readLine(MAX_TRAILERS);
      if (line === undefined) return this.#verdict;
      if (line === '') {
        this.#size = 0;
        this.#state = STATE.startLine;
        return EVENT.end;
      }
      this.#size += line.length + 2;
      if (this.#size > MAX_TRAILERS) return this.#tooMuch('trailers');
      const problem = readField(line, 0, line.length, this.trailers);
      if (problem !== undefined) return this.refuse(problem);
      const name = this.trailers[this.trailers.length - 2]!;
      if ((fieldFlags(name) & FRAMING) !== 0)
        return this.refuse(`the field ${name} frames a message, and came behind it`);
    }
  }

  /** The next line without its CRLF. undefined: it is not there yet, or was refused (then the parser is dead). */
  #readLine(limit: number): string | undefined {
    const bytes = this.#bytes;
    const end = bytes.indexOf(LF, this.#at);
    // One byte more than the limit and the CR tells that it is too long: nothing is kept beyond that.
    const stop = Math.min(end === -1 ? bytes.length : end, this.#at + limit + 2);
    const line = this.#carry + bytes.toString('latin1', this.#at, stop);
    this.#at = stop;
    if (line.length > limit + 1 || (line.length === limit + 1 && line.charCodeAt(limit) !== CR)) {
      if (this.#state === STATE.trailers) this.#tooMuch('trailers');
      else this.refuse(limit === 0 ? 'a chunk is longer than its size' : 'a line of a chunked body is too long');
      return undefined;
    }
    if (end === -1) {
      this.#carry = line;
      return undefined;
    }
    this.#carry = '';
    this.#at = end + 1;
    if (line.charCodeAt(line.length - 1) !== CR) {
      this.refuse('a line of a chunked body ends with a bare LF');
      return undefined;
    }
    return line.slice(0, -1);
  }
}

/** Asks for, or switches to, a websocket and nothing else: in any letter case, and by this hop (RFC 9110 §7.8: Connection names Upgrade). */
export function namesWebsocket(headers: Headers): boolean {
  return (
    firstValue(headers, 'upgrade')?.toLowerCase() === 'websocket' &&
    countOf(headers, 'upgrade') === 1 &&
    listMembers(headers, 'connection').includes('upgrade')
  );
}

/** Reads the field line text[from..end) into `fields`. A string says what is wrong with it (RFC 9112 §5). */
function readField(text: string, from: number, end: number, fields: Headers): string | undefined {
  const first = text.charCodeAt(from);
  if (first === SPACE || first === TAB) return 'a field is folded over two lines, which is obsolete';
  const colon = text.indexOf(':', from);
  if (colon === -1 || colon >= end) return 'a field line has no colon';
  const name = text.slice(from, colon);
  if (!TOKEN.test(name)) return nameProblem(name);
  return readValue(text, colon, end, name, fields);
}

/** Reads what stands behind the colon of a field line. */
function readValue(text: string, colon: number, end: number, name: string, fields: Headers): string | undefined {
  let start = colon + 1;
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  let stop = end;
  while (stop > start && isSpace(text.charCodeAt(stop - 1))) stop--;
  const isPlain = start === colon + 2 && text.charCodeAt(colon + 1) === SPACE && stop === end;
  if (!isPlain && (fieldFlags(name) & FRAMING) !== 0 && text.slice(colon, end).includes('\t'))
    return `there is a tab beside the value of the field ${name}, which some readers take for a part of it`;
  const value = text.slice(start, stop);
  if (NO_VALUE.test(value)) return `the value of the field ${name} holds a control byte`;
  fields.push(name, value);
  return undefined;
}

function nameProblem(name: string): string {
  if (name === '') return 'a field has no name';
  const last = name.charCodeAt(name.length - 1);
  if (isSpace(last)) return 'there is a space between the name of a field and its colon';
  return 'the name of a field holds what no name may';
}

function isSpace(code: number): boolean {
  return code === SPACE || code === TAB;
}
