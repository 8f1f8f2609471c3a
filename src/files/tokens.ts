// Tokens: a script (or JSON) cut into what has a meaning, without knowing what it means.

export interface Token {
  readonly kind: 'string' | 'name' | 'other';
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/**
 * Cuts a script (or JSON) into tokens, without comments: strings and templates whole, names and numbers whole, all else by the
 * character. A string says why that was not possible.
 */
export function scan(text: string): Token[] | string {
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
    } else if (char === '/' && mayBeginPattern(tokens.at(-1), tokens.at(-2))) {
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

/** A slash behind a value divides; behind anything else it begins a regular expression. `a.of` is a value, `of` alone is none. */
function mayBeginPattern(before: Token | undefined, beforeThat: Token | undefined): boolean {
  if (before?.kind === 'name') return WORDS_BEFORE_VALUES.has(before.text) && beforeThat?.text !== '.';
  return before === undefined || (before.kind === 'other' && !')]}'.includes(before.text));
}

const WORDS_BEFORE_VALUES: ReadonlySet<string> = new Set([
  ...['return', 'typeof', 'void', 'delete', 'in', 'of', 'instanceof', 'new', 'throw', 'case', 'do', 'else'],
]);
