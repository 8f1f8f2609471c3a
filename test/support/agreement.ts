// Two readings of the same bytes beside each other: ours, and llhttp's.

import { readAuthority, readTarget } from '../../src/http/target.ts';
import { type Asked, type Reading, type ReadMessage, readRequests, readResponse } from './codec.ts';
import { type Llhttp, type LlhttpServer, readResponseByLlhttp } from './llhttp.ts';

/** The message that ours made of the bytes, where llhttp has another reading or none. */
export interface Difference {
  readonly message: ReadMessage;
  readonly bytes: string;
  /** The error of llhttp; '' when it had none. */
  readonly error: string;
  /** llhttp never came to read this message. */
  readonly unread: boolean;
}

/** What came of one case: how many messages both read alike, and the first difference. */
export interface Verdict {
  readonly alike: number;
  readonly difference: Difference | undefined;
}

/** Larger than any case: limits are ours alone. */
const LIMITS = { startLine: 64 * 1024, head: 128 * 1024 };

export function compareRequests(server: LlhttpServer, bytes: string): Verdict {
  const ours = readRequests([bytes], LIMITS);
  return compare(bytes, ours, server.read(bytes));
}

/** llhttp gets what ours took, its last byte apart: the end of a message is where both say so. */
export async function compareResponse(bytes: string, asked: Asked): Promise<Verdict> {
  const ours = readResponse([bytes], asked, LIMITS);
  if (ours.stop !== 'close' || ours.messages.at(-1)!.untilClose) {
    const states = await readResponseByLlhttp([bytes], ours.stop === 'close', asked);
    return compare(bytes, ours, states.at(-1)!);
  }
  const taken = bytes.slice(0, bytes.length - ours.rest.length);
  const [before, after] = await readResponseByLlhttp([taken.slice(0, -1), taken.slice(-1)], false, asked);
  const early = before!.messages.at(-1);
  if (early?.complete === true && !early.interim) {
    return {
      alike: 0,
      difference: { message: ours.messages.at(-1)!, bytes, error: 'complete before its end', unread: false },
    };
  }
  return compare(bytes, ours, after!);
}

function compare(bytes: string, ours: Reading, theirs: Llhttp): Verdict {
  let alike = 0;
  for (const [i, message] of ours.messages.entries()) {
    const isLast = i === ours.messages.length - 1;
    // Its framing is refused: we answer and close.
    if (isLast && ours.stop === 'ambiguous') break;
    if (isRefusedLater(message)) break;
    const other = theirs.messages[i];
    const isTunnel = isLast && ours.stop === 'tunnel';
    const same =
      other !== undefined &&
      isSame(message, other, isLast && ours.stop === 'more') &&
      isTunnel === (theirs.tunnel && other === theirs.messages.at(-1)) &&
      (!isTunnel || ours.rest === theirs.rest);
    if (!same) return { alike, difference: { message, bytes, error: theirs.error, unread: other === undefined } };
    alike++;
  }
  return { alike, difference: undefined };
}

/** `waits`: our parser would go on with this message if more bytes came. */
function isSame(ours: ReadMessage, theirs: ReadMessage, waits: boolean): boolean {
  if (ours.start !== theirs.start || ours.headers.join('\n') !== theirs.headers.join('\n')) return false;
  if (!ours.complete) return theirs.body.startsWith(ours.body) && !(waits && theirs.complete);
  return theirs.complete && ours.body === theirs.body && ours.trailers.join('\n') === theirs.trailers.join('\n');
}

/** The target is for the policies to refuse, by the one reader that HTTP/2 has as well. */
function isRefusedLater(message: ReadMessage): boolean {
  if (message.start.startsWith('HTTP/')) return false;
  const [method, text] = message.start.split(' ');
  const target = readTarget(method!, text!);
  if (typeof target === 'string') return true;
  return target.authority !== undefined && readAuthority(target.authority) === undefined;
}
