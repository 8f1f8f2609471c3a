// Variables in a file's texts: `${NAME}`, `${NAME:-default}`, `${NAME:?message}`, `$$` for a dollar, and NAME_FILE for secrets.

import { readFileSync, statSync } from 'node:fs';
import { isSecretVariable } from '../telemetry/redact.ts';
import type { Environment } from './configuration.ts';
import type { Problem } from './problem.ts';
import type { Node, TextNode } from './yaml.ts';

/** More is no secret that belongs in a setting. */
const MAX_SECRET_BYTES = 64 * 1024;

/** Too short for a secret, and likely to be a part of our own words; or a port. */
const TELLS_NOTHING = /^(?:.{0,3}|\d{4,5})$/s;

/** A dollar, and what may follow it. */
const REFERENCE = /\$(?:(\$)|\{([A-Za-z_][A-Za-z0-9_]*)(?:(:[-?])([^{}$]*))?\}|)/g;

export class Variables {
  /** Names that a text has asked for. */
  readonly used = new Set<string>();
  /** Texts that came from files, or from variables that are called secret. */
  readonly secrets = new Set<string>();
  /** What was put in, and by which name. */
  readonly #values = new Map<string, string>();
  readonly #environment: Environment;
  readonly #file: string;
  readonly #problems: Problem[];

  constructor(environment: Environment, file: string, problems: Problem[]) {
    this.#environment = environment;
    this.#file = file;
    this.#problems = problems;
  }

  /** The tree with all variables in its place, in keys too. What is put in is never read as YAML. */
  expand(node: Node): Node {
    switch (node.kind) {
      case 'empty':
        return node;
      case 'text':
        return this.#expandText(node);
      case 'list':
        return { ...node, items: node.items.map((item) => this.expand(item)) };
      case 'map':
        return {
          ...node,
          entries: node.entries.map(({ key, value }) => ({ key: this.#expandText(key), value: this.expand(value) })),
        };
    }
  }

  /** Words about the file without what variables hold: any of it may be a secret that stands in the wrong place. */
  hide(words: string): string {
    let hidden = words;
    for (const [value, name] of this.#values)
      if (!TELLS_NOTHING.test(value)) hidden = hidden.replaceAll(value, `\${${name}}`);
    return hidden;
  }

  #expandText(node: TextNode): TextNode {
    if (!node.text.includes('$')) return node;
    const told = this.#problems.length;
    const text = node.text.replace(
      REFERENCE,
      (_whole, dollar?: string, name?: string, operator?: string, operand = '') => {
        if (dollar !== undefined) return '$';
        if (name !== undefined) return this.#valueOf(node, name, operator, operand);
        this.#problem(node, 'there is a $ that begins no variable', 'write ${NAME}, or $$ for a dollar');
        return '';
      },
    );
    const isLacking = this.#problems.length > told;
    return { ...node, text, expanded: true, ...(isLacking ? { isLacking } : {}) };
  }

  #valueOf(node: TextNode, name: string, operator: string | undefined, operand: string): string {
    this.used.add(name);
    const value = this.#environment[name] ?? this.#fromFile(node, name);
    // As in a shell: with an operator an empty one counts as unset.
    if (value !== undefined && (value !== '' || operator === undefined)) {
      this.#values.set(value, name);
      if (isSecretVariable(name) && !TELLS_NOTHING.test(value)) this.secrets.add(value);
      return value;
    }
    if (operator === ':-') return operand;
    const said = operand.trim();
    if (operator === ':?') this.#problem(node, `\${${name}}: ${said === '' ? 'it is not set' : said}`, `set ${name}`);
    else this.#problem(node, `\${${name}} is not set`, `set ${name}, or give a default: \${${name}:-...}`);
    return '';
  }

  #fromFile(node: TextNode, name: string): string | undefined {
    const file = this.#environment[`${name}_FILE`];
    if (file === undefined || file === '') return undefined;
    this.used.add(`${name}_FILE`);
    try {
      const text = readSecretFile(file);
      if (text !== '') this.secrets.add(text);
      return text;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const hint = `correct ${name}_FILE, or set ${name} itself`;
      this.#problem(node, `\${${name}}: ${file} (of ${name}_FILE) cannot be read (${code ?? message})`, hint);
      return '';
    }
  }

  #problem({ line, column }: TextNode, message: string, hint: string): void {
    this.#problems.push({ place: `${this.#file}:${line}:${column}`, message, hint });
  }
}

/** The text of a file for secrets, without the line break at its end. Throws when it cannot be one. */
export function readSecretFile(file: string): string {
  const stats = statSync(file);
  if (!stats.isFile()) throw new Error('it is no file');
  if (stats.size > MAX_SECRET_BYTES) throw new Error(`it has more than ${MAX_SECRET_BYTES} bytes`);
  return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file)).replace(/\r?\n$/, '');
}
