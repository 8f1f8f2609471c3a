// Reads single variables of the environment strictly, and collects what is wrong with them, each with what to set.

import { resolve } from 'node:path';
import { type Endpoint, LIMITS, type Limits } from '../model/snapshot.ts';
import type { Environment } from './configuration.ts';
import { isParameterVariable } from './frontend-root.ts';
import { LIMIT_SETTINGS, readLimit } from './limits.ts';
import type { Problem } from './problem.ts';
import {
  isNetwork,
  MAX_ENDPOINTS,
  readAddress,
  readEndpoint,
  readHost,
  readHostName,
  readPath,
  readWhole,
  Wrong,
  withoutUser,
} from './values.ts';
import { readSecretFile } from './variables.ts';

/** Reads single variables and collects what is wrong with them. A variable that is set but empty counts as unset. */
export class VariableReader {
  readonly problems: Problem[] = [];
  readonly warnings: string[] = [];
  readonly #environment: Environment;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  problem(place: string, message: string, hint: string): void {
    const isQuoted = /^(["']).*\1$/s.test(this.text(place) ?? '');
    this.problems.push({ place, message, hint: isQuoted ? 'leave out the quotes: here they are a part of it' : hint });
  }

  text(name: string): string | undefined {
    const value = this.#environment[name]?.trim();
    return value === '' ? undefined : value;
  }

  /** The variables that set parameters, as they are: what is around a value may be part of it. */
  parameters(): [name: string, text: string][] {
    const names = Object.keys(this.#environment).filter(
      (name) => isParameterVariable(name) && this.text(name) !== undefined,
    );
    return names.sort().map((name) => [name, this.#environment[name]!]);
  }

  /** As an absolute path. */
  file(name: string): string | undefined {
    const value = this.text(name);
    return value === undefined ? undefined : resolve(value);
  }

  required(name: string, hint: string): string {
    const value = this.text(name);
    if (value === undefined) this.problem(name, 'is not set', hint);
    return value ?? '';
  }

  hostName(name: string, hint: string): string | undefined {
    const value = this.required(name, hint);
    return value === '' ? undefined : this.#accept(name, readHostName(value), undefined);
  }

  /** A host, or host:port, as a Host field has it. */
  authority(name: string): string | undefined {
    const value = this.text(name);
    return value === undefined ? undefined : this.#accept(name, readHost(value), undefined);
  }

  whole(name: string, fallback: number, least: number, most: number): number {
    const value = this.text(name);
    return value === undefined ? fallback : this.#accept(name, readWhole(value, least, most), fallback);
  }

  port(name: string, fallback: number): number {
    return this.whole(name, fallback, 1, 65_535);
  }

  mustDiffer(ports: Readonly<Record<string, number>>): void {
    const seen = new Map<number, string>();
    for (const [name, port] of Object.entries(ports)) {
      const other = seen.get(port);
      if (other !== undefined)
        this.problem(name, `is ${port}, the same port as ${other}`, 'give each listener a port of its own');
      else seen.set(port, name);
    }
  }

  /** Those that are set. */
  limits(): Partial<Limits> {
    const limits: Partial<Record<keyof Limits, number>> = {};
    for (const setting of LIMIT_SETTINGS) {
      const value = setting.variable === undefined ? undefined : this.text(setting.variable);
      if (value === undefined) continue;
      limits[setting.field] = this.#accept(setting.variable!, readLimit(setting, value), LIMITS[setting.field]);
    }
    return limits;
  }

  onOff(name: string, fallback: boolean): boolean {
    return this.oneOf(name, ['on', 'off'], fallback ? 'on' : 'off') === 'on';
  }

  /** A value with a reader of its own; undefined: not set, or wrong. */
  value<T>(name: string, read: (text: string) => T | Wrong): T | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : this.#accept(name, read(text), undefined);
  }

  /** The same for a secret, which may stand in the file that NAME_FILE names. */
  secret<T>(name: string, read: (text: string) => T | Wrong): T | undefined {
    const fileName = `${name}_FILE`;
    const file = this.text(fileName);
    if (file === undefined) return this.value(name, read);
    if (this.text(name) !== undefined) {
      this.problem(fileName, `is set, and ${name} too`, 'leave out one of them');
      return undefined;
    }
    try {
      return this.#accept(fileName, read(readSecretFile(file).trim()), undefined);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      this.problem(
        fileName,
        `${file} cannot be read (${code ?? message})`,
        `correct ${fileName}, or set ${name} itself`,
      );
      return undefined;
    }
  }

  oneOf(name: string, choices: readonly string[], fallback: string): string {
    const value = this.text(name)?.toLowerCase();
    if (value === undefined) return fallback;
    if (choices.includes(value)) return value;
    this.problem(name, `is "${value}"`, `choose one of ${choices.join(', ')}`);
    return fallback;
  }

  address(name: string): string | undefined {
    const value = this.text(name);
    return value === undefined ? undefined : this.#accept(name, readAddress(value), undefined);
  }

  networks(name: string): string[] {
    const entries = this.list(name);
    for (const entry of entries) {
      if (isNetwork(entry)) continue;
      this.problem(
        name,
        `lists "${entry}", which is no address or network`,
        'like 10.0.0.7 or 172.16.0.0/12, separated by commas',
      );
    }
    return entries;
  }

  prefix(name: string, fallback: string): string {
    const value = this.text(name);
    return value === undefined ? fallback : this.#accept(name, readPath(value, false), fallback);
  }

  list(name: string): string[] {
    return (this.text(name) ?? '')
      .split(',')
      .map((entry) => entry.trim())
      .filter((entry) => entry !== '');
  }

  endpoints(name: string, hint: string): Endpoint[] {
    this.required(name, hint);
    const entries = this.list(name);
    if (entries.length === 0 && this.text(name) !== undefined) this.problem(name, 'lists no endpoint', hint);
    if (entries.length > MAX_ENDPOINTS) {
      this.problem(name, `lists ${entries.length} endpoints`, `at most ${MAX_ENDPOINTS} are served`);
    }
    const endpoints: Endpoint[] = [];
    for (const entry of entries) {
      const endpoint = readEndpoint(entry);
      if (typeof endpoint === 'string')
        this.problem(
          name,
          `lists "${withoutUser(entry)}": ${endpoint}`,
          'give host, host:port, or an http:// or https:// URL',
        );
      else if (endpoints.some((other) => other.host === endpoint.host && other.port === endpoint.port)) {
        this.problem(name, `lists "${entry}" twice`, 'name each endpoint once');
      } else endpoints.push(endpoint);
    }
    return endpoints;
  }

  #accept<T, F>(name: string, read: T | Wrong, fallback: F): T | F {
    if (!(read instanceof Wrong)) return read;
    this.problem(name, read.message, read.hint);
    return fallback;
  }
}
