// Requests of HTTP/1 as bytes (RFC 9112 §3): read strictly, so that nobody behind us can read them differently.

import { type Framing, readFraming } from '../http/framing.ts';
import { BODY, EVENT, type Event, type HeadLimits, MessageParser, namesWebsocket } from './http1-message.ts';

const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** No URI holds these (RFC 3986 §2), and what is above ASCII is read in more than one way. */
const NO_TARGET = /[\x00-\x20\x7f-\xff]/;

/** Reads the requests of one connection. */
export class RequestParser extends MessageParser {
  method = '';
  /** Byte for byte, as latin1. */
  target = '';
  framing: Framing = Object.freeze({ kind: 'none' });
  /** The client wants to go on with this connection. */
  keepAlive = false;
  /** Asks for a websocket: what follows the head is read only once the answer is known. */
  upgrade = false;

  constructor(limits: HeadLimits) {
    super(limits, true);
  }

  protected readStartLine(line: string): string | undefined {
    const first = line.indexOf(' ');
    const second = line.indexOf(' ', first + 1);
    if (first === -1 || second === -1) return 'the request line has no version (HTTP/0.9 is not spoken here)';
    const version = line.slice(second + 1);
    if (version === 'HTTP/1.1') this.minor = 1;
    else if (version === 'HTTP/1.0') this.minor = 0;
    else if (/^HTTP\/\d\.\d$/.test(version)) return 'only HTTP/1.0, HTTP/1.1 and (by ALPN) HTTP/2 are spoken here';
    else return 'the request line is not "method target version", each one space apart';
    this.method = line.slice(0, first);
    this.target = line.slice(first + 1, second);
    if (!METHOD.test(this.method)) return 'the method is no token';
    if (this.target === '') return 'the request line has no target';
    return NO_TARGET.test(this.target) ? 'the request target holds a control byte or one above ASCII' : undefined;
  }

  protected readFraming(): string | undefined {
    const framing = readFraming(this.headers, this.minor === 0 ? 'HTTP/1.0' : 'HTTP/1.1');
    this.framing = framing;
    this.keepAlive = this.keepsAlive();
    this.upgrade = false;
    if (this.method === 'CONNECT') {
      // Behind it comes what only a tunnel would understand (RFC 9110 §9.3.6).
      this.keepAlive = false;
      this.expectBody(BODY.tunnel, 0);
      return undefined;
    }
    switch (framing.kind) {
      case 'problem':
        // Nobody knows what follows. The head is told all the same: it says who was refused.
        this.expectBody(BODY.tunnel, 0);
        return undefined;
      case 'chunked':
        this.expectBody(BODY.chunked, 0);
        return undefined;
      case 'length':
        this.expectBody(BODY.length, framing.length);
        return undefined;
      case 'none':
        this.upgrade = this.#asksForWebsocket();
        this.expectBody(this.upgrade ? BODY.tunnel : BODY.none, 0);
        return undefined;
    }
  }

  protected headEvent(): Event {
    return EVENT.head;
  }

  /** RFC 6455 §4.1. All other upgrades (h2c is a way around a proxy's rules) are plain requests. */
  #asksForWebsocket(): boolean {
    return this.minor === 1 && this.method === 'GET' && namesWebsocket(this.headers);
  }
}
