// Parameters: values written into scripts/tc-params.js and embed-params.json, which keep their shape.

import type { Json, Parameters } from '../model/snapshot.ts';

/** A file with the values in it. */
export interface Written {
  readonly text: string;
  /** What people should know, each continues the file's name. It never holds a value. */
  readonly remarks: readonly string[];
}

/** The files that hold parameters, as paths inside of the root. */
export const PARAMETER_FILES: Readonly<Record<string, 'script' | 'embed'>> = Object.freeze({
  'scripts/tc-params.js': 'script',
  'embed-params.json': 'embed',
});

/** A variable's text stays text unless it is `true`, `false`, `null`, or the JSON of an object or array. */
export function readValue(text: string): Json {
  const trimmed = text.trim();
  if (!/^(?:true|false|null|\{[\s\S]*\}|\[[\s\S]*\])$/.test(trimmed)) return text;
  try {
    return JSON.parse(trimmed) as Json;
  } catch {
    return text;
  }
}

/** Writes the values into one of the two files. What cannot be understood stays as it is, and is remarked on. */
export function writeParameters(kind: 'script' | 'embed', text: string, parameters: Parameters): Written {
  const { script, embed } = parameters;
  const language = kind === 'script' ? JAVASCRIPT : JSON_TEXT;
  const before = kind === 'script' ? readScript(text) : readJson(text);
  if (typeof before === 'string') return { text, remarks: [`is served as it is: ${before}`] };
  const own = kind === 'script' ? script : embed;
  const values = new Map<string, Json>();
  if (kind === 'embed') {
    for (const member of before.members) {
      if (Object.hasOwn(script, member.key)) values.set(member.key, script[member.key]!);
    }
  }
  for (const key of Object.keys(own)) values.set(key, own[key]!);
  const known = new Map([...Object.entries(script), ...Object.entries(own)]);

  const edits = [...setMembers(text, before, values, language), ...fillPlaceholders(before, values, known, language)];
  const result = applyEdits(text, edits);
  // What was written is read again: it has to hold what was asked for, or the file was not understood after all.
  const after = kind === 'script' ? readScript(result) : readJson(result);
  if (typeof after === 'string' || !holdsAll(after, values)) {
    return { text, remarks: ['is served as it is: the parameters could not be written into it'] };
  }
  return { text: result, remarks: remarksOn(after) };
}

function holdsAll(object: ParameterObject, values: ReadonlyMap<string, Json>): boolean {
  const keys = new Set(object.members.map(({ key }) => key));
  return [...values.keys()].every((key) => keys.has(key));
}

/** What is worth a warning in a finished file. */
function remarksOn(object: ParameterObject): string[] {
  const remarks: string[] = [];
  const left = new Set(object.tokens.flatMap((token) => placeholdersIn(token.text).map((each) => each[0])));
  for (const placeholder of left) remarks.push(`still holds the placeholder ${placeholder}`);
  for (const key of ['USERNAME', 'PASSWORD']) {
    const filled = object.members.some((member) => member.key === key && isFilled(member.tokens));
    if (filled) remarks.push(`gives everybody the ${key} that is set in it: whoever opens the site is logged in`);
  }
  return remarks;
}

function isFilled(tokens: readonly Token[]): boolean {
  const text = tokens.map((token) => token.text).join('');
  return !['""', "''", '``', 'null', 'undefined', 'false'].includes(text) && placeholdersIn(text).length === 0;
}

// ---- values into the text

/** Start, end (without), and what takes the place. */
type Edit = readonly [start: number, end: number, text: string];

function applyEdits(text: string, edits: readonly Edit[]): string {
  let out = '';
  let at = 0;
  for (const [start, end, replacement] of edits.toSorted((a, b) => a[0] - b[0] || a[1] - b[1])) {
    out += text.slice(at, start) + replacement;
    at = end;
  }
  return out + text.slice(at);
}

/** How a language writes what the other one does not know. */
interface Language {
  readonly quotes: '"' | "'" | undefined;
}

const JAVASCRIPT: Language = { quotes: undefined };
const JSON_TEXT: Language = { quotes: '"' };

