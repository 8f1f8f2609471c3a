// The subjects of the conformance cases: Portico in this process, and its peers in processes of their own, because they die.

import { type ChildProcess, fork } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { HOST, local, openDoor, type TestDoor, testIdentity } from '../support/door.ts';
import { FrameClient, H2Client } from '../support/h2-client.ts';
import { RawClient } from '../support/raw-client.ts';
import { RawUpstream } from '../support/raw-upstream.ts';
import { type Answer, type Ask, type Call, Http1Call, Http2Call } from './call.ts';
import type { Case, Protocol } from './case.ts';

export const PEERS = ['http-proxy', 'http2-proxy'] as const;
export type PeerName = (typeof PEERS)[number];

/** How long one conversation may take. Peers that let one wait get less: they are only described. */
const PATIENCE = 20_000;
const PEER_PATIENCE = 2_000;

/** A proxy before one upstream, for one case over one protocol. */
export interface Subject {
  readonly protocol: Protocol;
  readonly upstream: RawUpstream;
  readonly plainPort: number;
  readonly tlsPort: number;
  /** Portico's door; asserted by a case that is about Portico alone. */
  readonly door: TestDoor | undefined;
  /** False when the case runs only to be described. */
  readonly isProof: boolean;
  /** A connection for bytes, plain or TLS; TLS where the protocol is HTTP/2. */
  connect(): Promise<RawClient>;
  /** An HTTP/2 connection for frames. */
  connectFrames(): Promise<FrameClient>;
  /** Sends a request on a connection of its own. */
  start(ask: Ask): Promise<Call>;
  /** Sends one and waits for the end of its answer. */
  ask(ask: Ask): Promise<Answer>;
  /** The case is over, or took too long: whatever it still does comes to its end. */
  readonly isClosed: boolean;
  /** Resolves when the condition holds; rejects when the case is over before. */
  until(condition: () => boolean): Promise<void>;
  /** Closed with the subject. */
  keep(closes: { close(): void }): void;
}

/** Makes each case a test of Portico over each of its protocols. */
export function hold(cases: readonly Case[]): void {
  for (const one of cases) {
    for (const protocol of one.protocols) {
      t.test(`${one.behaviour} (${protocol})`, async (t) => {
        const verdict = await tryPortico(one, protocol, true);
        if (verdict.word === 'ok') t.pass('it does');
        else t.fail(verdict.word, { why: verdict.detail });
      });
    }
  }
}

/** How a subject fared in a case. */
export interface Verdict {
  readonly word: 'ok' | 'fails' | 'hangs' | 'process dies';
  readonly detail: string;
}

export async function tryPortico(one: Case, protocol: Protocol, isProof: boolean): Promise<Verdict> {
  const upstream = await RawUpstream.open();
  const endpoint = local(upstream.port);
  const { frontend, ...setting } = one.setting ?? {};
  const door = await openDoor({
    frontend: frontend === undefined ? [endpoint] : await frontend(endpoint),
    backend: [endpoint],
    ...setting,
  });
  const { plainPort, tlsPort } = door;
  const stage = new Stage(protocol, upstream, { plainPort, tlsPort, ca: door.ca }, door, isProof);
  try {
    return await judge(one, stage, PATIENCE);
  } finally {
    stage.close();
    door.close();
  }
}

// When a test is broken off, nothing may stay behind.
const children = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** A peer's process, started anew whenever it died. */
export class Peer {
  readonly name: PeerName;
  #process: ChildProcess | undefined;
  #ports: { plain: number; tls: number } = { plain: 0, tls: 0 };

  constructor(name: PeerName) {
    this.name = name;
  }

