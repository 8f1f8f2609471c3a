// The supervisor: starts, answers for its health, reloads, hands over, and stops in order.

import { createLog, descriptorSink, type Log } from '../telemetry/log.ts';
import { ownFamilies, renderScrape, type Scrape } from '../telemetry/scrape.ts';
import { type Admin, openAdmin } from './admin.ts';
import { banner } from './banner.ts';
import { type Check, upstreamChecks } from './checks.ts';
import type { Configuration } from './configuration.ts';
import {
  type Answer,
  type Caller,
  type ControlSocket,
  type Instance,
  openControlSocket,
  PlaceTaken,
  refusal,
  socketPlaces,
} from './control-socket.ts';
import { type OpenDemo, openDemo } from './demo-configuration.ts';
import { checkPorts, portProblem } from './ports.ts';
import { ConfigError, formatProblem } from './problem.ts';
import type { Signals } from './signals.ts';
import { Snapshots } from './snapshots.ts';
import type { Source } from './source.ts';
import { Status } from './status/status.ts';
import { statusText } from './status/text.ts';
import { supervisorFamilies } from './supervisor-measures.ts';
import { Systemd } from './systemd.ts';
import { beginTakeover, type Takeover } from './takeover.ts';
import { Workers } from './workers.ts';

/** Exit codes of `portico run`. */
export const EXIT = Object.freeze({ ok: 0, failed: 1, forced: 2, unclean: 3 });

/** Between "not ready" and the end of accepting: time for whoever balances over several of us to look. In ms. */
const DRAIN_DELAY = 250;

/**
 * Serves until it is told to stop, or until another instance has taken over. Resolves to the exit code. Throws a ConfigError before
 * anything has started. `takesOver`: an instance that runs hands over to this one, when there is one. `signals`: those from the first
 * moment of the process on.
 */
export async function supervise(source: Source, takesOver: boolean, signals: Signals): Promise<number> {
  const first = source.load();
  const sink = descriptorSink(1);
  const log = createLog(first.logLevel, sink);
  const takeover = takesOver ? await findRunning(first, log) : undefined;
  let demo: OpenDemo | undefined;
  try {
    await checkPorts([...first.listeners, first.admin], takeover?.running.ports);
    if (first.demo) demo = await openDemo(first);
    const complete = (given: Configuration) => demo?.complete(given) ?? given;
    const door = new Supervisor(complete(first), () => complete(source.load()), log);
    signals.stop.heed((signal) => door.stop(signal));
    if (await door.start(takeover)) {
      if (demo !== undefined) sink.put(banner(first, demo.local));
      log.info('ready', {
        ...(source.file === undefined ? {} : { config: source.file }),
        ...Object.fromEntries(first.listeners.map(({ name, port }) => [`${name}_port`, port])),
        admin_port: first.admin.port,
        workers: first.workers,
      });
      signals.reload.heed(() => door.reload());
    }
    return await door.stopped;
  } finally {
    takeover?.abandon();
    await demo?.close();
    await log.flush();
    // There is no other way to end then.
    if (sink.isStuck) process.kill(process.pid, 'SIGKILL');
  }
}

async function findRunning(configuration: Configuration, log: Log): Promise<Takeover | undefined> {
  const found = await beginTakeover(socketPlaces(configuration, process.env));
  if (typeof found !== 'string') return found;
  log.info('there is nothing to take over, this is a start like any other', { reason: found });
  return undefined;
}

class Supervisor {
  readonly #log: Log;
  readonly #workers: Workers;
  readonly #systemd: Systemd;
  readonly #snapshots: Snapshots;
  readonly #ownFamilies = ownFamilies('supervisor');
  readonly #reloads = { succeeded: 0, lastSucceeded: true, succeededAt: Date.now() };
  readonly #status: Status;
  #admin: Admin | undefined;
  #control: ControlSocket | undefined;
  /** All workers have served; from then on one that serves is enough. */
  #started = false;
  /** What is under way here is to end in order: before that nothing is. */
  #begun = false;
  #draining = false;
  /** Another instance starts beside this one, to take over. */
  #hasHeir = false;
  /** It serves, and this one drains. */
  #handsOver = false;
  /** While this one drains websockets and idle connections may stay: nobody has told it to stop. */
  #patient = false;
  readonly #end = Promise.withResolvers<number>();

