// The supervisor: turns the configuration into a snapshot, keeps the workers, answers for their health, and stops in order.

import { randomBytes } from 'node:crypto';
import { type Demo, startDemo } from '../demo/demo.ts';
import type { Family } from '../model/measures.ts';
import type { Snapshot } from '../model/snapshot.ts';
import { createLog, descriptorSink, type Log } from '../telemetry/log.ts';
import { gauge } from '../telemetry/metrics.ts';
import { ownFamilies, renderScrape, type Scrape } from '../telemetry/scrape.ts';
import { type Admin, type Check, openAdmin, upstreamChecks } from './admin.ts';
import { banner } from './banner.ts';
import { type LoadedCertificate, loadCertificate } from './certificate-files.ts';
import { apiBaseRoute, compile, namesOf } from './compile.ts';
import type { CertificatePair, Configuration } from './configuration.ts';
import { ensureLocalCertificate } from './local-authority.ts';
import { checkPorts, portProblem } from './ports.ts';
import { ConfigError } from './problem.ts';
import { Systemd } from './systemd.ts';
import { version } from './version.ts';
import { Workers } from './workers.ts';

/** Exit codes of `portico run`. */
export const EXIT = Object.freeze({ ok: 0, failed: 1, forced: 2, unclean: 3 });

/** Where the demo keeps its certificate authority, relative to the working directory. */
const CERTS_DIRECTORY = 'certs';
/** Between "not ready" and the end of accepting: time for whoever balances over several of us to look. In ms. */
const DRAIN_DELAY = 250;

/** Serves until it is told to stop. Resolves to the exit code. Throws a ConfigError before anything has started. */
export async function supervise(given: Configuration): Promise<number> {
  const log = createLog(given.logLevel, descriptorSink(1));
  for (const warning of given.warnings) log.warn(warning);
  await checkPorts([
    { variable: 'HTTPS_PORT', address: given.listenHost, port: given.httpsPort },
    { variable: 'HTTP_PORT', address: given.listenHost, port: given.httpPort },
    { variable: 'ADMIN_PORT', address: given.adminHost, port: given.adminPort },
  ]);
  const local = given.demo
    ? await ensureLocalCertificate(CERTS_DIRECTORY, namesOf(given.sites), new Date())
    : undefined;
  const demo = given.demo ? await startDemo({ apiBaseRoute: apiBaseRoute(given) }) : undefined;
  const configuration: Configuration = {
    ...given,
    ...(demo === undefined ? {} : demoUpstreams(given, demo)),
    certificate: given.certificate ?? local,
  };
  const door = new Supervisor(configuration, log);
  try {
    await door.start();
    if (local !== undefined) process.stdout.write(banner(configuration, local));
    log.info('ready', {
      https_port: given.httpsPort,
      http_port: given.httpPort,
      admin_port: given.adminPort,
      workers: given.workers,
    });
    return await door.untilStopped();
  } finally {
    await demo?.close();
    await log.flush();
  }
}

function demoUpstreams(given: Configuration, demo: Demo): Pick<Configuration, 'sites'> {
  const at = (port: number) => [{ host: '127.0.0.1', port, tls: false }];
  return { sites: { ...given.sites, frontend: at(demo.frontendPort), backend: at(demo.backendPort) } };
}

class Supervisor {
  readonly #configuration: Configuration;
  readonly #log: Log;
  readonly #workers: Workers;
  readonly #systemd: Systemd;
  readonly #ticketKeys = randomBytes(48);
  #certificate: LoadedCertificate | undefined;
  #generation = 0;
  readonly #reloads = { succeeded: 0, failed: 0, lastSucceeded: true, succeededAt: Date.now() };
  readonly #ownFamilies = ownFamilies('supervisor');
  #admin: Admin | undefined;
  /** All workers have served; from then on one that serves is enough. */
  #started = false;
  #draining = false;
  #reloading: Promise<void> = Promise.resolve();

  constructor(configuration: Configuration, log: Log) {
    this.#configuration = configuration;
    this.#log = log;
    this.#workers = new Workers(configuration.workers, log);
    this.#systemd = new Systemd(process.env, log);
  }

