// Header rules: what a route takes away from, sets in and adds to a list of fields.

import { type Headers, isNamed, lowerName } from '../http/headers.ts';
import type { HeaderRules } from '../model/snapshot.ts';

/** Applies a route's rules to a list of its own; without rules that is the list itself. */
export function applyRules(headers: Headers, rules: HeaderRules | undefined): Headers {
  if (rules === undefined) return headers;
  const out: Headers = [];
  for (let i = 0; i < headers.length; i += 2) {
    const lower = lowerName(headers[i]!);
    if (!rules.remove.includes(lower) && !sets(rules.set, lower)) out.push(headers[i]!, headers[i + 1]!);
  }
  for (const field of rules.set) out.push(field);
  for (const field of rules.add) out.push(field);
  return out;
}

function sets(fields: readonly string[], lower: string): boolean {
  for (let i = 0; i < fields.length; i += 2) if (isNamed(fields[i]!, lower)) return true;
  return false;
}
