// The door of a worker: live state outlives a snapshot, and trust is told by address.

import { once } from 'node:events';
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import t from 'tap';
import { type FilesAction, freeze, LIMITS, type Snapshot } from '../../src/model/snapshot.ts';
import { Turn } from '../../src/model/turn.ts';
import { Door } from '../../src/proxy/door.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { Http1Transport } from '../../src/upstream/http1.ts';
import { makeFolder } from '../support/folder.ts';
import { waitFor } from '../support/ports.ts';

const TURN = new Turn((run) => setImmediate(run));

function snapshot(generation: number, ports: readonly number[], trustedProxies: readonly string[] = []): Snapshot {
  return freeze({
    generation,
    listeners: [],
    hosts: [],
    pools: [{ name: 'frontend', endpoints: ports.map((port) => ({ host: '127.0.0.1', port, tls: false })) }],
    certificates: [],
    ticketKeys: new Uint8Array(48),
    trustedProxies,
    publicPort: 443,
    limits: LIMITS,
    logLevel: 'silent',
    logFormat: 'json',
  });
}

function makeDoor(first: Snapshot): Door {
  const now = () => 0;
  const log = createLog('silent', { put: () => {}, flush: () => Promise.resolve() });
  return new Door(first, new Http1Transport(LIMITS, now, TURN), log, now, TURN, () => 'id');
}

t.test('what is known of an endpoint outlives a reload, by its address', async (t) => {
  const door = makeDoor(snapshot(1, [81, 82]));
  const before = door.active.pools.get('frontend')!;
  before.states[1]!.failures = 3;
  door.activate(snapshot(2, [82, 83]));
  const after = door.active.pools.get('frontend')!;
  t.same(after.authorities, ['127.0.0.1:82', '127.0.0.1:83']);
  t.equal(after.states[0], before.states[1]);
  t.equal(after.states[1]!.failures, 0);
  t.equal(door.active.snapshot.generation, 2);
});

t.test('an endpoint that could not be reached is looked at again, by no request, until it is back', async (t) => {
  let time = 0;
  const now = () => time;
  const log = createLog('silent', { put: () => {}, flush: () => Promise.resolve() });
  const server = createServer((socket) => socket.destroy());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  const door = new Door(snapshot(1, [port]), new Http1Transport(LIMITS, now, TURN), log, now, TURN, () => 'id');
  const state = door.active.pools.get('frontend')!.states[0]!;
  const up = () => door.measures().find(({ name }) => name === 'portico_upstream_up')?.values[0]?.value;
  Object.assign(state, { failures: 1, avoidUntil: 1_000 });

  door.sweep();
  t.equal(state.avoidUntil, 1_000, 'not before its time');
  time = 1_000;
  door.sweep();
  t.equal(state.avoidUntil, Number.POSITIVE_INFINITY, 'others are asked first meanwhile');
  await waitFor(() => state.failures === 2, 5_000, 'a second failure');
  t.equal(state.avoidUntil, 3_000);
  t.equal(up(), 0);

  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  time = 3_000;
  door.sweep();
  await waitFor(() => up() === 1, 5_000, 'that it is back');
  t.same(state, { failures: 0, avoidUntil: 0 });
});

t.test('trust is told by address and network, and nothing that is no address has it', async (t) => {
  const { isTrusted } = makeDoor(snapshot(1, [], ['10.0.0.7', '172.16.0.0/12', 'fd00::/8'])).active;
  for (const address of ['10.0.0.7', '172.31.255.255', 'fd12::1']) t.ok(isTrusted(address), address);
  for (const address of ['10.0.0.8', '172.32.0.0', 'fe80::1', '', 'unknown', 'fe80::1%eth0'])
    t.notOk(isTrusted(address), address);
});

t.test('whoever is past its deadline is told, and nobody else', async (t) => {
  let time = 0;
  const log = createLog('silent', { put: () => {}, flush: () => Promise.resolve() });
  const now = () => time;
  const door = new Door(snapshot(1, []), new Http1Transport(LIMITS, now, TURN), log, now, TURN, () => 'id');
  const told: string[] = [];
  for (const [name, deadline] of [
    ['soon', 10],
    ['later', 20],
    ['never', Number.POSITIVE_INFINITY],
  ] as const) {
    door.watched.add({ deadline, onDeadline: () => told.push(name) });
  }
  door.sweep();
  t.same(told, []);
  time = 10;
  door.sweep();
  t.same(told, ['soon']);
});

t.test(
  "what a pool's redirects may name: its endpoints, and the Host that it gets, by the ports that these stand for",
  async (t) => {
    const inner = (host: string | undefined, ...tls: boolean[]) => {
      const endpoints = tls.map((each, i) => ({ host: 'e', port: 8000 + i, tls: each }));
      const pool = { name: 'p', endpoints, ...(host === undefined ? {} : { host }) };
      return makeDoor({ ...snapshot(1, []), pools: [pool] }).active.pools.get('p')!.innerAuthorities;
    };
    t.same(inner(undefined, true), ['e:8000']);
    t.same(inner('Bucket.example', true, true), ['e:8000', 'e:8001', 'bucket.example:443']);
    t.same(inner('bucket.example', false, true), ['e:8000', 'e:8001', 'bucket.example:80', 'bucket.example:443']);
    t.same(inner('bucket.example:9000', true), ['e:8000', 'bucket.example:9000']);
  },
);

t.test('a folder that the new snapshot does not name is closed', { skip: !existsSync('/proc/self/fd') }, async (t) => {
  const [gone, kept] = [makeFolder(t, 'door'), makeFolder(t, 'door')].map(serveFolder) as [FilesAction, FilesAction];
  const door = makeDoor(withRoutes(1, [gone, kept]));
  t.teardown(() => door.files.close());
  for (const action of [gone, kept]) door.files.answer(action, { method: 'GET', path: '/', prefix: '', headers: [] });
  t.ok(isOpen(gone.root));
  door.activate(withRoutes(2, [kept]));
  t.notOk(isOpen(gone.root));
  t.ok(isOpen(kept.root));
});

function serveFolder(root: string): FilesAction {
  return { kind: 'files', root, parameters: undefined, fallback: false, base: false };
}

function withRoutes(generation: number, actions: readonly FilesAction[]): Snapshot {
  const routes = actions.map((action) => ({
    name: action.root,
    path: '',
    prefix: '',
    action,
    answers: 'page' as const,
    compress: false,
    limits: LIMITS,
  }));
  return { ...snapshot(generation, []), hosts: [{ name: 'x.example', routes }] };
}

function isOpen(folder: string): boolean {
  return readdirSync('/proc/self/fd').some((fd) => linkOf(fd) === folder);
}

function linkOf(fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    // The one that the folder of descriptors itself was read by.
    return undefined;
  }
}

t.test('hosts under a wildcard are known', async (t) => {
  const { isKnownHost } = makeDoor({ ...snapshot(1, []), hosts: [{ name: '*.w.example', routes: [] }] }).active;
  t.ok(isKnownHost('a.w.example'));
  for (const host of ['w.example', 'a.b.w.example', 'other.example']) t.notOk(isKnownHost(host), host);
});
