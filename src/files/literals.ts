// Literals: values as JavaScript or JSON writes them.

import type { Json } from '../model/snapshot.ts';

export type Language = 'javascript' | 'json';
export type Quote = '"' | "'";

/** The key of a member; without a quote as a name, where it can be one. */
export function writeKey(key: string, quote: Quote | '', language: Language): string {
  // In JavaScript this one is no key but the prototype, quoted or not.
  if (key === '__proto__' && language === 'javascript') return '["__proto__"]';
  if (quote !== '') return quoted(key, quote);
  return /^[A-Za-z_$][\w$]*$/.test(key) ? key : quoted(key, '"');
}

/** A literal of either language. Of JSON and JavaScript every byte is the same but for quotes and for `__proto__`. */
export function writeValue(value: Json, quote: Quote, language: Language): string {
  if (typeof value === 'string') return quoted(value, quote);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((each) => writeValue(each as Json, quote, language)).join(', ')}]`;
  const members = Object.entries(value as Readonly<Record<string, Json>>).map(
    ([key, each]) => `${writeKey(key, quote, language)}: ${writeValue(each, quote, language)}`,
  );
  return members.length === 0 ? '{}' : `{ ${members.join(', ')} }`;
}

function quoted(text: string, quote: Quote): string {
  return quote + escapeString(text, quote) + quote;
}

/**
 * The inside of a string. Beyond what the languages ask for: nothing in it ends a script element or opens a comment in one, and the
 * line ends that only JSON allows are escaped (U+2028 and U+2029).
 */
export function escapeString(text: string, quote: Quote | '`'): string {
  const escaped = JSON.stringify(text)
    .slice(1, -1)
    .replace(/<(?=[/!])/g, '\\u003c')
    .replace(/\u2028/g, '\\u2028')
    .replace(/\u2029/g, '\\u2029');
  if (quote === '"') return escaped;
  const plain = escaped.replace(/\\(.)/g, (whole, char: string) => (char === '"' ? '"' : whole));
  return quote === "'" ? plain.replace(/'/g, "\\'") : plain.replace(/`|\$(?=\{)/g, '\\$&');
}
