// Pools of a configuration file: each endpoint once, and used by a route.

import type { ConfiguredPool } from './configuration.ts';
import type { Pool, Reading } from './content-reading.ts';

export function readPools(reading: Reading): ConfiguredPool[] {
  const pools: ConfiguredPool[] = [];
  for (const [name, placed] of reading.content.pools ?? []) {
    if (placed === undefined) continue;
    if (!reading.usedPools.has(name)) reading.warn(placed.at, 'no route uses this pool');
    pools.push(readPool(reading, name, placed.value));
  }
  return pools;
}

function readPool(reading: Reading, name: string, { endpoints, host, ca, serverName }: Pool): ConfiguredPool {
  const seen = new Set<string>();
  for (const { value, at } of endpoints) {
    const authority = `${value.host}:${value.port}`;
    if (seen.has(authority)) at.problem('stands here twice', 'name each endpoint once');
    seen.add(authority);
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
