// The keys of session tickets: new ones every twelve hours, and the ones before for as long as their tickets live.

import { mock } from 'node:test';
import t from 'tap';
import { Snapshots } from '../../src/control/snapshots.ts';
import { TicketKeys } from '../../src/control/ticket-keys.ts';
import type { Workers } from '../../src/control/workers.ts';
import type { Snapshot } from '../../src/model/snapshot.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { changed, readText } from '../support/configuration-file.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** Tickets live two hours. */
const OVERLAP = 2 * HOUR + MINUTE;

t.beforeEach(() => mock.timers.enable({ apis: ['setInterval', 'setTimeout'] }));
t.afterEach(() => mock.timers.reset());

t.test('new ones every twelve hours, and those before as long as their tickets live', async (t) => {
  const keys = new TicketKeys();
  const seen: string[] = [];
  const names: string[] = [];
  const nameOf = (key: Uint8Array | undefined) => {
    if (key === undefined) return '-';
    const hex = Buffer.from(key).toString('hex');
    if (!names.includes(hex)) names.push(hex);
    return String(names.indexOf(hex));
  };
  const note = () => seen.push(`${nameOf(keys.current)} ${nameOf(keys.previous)}`);
  t.equal(keys.current.length, 48);
  note();
  keys.start(note);
  mock.timers.tick(12 * HOUR - 1);
  t.strictSame(seen, ['0 -']);
  mock.timers.tick(1);
  t.strictSame(seen, ['0 -', '1 0']);
  mock.timers.tick(OVERLAP - 1);
  t.equal(seen.length, 2);
  mock.timers.tick(1);
  t.strictSame(seen.slice(2), ['1 -'], 'a key that nobody has a ticket of is not kept');
  mock.timers.tick(12 * HOUR - OVERLAP);
  mock.timers.tick(OVERLAP);
  t.strictSame(seen.slice(3), ['2 1', '2 -']);
  keys.stop();
  mock.timers.tick(48 * HOUR);
  t.equal(seen.length, 5);
});

t.test('workers get each of these, in turn with reloads, until all of it stops', async (t) => {
  const configuration = readText(
    changed('kind: tls', '    kind: plain')
      .replace(/certificates:\n.*\n.*\n/, '')
      .replace('proxy: backend', 'reply: { status: 204 }'),
  );
  const given: Snapshot[] = [];
  const workers = {
    replace: async (snapshot: Snapshot) => {
      given.push(snapshot);
    },
  } as unknown as Workers;
  const log = createLog('silent', { put: () => {}, flush: () => Promise.resolve() });
  const snapshots = new Snapshots(configuration, () => configuration, workers, log);
  const first = await snapshots.makeFirst();
  snapshots.begin();
  mock.timers.tick(12 * HOUR);
  await snapshots.settled;
  mock.timers.tick(OVERLAP);
  await snapshots.settled;
  t.equal(given.length, 2);
  t.notSame(given[0]!.ticketKeys, first.ticketKeys);
  t.strictSame(given[0]!.previousTicketKeys, first.ticketKeys);
  t.strictSame(given[1]!.ticketKeys, given[0]!.ticketKeys);
  t.notOk('previousTicketKeys' in given[1]!);
  t.ok(given[1]!.generation > given[0]!.generation);
  snapshots.stop();
  mock.timers.tick(48 * HOUR);
  await snapshots.settled;
  t.equal(given.length, 2);
});