function setMembers(
  text: string,
  object: ParameterObject,
  values: ReadonlyMap<string, Json>,
  language: Language,
): Edit[] {
  const edits: Edit[] = [];
  const style = styleOf(text, object, language);
  const added: string[] = [];
  for (const [key, value] of values) {
    const there = object.members.filter((member) => member.key === key);
    // Of a key that is there twice, some readers take the first and some the last.
    for (const member of there) {
      const first = member.tokens[0]!;
      const quote = first.kind === 'string' && first.text[0] !== '`' ? (first.text[0] as '"' | "'") : style.quote;
      edits.push([first.start, member.tokens.at(-1)!.end, writeValue(value, quote, language)]);
    }
    if (there.length === 0) {
      added.push(`${writeKey(key, style, language)}${style.colon}${writeValue(value, style.quote, language)}`);
    }
  }
  if (added.length > 0) edits.push(...addMembers(text, object, added, style));
  return edits;
}

/** Behind all that the object holds, its last comments too. */
function addMembers(text: string, object: ParameterObject, added: readonly string[], style: Style): Edit[] {
  const edits: Edit[] = [];
  const last = object.members.at(-1);
  if (last !== undefined && !object.trailingComma) {
    const end = last.tokens.at(-1)!.end;
    edits.push([end, end, ',']);
  }
  const inner = text.slice(object.open + 1, object.close);
  const at = object.open + 1 + inner.trimEnd().length;
  const joined = added.map((member) => style.separator + member).join(',');
  const comma = object.trailingComma ? ',' : '';
  // An empty object has nothing yet that would set its closing brace apart.
  const tail = at === object.close ? style.closing : '';
  edits.push([at, at, joined + comma + tail]);
  return edits;
}

/** How the file's own members look. */
interface Style {
  readonly quote: '"' | "'";
  /** Around keys; '' for names without. */
  readonly keyQuote: '"' | "'" | '';
  /** Between key and value. */
  readonly colon: string;
  /** Before a member. */
  readonly separator: string;
  /** Before the brace of an object that was empty. */
  readonly closing: string;
}

function styleOf(text: string, object: ParameterObject, language: Language): Style {
  const last = object.members.at(-1);
  const strings = object.members
    .map((member) => member.tokens[0]!)
    .filter((token) => token.kind === 'string' && token.text[0] !== '`');
  const quote = language.quotes ?? (strings.at(-1)?.text[0] as '"' | "'" | undefined) ?? '"';
  const keyText = last === undefined ? '' : text.slice(last.keyStart, last.keyEnd);
  const keyQuote = language.quotes ?? (keyText.startsWith('"') ? '"' : keyText.startsWith("'") ? "'" : '');
  const colon = last === undefined ? ': ' : text.slice(last.keyEnd, last.tokens[0]!.start);
  const plainColon = /^[ \t]*:[ \t]*$/.test(colon) ? colon : ': ';
  const inner = text.slice(object.open + 1, object.close);
  const newline = text.includes('\r\n') ? '\r\n' : '\n';
  // The indentation of the last member, where it begins its line.
  const lead = last === undefined ? undefined : /\r?\n([ \t]*)$/.exec(text.slice(0, last.keyStart))?.[1];
  if (lead !== undefined) return { quote, keyQuote, colon: plainColon, separator: newline + lead, closing: newline };
  if (inner.includes('\n')) {
    return { quote, keyQuote, colon: plainColon, separator: `${newline}  `, closing: newline };
  }
  const isTight = last !== undefined && !/^\s/.test(inner);
  return { quote, keyQuote, colon: plainColon, separator: isTight ? '' : ' ', closing: isTight ? '' : ' ' };
}

