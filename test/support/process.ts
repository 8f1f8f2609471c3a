// Child processes of tests: started with exactly the environment given, watched, and always ended by their own id.

import { type ChildProcess, spawn } from 'node:child_process';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import { waitFor } from './ports.ts';

export interface ProcessOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Added to PATH, HOME, LANG and TMPDIR; nothing else of our own environment is passed on. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Asked again and again until it answers true. */
  readonly isReady?: () => Promise<boolean>;
  readonly readyWithin?: number;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Running {
  readonly pid: number;
  /** The end of what it wrote; at most 1 MiB is kept of each. */
  stdout(): string;
  stderr(): string;
  readonly exited: Promise<Exit>;
  hasExited(): boolean;
  signal(name: NodeJS.Signals): void;
  /** Sends the signal (SIGTERM by default) and, when it is still there after `grace` ms, SIGKILL to all of its group. */
  stop(name?: NodeJS.Signals, grace?: number): Promise<Exit>;
}

/** Starts a process and waits until it is ready. It ends with the test at the latest. */
export async function startProcess(t: Test, options: ProcessOptions): Promise<Running> {
  const running = launch(options);
  t.teardown(() => running.stop());
  if (options.isReady !== undefined) await untilReady(running, options);
  return running;
}

/** True when something accepts connections there. */
export function answersOnPort(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host });
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1000, () => settle(false));
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}

/** True when a plain GET answers with this status. */
export async function answersOnUrl(url: string, status = 200): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000), redirect: 'manual' });
    await response.arrayBuffer();
    return response.status === status;
  } catch {
    return false;
  }
}

const PASSED_ON = ['PATH', 'HOME', 'LANG', 'TMPDIR'];
const KEPT_OUTPUT = 1024 * 1024;
const alive = new Set<ChildProcess>();

// When a test file is broken off its teardowns do not run; nothing may stay behind even so.
process.on('exit', () => {
  for (const child of alive) killGroup(child);
});

function launch(options: ProcessOptions): Running {
  // A group of its own, so that the workers of a master that had to be killed can be found.
  const child = spawn(options.command, options.args, {
    cwd: options.cwd,
    env: { ...inherited(), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  alive.add(child);
  let stdout = '';
  let stderr = '';
  let ended = false;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout = (stdout + text).slice(-KEPT_OUTPUT);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-KEPT_OUTPUT);
  });
  const exited = new Promise<Exit>((resolve) => {
    child.once('error', (error) => {
      stderr += String(error);
      ended = true;
      alive.delete(child);
      resolve({ code: null, signal: null });
    });
    child.once('exit', (code, signal) => {
      ended = true;
      // Workers that outlived their master.
      killGroup(child);
      alive.delete(child);
      resolve({ code, signal });
    });
  });
  return {
    pid: child.pid ?? -1,
    stdout: () => stdout,
    stderr: () => stderr,
    exited,
    hasExited: () => ended,
    signal: (name) => {
      if (!ended) child.kill(name);
    },
    stop: async (name = 'SIGTERM', grace = 8000) => {
      if (!ended) {
        child.kill(name);
        const timer = setTimeout(() => killGroup(child), grace);
        await exited;
        clearTimeout(timer);
      }
      return exited;
    },
  };
}

function inherited(): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of PASSED_ON) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}

async function untilReady(running: Running, options: ProcessOptions): Promise<void> {
  const isReady = options.isReady ?? (() => Promise.resolve(true));
  const within = options.readyWithin ?? 20_000;
  const said = () => `${options.command} said:\n${running.stderr().slice(-4000)}\n${running.stdout().slice(-4000)}`;
  try {
    await waitFor(async () => running.hasExited() || (await isReady()), within, `${options.command} to be ready`);
  } catch (error) {
    throw new Error(`${String(error)}; ${said()}`);
  }
  if (running.hasExited()) {
    await sleep(20);
    const { code, signal } = await running.exited;
    throw new Error(`${options.command} ended with ${code ?? signal} before it was ready; ${said()}`);
  }
}
