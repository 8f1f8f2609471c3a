// What a reload cannot change: settings that hold from start to end of a process.

import type { Limits } from '../model/snapshot.ts';
import type { Configuration } from './configuration.ts';
import { LIMIT_SETTINGS } from './limits.ts';

/** Limits that are built into the connections to endpoints. All others are looked at anew, for each request or connection. */
const OF_THE_START = ['connectTimeout', 'upstreamConnections', 'waiting'] as const satisfies (keyof Limits)[];

/** The new configuration with what has to stay, and a sentence for each such setting that was changed in vain. */
export function keepUntilRestart(
  running: Configuration,
  wanted: Configuration,
): { readonly configuration: Configuration; readonly warnings: readonly string[] } {
  const changed: string[] = [];
  if (running.workers !== wanted.workers) changed.push(`workers (there are ${running.workers} until then)`);
  if (running.admin.address !== wanted.admin.address || running.admin.port !== wanted.admin.port) {
    changed.push(`admin (${running.admin.address} port ${running.admin.port} until then)`);
  }
  if (running.controlSocket !== wanted.controlSocket) changed.push('controlSocket');
  if (running.logLevel !== wanted.logLevel) changed.push(`log.level (${running.logLevel} until then)`);
  const limits = { ...wanted.limits };
  for (const field of OF_THE_START) {
    if (running.limits[field] === wanted.limits[field]) continue;
    limits[field] = running.limits[field];
    changed.push(`limits.${LIMIT_SETTINGS.find((setting) => setting.field === field)!.key}`);
  }
  const { workers, admin, controlSocket, logLevel } = running;
  return {
    configuration: { ...wanted, workers, admin, controlSocket, logLevel, limits },
    warnings: changed.map((each) => `a restart is needed for the change of ${each}`),
  };
}
