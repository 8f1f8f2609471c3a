// Responses of HTTP/1 as bytes (RFC 9112 §4): what an upstream answers, with the framing that its request decides.

import { readFraming } from '../http/framing.ts';
import { BODY, EVENT, type Event, type HeadLimits, MessageParser, namesWebsocket } from './http1-message.ts';

/** An upstream that has more to say before its answer is not going to answer. */
const MAX_INTERIMS = 64;

/** Reads the responses of one connection, each after `expect`. */
export class ResponseParser extends MessageParser {
  status = 0;
  /** The upstream will take another request on this connection. */
  keepAlive = false;
  #method = '';
  #upgrade = false;
  #interims = 0;
  /** A status line that was understood, and what it says. */
  #line = '';
  #lineStatus = 0;
  #lineMinor = 1;

  constructor(limits: HeadLimits) {
    super(limits, false);
  }

  /** The next response answers a request of this method; `upgrade` says that it asked for a tunnel. */
  expect(method: string, upgrade: boolean): void {
    this.#method = method;
    this.#upgrade = upgrade;
    this.#interims = 0;
  }

  protected readStartLine(line: string): string | undefined {
    // Most answers begin like the one before.
    if (line === this.#line) {
      this.status = this.#lineStatus;
      this.minor = this.#lineMinor;
      return undefined;
    }
    if (line.startsWith('HTTP/1.1 ')) this.minor = 1;
    else if (line.startsWith('HTTP/1.0 ')) this.minor = 0;
    else return 'the status line is none of HTTP/1';
    const behind = line.charCodeAt(12);
    const digits = line.slice(9, 12);
    // The space before an absent reason is often left out.
    if (!/^[1-5]\d\d$/.test(digits) || (line.length > 12 && behind !== 0x20))
      return 'the status is no code from 100 to 599';
    if (/[\x00-\x08\x0a-\x1f\x7f]/.test(line)) return 'the status line holds a control byte';
    this.status = Number(digits);
    // A copy: what was cut out of a head would keep all of that head for as long as the connection lives.
    this.#line = Buffer.from(line, 'latin1').toString('latin1');
    this.#lineStatus = this.status;
    this.#lineMinor = this.minor;
    return undefined;
  }

  protected readFraming(): string | undefined {
    const { status } = this;
    const framing = readFraming(this.headers, this.minor === 0 ? 'HTTP/1.0' : 'HTTP/1.1');
    if (framing.kind === 'problem') return framing.problem;
    if (status < 200) return this.#readInterim();
    this.keepAlive = this.keepsAlive();
    if (this.#method === 'HEAD' || status === 204 || status === 304) {
      // A body that is announced comes all the same from some (gunicorn), a moment later: it must not be read as the next answer.
      if (framing.kind === 'chunked' || (framing.kind === 'length' && framing.length > 0)) this.keepAlive = false;
      this.expectBody(BODY.none, 0);
    } else if (framing.kind === 'length') this.expectBody(BODY.length, framing.length);
    else if (framing.kind === 'chunked') this.expectBody(BODY.chunked, 0);
    else {
      this.keepAlive = false;
      this.expectBody(BODY.untilClose, 0);
    }
    return undefined;
  }

  protected headEvent(): Event {
    if (this.status >= 200) return EVENT.head;
    return this.status === 101 ? EVENT.tunnel : EVENT.interim;
  }

  #readInterim(): string | undefined {
    if (this.status === 101) {
      if (!this.#upgrade) return 'it switches protocols, and nobody asked for that';
      if (!namesWebsocket(this.headers)) return 'it switches protocols, and not to the websocket that was asked for';
      this.expectBody(BODY.tunnel, 0);
      return undefined;
    }
    this.#interims++;
    if (this.#interims > MAX_INTERIMS) return `there are more than ${MAX_INTERIMS} interim answers`;
    this.expectHead();
    return undefined;
  }
}