  constructor(configuration: Configuration, load: () => Configuration, log: Log) {
    this.#log = log;
    this.#workers = new Workers(configuration.workers, log);
    this.#systemd = new Systemd(process.env, log);
    this.#snapshots = new Snapshots(configuration, load, this.#workers, log);
    this.#status = new Status({
      checks: () => this.#checks(),
      families: () => this.#workers.families(),
      certificates: () => this.#snapshots.certificates.rows(),
      failed: () => this.#workers.failed,
    });
  }

  /** The exit code. */
  get stopped(): Promise<number> {
    return this.#end.promise;
  }

  /** Resolves to true when it serves, to false when it was told to stop before that. */
  async start(takeover: Takeover | undefined): Promise<boolean> {
    try {
      await this.#open(takeover);
    } catch (error) {
      this.#workers.kill();
      this.#admin?.close();
      this.#control?.close();
      if (!this.#draining) throw error;
      this.#log.info('stopped before it served');
      this.#end.resolve(EXIT.ok);
      return false;
    }
    this.#begun = true;
    this.#snapshots.begin();
    this.#status.begin();
    if (takeover !== undefined) await this.#takeOver(takeover);
    if (this.#draining) return false;
    this.#systemd.ready('serving');
    this.#systemd.watch((within) => this.#draining || this.#workers.heardWithin(within));
    return true;
  }

  async #open(takeover: Takeover | undefined): Promise<void> {
    const snapshot = await this.#snapshots.makeFirst();
    const serve = async () => {
      await this.#workers.start(snapshot);
      this.#started = true;
    };
    const openAdmin = () => this.#openAdmin();
    // Whoever asks either of two instances for its health hears that it serves.
    const steps = takeover === undefined ? [openAdmin, () => this.#openControl(), serve] : [serve, openAdmin];
    for (const step of steps) if (!this.#draining) await step();
    if (this.#draining) throw new Error('it was told to stop');
  }

  /** Lets what is under way end; asked a second time, or while it starts, it does not wait for that. */
  stop(signal: string): void {
    if (this.#patient) return this.#hasten(signal);
    if (this.#draining) {
      this.#log.warn('stopping at once, as asked twice', { signal });
      this.#workers.kill();
      this.#end.resolve(EXIT.forced);
      return;
    }
    this.#draining = true;
    if (this.#begun) this.#endBy(this.#drain(signal));
    // The start comes upon it.
    else this.#workers.kill();
  }

  /** After a takeover the end comes by itself. Who asks for it wants it soon, and no request cut. */
  #hasten(signal: string): void {
    this.#patient = false;
    this.#log.info('stopping: websockets and idle connections are not waited for any more', { signal });
    this.#workers.hasten();
  }

  async #openAdmin(): Promise<void> {
    const { admin } = this.#snapshots.configuration;
    try {
      this.#admin = await openAdmin(admin.address, admin.port, {
        overview: () => this.#status.overview(),
        checks: () => this.#checks(),
        scrape: (accept) => this.#scrape(accept),
      });
    } catch (error) {
      throw new ConfigError([portProblem(admin, error as NodeJS.ErrnoException)]);
    }
  }

  /**
   * Without it everything works but the commands that need it: only a place that was asked for is worth a failed start, and one where
   * another instance answers. Two that start at one moment find all ports free, and would share them.
   */
  async #openControl(): Promise<void> {
    try {
      this.#control = await openControlSocket(socketPlaces(this.#snapshots.configuration, process.env)[0]!, {
        reload: () => this.reload(),
        status: () => this.#tell(),
        takeover: (caller) => this.#handOver(caller),
        overview: async () => told(statusText(await this.#status.overview())),
        certificates: async () => told(this.#snapshots.certificates.table()),
      });
    } catch (error) {
      const { message } = error as Error;
      if (error instanceof PlaceTaken) throw new Error(`${message}: stop that one, or take its place by --takeover`);
      if (this.#snapshots.configuration.controlSocket !== undefined)
        throw new Error(`the control socket cannot be opened: ${message}`);
      this.#log.info('portico reload will not reach this instance, SIGHUP will', { error: message });
    }
  }

  /** We serve beside the other one: from its word on there is no way back, and what fails is told only. */
  async #takeOver({ running, complete }: Takeover): Promise<void> {
    const { doubt, hasReloaded } = await complete();
    if (doubt === undefined) this.#log.info('took over; the other instance ends what it holds', { pid: running.pid });
    else
      this.#log.error('it is not known whether the other instance still accepts: end it', { pid: running.pid, doubt });
    if (!this.#draining) await this.#openControl().catch((error: Error) => this.#log.error(error.message));
    this.#systemd.takeOver(running.watchdog);
    // Who asked for that was told that it is in force.
    if (hasReloaded) await this.reload();
  }

  #endBy(drain: Promise<number>): void {
    drain.then(this.#end.resolve, (error: Error) => {
      this.#log.error('could not stop in order', { error: error.message });
      this.#end.resolve(EXIT.unclean);
    });
  }

  async #drain(signal: string): Promise<number> {
    const deadline = this.#snapshots.configuration.limits.drainTimeout;
    this.#log.info('stopping: nothing new is accepted, what is under way may end', { signal, deadline_ms: deadline });
    this.#systemd.stopping(deadline);
    this.#control?.close();
    this.#snapshots.stop();
    await new Promise((waited) => setTimeout(waited, DRAIN_DELAY));
    return this.#drainWorkers(deadline);
  }

  async #drainWorkers(deadline: number): Promise<number> {
    const forced = await this.#workers.drain(deadline, this.#patient);
    this.#admin?.close();
    if (forced === 0) this.#log.info('stopped');
    else this.#log.warn('stopped, but the deadline cut what was under way', { cut: forced });
    return forced === 0 ? EXIT.ok : EXIT.unclean;
  }

  /** `portico run --takeover` asks, and says so when it serves beside us. Until then it may fail, and nothing has changed here. */
  async #handOver(caller: Caller): Promise<Answer> {
    if (this.#draining) return refusal('it is stopping already');
    if (this.#hasHeir) return refusal('another one is taking over already');
    this.#hasHeir = true;
    this.#log.info('another instance starts beside this one, to take over');
    const goes = await this.#tell()
      .then((told) => caller.confirm({ ...told, ok: true }))
      .finally(() => {
        this.#hasHeir = false;
      });
    if (!goes) {
      this.#log.warn('the instance that was to take over has left before it did; this one serves on');
      return refusal('nothing has changed');
    }
    if (this.#draining) return { ...(await this.#tell()), ok: true };
    this.#draining = true;
    const deadline = this.#snapshots.configuration.limits.drainTimeout;
    this.#log.info('handing over: nothing new is accepted, what is open may end', { deadline_ms: deadline });
    // Its place and its ports are the other one's from here on, and so is the word with systemd.
    this.#handsOver = true;
    this.#patient = true;
    this.#control?.close();
    this.#snapshots.stop();
    await this.#snapshots.settled;
    await Promise.all([this.#admin?.handOver(), this.#workers.close()]);
    this.#endBy(this.#drainWorkers(deadline));
    return { ...(await this.#tell()), ok: true };
  }

  /** `ok` when it is ready; else its problems are why not. */
  async #tell(): Promise<Instance> {
    const { listeners, admin } = this.#snapshots.configuration;
    const checks = await this.#checks();
    const failed = checks.filter((check) => !check.ok);
    const reloaded = this.#reloads.lastSucceeded ? [] : ['the last reload failed, what was before is in force'];
    return {
      ok: failed.length === 0,
      message: failed.length === 0 ? 'ready' : 'not ready',
      warnings: [...reloaded, ...checks.filter(({ warns }) => warns === true).map(inWords)],
      problems: failed.map(inWords),
      pid: process.pid,
      ports: [...listeners, admin].map(({ port }) => port),
      watchdog: this.#systemd.watchdog,
      reloads: this.#reloads.succeeded,
    };
  }

  /** Reads everything again, one after the other; what is broken changes nothing. Never rejects. */
  reload(): Promise<Answer> {
    return this.#snapshots.inTurn(() => this.#reloadNow());
  }

  async #reloadNow(): Promise<Answer> {
    if (this.#draining) return refusal('this instance is stopping');
    this.#systemd.reloading();
    try {
      const { warnings, findings } = await this.#snapshots.replace();
      this.#reloads.succeeded++;
      this.#reloads.succeededAt = Date.now();
      this.#reloads.lastSucceeded = true;
      for (const warning of warnings) this.#log.warn(warning);
      this.#log.info('reloaded', { generation: this.#snapshots.generation });
      this.#systemd.ready('serving');
      const said = [...warnings, ...findings.map(formatProblem)];
      return { ok: true, message: `reloaded (generation ${this.#snapshots.generation})`, warnings: said, problems: [] };
    } catch (error) {
      this.#reloads.lastSucceeded = false;
      const problems = error instanceof ConfigError ? error.problems.map(formatProblem) : [(error as Error).message];
      this.#log.error('the reload failed, everything stays as it was', { error: problems.join('\n') });
      this.#systemd.ready('serving; the last reload failed, everything stays as it was');
      return refusal('the reload failed, everything stays as it was', problems);
    }
  }

  async #scrape(accept: string): Promise<Scrape> {
    const families = supervisorFamilies({
      serving: this.#workers.serving,
      wanted: this.#workers.wanted,
      reloads: this.#reloads,
      certificates: this.#snapshots.certificates.served,
      renewals: this.#snapshots.certificates.renewals,
      orders: this.#snapshots.orders,
      ocsp: this.#snapshots.ocsp,
    });
    return renderScrape([families, await this.#ownFamilies(), ...(await this.#workers.families())], accept);
  }

  async #checks(): Promise<Check[]> {
    const { serving, wanted } = this.#workers;
    const reloaded = this.#reloads.lastSucceeded
      ? {}
      : { detail: `the last reload failed; in force since ${new Date(this.#reloads.succeededAt).toISOString()}` };
    return [
      { name: 'configuration', ok: this.#snapshots.generation > 0, ...reloaded },
      { name: 'listeners', ok: this.#started && serving > 0, detail: `${serving} of ${wanted} workers serve` },
      this.#snapshots.certificates.check(this.#snapshots.configuration.listeners.some(({ kind }) => kind === 'tls')),
      // Whoever was accepted before the other one had the port asks about both.
      { name: 'not-draining', ok: !this.#draining || this.#handsOver },
      ...upstreamChecks(await this.#workers.families()),
    ];
  }
}

function told(message: string): Answer {
  return { ok: true, message, warnings: [], problems: [] };
}

function inWords({ name, detail }: Check): string {
  return detail === undefined ? name : `${name}: ${detail}`;
}
