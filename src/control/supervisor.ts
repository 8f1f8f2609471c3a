// The supervisor: turns the configuration into snapshots, keeps the workers, answers for their health, reloads, and stops in order.

import { randomBytes } from 'node:crypto';
import { type Demo, startDemo } from '../demo/demo.ts';
import type { Snapshot } from '../model/snapshot.ts';
import { createLog, descriptorSink, type Log } from '../telemetry/log.ts';
import { ownFamilies, renderScrape, type Scrape } from '../telemetry/scrape.ts';
import { type Admin, type Check, openAdmin, upstreamChecks } from './admin.ts';
import { banner } from './banner.ts';
import { compile, namesOf } from './compile.ts';
import type { Configuration, ConfiguredListener } from './configuration.ts';
import { type Answer, type ControlSocket, defaultSocketPaths, openControlSocket } from './control-socket.ts';
import { apiBaseRoute } from './frontend-root.ts';
import { ensureLocalCertificate, type LocalCertificate } from './local-authority.ts';
import { type LoadedFiles, loadFiles } from './materials.ts';
import { checkPorts, portProblem } from './ports.ts';
import { ConfigError, formatProblem } from './problem.ts';
import { keepUntilRestart } from './restart.ts';
import type { Source } from './source.ts';
import { supervisorFamilies } from './supervisor-measures.ts';
import { Systemd } from './systemd.ts';
import { Workers } from './workers.ts';

/** Exit codes of `portico run`. */
export const EXIT = Object.freeze({ ok: 0, failed: 1, forced: 2, unclean: 3 });

/** Where the demo keeps its certificate authority, relative to the working directory. */
const CERTS_DIRECTORY = 'certs';
/** Between "not ready" and the end of accepting: time for whoever balances over several of us to look. In ms. */
const DRAIN_DELAY = 250;

/** Serves until it is told to stop. Resolves to the exit code. Throws a ConfigError before anything has started. */
export async function supervise(source: Source): Promise<number> {
  const first = source.load();
  const log = createLog(first.logLevel, descriptorSink(1));
  await checkPorts([...first.listeners, first.admin]);
  const demo = first.demo ? await openDemo(first) : undefined;
  const load = demo === undefined ? () => source.load() : () => demo.complete(source.load());
  const door = new Supervisor(demo === undefined ? first : demo.complete(first), load, log);
  try {
    await door.start();
    if (demo !== undefined) process.stdout.write(banner(first, demo.local));
    log.info('ready', {
      ...(source.file === undefined ? {} : { config: source.file }),
      ...Object.fromEntries(first.listeners.map(({ name, port }) => [`${name}_port`, port])),
      admin_port: first.admin.port,
      workers: first.workers,
    });
    return await door.untilStopped();
  } finally {
    await demo?.close();
    await log.flush();
  }
}

interface OpenDemo {
  readonly local: LocalCertificate;
  /** With the demo's own certificate and ports, which no configuration names. */
  complete(configuration: Configuration): Configuration;
  close(): Promise<void>;
}

async function openDemo(configuration: Configuration): Promise<OpenDemo> {
  const local = await ensureLocalCertificate(CERTS_DIRECTORY, namesOf(configuration), new Date());
  const { hosts, publicPort } = configuration;
  const demo: Demo = await startDemo({ apiBaseRoute: apiBaseRoute(hosts[0]!.name, hosts, publicPort)! });
  const ports: Readonly<Record<string, number>> = { frontend: demo.frontendPort, backend: demo.backendPort };
  const pair = {
    ...{ certFile: local.certFile, keyFile: local.keyFile },
    ...{ certSetting: { place: 'SSL_CRT', name: 'SSL_CRT' }, keySetting: { place: 'SSL_KEY', name: 'SSL_KEY' } },
  };
  return {
    local,
    complete: (given) => ({
      ...given,
      certificates: [pair],
      pools: given.pools.map((pool) => ({
        ...pool,
        endpoints: [{ host: '127.0.0.1', port: ports[pool.name]!, tls: false }],
      })),
    }),
    close: () => demo.close(),
  };
}

