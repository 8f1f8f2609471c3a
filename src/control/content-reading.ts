// Reading: what the parts of a configuration file's content share while it becomes a configuration.

import { dirname, resolve } from 'node:path';
import type { Parameters } from '../model/snapshot.ts';
import type { ConfiguredRoute, Setting } from './configuration.ts';
import type { FORMAT } from './file-format.ts';
import type { Place, Placed } from './shape.ts';

export type Content = NonNullable<ReturnType<typeof FORMAT.read>>;
type Values<M> = M extends ReadonlyMap<string, infer T | undefined> ? NonNullable<T> : never;
export type Pool = Values<NonNullable<Content['pools']>>['value'];
export type Host = Values<Content['hosts']>['value'];
export type Route = Host['routes']['value'][number];
export type Rules = NonNullable<Route['request']>;
export type Certificate = NonNullable<Content['certificates']>[number];
export type Acme = NonNullable<Content['acme']>[number]['value'];
export type AcmeIssuer = NonNullable<Acme['issuers']>[number];

/** Parameters of a route. They are judged at the end, when all routes are known. */
interface FoundParameters {
  readonly at: Place;
  readonly host: string;
  readonly root: string | undefined;
  readonly own: Parameters;
  readonly route: ConfiguredRoute;
}

export class Reading {
  readonly file: string;
  readonly content: Content;
  readonly warnings: string[] = [];
  readonly usedPools = new Set<string>();
  readonly parameters: FoundParameters[] = [];

  constructor(file: string, content: Content) {
    this.file = file;
    this.content = content;
  }

  warn(at: Place, words: string): void {
    this.warnings.push(`${at.text} ${words}`);
  }

  /** Relative paths start from the folder of the file. */
  path(given: string): string;
  path(given: string | undefined): string | undefined;
  path(given: string | undefined): string | undefined {
    return given === undefined ? undefined : resolve(dirname(this.file), given);
  }

  fileAt({ value, at }: Placed<string>): { readonly file: string; readonly setting: Setting } {
    return { file: this.path(value), setting: settingOf(at) };
  }
}

export function settingOf(at: Place): Setting {
  return { place: at.text, name: at.path };
}

/** Of a key that may be missing: then the file stands for it. */
export function settingIn(file: string, at: Place | undefined, name: string): Setting {
  return at === undefined ? { place: `${file}:1:1`, name } : settingOf(at);
}
