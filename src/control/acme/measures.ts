// What is counted of orders; it outlives reloads.

import type { Family } from '../../model/measures.ts';

export type OrderResult = 'issued' | 'failed';

export class OrderCounts {
  readonly #counts = new Map<string, Map<OrderResult, number>>();

  count(issuer: string, result: OrderResult): void {
    const counts = this.#counts.get(issuer) ?? new Map<OrderResult, number>();
    this.#counts.set(issuer, counts.set(result, (counts.get(result) ?? 0) + 1));
  }

  family(): Family {
    return {
      name: 'portico_acme_orders_total',
      help: 'Attempts to get a certificate issued, by the host of the issuer',
      type: 'counter',
      aggregator: 'sum',
      values: [...this.#counts].flatMap(([issuer, counts]) =>
        [...counts].map(([result, value]) => ({ labels: { issuer, result }, value })),
      ),
    };
  }
}
