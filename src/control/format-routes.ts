// Format of routes: a path, one action, and what differs for it.

import { readAuthority } from '../http/target.ts';
import type { Json } from '../model/snapshot.ts';
import { limits } from './format-limits.ts';
import { rules } from './format-rules.ts';
import { label, STRING } from './format-values.ts';
import { readParameter } from './frontend-root.ts';
import {
  anything,
  choice,
  flag,
  given,
  named,
  numeric,
  object,
  optional,
  parsed,
  placed,
  required,
  type Shape,
  text,
} from './shape.ts';
import { readPath, readWhole, Wrong, withoutUser } from './values.ts';

const values: Shape<ReadonlyMap<string, Json | undefined>> = named(text('a key'), anything(readParameter), 0);

const PARAMETERS = object({
  script: optional(placed(values), 'Keys of scripts/tc-params.js, and those keys that embed-params.json already has'),
  embed: optional(placed(values), 'Keys of embed-params.json'),
});

const FILES = object({
  root: required(placed(text('the path of a folder')), 'The folder with the files'),
  fallback: optional(flag, 'Navigations to paths that are no file get index.html; true without it'),
});

const REDIRECTS = ['301', '302', '303', '307', '308'] as const;

const REDIRECT = object({
  to: required(
    parsed('a URL', STRING, readRedirect),
    'The Location; {host} and {uri} stand for the name asked for and for path and query',
  ),
  status: optional(
    parsed('a status', { enum: REDIRECTS.map(Number) }, (value) => {
      const found = REDIRECTS.find((each) => each === value);
      return found === undefined ? new Wrong(`is "${value}"`, `choose one of ${REDIRECTS.join(', ')}`) : Number(found);
    }),
    '301 to 308; without it 301 where a browser may follow by GET, else 308',
  ),
});

/** {uri} begins with a slash: without a host before it `//evil.example` would lead there. */
function readRedirect(value: string): string | Wrong {
  const plain = value.replace(/\{host\}/g, 'host.example').replace(/\{uri\}/g, '/');
  if (/[\x00-\x20\x7f-\uffff"<>\\^`{|}]/.test(plain)) {
    return new Wrong(`is "${value}", which is no URL`, 'only {host} and {uri} may stand in braces');
  }
  const authority = /^https?:\/\/([^/?#]+)/i.exec(plain)?.[1];
  const isPath = /^\/(?!\/)/.test(value) && !value.includes('{');
  if (isPath || (authority !== undefined && readAuthority(authority) !== undefined)) return value;
  return new Wrong(`is "${withoutUser(value)}"`, 'give a URL like https://www.example.com{uri}, or a path like /login');
}

const REPLY = object({
  status: required(
    numeric('a status', (value) => readWhole(value, 200, 599)),
    'The status, 200 to 599',
  ),
  body: optional(text('a text', /^[^\x00]*$/, 65_536), 'The text; none without it'),
  type: optional(text('a media type', /^[\x20-\x7e]+$/, 200), 'The Content-Type; text/plain; charset=utf-8 without it'),
});

export const ROUTE = object({
  path: optional(
    placed(parsed('a path', STRING, (value) => readPath(value, true))),
    'The path that it is for, on segment boundaries; / (all paths) without it',
  ),
  stripPrefix: optional(placed(flag), 'The path is taken off before the action sees it; false without it'),
  name: optional(text('a name', /^[\w .*:/@-]+$/, 100), 'What logs and metrics call it; host and path without it'),
  answers: optional(choice(['json', 'page']), 'Whom our own answers are for: programs or people; page without it'),
  proxy: optional(given(label), 'Action: pass it on to this pool'),
  files: optional(given(FILES), 'Action: serve it from a folder'),
  redirect: optional(given(REDIRECT), 'Action: send the client elsewhere'),
  reply: optional(given(REPLY), 'Action: answer with this'),
  parameters: optional(placed(PARAMETERS), "The frontend's run-time parameters, with proxy or files"),
  base: optional(
    placed(flag),
    'With stripPrefix: <base href="/"> of pages is made to name the path, for which pools are asked for uncompressed answers; false without it',
  ),
  compress: optional(flag, 'Compress answers of the pool for clients that accept it; false without it'),
  limits: optional(limits(true), 'Limits that differ from those of all'),
  request: optional(rules('request'), 'Header fields that the pool gets'),
  response: optional(rules('response'), 'Header fields of every answer'),
});
