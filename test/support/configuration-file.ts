// Configuration files in tests: a small one that is right, and what is wrong with others.

import { readConfiguration } from '../../src/control/file.ts';
import { ConfigError } from '../../src/control/problem.ts';

type Variables = Readonly<Record<string, string>>;

/** The least that is a configuration, in a form in which each line can be exchanged. */
export const SMALL = `listeners:
  https:
    kind: tls
    port: 8000
certificates:
  - cert: a.crt
    key: a.key
pools:
  backend:
    endpoints:
      - http://backend:80
hosts:
  a.example:
    routes:
      - proxy: backend
`;

export const readText = (text: string, variables: Variables = {}) =>
  readConfiguration(Buffer.from(text), 'portico.yaml', variables);

/** Each as it is printed: `portico.yaml:4:11 listeners.https.port: is "x" (give ...)`. */
export function problemsIn(text: string | Uint8Array, variables: Variables = {}): string[] {
  try {
    readConfiguration(Buffer.from(text), 'portico.yaml', variables);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
}

/** SMALL with the lines from the one that begins so (indentation included) exchanged; `count` of them. */
export function changed(line: string, instead: string, count = 1): string {
  const lines = SMALL.split('\n');
  const index = lines.findIndex((each) => each.trim().startsWith(line));
  if (index === -1) throw new Error(`no line begins with ${line}`);
  lines.splice(index, count, ...(instead === '' ? [] : instead.split('\n')));
  return lines.join('\n');
}
