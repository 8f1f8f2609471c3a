// Shapes: what a setting may look like. Each reads a node of the file to a value, saying what is wrong where, and describes itself as JSON Schema.

import type { Json } from '../model/snapshot.ts';
import type { Problem } from './problem.ts';
import { Wrong } from './values.ts';
import type { Node, TextNode } from './yaml.ts';

export interface Shape<T> {
  readonly schema: { readonly [key: string]: Json };
  /** undefined: there is no value, and why was told. */
  read(node: Node, at: Place): T | undefined;
}

/** Where a node stands: in the file, and by which keys. */
export class Place {
  readonly path: string;
  readonly #file: string;
  readonly #problems: Problem[];
  readonly #node: { readonly line: number; readonly column: number };

  constructor(file: string, problems: Problem[], node: { line: number; column: number }, path: string) {
    this.#file = file;
    this.#problems = problems;
    this.#node = node;
    this.path = path;
  }

  /** Inside of this one; the path grows by `.name`, `["a.name"]` or `[3]`. */
  inside(node: { line: number; column: number }, step: string | number): Place {
    const path = typeof step === 'string' && /^[\w-]+$/.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
    return new Place(this.#file, this.#problems, node, (this.path + path).replace(/^\./, ''));
  }

  /** `portico.yaml:12:5 routes[3].pool:`, as problems and warnings begin. */
  get text(): string {
    const { line, column } = this.#node;
    return `${this.#file}:${line}:${column}${this.path === '' ? '' : ` ${this.path}:`}`;
  }

  problem(message: string, hint: string): undefined {
    this.#problems.push({ place: this.text, message, hint });
  }
}

/** What validate prints in the place of a secret. */
export const MASKED = '(secret, not shown)';

/** In place of a value that is no string of itself. */
const VARIABLE = { type: 'string', pattern: '\\$\\{[A-Za-z_]' } as const;

function textOf(node: Node, at: Place, wanted: string): string | undefined {
  if (node.kind !== 'text') return at.problem(`is ${KINDS[node.kind]}, where ${wanted} should be`, `give ${wanted}`);
  if (node.isLacking === true) return undefined;
  if (!node.text.includes(MASKED)) return node.text;
  return at.problem('is a secret that was not printed', 'put the secret in, best as a variable: ${NAME}');
}

const KINDS = { text: 'a single value', empty: 'empty', list: 'a list', map: 'a map of keys' } as const;

/** Any text of at least one character that fits. */
export function text(wanted: string, fits: RegExp = /^[^\x00-\x1f\x7f]+$/, most = 4_096): Shape<string> {
  return {
    schema: { type: ['string', 'number', 'boolean'] },
    read: (node, at) => {
      const value = textOf(node, at, wanted);
      if (value === undefined || (fits.test(value) && value.length <= most)) return value;
      return at.problem(value === '' ? 'is empty' : `is not ${wanted}`, `give ${wanted}`);
    },
  };
}

/** A text that is read to a value, or refused with words of its own. */
export function parsed<T>(wanted: string, schema: Shape<T>['schema'], parse: (text: string) => T | Wrong): Shape<T> {
  return {
    schema,
    read: (node, at) => {
      const value = textOf(node, at, wanted);
      if (value === undefined) return undefined;
      const read = parse(value.trim());
      return read instanceof Wrong ? at.problem(read.message, read.hint) : read;
    },
  };
}

/** A parsed one that is written as a number, too. */
export function numeric<T>(wanted: string, parse: (text: string) => T | Wrong, pattern?: string): Shape<T> {
  const written = pattern === undefined ? [] : [{ type: 'string', pattern }];
  return parsed(wanted, { anyOf: [{ type: 'integer', minimum: 0 }, ...written, VARIABLE] }, parse);
}

export const flag: Shape<boolean> = parsed('true or false', { anyOf: [{ type: 'boolean' }, VARIABLE] }, (value) =>
  value === 'true' ? true : value === 'false' ? false : new Wrong(`is "${value}"`, 'give true or false'),
);

export function choice<const C extends string>(choices: readonly C[]): Shape<C> {
  return parsed(`one of ${choices.join(', ')}`, { anyOf: [{ enum: choices }, VARIABLE] }, (value) => {
    const found = choices.find((each) => each === value);
    return found ?? new Wrong(`is "${value}"`, nearest(value, choices) ?? `choose one of ${choices.join(', ')}`);
  });
}

/** Entries that were wrong are left out. */
export function list<T>(item: Shape<T>, least: 0 | 1, most = 1_000): Shape<readonly T[]> {
  return {
    schema: { type: 'array', items: item.schema },
    read: (node, at) => {
      if (node.kind !== 'list') {
        return at.problem(`is ${KINDS[node.kind]}, where a list should be`, 'write one entry a line, each behind "- "');
      }
      if (node.items.length < least) return at.problem('is an empty list', 'add an entry, or leave it out');
      if (node.items.length > most) return at.problem(`has ${node.items.length} entries`, `give at most ${most}`);
      const read = node.items.map((each, i) => item.read(each, at.inside(each, i)));
      return read.filter((each) => each !== undefined);
    },
  };
}

/** A map whose keys are names of the operator's choice. A name whose value is wrong is in it all the same, without the value. */
export function named<T>(
  key: Shape<string>,
  value: Shape<T>,
  least: 0 | 1,
  most = 10_000,
): Shape<ReadonlyMap<string, T | undefined>> {
  return {
    schema: { type: 'object', additionalProperties: value.schema },
    read: (node, at) => {
      if (node.kind !== 'map') {
        return at.problem(
          `is ${KINDS[node.kind]}, where a map of names should be`,
          'write "name:" and its settings below',
        );
      }
      if (node.entries.length < least) return at.problem('is an empty map', 'add a name with its settings');
      if (node.entries.length > most) return at.problem(`has ${node.entries.length} keys`, `give at most ${most}`);
      const seen = new Map<string, TextNode>();
      const values = new Map<string, T | undefined>();
      for (const entry of node.entries) {
        const place = at.inside(entry.key, entry.key.text);
        const name = key.read(entry.key, place);
        const read = value.read(entry.value, at.inside(whereOf(entry.value, entry.key), entry.key.text));
        if (name !== undefined && !isTwice(seen, name, entry.key, place)) values.set(name, read);
      }
      return values;
    },
  };
}

export interface Field<T, R extends boolean> {
  readonly shape: Shape<T>;
  readonly about: string;
  readonly required: R;
}

export function required<T>(shape: Shape<T>, about: string): Field<T, true> {
  return { shape, about, required: true };
}

export function optional<T>(shape: Shape<T>, about: string): Field<T, false> {
  return { shape, about, required: false };
}

type Fields = Readonly<Record<string, Field<unknown, boolean>>>;
/** A required one that was wrong takes its whole object with it. */
type Read<F extends Fields> = {
  readonly [K in keyof F]: F[K] extends Field<infer T, infer R> ? (R extends true ? T : T | undefined) : never;
};

/** A map with keys of ours. `elsewhere`: what to do about keys that belong to another place. */
export function object<F extends Fields>(fields: F, elsewhere: Readonly<Record<string, string>> = {}): Shape<Read<F>> {
  const names = Object.keys(fields);
  const needed = names.filter((name) => fields[name]!.required);
  return {
    schema: {
      type: 'object',
      additionalProperties: false,
      properties: Object.fromEntries(
        names.map((name) => [name, { description: fields[name]!.about, ...fields[name]!.shape.schema }]),
      ),
      ...(needed.length === 0 ? {} : { required: needed }),
    },
    read: (node, at) => {
      if (node.kind !== 'map') {
        return at.problem(`is ${KINDS[node.kind]}, where keys should be`, `its keys are ${names.join(', ')}`);
      }
      const seen = new Map<string, TextNode>();
      const values: Record<string, unknown> = Object.fromEntries(names.map((name) => [name, undefined]));
      for (const { key, value } of node.entries) {
        const place = at.inside(key, key.text);
        if (!Object.hasOwn(fields, key.text)) {
          const own = Object.hasOwn(elsewhere, key.text) ? elsewhere[key.text] : undefined;
          const hint = own ?? nearest(key.text, names) ?? `known here: ${names.join(', ')}`;
          place.problem('is not known here', hint);
        } else if (!isTwice(seen, key.text, key, place)) {
          values[key.text] = fields[key.text]!.shape.read(value, at.inside(whereOf(value, key), key.text));
        }
      }
      for (const name of needed) {
        if (!seen.has(name)) at.problem(`${name} is missing`, `${fields[name]!.about.toLowerCase()}: add it here`);
      }
      return needed.every((name) => values[name] !== undefined) ? (values as Read<F>) : undefined;
    },
  };
}

/** Keeps the place of a value, for what is checked later. */
export interface Placed<T> {
  readonly value: T;
  readonly at: Place;
}

export function placed<T>(shape: Shape<T>): Shape<Placed<T>> {
  return {
    schema: shape.schema,
    read: (node, at) => {
      const value = shape.read(node, at);
      return value === undefined ? undefined : { value, at };
    },
  };
}

/** Tells that something was given, also when it was wrong. */
export function given<T>(shape: Shape<T>): Shape<{ readonly value: T | undefined; readonly at: Place }> {
  return { schema: shape.schema, read: (node, at) => ({ value: shape.read(node, at), at }) };
}

/** Any value: what stands without quotes is a number, true, false or null where it looks so; `readVariable` reads what held a variable. */
export function anything(readVariable: (text: string) => Json): Shape<Json> {
  const read = (node: Node, at: Place): Json | undefined => {
    switch (node.kind) {
      case 'empty':
        return null;
      case 'text': {
        const value = textOf(node, at, 'a value');
        if (value === undefined || node.quoted) return value;
        if (node.expanded === true) return readVariable(value);
        if (value === 'true' || value === 'false') return value === 'true';
        return isExactNumber(value) ? Number(value) : value;
      }
      case 'list':
        return list(shape, 0).read(node, at) ?? [];
      case 'map':
        return Object.fromEntries(
          [...(named(text('a key'), shape, 0).read(node, at) ?? [])].map(([key, value]) => [key, value ?? null]),
        );
    }
  };
  const shape: Shape<Json> = { schema: {}, read };
  return shape;
}

/** A long row of digits is the name of something: as a number it would lose the last ones. */
function isExactNumber(text: string): boolean {
  const number = NUMBER.test(text) ? Number(text) : Number.NaN;
  return /^-?\d{16,}$/.test(text) ? String(number) === text : Number.isFinite(number);
}

/** As JSON writes it. */
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$/;

/** People look for the key; only a value in the same line has a place of its own. */
function whereOf(value: Node, key: TextNode): { line: number; column: number } {
  return value.kind === 'empty' || value.line !== key.line ? key : value;
}

function isTwice(seen: Map<string, TextNode>, name: string, key: TextNode, at: Place): boolean {
  const first = seen.get(name);
  if (first === undefined) {
    seen.set(name, key);
    return false;
  }
  at.problem(`stands here twice, first in line ${first.line}`, 'keep one of them');
  return true;
}

/** `did you mean "headBytes"?`, of a name that is at most as far as that. */
export function nearest(
  given: string,
  known: readonly string[],
  most = Math.max(1, Math.min(3, Math.floor(given.length / 3))),
): string | undefined {
  const distances = known.map((name) => ({ name, distance: distance(given.toLowerCase(), name.toLowerCase()) }));
  const [best] = distances.sort((a, b) => a.distance - b.distance);
  if (best === undefined || best.distance > most) return undefined;
  return `did you mean "${best.name}"?`;
}

/** Letters to insert, leave out, exchange, or swap with their neighbour. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 3 || a.length > 64) return Number.POSITIVE_INFINITY;
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min(row[j - 1]! + 1, last[j]! + 1, last[j - 1]! + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, before[j - 2]! + 1);
      row.push(least);
    }
    before = last;
    last = row;
  }
  return last[b.length]!;
}
