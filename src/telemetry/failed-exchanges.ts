// The exchanges that failed, kept for people who look at the status; the log has all of them.

import type { Exchange } from '../model/exchange.ts';
import type { FailedExchange } from '../model/measures.ts';
import { redactPath } from './redact.ts';

/** So many are kept between two looks: when an upstream is down every request fails. */
const MOST = 20;
const MAX_TEXT = 200;

export class FailedExchanges {
  #kept: FailedExchange[] = [];

  /** `endTime` is of the steady clock, in ms. */
  note(exchange: Exchange, endTime: number): void {
    if (this.#kept.length === MOST) return;
    const { head, failure } = exchange;
    const question = head.target.indexOf('?');
    this.#kept.push({
      time: exchange.startedAt + (endTime - exchange.startTime),
      requestId: exchange.id,
      method: cut(head.method),
      host: cut(redactPath(head.authority ?? '')),
      path: cut(redactPath(question === -1 ? head.target : head.target.slice(0, question))),
      status: exchange.status,
      upstream: exchange.upstream,
      failure: failure?.code ?? '',
      detail: exchange.detail,
    });
  }

  /** What came since the last time. */
  take(): readonly FailedExchange[] {
    const kept = this.#kept;
    this.#kept = [];
    return kept;
  }
}

function cut(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)}...`;
}
