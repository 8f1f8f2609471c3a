// Golden byte cases: what the client sends, what the upstream must see, what the client must get; one file each in test/golden/wire/.

import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { inParallel } from '../support/dice.ts';
import { readWireCase } from '../support/wire-case.ts';
import { runWireCase, type WireOutcome } from '../support/wire-run.ts';

const FOLDER = new URL('wire/', import.meta.url);
/** A word of its name, for runs by hand. */
const ONLY = process.env.WIRE_CASE ?? '';
const WIDTH = 16;

const names = readdirSync(FOLDER).filter((name) => name.endsWith('.wire') && name.includes(ONLY));
const cases = new Map(names.map((name) => [name, readWireCase(readFileSync(new URL(name, FOLDER), 'utf8'))]));
const runs = names.flatMap((name) => cases.get(name)!.protocols.map((protocol) => ({ name, protocol })));

t.test('golden byte cases', async (t) => {
  const found: (WireOutcome | Error)[] = [];
  await inParallel(runs.length, WIDTH, async (n) => {
    const { name, protocol } = runs[n]!;
    found[n] = await runWireCase(cases.get(name)!, protocol).catch((error: Error) => error);
  });
  for (const [n, { name, protocol }] of runs.entries()) {
    const { upstreamSees, clientGets } = cases.get(name)!;
    const outcome = found[n]!;
    const sentence = `${name.replace(/\.wire$/, '').replaceAll('-', ' ')} (${protocol})`;
    t.strictSame(outcome instanceof Error ? outcome.message : outcome, { upstreamSees, clientGets }, sentence);
  }
});
