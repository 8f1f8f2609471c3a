// What a reload cannot change: settings that hold from start to end of a process.

import type { Configuration } from './configuration.ts';
import { LIMIT_SETTINGS } from './limits.ts';

/** Limits that are built into the connections to endpoints. All others are looked at anew, for each request or connection. */
const OF_THE_START: readonly string[] = ['connectTimeout', 'upstreamConnections', 'waiting'];

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
  for (const { key, field } of LIMIT_SETTINGS) {
    if (OF_THE_START.includes(field) && running.limits[field] !== wanted.limits[field]) changed.push(`limits.${key}`);
  }
  const { workers, admin, controlSocket, logLevel } = running;
  return {
    configuration: { ...wanted, workers, admin, controlSocket, logLevel },
    warnings: changed.map((each) => `a restart is needed for the change of ${each}`),
  };
}
