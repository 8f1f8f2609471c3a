// The resolver: a cache that forgets, joins those who ask at the same time, and outlives a name server that does not answer.

import t from 'tap';
import { type Address, lookupThrough, Resolver } from '../../src/upstream/resolver.ts';

type Answer = (error: Error | null, addresses: readonly Address[]) => void;

/** A resolver with a clock and a name server that are moved by hand. */
function make() {
  const clock = { now: 1_000 };
  const asked: { host: string; answer: Answer }[] = [];
  const resolver = new Resolver(
    () => clock.now,
    (host, answer) => asked.push({ host, answer }),
  );
  return { clock, asked, resolver };
}

const v4 = (address: string): Address => ({ address, family: 4 });
const OLD = [v4('10.0.0.1')];
const NEW = [v4('10.0.0.2')];

interface Answered {
  readonly error: Error | null;
  readonly addresses: readonly Address[];
  readonly fromCache: boolean;
}

function resolve(resolver: Resolver, host = 'backend'): Promise<Answered> {
  return new Promise((done) =>
    resolver.resolve(host, (error, addresses, fromCache) => done({ error, addresses, fromCache })),
  );
}

/** Lets a name be known. */
async function learn({ asked, resolver }: ReturnType<typeof make>, addresses = OLD): Promise<void> {
  const answered = resolve(resolver);
  asked.pop()!.answer(null, addresses);
  await answered;
}

t.test('an answer is kept for a while, and told to be from the cache', async (t) => {
  const { clock, asked, resolver } = make();
  const first = resolve(resolver);
  t.equal(asked[0]?.host, 'backend');
  asked.pop()!.answer(null, OLD);
  t.strictSame(await first, { error: null, addresses: OLD, fromCache: false });
  clock.now += 20_000;
  t.strictSame(await resolve(resolver), { error: null, addresses: OLD, fromCache: true });
  t.equal(asked.length, 0);
});

t.test('within 30 s the name is asked again', async (t) => {
  const made = make();
  await learn(made);
  made.clock.now += 30_000;
  const again = resolve(made.resolver);
  t.equal(made.asked.length, 1);
  made.asked.pop()!.answer(null, NEW);
  t.strictSame(await again, { error: null, addresses: NEW, fromCache: false });
});

t.test('an answer from the cache comes later, never at once', async (t) => {
  const made = make();
  await learn(made);
  let answered = false;
  made.resolver.resolve('backend', () => {
    answered = true;
  });
  t.notOk(answered);
  await new Promise(setImmediate);
  t.ok(answered);
});

t.test('what is doubted is asked anew, and nothing else', async (t) => {
  const made = make();
  await learn(made);
  const other = resolve(made.resolver, 'frontend');
  made.asked.pop()!.answer(null, NEW);
  await other;
  made.resolver.doubt('backend');
  t.match(await resolve(made.resolver, 'frontend'), { fromCache: true });
  const again = resolve(made.resolver);
  t.equal(made.asked.length, 1);
  made.asked.pop()!.answer(null, NEW);
  t.strictSame((await again).addresses, NEW);
});

t.test('who asks at the same time shares one question', async (t) => {
  const { asked, resolver } = make();
  const answers = [resolve(resolver), resolve(resolver), resolve(resolver)];
  t.equal(asked.length, 1);
  asked.pop()!.answer(null, OLD);
  for (const { addresses } of await Promise.all(answers)) t.strictSame(addresses, OLD);
  const failing = [resolve(resolver, 'x'), resolve(resolver, 'x')];
  t.equal(asked.length, 1);
  asked.pop()!.answer(new Error('no such name'), []);
  for (const { error } of await Promise.all(failing)) t.match(error, /no such name/);
});

t.test('an error is told, and not kept', async (t) => {
  const { asked, resolver } = make();
  const failing = resolve(resolver);
  asked.pop()!.answer(new Error('no such name'), []);
  t.match((await failing).error, /no such name/);
  const again = resolve(resolver);
  t.equal(asked.length, 1);
  asked.pop()!.answer(null, NEW);
  t.match(await again, { error: null, fromCache: false });
});

t.test('refresh asks for what is old, and tells a change', async (t) => {
  const made = make();
  await learn(made);
  const changes: (readonly Address[])[] = [];
  const refresh = () => made.resolver.refresh('backend', (addresses) => changes.push(addresses));
  made.clock.now += 20_000;
  refresh();
  t.equal(made.asked.length, 0, 'it is not old');
  made.clock.now += 10_000;
  refresh();
  refresh();
  t.equal(made.asked.length, 1, 'one question at a time');
  made.asked.pop()!.answer(null, OLD);
  t.strictSame(changes, [], 'nothing has changed');
  refresh();
  t.equal(made.asked.length, 0, 'it is fresh again');
  made.clock.now += 30_000;
  refresh();
  made.asked.pop()!.answer(null, NEW);
  t.strictSame(changes, [NEW]);
  t.match(await resolve(made.resolver), { addresses: NEW, fromCache: true });
});

