// Parameters: values written into scripts/tc-params.js and embed-params.json, which keep their shape.

import type { Json, Parameters } from '../model/snapshot.ts';
import { applyEdits, type Edit } from './edits.ts';
import { type Language, type Quote, writeKey, writeValue } from './literals.ts';
import { type ParameterObject, readJson, readScript } from './parameter-object.ts';
import { fillPlaceholders, placeholdersIn } from './placeholders.ts';
import type { Token } from './tokens.ts';

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
  const language = kind === 'script' ? 'javascript' : 'json';
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
      const quote = first.kind === 'string' && first.text[0] !== '`' ? (first.text[0] as Quote) : style.quote;
      edits.push([first.start, member.tokens.at(-1)!.end, writeValue(value, quote, language)]);
    }
    if (there.length === 0) {
      added.push(`${writeKey(key, style.keyQuote, language)}${style.colon}${writeValue(value, style.quote, language)}`);
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
  readonly quote: Quote;
  /** Around keys; '' for names without. */
  readonly keyQuote: Quote | '';
  /** Between key and value. */
  readonly colon: string;
  /** Before a member. */
  readonly separator: string;
  /** Before the brace of an object that was empty. */
  readonly closing: string;
}

function styleOf(text: string, object: ParameterObject, language: Language): Style {
  return { ...quotesOf(text, object, language), colon: colonOf(text, object), ...spacesOf(text, object) };
}

function quotesOf(text: string, object: ParameterObject, language: Language): Pick<Style, 'quote' | 'keyQuote'> {
  if (language === 'json') return { quote: '"', keyQuote: '"' };
  const firsts = object.members.map((member) => member.tokens[0]!);
  const quotes = firsts.filter(({ kind }) => kind === 'string').map((token) => token.text[0]);
  const quote = quotes.findLast((each): each is Quote => each !== '`') ?? '"';
  const last = object.members.at(-1);
  const first = last === undefined ? '' : text[last.keyStart];
  return { quote, keyQuote: first === '"' || first === "'" ? first : '' };
}

function colonOf(text: string, object: ParameterObject): string {
  const last = object.members.at(-1);
  const colon = last === undefined ? '' : text.slice(last.keyEnd, last.tokens[0]!.start);
  return /^[ \t]*:[ \t]*$/.test(colon) ? colon : ': ';
}

function spacesOf(text: string, object: ParameterObject): Pick<Style, 'separator' | 'closing'> {
  const last = object.members.at(-1);
  const inner = text.slice(object.open + 1, object.close);
  const newline = text.includes('\r\n') ? '\r\n' : '\n';
  // The indentation of the last member, where it begins its line.
  const lead = last === undefined ? undefined : /\r?\n([ \t]*)$/.exec(text.slice(0, last.keyStart))?.[1];
  if (lead !== undefined) return { separator: newline + lead, closing: newline };
  if (inner.includes('\n')) return { separator: `${newline}  `, closing: newline };
  const isTight = last !== undefined && !/^\s/.test(inner);
  return { separator: isTight ? '' : ' ', closing: isTight ? '' : ' ' };
}