/** Replaces what is left of placeholders whose name has a value, but in members that are set as a whole. */
function fillPlaceholders(
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
    edits.push([start, start + found[0].length, escapeString(text, token.text[0] as '"' | "'" | '`')]);
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

function placeholdersIn(text: string): RegExpExecArray[] {
  return [...text.matchAll(PLACEHOLDER)].filter((each) => each[2] !== undefined);
}

function writeKey(key: string, style: Style, language: Language): string {
  // In JavaScript this one is no key but the prototype, quoted or not.
  if (key === '__proto__' && language === JAVASCRIPT) return '["__proto__"]';
  if (style.keyQuote === '' && /^[A-Za-z_$][\w$]*$/.test(key)) return key;
  const quote = style.keyQuote === '' ? '"' : style.keyQuote;
  return quote + escapeString(key, quote) + quote;
}

/** A literal of either language. Of JSON and JavaScript every byte is the same but for quotes and for `__proto__`. */
function writeValue(value: Json, quote: '"' | "'", language: Language): string {
  if (typeof value === 'string') return quote + escapeString(value, quote) + quote;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((each) => writeValue(each as Json, quote, language)).join(', ')}]`;
  const members = Object.entries(value as Readonly<Record<string, Json>>).map(([key, each]) => {
    const isPrototype = key === '__proto__' && language === JAVASCRIPT;
    const name = isPrototype ? '["__proto__"]' : quote + escapeString(key, quote) + quote;
    return `${name}: ${writeValue(each, quote, language)}`;
  });
  return members.length === 0 ? '{}' : `{ ${members.join(', ')} }`;
}

/**
 * The inside of a string. Beyond what the languages ask for: nothing in it ends a script element or opens a comment in one, and the
 * line ends that only JSON allows are escaped (U+2028 and U+2029).
 */
function escapeString(text: string, quote: '"' | "'" | '`'): string {
  const escaped = JSON.stringify(text)
    .slice(1, -1)
    .replace(/<(?=[/!])/g, '\\u003c')
    .replace(/\u2028/g, '\\u2028')
    .replace(/\u2029/g, '\\u2029');
  if (quote === '"') return escaped;
  const plain = escaped.replace(/\\(.)/g, (whole, char: string) => (char === '"' ? '"' : whole));
  return quote === "'" ? plain.replace(/'/g, "\\'") : plain.replace(/`|\$(?=\{)/g, '\\$&');
}

// ---- reading

/** The object that holds the parameters, as places in the text. */
interface ParameterObject {
  /** Of the brace. */
  readonly open: number;
  readonly close: number;
  readonly members: readonly Member[];
  readonly trailingComma: boolean;
  /** Of the whole file, without comments. */
  readonly tokens: readonly Token[];
}

interface Member {
  readonly key: string;
  readonly keyStart: number;
  readonly keyEnd: number;
  /** Of the value; never empty. */
  readonly tokens: readonly Token[];
}

interface Token {
  readonly kind: 'string' | 'name' | 'other';
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** A string says why it was not understood. */
function readJson(text: string): ParameterObject | string {
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
function readScript(text: string): ParameterObject | string {
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

/**
 * Cuts a script (or JSON) into tokens, without comments: strings and templates whole, names and numbers whole, all else by the
 * character. A string says why that was not possible.
 */
function scan(text: string): Token[] | string {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const space = match(SPACE, text, at);
    if (space > at) {
      at = space;
      continue;
    }
    const char = text[at]!;
    let kind: Token['kind'] = 'other';
    let end = at + 1;
    if (char === '"' || char === "'" || char === '`') {
      kind = 'string';
      end = match(char === '"' ? DOUBLE : char === "'" ? SINGLE : TEMPLATE, text, at);
      if (end === at) return 'a string in it does not end';
    } else if (char === '/' && text[at + 1] === '*') {
      return 'a comment in it does not end';
    } else if (char === '/' && mayBeginPattern(tokens.at(-1))) {
      end = match(PATTERN, text, at);
      if (end === at) return 'a slash in it is neither a comment nor a pattern';
    } else {
      const name = match(NAME, text, at);
      if (name > at) {
        kind = 'name';
        end = name;
      }
    }
    tokens.push({ kind, text: text.slice(at, end), start: at, end });
    at = end;
  }
  return tokens;
}

const SPACE = /(?:[\s\ufeff]+|\/\/[^\n\r\u2028\u2029]*|\/\*[^*]*\*+(?:[^/*][^*]*\*+)*\/)+/y;
const DOUBLE = /"[^"\\\n\r]*(?:\\[\s\S][^"\\\n\r]*)*"/y;
const SINGLE = /'[^'\\\n\r]*(?:\\[\s\S][^'\\\n\r]*)*'/y;
/** A template that holds code is no string: its braces would have to be followed. */
const TEMPLATE = /`[^`\\$]*(?:(?:\\[\s\S]|\$(?!\{))[^`\\$]*)*`/y;
const PATTERN = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;
const NAME = /[\w$\u0080-\u2027\u202a-\ufefe\uff00-\uffff]+/y;

/** Where the match ends; `at` itself without one. */
function match(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}

/** A slash behind a value divides; behind anything else it begins a regular expression. */
function mayBeginPattern(before: Token | undefined): boolean {
  return before === undefined || (before.kind === 'other' && !')]}'.includes(before.text));
}
