// Format of limits: the keys of the configuration file for them, of all routes or of one.

import type { Limits } from '../model/snapshot.ts';
import { LIMIT_SETTINGS, type LimitSetting, readLimit } from './limits.ts';
import { type Field, numeric, object, optional, type Shape } from './shape.ts';

/** The limits as nested keys, as they are named: `downstream.headBytes` is `downstream: { headBytes }`. */
export function limits(perRoute: boolean): Shape<ReadonlyMap<keyof Limits, number>> {
  const groups = new Map<string, LimitSetting[]>();
  for (const setting of LIMIT_SETTINGS) {
    const group = setting.key.includes('.') ? setting.key.split('.')[0]! : '';
    groups.set(group, [...(groups.get(group) ?? []), setting]);
  }
  const fields = (settings: readonly LimitSetting[]) =>
    Object.fromEntries(
      settings
        .filter((setting) => setting.perRoute || !perRoute)
        .map((setting): [string, Field<number, false>] => [keyOf(setting), optional(limit(setting), setting.about)]),
    );
  const elsewhere = (settings: readonly LimitSetting[]) =>
    Object.fromEntries(
      settings
        .filter((setting) => perRoute && !setting.perRoute)
        .map((setting) => [keyOf(setting), `it is no limit of single routes: set limits.${setting.key} at the top`]),
    );
  const shape = object(
    {
      ...fields(groups.get('') ?? []),
      ...Object.fromEntries(
        ['downstream', 'upstream', 'tunnel'].map((group) => [
          group,
          optional(object(fields(groups.get(group)!), elsewhere(groups.get(group)!)), ABOUT_GROUPS[group]!),
        ]),
      ),
    },
    elsewhere(groups.get('') ?? []),
  );
  return {
    schema: shape.schema,
    read: (node, at) => {
      const read = shape.read(node, at) as Record<string, unknown> | undefined;
      if (read === undefined) return undefined;
      return new Map(
        LIMIT_SETTINGS.flatMap((setting) => {
          const [group, key] = setting.key.split('.') as [string, string | undefined];
          const value = key === undefined ? read[group] : (read[group] as Record<string, unknown> | undefined)?.[key];
          return typeof value === 'number' ? [[setting.field, value] as const] : [];
        }),
      );
    },
  };
}

const ABOUT_GROUPS: Readonly<Record<string, string>> = {
  downstream: 'Towards clients',
  upstream: 'Towards pools',
  tunnel: 'Of open websockets',
};

const keyOf = ({ key }: LimitSetting) => key.split('.').at(-1)!;

function limit(setting: LimitSetting): Shape<number> {
  const pattern = { bytes: '^[0-9]+ ?([kKmMgG]i?)?[bB]?$', duration: '^[0-9]+ ?[smh]?$', count: undefined }[
    setting.kind
  ];
  return numeric(
    `a ${setting.kind === 'bytes' ? 'size' : setting.kind}`,
    (value) => readLimit(setting, value),
    pattern,
  );
}
