// Rewriting: holds as much of an answer as has to be seen to change it, and passes it on changed.

import { etagOfBytes, MAX_REWRITTEN, type Rewrite, rewriteWhole } from '../files/rewrite.ts';
import { rewriteBase } from '../http/base-href.ts';
import { firstValue, type Headers } from '../http/headers.ts';
import { evaluateConditions } from '../http/representation.ts';
import type { Exchange } from '../model/exchange.ts';
import { FAILURES } from '../model/failure.ts';
import { applyRules } from '../policy/header-rules.ts';
import { changedTrailers, keepReason, pageHeaders, parameterHeaders } from '../policy/rewriting.ts';
import type { Notices } from '../telemetry/notices.ts';
import { HELD_BACK, type Outlet, type OutletReceiver } from './delivery.ts';

export class Rewriting implements Outlet {
  readonly #exchange: Exchange;
  readonly #rewrite: Rewrite;
  readonly #next: Outlet;
  readonly #receiver: OutletReceiver;
  readonly #notices: Notices;
  #status = 0;
  #headers: Headers = [];
  /** What is held; undefined once the answer passes. */
  #held: Uint8Array[] | undefined;
  /** What passes is not what came. */
  #changes = false;
  #size = 0;
  /** Of what is held of a page, before it is looked at again: not for every byte that comes by itself. */
  #nextLook = 0;
  /** Looks sooner, where the upstream is slow. */
  #lookTimer: NodeJS.Timeout | undefined;

  constructor(exchange: Exchange, rewrite: Rewrite, next: Outlet, receiver: OutletReceiver, notices: Notices) {
    this.#exchange = exchange;
    this.#rewrite = rewrite;
    this.#next = next;
    this.#receiver = receiver;
    this.#notices = notices;
  }

  respond(status: number, headers: Headers): void {
    const { kind } = this.#rewrite;
    const reason = keepReason(kind, status, headers);
    if (reason !== undefined) {
      this.#remark([reason]);
      this.#pass(status, headers);
    } else if (kind === 'base' && this.#exchange.head.method === 'HEAD') {
      // How long the page will be is not known without it.
      this.#pass(status, pageHeaders(headers, undefined));
    } else {
      this.#status = status;
      this.#headers = headers;
      this.#held = [];
      this.#changes = true;
    }
  }

  write(chunk: Uint8Array): boolean {
    if (this.#held === undefined) return this.#next.write(chunk);
    this.#held.push(Buffer.from(chunk));
    this.#size += chunk.length;
    if (this.#rewrite.kind === 'base') {
      if (this.#size >= this.#nextLook) return this.look(this.#rewrite.prefix);
      this.#lookTimer ??= setTimeout(look, HELD_BACK, this, this.#rewrite.prefix);
      return true;
    }
    if (this.#size > MAX_REWRITTEN) {
      const detail = `sent more than ${MAX_REWRITTEN} bytes of ${this.#rewrite.file}, into which parameters are to be written`;
      this.#receiver.onUndeliverable(FAILURES.tooLargeToRewrite, detail);
    }
    return true;
  }

  end(trailers: Headers): void {
    if (this.#held !== undefined) {
      if (this.#rewrite.kind === 'base') this.#passPage(this.#rewrite.prefix, true);
      else this.#passParameters(this.#held);
    }
    this.#next.end(this.#changes ? changedTrailers(trailers) : trailers);
  }

  onDrain(): void {
    this.#next.onDrain();
  }

  stop(): void {
    clearTimeout(this.#lookTimer);
    this.#held = undefined;
    this.#next.stop();
  }

  /** Looks whether what is held of a page tells its base. */
  look(prefix: string): boolean {
    this.#nextLook = this.#size * 1.25;
    return this.#passPage(prefix, false);
  }

  /** Passes what is held of a page as soon as it tells its base, and from then on all as it comes. */
  #passPage(prefix: string, isWhole: boolean): boolean {
    clearTimeout(this.#lookTimer);
    this.#lookTimer = undefined;
    const before = Buffer.concat(this.#held!);
    const page = rewriteBase(before.toString('latin1'), prefix, isWhole);
    if (page === undefined) return true;
    this.#held = undefined;
    const length = Number(firstValue(this.#headers, 'content-length') ?? Number.NaN);
    const added = page.length - before.length;
    this.#pass(this.#status, pageHeaders(this.#headers, Number.isNaN(length) ? undefined : length + added));
    return page === '' || this.#next.write(Buffer.from(page, 'latin1'));
  }

  #passParameters(held: readonly Uint8Array[]): void {
    const { bytes, remarks } = rewriteWhole(Buffer.concat(held), this.#rewrite);
    this.#held = undefined;
    this.#remark(remarks);
    const { head } = this.#exchange;
    const etag = etagOfBytes(bytes);
    const condition = evaluateConditions(head.method, head.headers, { etag, lastModified: undefined });
    if (condition === 'proceed') {
      this.#pass(200, parameterHeaders(this.#headers, etag, bytes.length));
      this.#next.write(bytes);
    } else {
      const fields = parameterHeaders(['X-Request-Id', this.#exchange.id], etag, 0);
      // RFC 9110 §8.6: the length in a 304 would be that of the 200.
      this.#pass(condition === 'failed' ? 412 : 304, condition === 'failed' ? fields : fields.slice(0, -2));
    }
  }

  /** The head as the client gets it, by the rules of the route. */
  #pass(status: number, headers: Headers): void {
    this.#next.respond(status, applyRules(headers, this.#exchange.responseRules));
  }

  /** Of pages nothing is said: most answers of a frontend are none. */
  #remark(remarks: readonly string[]): void {
    const rewrite = this.#rewrite;
    if (rewrite.kind === 'base') return;
    const route = this.#exchange.route!.name;
    const messages = remarks.map((remark) => `${rewrite.file} ${remark}`);
    this.#notices.onChange(`${route} ${rewrite.file}`, messages, { route });
  }
}

function look(rewriting: Rewriting, prefix: string): void {
  rewriting.look(prefix);
}
