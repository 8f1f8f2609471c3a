// What was seen of one exchange, by the client and by the upstream, as named facts that two proxies can be compared by.

import { createHash } from 'node:crypto';
import type { Headers } from '../../src/http/headers.ts';
import type { ClientAnswer, ClientRequest } from './exchange.ts';
import type { Recorded } from './recorder.ts';

/** From a place (`upstream target`, `client field server`) to what stood there. */
export type Facts = ReadonlyMap<string, string>;

export interface Difference {
  readonly place: string;
  readonly left: string;
  readonly right: string;
}

/** Stands for a fact that only the other one has. */
export const ABSENT = '(none)';

/** What the client saw: an answer, or why there was none. */
export function clientFacts(answer: ClientAnswer | Error, record: Recorded | undefined, isHttp1: boolean): Facts {
  const facts = new Map<string, string>();
  if (answer instanceof Error) return facts.set('client answer', 'none');
  facts.set('client status', String(answer.status));
  facts.set('client end', answer.end);
  facts.set('client body', bodyFact(answer.body));
  for (const inform of answer.informs) {
    facts.set(`client inform ${inform.status}`, inform.headers.join(' ').toLowerCase());
  }
  addFields(facts, 'client', answer.headers, record?.answered?.headers ?? [], isHttp1);
  for (const [name, value] of grouped(answer.trailers)) facts.set(`client trailer ${name}`, value);
  return facts;
}

/** What the upstreams saw. */
export function upstreamFacts(
  seen: ReadonlyMap<string, readonly Recorded[]>,
  sent: ClientRequest,
  isHttp1: boolean,
): Facts {
  const facts = new Map<string, string>();
  const names = [...seen].flatMap(([name, records]) => records.map(() => name));
  facts.set('upstream asked', names.join(', ') || 'nobody');
  const record = [...seen.values()].flat()[0];
  if (record === undefined) return facts;
  facts.set('upstream request line', `${record.method} ${record.target} ${record.protocol}`);
  if (!record.answeredEarly) facts.set('upstream body', `${record.bodyBytes} bytes ${record.bodySha256}`);
  addFields(facts, 'upstream', record.headers, ['Host', sent.authority, ...sent.headers], isHttp1);
  for (const [name, value] of grouped(record.trailers)) facts.set(`upstream trailer ${name}`, value);
  if (record.upgrade) facts.set('upstream messages', `${record.messages.join(' | ')}, closed ${record.closeCode}`);
  return facts;
}

export function differences(left: Facts, right: Facts): Difference[] {
  const places = new Set([...left.keys(), ...right.keys()]);
  // When another upstream was asked, or none, what it saw is no difference of its own.
  if (left.get('upstream asked') !== right.get('upstream asked')) {
    for (const place of places) if (place.startsWith('upstream ') && place !== 'upstream asked') places.delete(place);
  }
  const found: Difference[] = [];
  for (const place of places) {
    const one = left.get(place) ?? ABSENT;
    const other = right.get(place) ?? ABSENT;
    if (one !== other) found.push({ place, left: one, right: other });
  }
  return found;
}

/** Fields by their name, and whether those that were sent arrived in their order and (HTTP/1.1) spelling. */
function addFields(facts: Map<string, string>, side: string, seen: Headers, sent: Headers, isHttp1: boolean): void {
  for (const [name, value] of grouped(seen)) facts.set(`${side} field ${name}`, value);
  const sentNames = everyOther(sent);
  const seenNames = everyOther(seen);
  facts.set(`${side} order`, isInOrder(sentNames, seenNames) ? 'as sent' : 'changed');
  if (!isHttp1) return;
  const spelled = seenNames.every((name) => sentNames.includes(name) || !includesFolded(sentNames, name));
  facts.set(`${side} spelling`, spelled ? 'as sent' : 'changed');
}

/** True when the names that both have come in the same order. */
function isInOrder(sent: readonly string[], seen: readonly string[]): boolean {
  const one = sent.filter((name) => includesFolded(seen, name)).map((name) => name.toLowerCase());
  const other = seen.filter((name) => includesFolded(sent, name)).map((name) => name.toLowerCase());
  return one.join() === other.join();
}

function includesFolded(names: readonly string[], name: string): boolean {
  return names.some((other) => other.toLowerCase() === name.toLowerCase());
}

function grouped(headers: Headers): Map<string, string> {
  const groups = new Map<string, string>();
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!.toLowerCase();
    const before = groups.get(name);
    groups.set(name, before === undefined ? headers[i + 1]! : `${before} | ${headers[i + 1]}`);
  }
  return groups;
}

function everyOther(headers: Headers): string[] {
  return headers.filter((_field, i) => i % 2 === 0);
}

function bodyFact(body: Buffer): string {
  if (body.length <= 2000) return body.toString('utf8');
  return `${body.length} bytes ${createHash('sha256').update(body).digest('hex')}`;
}