  async try(one: Case, protocol: Protocol): Promise<Verdict> {
    const upstream = await RawUpstream.open();
    const child = await this.#aim(upstream.port);
    const { ca } = await testIdentity();
    const place = { plainPort: this.#ports.plain, tlsPort: this.#ports.tls, ca };
    const stage = new Stage(protocol, upstream, place, undefined, false);
    const died = new Promise<Verdict>((resolve) => {
      child.once('exit', () => resolve({ word: 'process dies', detail: '' }));
    });
    try {
      const verdict = await Promise.race([judge(one, stage, PEER_PATIENCE), died]);
      // A death shows to the client first, as a connection that ends.
      if (verdict.word === 'ok') return verdict;
      return await Promise.race([died, sleep(100, verdict)]);
    } finally {
      stage.close();
      if (child.exitCode !== null || child.signalCode !== null) this.#process = undefined;
    }
  }

  close(): void {
    this.#process?.kill('SIGKILL');
  }

  /** Points the peer at an upstream. One that dies of what it did before is started anew. */
  async #aim(target: number): Promise<ChildProcess> {
    for (;;) {
      const child = this.#process ?? (await this.#start());
      this.#process = child;
      const isAimed = await new Promise<boolean>((resolve) => {
        child.once('exit', () => resolve(false));
        child.once('message', () => resolve(true));
        child.send({ target }, (error) => error && resolve(false));
      });
      if (isAimed) return child;
      child.kill('SIGKILL');
      this.#process = undefined;
    }
  }

  async #start(): Promise<ChildProcess> {
    const { certificate, key } = await testIdentity();
    const child = fork(fileURLToPath(new URL('peer-process.ts', import.meta.url)), [this.name], {
      env: { PATH: process.env.PATH ?? '' },
      execArgv: [],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    children.add(child);
    child.once('exit', () => children.delete(child));
    // Two for each case that it outlives.
    child.setMaxListeners(0);
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', () => reject(new Error(`${this.name} did not start`)));
      child.once('message', (ports) => {
        this.#ports = ports as { plain: number; tls: number };
        resolve();
      });
      child.send({ certificate, key });
    });
    return child;
  }
}

async function judge(one: Case, stage: Stage, patience: number): Promise<Verdict> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Verdict>((resolve) => {
    timer = setTimeout(resolve, patience, { word: 'hangs', detail: `nothing came of it within ${patience} ms` });
  });
  const run = one.run(stage).then(
    (): Verdict => ({ word: 'ok', detail: '' }),
    (error: Error): Verdict => ({ word: 'fails', detail: error.stack ?? String(error) }),
  );
  const verdict = await Promise.race([run, late]);
  clearTimeout(timer);
  return verdict;
}

class Stage implements Subject {
  readonly protocol: Protocol;
  readonly upstream: RawUpstream;
  readonly plainPort: number;
  readonly tlsPort: number;
  readonly door: TestDoor | undefined;
  readonly isProof: boolean;
  isClosed = false;
  readonly #ca: string;
  readonly #kept: { close(): void }[] = [];

  constructor(
    protocol: Protocol,
    upstream: RawUpstream,
    place: { plainPort: number; tlsPort: number; ca: string },
    door: TestDoor | undefined,
    isProof: boolean,
  ) {
    this.protocol = protocol;
    this.upstream = upstream;
    this.plainPort = place.plainPort;
    this.tlsPort = place.tlsPort;
    this.#ca = place.ca;
    this.door = door;
    this.isProof = isProof;
  }

  async connect(): Promise<RawClient> {
    const client = await RawClient.connect(
      this.protocol === 'HTTP/1.1' ? { port: this.plainPort } : { port: this.tlsPort, ca: this.#ca, serverName: HOST },
    );
    this.keep(client);
    return client;
  }

  async connectFrames(): Promise<FrameClient> {
    const client = await FrameClient.connect(this.tlsPort, this.#ca, HOST);
    this.keep({ close: () => client.socket.destroy() });
    return client;
  }

  async start(ask: Ask): Promise<Call> {
    if (this.protocol !== 'HTTP/2') return new Http1Call(await this.connect(), ask);
    const client = await H2Client.connect(this.tlsPort, this.#ca, HOST);
    this.keep(client);
    return new Http2Call(client, ask);
  }

  async ask(ask: Ask): Promise<Answer> {
    const call = await this.start(ask);
    const answer = await call.answer();
    call.close();
    return answer;
  }

  keep(closes: { close(): void }): void {
    if (this.isClosed) closes.close();
    else this.#kept.push(closes);
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.isClosed) throw new Error('the case is over');
      await sleep(2);
    }
  }

  close(): void {
    this.isClosed = true;
    for (const each of this.#kept) each.close();
    this.upstream.close();
  }
}
