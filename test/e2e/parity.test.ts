// The vendor's Caddy and Portico, side by side before the same upstreams: what client and upstream see differs only where it is meant to.

import t from 'tap';
import { type Difference, differences } from '../support/facts.ts';
import { needPart } from '../support/parts.ts';
import type { WebSocketVisit } from '../support/websocket-client.ts';
import { BACKEND, CASES, FRONTEND, type Mode, PREFIX, type Protocol } from './parity-cases.ts';
import { KNOWN_DIFFERENCES, type KnownDifference } from './parity-differences.ts';
import { type Sides, startSides } from './parity-sides.ts';

interface Found extends Difference {
  readonly name: string;
  readonly mode: Mode;
  readonly protocol: Protocol;
}

t.test('Portico and Caddy', async (t) => {
  if (needPart(t, 'caddy') === undefined) return;
  const found: Found[] = [];
  for (const mode of ['two domains', 'one domain'] as const) {
    const sides = await startSides(t, mode);
    for (const protocol of ['HTTP/1.1', 'HTTP/2'] as const) {
      found.push(...(await askAll(sides, mode, protocol)));
    }
    found.push(...(await visitAll(sides, mode)));
  }

  const unlisted = found.filter((one) => !KNOWN_DIFFERENCES.some((known) => fits(known, one)));
  t.comment(`${found.length} differences, ${unlisted.length} of them are not listed`);
  for (const alike of groups(unlisted)) {
    const { place, left, right } = alike[0]!;
    const cases = alike.map((one) => `${one.mode}, ${one.protocol}, ${one.name}`);
    t.fail(`not listed: ${place}`, { caddy: left, portico: right, cases });
  }
  for (const known of KNOWN_DIFFERENCES) {
    if (known.byChance) continue;
    for (const name of known.cases ?? ['']) {
      const occurs = found.some((one) => one.name.startsWith(name) && fits(known, one));
      t.ok(occurs, `still differs: ${known.place} of ${name === '' ? 'any case' : name} (${known.reason})`);
    }
  }
});

/** The same difference in several cases is one failure. */
function groups(found: readonly Found[]): Found[][] {
  const byText = Map.groupBy(found, (one) => [one.place, one.left, one.right].join('\n'));
  return [...byText.values()];
}

async function askAll(sides: Sides, mode: Mode, protocol: Protocol): Promise<Found[]> {
  const found: Found[] = [];
  for (const one of CASES) {
    if (!one.modes.includes(mode) || !one.protocols.includes(protocol)) continue;
    const caddy = await sides.caddy.ask(one, mode, protocol);
    const portico = await sides.portico.ask(one, mode, protocol);
    found.push(...differences(caddy, portico).map((each) => ({ ...each, name: one.name, mode, protocol })));
  }
  return found;
}

async function visitAll(sides: Sides, mode: Mode): Promise<Found[]> {
  const place = mode === 'two domains' ? { authority: BACKEND, prefix: '' } : { authority: FRONTEND, prefix: PREFIX };
  const found: Found[] = [];
  for (const [name, visit] of Object.entries(VISITS)) {
    const whole = { ...visit, authority: place.authority, target: place.prefix + visit.target };
    const caddy = await sides.caddy.visit(whole);
    const portico = await sides.portico.visit(whole);
    const protocol = 'HTTP/1.1' as const;
    found.push(...differences(caddy, portico).map((each) => ({ ...each, name: `websocket: ${name}`, mode, protocol })));
  }
  return found;
}

const VISITS: Readonly<Record<string, Omit<WebSocketVisit, 'authority'>>> = {
  'closed by the client': { target: '/ws', protocols: [], messages: ['{"a":1}', 'second'] },
  'behind two slashes': { target: '//ws', protocols: [], messages: ['x'] },
  'closed by the upstream': { target: '/ws?close=4001', protocols: [], messages: ['bye'] },
  'with subprotocols': { target: '/ws', protocols: ['bearer', 'eyJhbGciOiJub25lIn0.e30.'], messages: ['{}'] },
  'with Authorization, Cookie and Origin': {
    target: '/ws',
    protocols: [],
    headers: { Authorization: 'Bearer x', Cookie: 'a=1', Origin: `https://${FRONTEND}` },
    messages: ['x'],
  },
  'a message of 200 KB': { target: '/ws', protocols: [], messages: ['x'.repeat(200_000)] },
  refused: { target: '/ws?refuse=1', protocols: [], messages: [] },
};

function fits(known: KnownDifference, one: Found): boolean {
  if (known.place !== one.place || !matches(known.caddy, one.left) || !matches(known.portico, one.right)) return false;
  if (known.mode !== undefined && known.mode !== one.mode) return false;
  if (known.protocol !== undefined && known.protocol !== one.protocol) return false;
  return known.cases === undefined || known.cases.some((name) => one.name.startsWith(name));
}

function matches(expected: string | RegExp, text: string): boolean {
  return typeof expected === 'string' ? expected === text : expected.test(text);
}