  async start(): Promise<void> {
    const { adminHost, adminPort } = this.#configuration;
    const snapshot = this.#compile();
    try {
      this.#admin = await openAdmin(adminHost, adminPort, {
        checks: () => this.#checks(),
        scrape: (accept) => this.#scrape(accept),
      });
    } catch (error) {
      throw new ConfigError([
        portProblem({ variable: 'ADMIN_PORT', address: adminHost, port: adminPort }, error as NodeJS.ErrnoException),
      ]);
    }
    try {
      await this.#workers.start(snapshot);
      this.#started = true;
      this.#systemd.ready('serving');
      this.#systemd.watch((within) => this.#draining || this.#workers.heardWithin(within));
    } catch (error) {
      this.#admin.close();
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
        this.#reloading = this.#reloading.then(() => this.#reload());
      };
      process.on('SIGTERM', onStop);
      process.on('SIGINT', onStop);
      process.on('SIGHUP', onReload);
      process.on('SIGUSR1', onReload);
    });
  }

  async #drain(signal: string): Promise<number> {
    const deadline = this.#configuration.limits.drainTimeout;
    this.#log.info('stopping: nothing new is accepted, what is under way may end', { signal, deadline_ms: deadline });
    this.#systemd.stopping(deadline);
    await new Promise((waited) => setTimeout(waited, DRAIN_DELAY));
    const forced = await this.#workers.drain(deadline);
    this.#admin?.close();
    if (forced === 0) this.#log.info('stopped');
    else this.#log.warn('stopped, but the deadline cut what was under way', { cut: forced });
    return forced === 0 ? EXIT.ok : EXIT.unclean;
  }

  /** Reads the certificate files again; a broken pair changes nothing. */
  async #reload(): Promise<void> {
    if (this.#draining) return;
    const before = this.#certificate;
    this.#systemd.reloading();
    try {
      await this.#workers.replace(this.#compile());
      this.#reloads.succeeded++;
      this.#reloads.succeededAt = Date.now();
      this.#reloads.lastSucceeded = true;
      this.#log.info('reloaded', { generation: this.#generation });
      this.#systemd.ready('serving');
    } catch (error) {
      this.#certificate = before;
      this.#reloads.failed++;
      this.#reloads.lastSucceeded = false;
      this.#log.error('the reload failed, everything stays as it was', { error: (error as Error).message });
      this.#systemd.ready('serving; the last reload failed, everything stays as it was');
    }
  }

  #compile(): Snapshot {
    const { sites } = this.#configuration;
    this.#certificate = loadPair(this.#configuration.certificate!, namesOf(sites));
    for (const warning of this.#certificate.warnings) this.#log.warn(warning);
    return compile(this.#configuration, {
      generation: ++this.#generation,
      certificates: [this.#certificate.certificate],
      ticketKeys: this.#ticketKeys,
    });
  }

  async #scrape(accept: string): Promise<Scrape> {
    return renderScrape([this.#families(), await this.#ownFamilies(), ...(await this.#workers.families())], accept);
  }

  /** What only the supervisor knows. */
  #families(): Family[] {
    const one = (value: number, labels: Record<string, string> = {}) => [{ labels, value }];
    const reloads = this.#reloads;
    const source = this.#configuration.demo ? 'local' : 'file';
    const notAfter = (this.#certificate?.notAfter.getTime() ?? 0) / 1_000;
    const names = this.#certificate?.certificate.names ?? [];
    return [
      gauge('portico_build_info', 'Always 1', one(1, { version: version(), node: process.versions.node }), 'first'),
      gauge('portico_workers', 'Workers that serve', one(this.#workers.serving)),
      gauge('portico_workers_wanted', 'Workers that should serve', one(this.#workers.wanted)),
      gauge(
        'portico_config_last_reload_successful',
        '1 when the last reload (or the start) went well',
        one(reloads.lastSucceeded ? 1 : 0),
      ),
      gauge(
        'portico_config_last_reload_success_timestamp_seconds',
        'When a configuration last came into force',
        one(reloads.succeededAt / 1_000),
      ),
      gauge(
        'portico_tls_certificate_not_after_timestamp_seconds',
        'When the certificate in force expires',
        names.map((name) => ({ labels: { name, source }, value: notAfter })),
      ),
      {
        name: 'portico_tls_certificate_reload_total',
        help: 'Times that the certificate files were read again',
        type: 'counter',
        aggregator: 'sum',
        values: [
          { labels: { result: 'success' }, value: reloads.succeeded },
          { labels: { result: 'failure' }, value: reloads.failed },
        ],
      },
    ];
  }

  async #checks(): Promise<Check[]> {
    const { serving, wanted } = this.#workers;
    const notAfter = this.#certificate?.notAfter;
    const valid = notAfter !== undefined && notAfter.getTime() > Date.now();
    return [
      { name: 'configuration', ok: this.#generation > 0 },
      { name: 'listeners', ok: this.#started && serving > 0, detail: `${serving} of ${wanted} workers serve` },
      {
        name: 'certificate',
        ok: valid,
        ...(notAfter === undefined ? {} : { detail: `valid until ${notAfter.toISOString()}` }),
      },
      { name: 'not-draining', ok: !this.#draining },
      ...upstreamChecks(await this.#workers.families()),
    ];
  }
}

/** Reads and checks a pair; its places are the variables that name the files. */
export function loadPair(pair: CertificatePair, wantedNames: readonly string[]): LoadedCertificate {
  return loadCertificate(pair.certFile, pair.keyFile, {
    certPlace: 'SSL_CRT',
    keyPlace: 'SSL_KEY',
    now: new Date(),
    wantedNames,
  });
}
