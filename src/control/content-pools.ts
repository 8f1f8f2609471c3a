// Pools of a configuration file: each endpoint once, none of them this door itself, and used by a route.

import type { ConfiguredListener, ConfiguredPool } from './configuration.ts';
import type { Pool, Reading } from './content-reading.ts';
import { problemOfOwnPort } from './own-ports.ts';

type Bound = readonly Pick<ConfiguredListener, 'address' | 'port'>[];

/** `bound`: what we listen at ourselves. */
export function readPools(reading: Reading, bound: Bound): ConfiguredPool[] {
  const pools: ConfiguredPool[] = [];
  for (const [name, placed] of reading.content.pools ?? []) {
    if (placed === undefined) continue;
    if (!reading.usedPools.has(name)) reading.warn(placed.at, 'no route uses this pool');
    pools.push(readPool(name, placed.value, reading, bound));
  }
  return pools;
}

function readPool(
  name: string,
  { endpoints, host, ca, serverName }: Pool,
  reading: Reading,
  bound: Bound,
): ConfiguredPool {
  const seen = new Set<string>();
  for (const { value, at } of endpoints) {
    const authority = `${value.host}:${value.port}`;
    if (seen.has(authority)) at.problem('stands here twice', 'name each endpoint once');
    seen.add(authority);
    const wrong = problemOfOwnPort(value, bound);
    if (wrong !== undefined) at.problem(wrong.message, wrong.hint);
  }
  const secure = endpoints.some(({ value }) => value.tls);
  for (const each of [ca, serverName]) {
    if (each !== undefined && !secure) each.at.problem('is for https only, and no endpoint is', 'leave it out');
  }
  return {
    name,
    endpoints: endpoints.map(({ value }) => value),
    host,
    ca: ca === undefined ? undefined : reading.fileAt(ca),
    serverName: serverName?.value,
  };
}
