// What of a configuration is secret: by where it came from, by what it is called, and by what it looks like. All that prints it asks here.

import { fieldFlags, SECRET } from '../http/headers.ts';
import type { Json } from '../model/snapshot.ts';
import { isSecretName, redactQuery } from '../telemetry/redact.ts';
import type { Configuration } from './configuration.ts';
import { readParameter } from './frontend-root.ts';

export class Secrets {
  readonly #texts: readonly string[];
  /** Those that are JSON and became what they say. */
  readonly #values: ReadonlySet<string>;

  constructor({ secrets }: Pick<Configuration, 'secrets'>) {
    this.#texts = secrets.filter((text) => text !== '');
    this.#values = new Set(this.#texts.map((text) => JSON.stringify(readParameter(text))));
  }

  /** Any text, wherever it stands. */
  isIn(text: string): boolean {
    return this.#texts.some((secret) => text.includes(secret));
  }

  /** The target of a redirect. */
  isInTarget(to: string): boolean {
    const query = /\?(.*)$/.exec(to)?.[1] ?? '';
    return this.isIn(to) || redactQuery(query) !== query;
  }

  /** A field of header rules. */
  isInField(name: string, value: string): boolean {
    return (fieldFlags(name) & SECRET) !== 0 || isSecretName(name) || /auth|cookie/i.test(name) || this.isIn(value);
  }

  /** A parameter of the frontend. Lists and objects are so as a whole, and else in those of their parts that are. */
  isInParameter(key: string, value: Json): boolean {
    if (typeof value === 'boolean' || value === null || value === '') return false;
    if (typeof value === 'object') return this.#values.has(JSON.stringify(value));
    const text = String(value);
    // A user and a password in a URL, or a JWT.
    return isSecretName(key) || /:\/\/[^/?#]*@|eyJ/.test(text) || this.isIn(text);
  }

  /** Words without the texts that are secret. */
  hide(words: string): string {
    return this.#texts.reduce((left, secret) => left.replaceAll(secret, '***'), words);
  }
}