class Supervisor {
  readonly #load: () => Configuration;
  readonly #log: Log;
  readonly #workers: Workers;
  readonly #systemd: Systemd;
  readonly #ticketKeys = randomBytes(48);
  readonly #ownFamilies = ownFamilies('supervisor');
  readonly #reloads = { succeeded: 0, failed: 0, lastSucceeded: true, succeededAt: Date.now() };
  /** In force. */
  #configuration: Configuration;
  #files: LoadedFiles | undefined;
  #generation = 0;
  #admin: Admin | undefined;
  #control: ControlSocket | undefined;
  /** All workers have served; from then on one that serves is enough. */
  #started = false;
  #draining = false;
  #reloading: Promise<unknown> = Promise.resolve();

  constructor(configuration: Configuration, load: () => Configuration, log: Log) {
    this.#configuration = configuration;
    this.#load = load;
    this.#log = log;
    this.#workers = new Workers(configuration.workers, log);
    this.#systemd = new Systemd(process.env, log);
  }

  async start(): Promise<void> {
    const configuration = this.#configuration;
    this.#files = loadFiles(configuration, new Date());
    for (const warning of [...configuration.warnings, ...this.#files.warnings]) this.#log.warn(warning);
    const { admin } = configuration;
    try {
      this.#admin = await openAdmin(admin.address, admin.port, {
        checks: () => this.#checks(),
        scrape: (accept) => this.#scrape(accept),
      });
    } catch (error) {
      throw new ConfigError([portProblem(admin, error as NodeJS.ErrnoException)]);
    }
    try {
      await this.#openControl();
      await this.#workers.start(this.#compile(configuration, this.#files));
      this.#started = true;
      this.#systemd.ready('serving');
      this.#systemd.watch((within) => this.#draining || this.#workers.heardWithin(within));
    } catch (error) {
      this.#admin.close();
      this.#control?.close();
      throw error;
    }
  }

