// Differential fuzzing: whatever our parsers accept, llhttp reads as the same messages. Ours may refuse more, never accept more.

import t, { type Test } from 'tap';
import { compareRequests, compareResponse, type Difference, type Verdict } from '../support/agreement.ts';
import { dice } from '../support/dice.ts';
import { makeRequests, makeResponse } from '../support/http1-makers.ts';
import { LlhttpServer } from '../support/llhttp.ts';
import { REQUEST_DIFFERENCES, RESPONSE_DIFFERENCES, type Row } from './codec-differences.ts';

/** `FUZZ_SEED` and `FUZZ_CASES` are for long runs by hand. */
const SEED = Number(process.env.FUZZ_SEED ?? 20_261_201);
const CASES = Number(process.env.FUZZ_CASES ?? 20_000);

/** Counts, and keeps the differences that no row explains. */
class Tally {
  #alike = 0;
  #explained = 0;
  readonly #unexplained: Difference[] = [];
  readonly #rows: readonly Row[];

  constructor(rows: readonly Row[]) {
    this.#rows = rows;
  }

  add(verdict: Verdict): void {
    this.#alike += verdict.alike;
    const { difference } = verdict;
    if (difference === undefined) return;
    if (this.#rows.some((row) => row.explains(difference))) this.#explained++;
    else this.#unexplained.push(difference);
  }

  report(t: Test, cases: number): void {
    t.comment(`${this.#alike} messages read alike, ${this.#explained} differences of those that are kept`);
    t.ok(this.#alike > cases / 5, 'there was something to compare');
    t.same(this.#unexplained.slice(0, 5), [], `${this.#unexplained.length} differences that nobody keeps`);
  }
}

t.comment(`seed ${SEED}, ${CASES} cases`);
const server = new LlhttpServer();
t.teardown(() => server.close());

t.test('requests', async (t) => {
  const roll = dice(SEED);
  const tally = new Tally(REQUEST_DIFFERENCES);
  for (let n = 0; n < CASES; n++) tally.add(compareRequests(server, makeRequests(roll)));
  tally.report(t, CASES);
});

t.test('responses', async (t) => {
  const roll = dice(SEED + 1);
  const tally = new Tally(RESPONSE_DIFFERENCES);
  const WIDTH = 200;
  for (let n = 0; n < CASES; n += WIDTH) {
    const cases = Array.from({ length: WIDTH }, () => makeResponse(roll));
    const verdicts = await Promise.all(cases.map(([bytes, asked]) => compareResponse(bytes, asked)));
    for (const verdict of verdicts) tally.add(verdict);
  }
  tally.report(t, CASES);
});

t.test('each kept difference is still there', async (t) => {
  for (const row of REQUEST_DIFFERENCES) {
    const verdict = compareRequests(server, row.example);
    t.ok(verdict.difference !== undefined && row.explains(verdict.difference), row.sentence);
  }
  for (const row of RESPONSE_DIFFERENCES) {
    const verdict = await compareResponse(row.example, row.asked!);
    t.ok(verdict.difference !== undefined && row.explains(verdict.difference), row.sentence);
  }
});
