// The root of a worker: takes snapshots from the supervisor, serves by them, and drains when told to.

import { randomUUID } from 'node:crypto';
import { type Certificates, type OpenListener, openListener } from './downstream/listener.ts';
import { buildCertificateTable } from './downstream/tls.ts';
import { FAILURES } from './model/failure.ts';
import type { Order, Report } from './model/orders.ts';
import { freeze, type Snapshot } from './model/snapshot.ts';
import { Door } from './proxy/door.ts';
import { fail } from './proxy/reply.ts';
import { createLog, descriptorSink } from './telemetry/log.ts';
import { ownFamilies } from './telemetry/scrape.ts';
import { Http1Transport } from './upstream/http1.ts';

/** Time for the last answers and aborts to leave, in ms. */
const LAST_BYTES = 100;

const ownMeasures = ownFamilies(process.argv[3] ?? '');
const sink = descriptorSink(1);
let prepared: { readonly snapshot: Snapshot; readonly certificates: Certificates } | undefined;
let door: Door | undefined;
let certificates: Certificates | undefined;
let transport: Http1Transport | undefined;
const listeners: OpenListener[] = [];

process.on('message', (order: Order) => {
  switch (order.kind) {
    case 'prepare':
      return prepare(order.snapshot);
    case 'commit':
      commit(order.generation).catch((error: Error) => {
        report({ kind: 'refused', generation: order.generation, reason: error.message });
      });
      return;
    case 'drain':
      return drain(order.deadline);
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

function prepare(snapshot: Snapshot): void {
  const { generation } = snapshot;
  try {
    prepared = { snapshot: freeze(snapshot), certificates: { table: buildCertificateTable(snapshot) } };
    report({ kind: 'accepted', generation });
  } catch (error) {
    report({ kind: 'refused', generation, reason: (error as Error).message });
  }
}

async function commit(generation: number): Promise<void> {
  if (prepared?.snapshot.generation !== generation) throw new Error(`snapshot ${generation} was not prepared`);
  const { snapshot } = prepared;
  if (door === undefined || certificates === undefined) await open(snapshot, prepared.certificates);
  else {
    door.activate(snapshot);
    certificates.table = prepared.certificates.table;
  }
  report({ kind: 'serving', generation });
}

async function open(snapshot: Snapshot, first: Certificates): Promise<void> {
  const now = () => performance.now();
  transport = new Http1Transport(snapshot.limits, now);
  door = new Door(snapshot, transport, createLog(snapshot.logLevel, sink), now, randomUUID);
  certificates = first;
  for (const listener of snapshot.listeners) {
    listeners.push(await openListener(door, listener, snapshot, certificates, process.platform === 'linux'));
  }
  setInterval(() => {
    door?.sweep();
    transport?.sweep();
    publish().catch(() => {});
  }, 1_000).unref();
}

/** The supervisor asks for nothing when it is scraped: a saturated worker would answer late. */
async function publish(): Promise<void> {
  if (door !== undefined) report({ kind: 'measures', families: [...door.measures(), ...(await ownMeasures())] });
}

/** Accepts nothing more, waits until every answer ended or the deadline (ms) is over, and leaves. */
function drain(deadline: number): void {
  const held = door;
  if (held === undefined) process.exit(0);
  held.draining = true;
  for (const listener of listeners) listener.drain();
  const end = held.now() + deadline;
  const timer = setInterval(() => {
    // A websocket has no end of its own: it is closed when all else is done, and its client connects anew elsewhere.
    const left = held.exchanges.size - held.tunnels.size;
    if (left > 0 && held.now() < end) return;
    clearInterval(timer);
    for (const close of held.tunnels) close();
    for (const exchange of held.exchanges)
      fail(exchange, FAILURES.draining, 'it was still under way when the door had to close');
    setTimeout(leave, LAST_BYTES, held, left);
  }, 25);
}

function leave(held: Door, forced: number): void {
  for (const listener of listeners) listener.close();
  transport?.close();
  report({ kind: 'drained', forced });
  process.removeAllListeners('disconnect');
  process.once('disconnect', () => process.exit(0));
  held.log.flush().then(() => process.disconnect?.());
}
