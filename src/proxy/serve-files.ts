// Act by files: one exchange answered from a folder on disk.

import type { FileAnswer, Remarked } from '../files/answer.ts';
import { Sending, type SendReceiver } from '../files/send.ts';
import type { Outcome } from '../files/serve.ts';
import { stripPrefix } from '../http/target.ts';
import type { Acting, Exchange } from '../model/exchange.ts';
import { FAILURES } from '../model/failure.ts';
import type { FilesAction, Route } from '../model/snapshot.ts';
import type { Admitted } from '../policy/admit.ts';
import { applyRules } from '../policy/header-rules.ts';
import { abortStalled } from './blame.ts';
import type { Door } from './door.ts';
import { fail } from './reply.ts';

export class ServeFiles implements Acting, SendReceiver {
  deadline = Number.POSITIVE_INFINITY;
  readonly #door: Door;
  readonly #exchange: Exchange;
  readonly #route: Route;
  readonly #action: FilesAction;
  readonly #path: string;
  #sending: Sending | undefined;
  #released = false;

  constructor(door: Door, exchange: Exchange, route: Route, action: FilesAction, admitted: Admitted) {
    this.#door = door;
    this.#exchange = exchange;
    this.#route = route;
    this.#action = action;
    this.#path = pathInFolder(admitted.path, route.prefix);
  }

  start(): void {
    const { head } = this.#exchange;
    const outcome = this.#door.files.answer(this.#action, {
      method: head.method,
      path: this.#path,
      prefix: this.#route.prefix,
      headers: head.headers,
    });
    if (outcome instanceof Promise)
      outcome.then(
        (each) => this.#onOutcome(each),
        (error: Error) => this.#onUnexpected(error),
      );
    else this.#onOutcome(outcome);
  }

  /** Nothing reads a body here: what comes of one is thrown away. */
  onRequestChunk(): void {}

  onRequestEnd(): void {}

  onDownstreamDrain(): void {
    this.#moveDeadline();
    this.#sending?.onDrain();
  }

  release(): void {
    this.#released = true;
    this.#sending?.stop();
  }

  onChunk(bytes: number): void {
    this.#exchange.bytesOut += bytes;
    this.#moveDeadline();
  }

  onSent(): void {
    this.#exchange.answered = true;
    this.deadline = Number.POSITIVE_INFINITY;
    this.#exchange.downstream.end([]);
  }

  /** Behind the head this is an abort: a part is never taken for the whole. */
  onBroken(detail: string): void {
    this.deadline = Number.POSITIVE_INFINITY;
    fail(this.#exchange, FAILURES.fileChanged, detail);
  }

  /** Whoever takes nothing for too long holds a file open. */
  onDeadline(): void {
    this.deadline = Number.POSITIVE_INFINITY;
    this.#sending?.stop();
    abortStalled(this.#exchange);
  }

  #onUnexpected(error: Error): void {
    fail(this.#exchange, FAILURES.internal, `a file could not be served (${error.message})`);
  }

  #onOutcome(outcome: Outcome): void {
    const exchange = this.#exchange;
    switch (outcome.kind) {
      case 'answer':
        if (outcome.remarked !== undefined) this.#remark(outcome.remarked);
        return this.#respond(outcome);
      case 'missing':
        return fail(exchange, FAILURES.noFile, outcome.detail);
      case 'method':
        return fail(exchange, FAILURES.notForFiles, outcome.detail);
      case 'broken':
        return fail(exchange, FAILURES.fileUnreadable, outcome.detail);
    }
  }

  #remark({ path, remarks }: Remarked): void {
    const route = this.#route.name;
    const messages = remarks.map((remark) => `${path} ${remark}`);
    this.#door.notices.onChange(`${route} ${path}`, messages, { route });
  }

  #respond(answer: FileAnswer): void {
    const exchange = this.#exchange;
    this.#sending = new Sending(answer, exchange.downstream, this);
    // It ended while a file was read or compressed for it.
    if (this.#released || exchange.responded) {
      this.#sending.stop();
      return;
    }
    this.#moveDeadline();
    exchange.status = answer.status;
    exchange.responded = true;
    const headers = [...answer.headers, 'X-Request-Id', exchange.id];
    exchange.downstream.respond(answer.status, applyRules(headers, exchange.responseRules));
    this.#sending.start();
  }

  #moveDeadline(): void {
    if (this.#exchange.answered) return;
    this.deadline = this.#door.now() + this.#route.limits.upstreamIdleTimeout;
  }
}

/** Of the prefix alone only the query stays: relative links of the index need the slash that is missing. */
function pathInFolder(path: string, prefix: string): string {
  if (path === '*') return path;
  const rest = stripPrefix(path, prefix);
  return prefix === '' || path[prefix.length] === '/' ? rest : rest.slice(1);
}