  /** SIGTERM and SIGINT drain, a second one forces; SIGHUP and SIGUSR1 reload. */
  untilStopped(): Promise<number> {
    return new Promise((stopped) => {
      const onStop = (signal: string) => {
        if (this.#draining) {
          this.#log.warn('stopping at once, as asked twice', { signal });
          this.#workers.kill();
          stopped(EXIT.forced);
          return;
        }
        this.#draining = true;
        this.#drain(signal).then(stopped, (error: Error) => {
          this.#log.error('could not stop in order', { error: error.message });
          stopped(EXIT.unclean);
        });
      };
      const onReload = () => {
        this.#reload();
      };
      process.on('SIGTERM', onStop);
      process.on('SIGINT', onStop);
      process.on('SIGHUP', onReload);
      process.on('SIGUSR1', onReload);
    });
  }

  /** Without it everything works but the commands that need it: only a place that was asked for is worth a failed start. */
  async #openControl(): Promise<void> {
    const { controlSocket, admin } = this.#configuration;
    const path = controlSocket ?? defaultSocketPaths(admin.port, process.env)[0]!;
    try {
      this.#control = await openControlSocket(path, { reload: () => this.#reload() });
    } catch (error) {
      const { message } = error as Error;
      if (controlSocket !== undefined) throw new Error(`the control socket cannot be opened: ${message}`);
      this.#log.info('portico reload will not reach this instance, SIGHUP will', { error: message });
    }
  }

  async #drain(signal: string): Promise<number> {
    const deadline = this.#configuration.limits.drainTimeout;
    this.#log.info('stopping: nothing new is accepted, what is under way may end', { signal, deadline_ms: deadline });
    this.#systemd.stopping(deadline);
    this.#control?.close();
    await new Promise((waited) => setTimeout(waited, DRAIN_DELAY));
    const forced = await this.#workers.drain(deadline);
    this.#admin?.close();
    if (forced === 0) this.#log.info('stopped');
    else this.#log.warn('stopped, but the deadline cut what was under way', { cut: forced });
    return forced === 0 ? EXIT.ok : EXIT.unclean;
  }

  /** Reads everything again, one after the other; what is broken changes nothing. Never rejects. */
  #reload(): Promise<Answer> {
    const done = this.#reloading.then(() => this.#reloadNow());
    this.#reloading = done;
    return done;
  }

  async #reloadNow(): Promise<Answer> {
    if (this.#draining) return { ok: false, message: 'this instance is stopping', warnings: [], problems: [] };
    this.#systemd.reloading();
    try {
      const warnings = await this.#replace();
      this.#reloads.succeeded++;
      this.#reloads.succeededAt = Date.now();
      this.#reloads.lastSucceeded = true;
      for (const warning of warnings) this.#log.warn(warning);
      this.#log.info('reloaded', { generation: this.#generation });
      this.#systemd.ready('serving');
      return { ok: true, message: `reloaded (generation ${this.#generation})`, warnings, problems: [] };
    } catch (error) {
      this.#reloads.failed++;
      this.#reloads.lastSucceeded = false;
      const problems = error instanceof ConfigError ? error.problems.map(formatProblem) : [(error as Error).message];
      this.#log.error('the reload failed, everything stays as it was', { error: problems.join('\n') });
      this.#systemd.ready('serving; the last reload failed, everything stays as it was');
      return { ok: false, message: 'the reload failed, everything stays as it was', warnings: [], problems };
    }
  }

  /** All of the new configuration, or nothing of it. Resolves to what is worth a word. */
  async #replace(): Promise<string[]> {
    const kept = keepUntilRestart(this.#configuration, this.#load());
    const files = loadFiles(kept.configuration, new Date());
    await checkPorts(kept.configuration.listeners.filter((each) => this.#isNewPort(each)));
    await this.#workers.replace(this.#compile(kept.configuration, files));
    this.#configuration = kept.configuration;
    this.#files = files;
    return [...kept.configuration.warnings, ...files.warnings, ...kept.warnings];
  }

  /** A port that is ours already cannot be tried out: it is taken, by us. */
  #isNewPort({ port }: ConfiguredListener): boolean {
    return !this.#configuration.listeners.some((each) => each.port === port);
  }

  #compile(configuration: Configuration, files: LoadedFiles): Snapshot {
    return compile(configuration, {
      generation: ++this.#generation,
      certificates: files.certificates.map(({ certificate }) => certificate),
      authorities: files.authorities,
      ticketKeys: this.#ticketKeys,
    });
  }

  async #scrape(accept: string): Promise<Scrape> {
    const families = supervisorFamilies({
      serving: this.#workers.serving,
      wanted: this.#workers.wanted,
      reloads: this.#reloads,
      certificates: this.#files?.certificates ?? [],
      source: this.#configuration.demo ? 'local' : 'file',
    });
    return renderScrape([families, await this.#ownFamilies(), ...(await this.#workers.families())], accept);
  }

  async #checks(): Promise<Check[]> {
    const { serving, wanted } = this.#workers;
    const reloaded = this.#reloads.lastSucceeded
      ? {}
      : { detail: `the last reload failed; in force since ${new Date(this.#reloads.succeededAt).toISOString()}` };
    return [
      { name: 'configuration', ok: this.#generation > 0, ...reloaded },
      { name: 'listeners', ok: this.#started && serving > 0, detail: `${serving} of ${wanted} workers serve` },
      this.#checkCertificates(),
      { name: 'not-draining', ok: !this.#draining },
      ...upstreamChecks(await this.#workers.families()),
    ];
  }

  /** One that is valid is enough: the sites of the others are not all there is. */
  #checkCertificates(): Check {
    const ends = (this.#files?.certificates ?? []).map(({ notAfter }) => notAfter.getTime());
    if (ends.length === 0) {
      const needed = this.#configuration.listeners.some(({ kind }) => kind === 'tls');
      return { name: 'certificate', ok: !needed, detail: 'there is none' };
    }
    const first = new Date(Math.min(...ends)).toISOString();
    const detail = ends.length === 1 ? `valid until ${first}` : `${ends.length}, the first one valid until ${first}`;
    return { name: 'certificate', ok: Math.max(...ends) > Date.now(), detail };
  }
}
