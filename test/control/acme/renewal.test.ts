// When a certificate is renewed, by its age or its issuer's word, and when a failure may be tried again.

import t from 'tap';
import {
  ariPause,
  backoff,
  believable,
  nextAttempt,
  readWindow,
  renewalByAge,
} from '../../../src/control/acme/renewal.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

t.test('by age: two thirds of the lifetime, half of a short one, and a little earlier by chance', async (t) => {
  const due = (days: number, chance: number) => renewalByAge({ notBefore: 0, notAfter: days * DAY }, chance) / DAY;
  t.equal(due(90, 0), 60);
  t.equal(due(90, 1).toFixed(3), '55.500');
  t.equal(due(64, 0).toFixed(3), '42.667');
  t.equal(due(6, 0), 3);
  t.equal(due(6, 1).toFixed(3), '2.700');
  t.equal(due(10, 0).toFixed(3), '6.667', 'ten days are not short');
});

t.test('by the issuer: a moment of its window, the same one while the window stays', async (t) => {
  const start = '2026-11-20T00:00:00Z';
  const end = '2026-11-22T00:00:00Z';
  const window = readWindow({ suggestedWindow: { start, end }, explanationURL: 'https://x.test/' }, undefined, 0.25)!;
  t.equal(new Date(window.at).toISOString(), '2026-11-20T12:00:00.000Z');
  t.equal(readWindow({ suggestedWindow: { start, end } }, window, 0.9), window);
  const moved = readWindow(
    { suggestedWindow: { start: '2026-11-01T00:00:00Z', end: '2026-11-02T00:00:00Z' } },
    window,
    0,
  );
  t.equal(new Date(moved!.at).toISOString(), '2026-11-01T00:00:00.000Z');
});

t.test('a window that makes no sense is none', async (t) => {
  const [start, end] = ['2026-11-20T00:00:00Z', '2026-11-22T00:00:00Z'];
  for (const answer of [
    {},
    { suggestedWindow: null },
    { suggestedWindow: 'soon' },
    { suggestedWindow: { start } },
    { suggestedWindow: { start: end, end: start } },
    { suggestedWindow: { start, end: start } },
    { suggestedWindow: { start: 5, end: 6 } },
    { suggestedWindow: { start: 'x', end } },
  ]) {
    t.equal(readWindow(answer, undefined, 0.5), undefined, JSON.stringify(answer));
  }
});

t.test('the issuer is asked again when it likes, but neither each second nor never', async (t) => {
  t.equal(ariPause(undefined), 6 * HOUR);
  t.equal(ariPause(0), 60_000);
  t.equal(ariPause(7 * DAY), DAY);
  t.equal(ariPause(2 * HOUR), 2 * HOUR);
});

t.test('failures without a certificate back off to a day', async (t) => {
  const minutes = (failures: number) => backoff(failures, undefined, 0) / 60_000;
  t.strictSame([1, 2, 3, 4, 5, 6, 7, 50].map(minutes), [1, 4, 16, 64, 256, 1024, 1440, 1440]);
  t.equal(backoff(1, undefined, 1), 75_000);
  t.equal(backoff(50, undefined, 1), 30 * HOUR);
});

t.test('the nearer a certificate is to its end, the shorter is the pause, but never below a minute', async (t) => {
  const minutes = (hoursLeft: number) => backoff(6, hoursLeft * HOUR, 0) / 60_000;
  t.strictSame([30 * 24, 12, 6, 1, 0.1, 0.01, 0].map(minutes), [1024, 180, 90, 15, 1.5, 1, 1]);
  t.equal(backoff(6, 12 * HOUR, 1), 3 * HOUR, 'chance adds nothing to it');
  t.equal(backoff(1, 12 * HOUR, 0), 60_000, 'it is no reason to wait for longer');
  t.ok(Number.isInteger(backoff(6, 12 * HOUR + 3, 0.3)), 'whole ms, as they are stored');
});

t.test('after its end the pauses grow again', async (t) => {
  const hours = (since: number) => backoff(50, -since, 0) / HOUR;
  t.strictSame([HOUR, 6 * HOUR, 4 * DAY, 30 * DAY].map(hours), [0.25, 1.5, 24, 24]);
});

t.test('a day without an issuer leaves a certificate of a day many attempts, and no hail of them', async (t) => {
  const end = 12 * HOUR;
  const attempts: number[] = [];
  for (let now = 0; now < end; now += backoff(attempts.length, end - now, 0.5)) attempts.push(now);
  t.ok(attempts.length < 30, `${attempts.length} attempts`);
  const gaps = attempts.slice(1).map((at, i) => (at - attempts[i]!) / HOUR);
  t.ok(Math.max(...gaps) < 3, `${gaps}`);
});

t.test('the next attempt is after the pause, when the first of the issuers may be asked again', async (t) => {
  const directories = ['https://a.test/', 'https://b.test/'];
  const next = (notBefore: number, ...pauses: number[]) =>
    nextAttempt(
      { notBefore, pauses: Object.fromEntries(pauses.map((until, i) => [directories[i], until])) },
      directories,
    );
  t.equal(next(5), 5);
  t.equal(next(5, 9), 5, 'one issuer wants no pause');
  t.equal(next(5, 9, 7), 7);
  t.equal(next(8, 9, 7), 8);
});

t.test('a time that is further away than any that is written is not believed', async (t) => {
  const now = 1_000 * DAY;
  const course = { failures: 9, records: [], problem: 'not today' };
  const read = (notBefore: number, pauses: Record<string, number>) => believable({ ...course, notBefore, pauses }, now);
  const near = { notBefore: now + backoff(9, undefined, 1), pauses: { a: now + 7 * DAY, b: 0 } };
  t.strictSame(read(near.notBefore, near.pauses), { ...course, ...near });
  const { pauses } = near;
  t.strictSame(read(near.notBefore + 1, { ...pauses, c: now + 7 * DAY + 1 }), { ...course, notBefore: 0, pauses });
  t.strictSame(read(0, { a: 'x' as unknown as number }).pauses, {}, 'nor what is no time');
});
