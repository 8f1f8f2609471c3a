// The limits as operators know them: the one table of their keys, variables and bounds.

import type { Limits, RouteLimits } from '../model/snapshot.ts';
import { readBytes, readDuration, readWhole, type Wrong, writeBytes, writeDuration } from './values.ts';

export interface LimitSetting {
  /** As answers and log lines name it; the key in the file, below `limits`. */
  readonly key: string;
  readonly field: keyof Limits;
  readonly kind: 'bytes' | 'duration' | 'count';
  readonly least: number;
  readonly most: number;
  /** May differ from route to route; the others hold before the route is known, or for a pool as a whole. */
  readonly perRoute: boolean;
  /** The variable that sets it, where there is one. */
  readonly variable?: string;
  readonly about: string;
}

const MIB = 2 ** 20;

function bytes(key: string, field: keyof Limits, least: number, most: number, about: string): LimitSetting {
  return { key, field, kind: 'bytes', least, most, perRoute: false, about };
}

function duration(key: string, field: keyof Limits, least: number, about: string): LimitSetting {
  return { key, field, kind: 'duration', least, most: Number.MAX_SAFE_INTEGER, perRoute: false, about };
}

function count(key: string, field: keyof Limits, least: number, about: string): LimitSetting {
  return { key, field, kind: 'count', least, most: 1_000_000, perRoute: false, about };
}

const perRoute = (setting: LimitSetting): LimitSetting => ({ ...setting, perRoute: true });
const byVariable = (variable: string, setting: LimitSetting): LimitSetting => ({ ...setting, variable });

export const LIMIT_SETTINGS: readonly LimitSetting[] = [
  bytes('downstream.requestLineBytes', 'requestLineBytes', 1_024, MIB, 'The longest request line'),
  byVariable('HEAD_LIMIT', bytes('downstream.headBytes', 'headBytes', 1_024, MIB, 'The largest request head')),
  count('downstream.headFields', 'headFields', 10, 'The most fields of a request head'),
  byVariable(
    'BODY_LIMIT',
    perRoute(
      bytes(
        'downstream.bodyBytes',
        'bodyBytes',
        0,
        Number.MAX_SAFE_INTEGER,
        'The largest request body; 0 for no limit',
      ),
    ),
  ),
  byVariable(
    'HEAD_TIMEOUT',
    duration('downstream.headTimeout', 'headTimeout', 1_000, 'How long a request head may take to arrive'),
  ),
  duration(
    'downstream.keepAliveTimeout',
    'keepAliveTimeout',
    1_000,
    'How long a connection may stay open between requests',
  ),
  perRoute(duration('downstream.bodyTimeout', 'bodyTimeout', 1_000, 'How long a request body may stand still')),
  perRoute(
    bytes(
      'downstream.bodyRate',
      'bodyRate',
      0,
      1_024 * MIB,
      'Bytes a second that a request body must bring; 0 for any',
    ),
  ),
  perRoute(duration('downstream.bodyRateGrace', 'bodyRateGrace', 1_000, 'After how long bodyRate is demanded')),
  count('downstream.streamsPerConnection', 'streamsPerConnection', 1, 'HTTP/2 streams at a time on one connection'),
  count('downstream.connections', 'connections', 1, 'Connections in total, for each worker'),
  count(
    'downstream.connectionsPerClient',
    'connectionsPerClient',
    0,
    'Connections of one client address, for each worker; 0 for no limit',
  ),
  count(
    'downstream.requestsPerConnection',
    'requestsPerConnection',
    0,
    'After so many requests a connection ends; 0 for no limit',
  ),
  duration('upstream.connectTimeout', 'connectTimeout', 1_000, 'How long a connection to an endpoint may take to open'),
  byVariable(
    'RESPONSE_TIMEOUT',
    perRoute(
      duration(
        'upstream.responseTimeout',
        'responseTimeout',
        1_000,
        'How long an upstream may take to begin its answer',
      ),
    ),
  ),
  perRoute(duration('upstream.idleTimeout', 'upstreamIdleTimeout', 1_000, 'How long an answer may stand still')),
  count('upstream.connections', 'upstreamConnections', 1, 'Connections to one endpoint, for each worker'),
  count('upstream.waiting', 'waiting', 0, 'Requests that may wait for a connection to an endpoint'),
  perRoute(duration('tunnel.idleTimeout', 'tunnelIdleTimeout', 1_000, 'How long a websocket may be idle')),
  byVariable(
    'DRAIN_TIMEOUT',
    duration('drainTimeout', 'drainTimeout', 0, 'How long requests under way have at a stop'),
  ),
];

/** Reads what was given for a limit. */
export function readLimit(setting: LimitSetting, text: string): number | Wrong {
  switch (setting.kind) {
    case 'bytes':
      return readBytes(text, setting.least, setting.most);
    case 'duration':
      return readDuration(text, setting.least);
    case 'count':
      return readWhole(text, setting.least, setting.most);
  }
}

/** As it is read back. */
export function writeLimit(setting: LimitSetting, value: number): string | number {
  if (setting.kind === 'bytes') return writeBytes(value);
  return setting.kind === 'duration' ? writeDuration(value) : value;
}

/** Limits as the groups of the file: `{ downstream: { headBytes: ... }, drainTimeout: ... }`. */
export function groupLimits(limits: Partial<Limits> | Partial<RouteLimits>): Record<string, unknown> {
  const groups: Record<string, unknown> = {};
  for (const setting of LIMIT_SETTINGS) {
    const value = (limits as Partial<Limits>)[setting.field];
    if (value === undefined) continue;
    const [group, key] = setting.key.split('.') as [string, string | undefined];
    if (key === undefined) groups[group] = writeLimit(setting, value);
    else groups[group] = { ...(groups[group] as object | undefined), [key]: writeLimit(setting, value) };
  }
  return groups;
}
