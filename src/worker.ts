// The root of a worker: takes snapshots from the supervisor, serves by them, and drains when told to.

import { randomUUID } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { type OpenListener, openListener } from './downstream/listener.ts';
import { buildCertificateTable, type CertificateTable } from './downstream/tls.ts';
import type { Exchange } from './model/exchange.ts';
import { FAILURES } from './model/failure.ts';
import type { Order, Report } from './model/orders.ts';
import { freeze, type Listener, type Snapshot } from './model/snapshot.ts';
import { Turn } from './model/turn.ts';
import { blame } from './proxy/blame.ts';
import { Door } from './proxy/door.ts';
import { fail } from './proxy/reply.ts';
import { createLog, descriptorSink, lostLines } from './telemetry/log.ts';
import { ownFamilies } from './telemetry/scrape.ts';
import { Http1Transport } from './upstream/http1.ts';

/** Time for the last answers and aborts to leave, in ms. */
const LAST_BYTES = 100;

// V8 moves what is made at places whose objects seem to last into the old generation. What a request makes lasts as long as the request, and
// in the old generation it keeps all that it knows until the next large collection: with many streams a pause took 10 ms in place of 2.
setFlagsFromString('--no-allocation-site-pretenuring');

/** Where several workers may bind one port. */
const SHARES_PORTS = process.platform === 'linux';

const ownMeasures = ownFamilies(process.argv[3] ?? '');
const sink = descriptorSink(1);
/** The generation that is being prepared, until it is abandoned. */
let preparing: number | undefined;
let prepared: Prepared | undefined;
let door: Door | undefined;
let transport: Http1Transport | undefined;
let listeners: OpenListener[] = [];
/** Left out by a reload: they accept nothing, and what they hold may end. */
const retired = new Set<OpenListener>();

/** A snapshot with all that it needs, not yet in force. */
interface Prepared {
  readonly snapshot: Snapshot;
  readonly table: CertificateTable | undefined;
  /** Listeners that the snapshot in force does not have. */
  readonly opened: readonly OpenListener[];
}

process.on('message', (order: Order) => {
  switch (order.kind) {
    case 'prepare':
      return answer(order.snapshot.generation, 'accepted', prepare(order.snapshot));
    case 'commit':
      return answer(order.generation, 'serving', commit(order.generation));
    case 'abandon':
      return abandon();
    case 'close':
      return closeListeners();
    case 'drain':
      return drain(order.deadline, order.patient);
    case 'hasten':
      return hasten();
  }
});
// Ctrl-C in a terminal reaches the whole group; when to stop is the supervisor's decision.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
process.on('SIGHUP', () => {});
// A worker without its supervisor has nobody who would stop it.
process.on('disconnect', () => process.exit(1));

function report(what: Report): void {
  // A supervisor that is gone hears nothing; 'disconnect' is what ends us then.
  process.send?.(what, () => {});
}

function answer(generation: number, kind: 'accepted' | 'serving', done: Promise<void>): void {
  done.then(
    () => report({ kind, generation }),
    (error: Error) => report({ kind: 'refused', generation, reason: error.message }),
  );
}

async function prepare(given: Snapshot): Promise<void> {
  abandon();
  const snapshot = freeze(given);
  preparing = snapshot.generation;
  const table = snapshot.certificates.length === 0 ? undefined : buildCertificateTable(snapshot);
  // The first listeners are bound by the commit: until then there is nothing that they could serve by.
  const opened = door === undefined ? [] : await openNew(door, snapshot, table);
  if (preparing !== snapshot.generation) {
    for (const listener of opened) listener.close();
    throw new Error('it was abandoned meanwhile');
  }
  prepared = { snapshot, table, opened };
}

/** Those that are not open yet. They serve by the snapshot in force until the new one is; all are bound, or none. */
async function openNew(held: Door, snapshot: Snapshot, table: CertificateTable | undefined): Promise<OpenListener[]> {
  const wanted = snapshot.listeners.filter((each) => !listeners.some(({ listener }) => isSame(listener, each)));
  const opened: OpenListener[] = [];
  try {
    for (const each of wanted) opened.push(await openListener(held, each, snapshot, table, SHARES_PORTS));
    return opened;
  } catch (error) {
    for (const listener of opened) listener.close();
    throw error;
  }
}

function isSame(one: Listener, other: Listener): boolean {
  return one.name === other.name && one.kind === other.kind && one.address === other.address && one.port === other.port;
}

