// Checks: what health is made of, each told in a line.

import type { Family } from '../model/measures.ts';

/** One line of a verbose answer. */
export interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** Not as it should be, but no reason to send nobody here. */
  readonly warns?: boolean;
  /** In words, when there is something to say. */
  readonly detail?: string;
}

/** The form that Kubernetes made common: `[+]name ok`. */
export function checkLine({ name, ok, warns, detail }: Check): string {
  const [sign, word] = !ok ? ['-', 'failed'] : warns === true ? ['!', 'warn'] : ['+', 'ok'];
  const state = `[${sign}]${name} ${word}`;
  return detail === undefined ? state : `${state}: ${detail}`;
}

/** A pool whose endpoints are down is a warning: the door that explains an outage must stay open. */
export function upstreamChecks(groups: readonly (readonly Family[])[]): Check[] {
  const down = new Map<string, Set<string>>();
  for (const family of groups.flat()) {
    if (family.name !== 'portico_upstream_up') continue;
    for (const { labels, value } of family.values) {
      const endpoints = down.get(String(labels.pool)) ?? new Set();
      if (value === 0) endpoints.add(String(labels.endpoint));
      down.set(String(labels.pool), endpoints);
    }
  }
  return [...down].map(([pool, endpoints]) => {
    const name = `upstream-${pool}`;
    if (endpoints.size === 0) return { name, ok: true };
    return { name, ok: true, warns: true, detail: `the last connect failed to ${[...endpoints].sort().join(', ')}` };
  });
}
