// The control socket: how a command reaches the running instance. A unix socket that only its user may open; a line asks, a line answers.

import { chmodSync, existsSync, lstatSync, mkdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { Environment, Reach } from './configuration.ts';

/** What a command is told. */
export interface Answer {
  readonly ok: boolean;
  /** In one sentence. */
  readonly message: string;
  /** What is allowed but worth a word, and what is wrong: each a line. */
  readonly warnings: readonly string[];
  readonly problems: readonly string[];
}

/** An instance tells of itself. */
export interface Instance extends Answer {
  readonly pid: number;
  /** That it listens on, the admin listener's included. */
  readonly ports: readonly number[];
  /** How long systemd waits for a sign of life of it, in ms; 0: it does not. */
  readonly watchdog: number;
  /** How often it has read its configuration again. */
  readonly reloads: number;
}

/** What the running instance can be asked to do, by name. */
export type Commands = Readonly<Record<string, (caller: Caller) => Promise<Answer>>>;

/** Who asked. */
export interface Caller {
  /** Says this ahead of the answer. Resolves to true once the caller says `go`, to false when it leaves instead. */
  confirm(said: Answer): Promise<boolean>;
}

/** A connection to the running instance. */
export interface Conversation {
  /** Says a word. Resolves to the next line that comes back; rejects with a sentence. `within` is in ms. */
  ask(word: string, within: number): Promise<Answer>;
  /** The instance is gone. */
  readonly ended: boolean;
  close(): void;
}

export interface ControlSocket {
  readonly path: string;
  close(): void;
}

/** Another instance has the place. */
export class PlaceTaken extends Error {
  constructor(path: string) {
    super(`another instance answers at ${path}`);
  }
}

const MAX_REQUEST = 1_024;
/** What a caller says to go on with what it asked for. */
const GO = 'go';
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

/** Where an instance that runs by this is reached. */
export function socketPlaces({ controlSocket, admin }: Reach, environment: Environment): string[] {
  return controlSocket === undefined ? defaultSocketPaths(admin.port, environment) : [controlSocket];
}

/** Opens the socket. Rejects with a sentence when its folder is not safe, with PlaceTaken when another instance answers there. */
export async function openControlSocket(given: string, commands: Commands): Promise<ControlSocket> {
  const path = checkedPath(given);
  const made = makeFolder(dirname(path));
  await removeStale(path);
  const server = createServer((socket) => serve(socket, commands));
  server.maxConnections = MAX_CALLERS;
  await new Promise<void>((bound, failed) => {
    // Two that start at one moment both find nobody.
    server.once('error', (error: NodeJS.ErrnoException) =>
      failed(error.code === 'EADDRINUSE' ? new PlaceTaken(path) : error),
    );
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

/** Asks the running instance, at the first of these places where one answers. Rejects with a sentence when none answers. */
export async function askInstance(
  places: readonly string[],
  command: string,
  within = ANSWER_TIMEOUT,
): Promise<Answer> {
  const conversation = await callInstance(places);
  if (conversation instanceof Error) throw conversation;
  try {
    return await conversation.ask(command, within);
  } finally {
    conversation.close();
  }
}

/** Calls the running instance, at the first of these places where one answers. An error is returned when there is none. */
export async function callInstance(places: readonly string[]): Promise<Conversation | Error> {
  const paths = places.map(checkedPath);
  // What a killed instance left behind is there, too, and nobody answers.
  const there = paths.filter((each) => existsSync(each));
  const failures: { path: string; error: NodeJS.ErrnoException }[] = [];
  for (const path of there.length === 0 ? paths.slice(0, 1) : there) {
    const called = await call(path);
    if (!(called instanceof Error)) return called;
    failures.push({ path, error: called });
  }
  const { path, error } = failures.find((each) => !isNobody(each.error)) ?? failures[0]!;
  const words = new Error(connectWords(error, path));
  if (isNobody(error)) return words;
  throw words;
}

/** There is no instance, as far as can be told. */
const isNobody = ({ code }: NodeJS.ErrnoException) => code === 'ENOENT' || code === 'ECONNREFUSED';

function call(path: string): Promise<Conversation | NodeJS.ErrnoException> {
  const socket = connect({ path });
  return new Promise((called) => {
    socket.once('connect', () => called(converse(socket)));
    socket.once('error', called);
  });
}

function converse(socket: Socket): Conversation {
  let text = '';
  let ended = false;
  /** Looks whether what is waited for has come. */
  let look = (): void => {};
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    text += chunk;
    look();
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    ended = true;
    look();
  });
  return {
    ask: (word, within) =>
      new Promise((answered, failed) => {
        const late = `the instance did not answer within ${within / 1_000} s`;
        const timer = setTimeout(() => fail(late), within);
        const fail = (message: string) => {
          clearTimeout(timer);
          look = () => {};
          socket.destroy();
          failed(new Error(message));
        };
        look = () => {
          const end = text.indexOf('\n');
          if (text.length > MAX_ANSWER) return fail('the answer is too long to be one');
          if (end === -1) return ended ? fail('the instance ended before it had answered') : undefined;
          const answer = readAnswer(text.slice(0, end));
          text = text.slice(end + 1);
          if (answer === undefined) return fail('what answers there is no instance of Portico');
          clearTimeout(timer);
          look = () => {};
          answered(answer);
        };
        socket.write(`${JSON.stringify({ command: word })}\n`);
        look();
      }),
    get ended() {
      return ended;
    },
    close: () => socket.destroy(),
  };
}

function readAnswer(line: string): Answer | undefined {
  try {
    return JSON.parse(line) as Answer;
  } catch {
    return undefined;
  }
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
  if (await answers(path)) throw new PlaceTaken(path);
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
  /** What the next line is for; undefined: lines are not read any more. */
  let onLine: ((word: string | undefined) => void) | undefined = begin;
  const timer = setTimeout(() => socket.destroy(), REQUEST_TIMEOUT);
  socket.setEncoding('utf8');
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    clearTimeout(timer);
    onLine?.(undefined);
  });
  socket.on('data', (chunk: string) => {
    if (onLine === undefined) return;
    text += chunk;
    const end = text.indexOf('\n');
    if (end === -1 && text.length <= MAX_REQUEST) return;
    const line = end === -1 || end > MAX_REQUEST ? '' : text.slice(0, end);
    text = end === -1 ? '' : text.slice(end + 1);
    onLine(readCommand(line));
  });

  function begin(word: string | undefined): void {
    onLine = undefined;
    clearTimeout(timer);
    const run = word !== undefined && Object.hasOwn(commands, word) ? commands[word] : undefined;
    if (run === undefined) answer(refusal('this instance does not know that command'));
    else run({ confirm }).then(answer, (error: Error) => answer(refusal(error.message)));
  }

  function confirm(said: Answer): Promise<boolean> {
    say(said);
    return new Promise((confirmed) => {
      onLine = (word) => {
        onLine = undefined;
        confirmed(word === GO);
      };
      if (socket.destroyed) onLine(undefined);
    });
  }

  function answer(said: Answer): void {
    say(said);
    socket.end();
  }

  function say(said: Answer): void {
    if (socket.writable) socket.write(`${JSON.stringify(said)}\n`);
  }
}

/** Nothing was done, for this reason. */
export function refusal(message: string, problems: readonly string[] = []): Answer {
  return { ok: false, message, warnings: [], problems };
}

function readCommand(line: string): string | undefined {
  try {
    const { command } = JSON.parse(line) as { command?: unknown };
    return typeof command === 'string' ? command : undefined;
  } catch {
    return undefined;
  }
}
