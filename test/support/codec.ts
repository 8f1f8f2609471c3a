// The parsers of HTTP/1 driven to their end: what they tell of some bytes, as plain values that can be compared.

import { EVENT, type HeadLimits, type MessageParser } from '../../src/codec/http1-message.ts';
import { RequestParser } from '../../src/codec/http1-request.ts';
import { ResponseParser } from '../../src/codec/http1-response.ts';
import type { Headers } from '../../src/http/headers.ts';

/** Small enough to be reached in a test, larger than any honest head in one. */
export const HEAD_LIMITS: HeadLimits = Object.freeze({ startLine: 1_000, head: 4_000 });

/** One message as it was read. */
export interface ReadMessage {
  /** `GET /x HTTP/1.1`, or `HTTP/1.1 200`. */
  readonly start: string;
  readonly headers: Headers;
  /** latin1. */
  body: string;
  trailers: Headers;
  /** Its end was read. */
  complete: boolean;
  /** The connection may carry another one. */
  readonly keepAlive: boolean;
  readonly interim: boolean;
  /** The end of the connection was its end. */
  untilClose: boolean;
}

/**
 * How the reading stopped. `more`: all was read, and a message may be incomplete. `tunnel`: what follows is no HTTP. `close`: the connection
 * ends with the last message, and what follows is not read. `ambiguous`: the head is there and its framing is refused.
 */
export type Stop = 'more' | 'tunnel' | 'close' | 'ambiguous' | 'problem' | 'excess';

export interface Reading {
  readonly messages: readonly ReadMessage[];
  readonly stop: Stop;
  /** Of a problem its words, of an excess the limit. */
  readonly reason: string;
  /** What stands behind the last message of a connection, or the head of a tunnel, as latin1. */
  readonly rest: string;
}

/** What a response answers. */
export interface Asked {
  readonly method: string;
  readonly upgrade: boolean;
}

/** Reads requests as a connection does that ends where keepAlive says so. `ended`: the sender ends its side behind the bytes. */
export function readRequests(pieces: readonly string[], limits = HEAD_LIMITS, ended = false): Reading {
  const parser = new RequestParser(limits);
  return drive(parser, pieces, ended, (messages) => {
    messages.push(message(parser, `${parser.method} ${parser.target} HTTP/1.${parser.minor}`, parser.keepAlive, false));
    if (parser.framing.kind === 'problem') return 'ambiguous';
    return parser.upgrade ? 'tunnel' : undefined;
  });
}

/** Reads the one response to `asked`, and the interim ones before it. */
export function readResponse(pieces: readonly string[], asked: Asked, limits = HEAD_LIMITS, ended = true): Reading {
  const parser = new ResponseParser(limits);
  parser.expect(asked.method, asked.upgrade);
  return drive(parser, pieces, ended, (messages, interim) => {
    // A second final answer is nobody's: whoever drives the parser for a proxy closes here as well.
    messages.push(message(parser, `HTTP/1.${parser.minor} ${parser.status}`, false, interim));
    return undefined;
  });
}

function message(parser: MessageParser, start: string, keepAlive: boolean, interim: boolean): ReadMessage {
  return {
    start,
    headers: [...parser.headers],
    body: '',
    trailers: [],
    complete: interim,
    keepAlive,
    interim,
    untilClose: false,
  };
}

/** `onHead` may stop the reading, as the side that drives the parser would. */
function drive(
  parser: MessageParser,
  pieces: readonly string[],
  ended: boolean,
  onHead: (messages: ReadMessage[], interim: boolean) => Stop | undefined,
): Reading {
  const messages: ReadMessage[] = [];
  const stopped = (stop: Stop, next: number, reason = ''): Reading => {
    const left = stop === 'tunnel' || stop === 'close' ? parser.takeRest().toString('latin1') : undefined;
    return { messages, stop, reason, rest: left === undefined ? '' : left + pieces.slice(next).join('') };
  };
  for (let i = 0; i <= pieces.length; i++) {
    if (i < pieces.length) parser.feed(Buffer.from(pieces[i]!, 'latin1'));
    else if (!ended) break;
    let event = i < pieces.length ? parser.next() : parser.finish();
    for (; event !== EVENT.more; event = parser.next()) {
      const last = messages.at(-1)!;
      switch (event) {
        case EVENT.head:
        case EVENT.interim: {
          const stop = onHead(messages, event === EVENT.interim);
          if (stop !== undefined) return stopped(stop, i + 1);
          break;
        }
        case EVENT.chunk:
          last.body += Buffer.from(parser.chunk).toString('latin1');
          break;
        case EVENT.end:
          last.complete = true;
          last.untilClose = i === pieces.length;
          last.trailers = [...parser.trailers];
          if (!last.keepAlive) return stopped('close', i + 1);
          break;
        case EVENT.tunnel:
          onHead(messages, true);
          return stopped('tunnel', i + 1);
        case EVENT.problem:
          return stopped('problem', i + 1, parser.problem);
        case EVENT.excess:
          return stopped('excess', i + 1, parser.excess);
      }
    }
  }
  return stopped('more', pieces.length);
}
