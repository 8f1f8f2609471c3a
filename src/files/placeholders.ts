// Placeholders: `__NAME_PLACEHOLDER__`, as the frontend's image fills them at its start.

import type { Json } from '../model/snapshot.ts';
import type { Edit } from './edits.ts';
import { escapeString, type Language, type Quote, writeValue } from './literals.ts';
import type { ParameterObject } from './parameter-object.ts';
import type { Token } from './tokens.ts';

/** Replaces what is left of placeholders whose name has a value, but in members that are set as a whole. */
export function fillPlaceholders(
  object: ParameterObject,
  values: ReadonlyMap<string, Json>,
  known: ReadonlyMap<string, Json>,
  language: Language,
): Edit[] {
  const replaced = new Set(object.members.filter(({ key }) => values.has(key)).flatMap(({ tokens }) => tokens));
  const keyStarts = new Set(object.members.map(({ keyStart }) => keyStart));
  const edits: Edit[] = [];
  for (const token of object.tokens) {
    if (replaced.has(token) || token.kind === 'other') continue;
    const whole = token.kind === 'name' ? token.text : token.text.slice(1, -1);
    const first = placeholdersIn(whole)[0];
    const name = first?.[0] === whole ? first[1] : undefined;
    if (name !== undefined && known.has(name) && !keyStarts.has(token.start)) {
      const quote = token.text[0] === "'" ? "'" : '"';
      edits.push([token.start, token.end, writeValue(known.get(name)!, quote, language)]);
    } else if (token.kind === 'string') {
      edits.push(...fillString(token, known));
    }
  }
  return edits;
}

function fillString(token: Token, known: ReadonlyMap<string, Json>): Edit[] {
  const edits: Edit[] = [];
  for (const found of placeholdersIn(token.text)) {
    const value = known.get(found[1]!);
    if (value === undefined || isEscaped(token.text, found.index)) continue;
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    const start = token.start + found.index;
    edits.push([start, start + found[0].length, escapeString(text, token.text[0] as Quote | '`')]);
  }
  return edits;
}

/** Behind a backslash that is none itself the first byte of ours would mean something else. */
function isEscaped(text: string, at: number): boolean {
  let start = at;
  while (text[start - 1] === '\\') start--;
  return (at - start) % 2 === 1;
}

/**
 * `__NAME_PLACEHOLDER__`, as the image's entrypoint looks for. What begins like one and does not end like one is matched to its end, too:
 * nothing inside of it can be one, and looked at from each of its places it would take quadratic time.
 */
const PLACEHOLDER = /__([A-Za-z0-9](?:[A-Za-z0-9]|_(?!PLACEHOLDER__))*)(_PLACEHOLDER__)?/g;

export function placeholdersIn(text: string): RegExpExecArray[] {
  return [...text.matchAll(PLACEHOLDER)].filter((each) => each[2] !== undefined);
}