/** What was prepared does not come into force. */
function abandon(): void {
  for (const listener of prepared?.opened ?? []) listener.close();
  preparing = undefined;
  prepared = undefined;
}

async function commit(generation: number): Promise<void> {
  if (prepared?.snapshot.generation !== generation) throw new Error(`snapshot ${generation} was not prepared`);
  const { snapshot, table, opened } = prepared;
  prepared = undefined;
  if (door === undefined) return open(snapshot, table);
  door.activate(snapshot);
  const left = listeners.filter(({ listener }) => !snapshot.listeners.some((each) => isSame(listener, each)));
  listeners = [...listeners.filter((each) => !left.includes(each)), ...opened];
  for (const open of listeners) renew(open, snapshot, table);
  for (const listener of left) retire(door, listener, snapshot.limits.drainTimeout);
}

function renew(open: OpenListener, snapshot: Snapshot, table: CertificateTable | undefined): void {
  const listener = snapshot.listeners.find((each) => isSame(each, open.listener));
  if (listener !== undefined) open.renew(listener, snapshot, table);
}

/** Accepts nothing more; what is under way may end within the time of a stop. */
function retire(held: Door, listener: OpenListener, deadline: number): void {
  retired.add(listener);
  listener.drain(false);
  setTimeout(() => {
    for (const exchange of held.exchanges) if (exchange.origin.bound === listener.bound) cut(exchange);
    setTimeout(() => {
      listener.close();
      retired.delete(listener);
    }, LAST_BYTES).unref();
  }, deadline).unref();
}

/** Its connection closes next. That is not the client's doing, even where all is answered, as a websocket is. */
function cut(exchange: Exchange): void {
  const detail = 'it was still under way when its listener had to close';
  blame(exchange, FAILURES.draining, detail);
  fail(exchange, FAILURES.draining, detail);
}

async function open(snapshot: Snapshot, table: CertificateTable | undefined): Promise<void> {
  const now = () => performance.now();
  const turn = new Turn((run) => setImmediate(run));
  transport = new Http1Transport(snapshot.limits, now, turn);
  door = new Door(snapshot, transport, createLog(snapshot.logLevel, sink), now, turn, randomUUID);
  listeners = await openNew(door, snapshot, table);
  setInterval(() => {
    door?.sweep();
    transport?.sweep();
    publish().catch(() => {});
  }, 1_000).unref();
}

/** The supervisor asks for nothing when it is scraped: a saturated worker would answer late. */
async function publish(): Promise<void> {
  if (door === undefined) return;
  const families = [...door.measures(), lostLines(sink), ...(await ownMeasures())];
  report({ kind: 'measures', families, failed: door.failed.take() });
}

/** Accepts nothing more: what comes is another instance's. */
function closeListeners(): void {
  Promise.all(listeners.map((listener) => listener.stopAccepting())).then(() => report({ kind: 'closed' }));
}

/** Accepts nothing more, waits until every answer ended or the deadline (ms) is over, and leaves. */
function drain(deadline: number, patient: boolean): void {
  const held = door;
  if (held === undefined) process.exit(0);
  held.patient = patient;
  for (const listener of listeners) listener.drain(patient);
  const end = held.now() + deadline;
  const timer = setInterval(() => {
    // A websocket has no end of its own: it is closed when all else is done, and its client connects anew elsewhere.
    const left = held.exchanges.size - held.tunnels.size;
    const open = held.patient
      ? [...listeners, ...retired].reduce((sum, { connections }) => sum + connections, 0)
      : left;
    if (open > 0 && held.now() < end) return;
    clearInterval(timer);
    // The last word to HTTP/2 clients: what they may ask again elsewhere.
    for (const listener of [...listeners, ...retired]) listener.drain(false);
    for (const close of held.tunnels) close();
    for (const exchange of held.exchanges)
      fail(exchange, FAILURES.draining, 'it was still under way when the door had to close');
    setTimeout(leave, LAST_BYTES, held, left);
  }, 25);
}

/** Idle connections end now, and websockets with the last answer. */
function hasten(): void {
  if (door !== undefined) door.patient = false;
  for (const listener of [...listeners, ...retired]) listener.drain(false);
}

function leave(held: Door, forced: number): void {
  for (const listener of [...listeners, ...retired]) listener.close();
  transport?.close();
  report({ kind: 'drained', forced });
  process.removeAllListeners('disconnect');
  process.once('disconnect', () => process.exit(0));
  held.log.flush().then(() => process.disconnect?.());
}
