// The control socket: how a command reaches the running instance. A unix socket that only its user may open; a line asks, a line answers.

import { chmodSync, existsSync, lstatSync, mkdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { Environment } from './configuration.ts';

/** What a command is told. */
export interface Answer {
  readonly ok: boolean;
  /** In one sentence. */
  readonly message: string;
  /** What is allowed but worth a word, and what is wrong: each a line. */
  readonly warnings: readonly string[];
  readonly problems: readonly string[];
}

/** What the running instance can be asked to do, by name. */
export type Commands = Readonly<Record<string, () => Promise<Answer>>>;

export interface ControlSocket {
  readonly path: string;
  close(): void;
}

const MAX_REQUEST = 1_024;
const MAX_ANSWER = 1024 * 1024;
const REQUEST_TIMEOUT = 5_000;
/** A reload waits for every worker. */
const ANSWER_TIMEOUT = 60_000;
const MAX_CALLERS = 8;
/** sun_path holds 108 bytes on Linux and 104 on others, one of them the end. */
const MAX_PATH = 103;

/**
 * The places for an instance that was given none, by its admin port: it takes the first, and is looked for in all. A service and a
 * shell of the same user do not have the same variables.
 */
export function defaultSocketPaths(adminPort: number, environment: Environment): string[] {
  const shared = join(tmpdir(), `portico-${process.getuid?.() ?? 'user'}-${adminPort}`, 'control.sock');
  const runtime = environment.XDG_RUNTIME_DIR;
  return runtime?.startsWith('/') ? [join(runtime, `portico-${adminPort}`, 'control.sock'), shared] : [shared];
}

/** Opens the socket. Rejects with a sentence when its folder is not safe, or another instance answers there. */
export async function openControlSocket(given: string, commands: Commands): Promise<ControlSocket> {
  const path = checkedPath(given);
  const made = makeFolder(dirname(path));
  await removeStale(path);
  const server = createServer((socket) => serve(socket, commands));
  server.maxConnections = MAX_CALLERS;
  await new Promise<void>((bound, failed) => {
    server.once('error', failed);
    // The socket has its mode from its first moment on.
    const before = process.umask(0o177);
    try {
      server.listen({ path }, bound);
    } finally {
      process.umask(before);
    }
  });
  chmodSync(path, 0o600);
  server.on('error', () => {});
  // Nothing waits for it when all else is done.
  server.unref();
  return {
    path,
    close: () => {
      server.close();
      removeFolder(made);
    },
  };
}

/** Asks the running instance, at the first of these places where one is. Rejects with a sentence when none answers. */
export async function askInstance(places: readonly string[], command: string): Promise<Answer> {
  const paths = places.map(checkedPath);
  const path = paths.find((each) => existsSync(each)) ?? paths[0]!;
  return ask(path, command);
}

function ask(path: string, command: string): Promise<Answer> {
  return new Promise((answered, failed) => {
    const socket = connect({ path });
    let text = '';
    const fail = (message: string) => {
      socket.destroy();
      failed(new Error(message));
    };
    socket.setEncoding('utf8');
    socket.setTimeout(ANSWER_TIMEOUT, () => fail(`the instance did not answer within ${ANSWER_TIMEOUT / 1_000} s`));
    socket.on('error', (error: NodeJS.ErrnoException) => fail(connectWords(error, path)));
    socket.on('connect', () => socket.write(`${JSON.stringify({ command })}\n`));
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (text.length > MAX_ANSWER) fail('the answer is too long to be one');
    });
    socket.on('end', () => {
      try {
        answered(JSON.parse(text) as Answer);
      } catch {
        fail('the instance ended before it had answered');
      }
    });
  });
}

function connectWords(error: NodeJS.ErrnoException, path: string): string {
  switch (error.code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return `no instance runs here (nothing answers at ${path}; name another place by PORTICO_SOCKET or --config)`;
    case 'EACCES':
    case 'EPERM':
      return `${path} belongs to another user: run this as the user that Portico runs as`;
    default:
      return `${path}: ${error.message}`;
  }
}

function checkedPath(given: string): string {
  const path = resolve(given);
  if (Buffer.byteLength(path) <= MAX_PATH) return path;
  throw new Error(
    `the path of the control socket is longer than ${MAX_PATH} bytes: ${path} (set PORTICO_SOCKET to a shorter one)`,
  );
}

/**
 * A folder of our own is made for us alone; in one that others may write to, they could put their socket in place of ours.
 * The one that was made, if any.
 */
function makeFolder(folder: string): string | undefined {
  const made = mkdirSync(folder, { recursive: true, mode: 0o700 });
  const stats = lstatSync(folder);
  const isOurs = process.getuid === undefined || stats.uid === process.getuid();
  if (!stats.isDirectory() || !isOurs || (stats.mode & 0o022) !== 0) {
    throw new Error(`${folder} is not a folder that only this user may write to (set PORTICO_SOCKET to a path in one)`);
  }
  return made;
}

/** What was not there before is not left behind, unless somebody else has put something into it. */
function removeFolder(made: string | undefined): void {
  if (made === undefined) return;
  try {
    rmdirSync(made);
  } catch {
    // It is not empty, or gone.
  }
}

/** What an instance left behind that was killed. Only a socket is ever removed. */
async function removeStale(path: string): Promise<void> {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isSocket()) throw new Error(`${path} is there and no socket`);
  if (await answers(path)) throw new Error(`another instance answers at ${path}`);
  unlinkSync(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((known) => {
    const socket = connect({ path });
    const settle = (yes: boolean) => {
      socket.destroy();
      known(yes);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
    socket.setTimeout(1_000, () => settle(true));
  });
}

function serve(socket: Socket, commands: Commands): void {
  let text = '';
  let asked = false;
  const answer = (said: Answer) => socket.end(`${JSON.stringify(said)}\n`);
  const timer = setTimeout(() => socket.destroy(), REQUEST_TIMEOUT);
  socket.setEncoding('utf8');
  socket.on('error', () => socket.destroy());
  socket.on('close', () => clearTimeout(timer));
  socket.on('data', (chunk: string) => {
    if (asked) return;
    text += chunk;
    const end = text.indexOf('\n');
    if (end === -1 && text.length <= MAX_REQUEST) return;
    asked = true;
    clearTimeout(timer);
    const command = end === -1 || end > MAX_REQUEST ? undefined : readCommand(text.slice(0, end));
    const run = command !== undefined && Object.hasOwn(commands, command) ? commands[command] : undefined;
    if (run === undefined) {
      answer({ ok: false, message: 'this instance does not know that command', warnings: [], problems: [] });
      return;
    }
    run().then(answer, (error: Error) => answer({ ok: false, message: error.message, warnings: [], problems: [] }));
  });
}

function readCommand(line: string): string | undefined {
  try {
    const { command } = JSON.parse(line) as { command?: unknown };
    return typeof command === 'string' ? command : undefined;
  } catch {
    return undefined;
  }
}