t.test('another order of the same addresses is no change', async (t) => {
  const made = make();
  await learn(made, [...OLD, ...NEW]);
  made.clock.now += 30_000;
  made.resolver.refresh('backend', () => t.fail('it has not changed'));
  made.asked.pop()!.answer(null, [...NEW, ...OLD]);
  t.match(await resolve(made.resolver), { fromCache: true });
});

t.test('a name server that fails is no reason to forget a place that works', async (t) => {
  const made = make();
  await learn(made);
  made.clock.now += 30_000;
  made.resolver.refresh('backend', () => t.fail('nothing is known to have changed'));
  made.asked.pop()!.answer(new Error('SERVFAIL'), []);
  t.strictSame(await resolve(made.resolver), { error: null, addresses: OLD, fromCache: true });
});

t.test('a name server that does not answer is not waited for where a place is known', async (t) => {
  const made = make();
  await learn(made);
  made.clock.now += 30_000;
  const waits = resolve(made.resolver);
  t.equal(made.asked.length, 1, 'it is asked all the same');
  t.strictSame(await waits, { error: null, addresses: OLD, fromCache: true }, 'what is old is better than nothing');
  made.clock.now += 600;
  t.strictSame(await resolve(made.resolver), { error: null, addresses: OLD, fromCache: true }, 'and taken at once');
  t.equal(made.asked.length, 1, 'one question at a time');
  made.asked.pop()!.answer(null, NEW);
  t.strictSame(await resolve(made.resolver), { error: null, addresses: NEW, fromCache: true }, 'a late answer counts');
});

t.test('a name server that has failed is asked again later, not for every connection', async (t) => {
  const made = make();
  await learn(made);
  made.clock.now += 30_000;
  const fails = resolve(made.resolver);
  made.asked.pop()!.answer(new Error('SERVFAIL'), []);
  t.strictSame(await fails, { error: null, addresses: OLD, fromCache: true });
  t.strictSame(await resolve(made.resolver), { error: null, addresses: OLD, fromCache: true });
  t.equal(made.asked.length, 0);
});

t.test('what is doubted is used only where no answer comes', async (t) => {
  const made = make();
  await learn(made);
  made.resolver.doubt('backend');
  const failing = resolve(made.resolver);
  made.asked.pop()!.answer(new Error('no such name'), []);
  t.match((await failing).error, /no such name/);
  t.strictSame(await resolve(made.resolver), { error: null, addresses: OLD, fromCache: true });
  made.asked.pop()!.answer(null, OLD);
  t.match(await resolve(made.resolver), { addresses: OLD, fromCache: true }, 'it is right after all');
  t.equal(made.asked.length, 0);
});

t.test('it does not grow without end', async (t) => {
  const { asked, resolver } = make();
  for (let i = 0; i < 1_000; i++) {
    resolver.resolve(`name-${i}`, () => {});
    asked.pop()!.answer(null, OLD);
  }
  t.match(await resolve(resolver, 'name-0'), { fromCache: true });
  resolver.resolve('one-more', () => {});
  asked.pop()!.answer(null, OLD);
  resolver.resolve('name-0', () => {});
  t.equal(asked.length, 1, 'the table was emptied');
});

t.test('as the lookup of a socket', async (t) => {
  const made = make();
  const used: boolean[] = [];
  const lookup = lookupThrough(made.resolver, (fromCache) => used.push(fromCache));
  const ask = (all: boolean) =>
    new Promise<unknown[]>((done) => lookup('backend', { all }, (...answer: unknown[]) => done(answer)));
  const first = ask(true);
  made.asked.pop()!.answer(null, [...OLD, ...NEW]);
  t.strictSame(await first, [null, [...OLD, ...NEW]]);
  t.strictSame(await ask(false), [null, '10.0.0.1', 4]);
  t.strictSame(used, [false, true]);
  made.resolver.doubt('backend');
  const failing = ask(true);
  made.asked.pop()!.answer(new Error('no such name'), []);
  t.match((await failing)[0], /no such name/);
});

t.test('by default the system is asked', async (t) => {
  const resolver = new Resolver(() => 0);
  const { error, addresses } = await resolve(resolver, '127.0.0.1');
  t.equal(error, null);
  t.strictSame(addresses, [v4('127.0.0.1')]);
  t.match((await resolve(resolver, 'no-such-name.invalid')).error, Error);
});
