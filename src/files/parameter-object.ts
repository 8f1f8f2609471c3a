// Parameter object: the object that holds the parameters, found in the text of a script or of JSON.

import { scan, type Token } from './tokens.ts';

/** The object that holds the parameters, as places in the text. */
export interface ParameterObject {
  /** Of the brace. */
  readonly open: number;
  readonly close: number;
  readonly members: readonly Member[];
  readonly trailingComma: boolean;
  /** Of the whole file, without comments. */
  readonly tokens: readonly Token[];
}

export interface Member {
  readonly key: string;
  readonly keyStart: number;
  readonly keyEnd: number;
  /** Of the value; never empty. */
  readonly tokens: readonly Token[];
}

/** A string says why it was not understood. */
export function readJson(text: string): ParameterObject | string {
  try {
    const value = JSON.parse(text.replace(/^\ufeff/, '')) as unknown;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'it is no JSON object';
  } catch {
    return 'it is no valid JSON';
  }
  const tokens = scan(text);
  return typeof tokens === 'string' ? tokens : readObject(tokens, 0);
}

/** Looks for `TC_PARAMS = {`, in any of its spellings (`window.TC_PARAMS`, `window['TC_PARAMS']`, `const TC_PARAMS`). */
export function readScript(text: string): ParameterObject | string {
  const tokens = scan(text);
  if (typeof tokens === 'string') return tokens;
  const places: number[] = [];
  tokens.forEach((token, i) => {
    if (token.text.replace(/^(['"])(.*)\1$/, '$2') !== 'TC_PARAMS') return;
    const assign = tokens[i + 1]?.text === ']' ? i + 2 : i + 1;
    if (tokens[assign]?.text === '=' && tokens[assign + 1]?.text === '{') places.push(assign + 1);
  });
  if (places.length === 0) return 'it holds no TC_PARAMS = { ... }';
  if (places.length > 1) return 'it holds more than one TC_PARAMS = { ... }';
  return readObject(tokens, places[0]!);
}

function readObject(tokens: readonly Token[], at: number): ParameterObject | string {
  const open = tokens[at]!;
  const members: Member[] = [];
  let i = at + 1;
  let trailingComma = false;
  while (tokens[i] !== undefined && tokens[i]!.text !== '}') {
    const key = tokens[i]!;
    const name = keyOf(tokens, i);
    if (name === undefined) return 'its object holds something that is no plain "key: value"';
    const value = readValueTokens(tokens, i + name.length + 1);
    if (value.length === 0) return 'a key of its object has no value';
    members.push({ key: name.key, keyStart: key.start, keyEnd: tokens[i + name.length - 1]!.end, tokens: value });
    i += name.length + 1 + value.length;
    trailingComma = tokens[i]?.text === ',';
    if (trailingComma) i++;
  }
  const close = tokens[i];
  if (close === undefined) return 'its object does not end';
  return { open: open.start, close: close.start, members, trailingComma, tokens };
}

/** The key at a place, before its colon, and how many tokens it has. */
function keyOf(tokens: readonly Token[], i: number): { key: string; length: number } | undefined {
  const token = tokens[i]!;
  if (token.text === '[' && tokens[i + 1]?.kind === 'string' && tokens[i + 2]?.text === ']') {
    const key = tokens[i + 3]?.text === ':' ? unquote(tokens[i + 1]!.text) : undefined;
    return key === undefined ? undefined : { key, length: 3 };
  }
  if (tokens[i + 1]?.text !== ':') return undefined;
  if (token.kind === 'name') return { key: token.text, length: 1 };
  const key = token.kind === 'string' ? unquote(token.text) : undefined;
  return key === undefined ? undefined : { key, length: 1 };
}

/** Up to the comma or the brace that ends the value. */
function readValueTokens(tokens: readonly Token[], from: number): Token[] {
  let depth = 0;
  let i = from;
  for (; i < tokens.length; i++) {
    const token = tokens[i]!;
    if (token.kind !== 'other') continue;
    if (depth === 0 && (token.text === ',' || token.text === '}')) break;
    if ('([{'.includes(token.text)) depth++;
    else if (')]}'.includes(token.text)) depth--;
  }
  return tokens.slice(from, i);
}

/** What a string literal says, as far as its escapes are those of JSON; undefined for others. */
function unquote(literal: string): string | undefined {
  if (literal.startsWith('`')) return undefined;
  const inner = literal.slice(1, -1).replace(/\\'/g, "'");
  try {
    return JSON.parse(literal.startsWith('"') ? literal : `"${inner.replace(/(?<!\\)"/g, '\\"')}"`) as string;
  } catch {
    return undefined;
  }
}
