// The conformance cases put to Portico and its peers; the table is printed, and only Portico is held to it.

import t from 'tap';
import { type Case, EVERY, type Protocol } from './case.ts';
import { ABORTS } from './cases/aborts.ts';
import { EARLY } from './cases/early.ts';
import { FIELDS } from './cases/fields.ts';
import { FLOODS } from './cases/floods.ts';
import { FRAMING } from './cases/framing.ts';
import { INTERIM } from './cases/interim.ts';
import { PRESSURE } from './cases/pressure.ts';
import { REUSE } from './cases/reuse.ts';
import { TARGET } from './cases/target.ts';
import { UPGRADES } from './cases/upgrades.ts';
import { PEERS, Peer, tryPortico, type Verdict } from './subjects.ts';

const GROUPS = [FRAMING, TARGET, FIELDS, ABORTS, INTERIM, UPGRADES, REUSE, EARLY, PRESSURE, FLOODS];
/** Processes of one peer at a time: most of the time goes by in waiting for those that hang. */
const LANES = 6;

type Row = Map<string, Map<Protocol, Verdict>>;

t.test('how the peers fare', { timeout: 110_000 }, async (t) => {
  const cases = GROUPS.flat().filter((one) => one.peers === true);
  const rows = new Map<Case, Row>(cases.map((one) => [one, new Map()]));
  const asked = [...questions(cases)];
  await Promise.all(PEERS.flatMap((name) => lanes(name, asked, rows)));
  for (const [one, protocol] of asked) {
    const verdict = await tryPortico(one, protocol, false);
    note(rows.get(one)!, 'portico', protocol, verdict);
    t.equal(verdict.word, 'ok', `${one.behaviour} (${protocol})`, { why: verdict.detail });
  }
  for (const line of table(cases, rows)) t.comment(line);
});

function* questions(cases: readonly Case[]): Generator<[Case, Protocol]> {
  for (const one of cases) for (const protocol of one.protocols) yield [one, protocol];
}

/** Several processes of a peer take the questions in turn. */
function lanes(
  name: (typeof PEERS)[number],
  asked: readonly [Case, Protocol][],
  rows: Map<Case, Row>,
): Promise<void>[] {
  const left = [...asked];
  return Array.from({ length: LANES }, async () => {
    const peer = new Peer(name);
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [one, protocol] = next;
      note(rows.get(one)!, name, protocol, await peer.try(one, protocol));
    }
    peer.close();
  });
}

function note(row: Row, name: string, protocol: Protocol, verdict: Verdict): void {
  const cell = row.get(name) ?? new Map<Protocol, Verdict>();
  cell.set(protocol, verdict);
  row.set(name, cell);
}

function table(cases: readonly Case[], rows: Map<Case, Row>): string[] {
  const names = ['portico', ...PEERS];
  const lines = [`| behaviour | ${names.join(' | ')} |`, `|---|${names.map(() => '---|').join('')}`];
  for (const one of cases) {
    const cells = names.map((name) => wordFor(rows.get(one)!.get(name)!));
    lines.push(`| ${one.behaviour} | ${cells.join(' | ')} |`);
  }
  return lines;
}

/** One word when all protocols fare alike, else one for each. */
function wordFor(cell: ReadonlyMap<Protocol, Verdict>): string {
  const words = new Map<string, Protocol[]>();
  // The peers' processes answer in any order.
  for (const protocol of EVERY) {
    const word = cell.get(protocol)?.word;
    if (word !== undefined) words.set(word, [...(words.get(word) ?? []), protocol]);
  }
  if (words.size === 1) return [...words.keys()][0]!;
  return [...words].map(([word, protocols]) => `${word} (${protocols.join(', ')})`).join(', ');
}
