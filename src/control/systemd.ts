// What systemd is told when it runs us as a service of Type=notify: ready, reloading, stopping, and that we are alive.

import { execFile } from 'node:child_process';
import type { Log } from '../telemetry/log.ts';

/** systemd listens on a datagram socket, of which Node has none; its own program for scripts speaks for us. */
const SPEAKER = 'systemd-notify';
/** It waits until systemd has read the message. In ms. */
const SPEAKER_TIMEOUT = 10_000;
/** What a stop takes beyond the drain, in ms. */
const AFTER_DRAIN = 10_000;

export class Systemd {
  readonly #environment: { readonly PATH: string | undefined; readonly NOTIFY_SOCKET: string } | undefined;
  /** In ms; 0: it does not wait for a sign of life. */
  watchdog: number;
  readonly #log: Log;
  #pending = 0;
  #last: Promise<void> = Promise.resolve();
  #hasFailed = false;

  /** Says nothing when NOTIFY_SOCKET is not set: then systemd did not start us, or does not want to know. */
  constructor(environment: Readonly<Record<string, string | undefined>>, log: Log) {
    const { NOTIFY_SOCKET = '', PATH } = environment;
    // Nothing else of ours is its business, least of all what is secret.
    this.#environment = NOTIFY_SOCKET === '' ? undefined : { PATH, NOTIFY_SOCKET };
    this.watchdog = watchdogOf(environment);
    this.#log = log;
  }

  /** We are the service now: the process that was it ends by itself. It knew how often a sign of life is due. */
  takeOver(watchdog: number): void {
    this.watchdog = watchdog;
    this.#tell(`MAINPID=${process.pid}`);
  }

  /** At the start, and after each reload, however that went. */
  ready(status: string): void {
    this.#tell('READY=1', `STATUS=${status.replaceAll('\n', ' ')}`);
  }

  reloading(): void {
    // Type=notify-reload wants the time of the monotonic clock, which hrtime is.
    this.#tell('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1_000n}`, 'STATUS=reloading');
  }

  /** A drain may take as long as it is allowed to (ms), whatever the unit's own limit is. */
  stopping(drainTimeout: number): void {
    const microseconds = (drainTimeout + AFTER_DRAIN) * 1_000;
    this.#tell('STOPPING=1', `EXTEND_TIMEOUT_USEC=${microseconds}`, 'STATUS=stopping: what is under way may end');
  }

  /** From now on tells systemd that we are alive for as long as that is true; else it starts us again. */
  watch(isAlive: (within: number) => boolean): void {
    if (this.watchdog === 0) return;
    const interval = this.watchdog / 3;
    const ping = () => {
      // What stands still for longer is not told to be alive; systemd then waits for its whole time.
      if (this.#pending === 0 && isAlive(interval)) this.#tell('WATCHDOG=1');
    };
    setInterval(ping, interval).unref();
  }

  /** One after the other: each message is a process of its own, and their order counts. */
  #tell(...assignments: readonly string[]): void {
    if (this.#environment === undefined) return;
    this.#pending++;
    this.#last = this.#last
      .then(() => speak(assignments, this.#environment!))
      .catch((error: Error) => this.#complain(error))
      .finally(() => {
        this.#pending--;
      });
  }

  #complain(error: Error): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#log.warn(`systemd could not be told how it goes here, and may take the service for dead: ${SPEAKER} failed`, {
      error: error.message,
    });
  }
}

/** How long systemd may hear nothing of us, in ms; 0: for ever. */
function watchdogOf({ WATCHDOG_USEC = '', WATCHDOG_PID }: Readonly<Record<string, string | undefined>>): number {
  const isMeant = WATCHDOG_PID === undefined || WATCHDOG_PID === String(process.pid);
  return isMeant && /^[1-9]\d{3,15}$/.test(WATCHDOG_USEC) ? Number(WATCHDOG_USEC) / 1_000 : 0;
}

function speak(assignments: readonly string[], env: Record<string, string | undefined>): Promise<void> {
  return new Promise((told, failed) => {
    execFile(SPEAKER, assignments, { env, timeout: SPEAKER_TIMEOUT }, (error) => {
      if (error === null) told();
      else failed(error);
    });
  });
}
