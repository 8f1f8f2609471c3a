// Rewrite: the bytes of one of the frontend's files with what only this door knows written into them.

import { createHash } from 'node:crypto';
import { rewriteBase } from '../http/base-href.ts';
import type { FilesAction, Parameters, ProxyAction } from '../model/snapshot.ts';
import { PARAMETER_FILES, writeParameters } from './params.ts';

/** Bytes to serve, and what people should know of them: each continues the file's name, and none holds a value. */
export interface Rewritten {
  readonly bytes: Uint8Array;
  readonly remarks: readonly string[];
}

/** Parameters that are to be written into their file. */
export interface ParametersRewrite {
  readonly kind: 'script' | 'embed';
  readonly file: string;
  readonly parameters: Parameters;
}

/** What is to be written into a file. */
export type Rewrite =
  | ParametersRewrite
  /** Only the prefix of the frontend, into a page. */
  | { readonly kind: 'base'; readonly prefix: string };

/** What is written into the answer to a request; `path`, with its query, is as the upstream gets it. Undefined: nothing can be. */
export function rewriteOf(action: ProxyAction, prefix: string, method: string, path: string): Rewrite | undefined {
  if (method !== 'GET' && method !== 'HEAD') return undefined;
  const question = path.indexOf('?');
  const file = path.slice(1, question === -1 ? path.length : question);
  // Whether it is a page, its answer tells.
  return (
    parametersFor(action.parameters, file) ?? (action.base && prefix !== '' ? { kind: 'base', prefix } : undefined)
  );
}

/** What is written into a file of a folder. */
export function rewriteOfFile(action: FilesAction, prefix: string, file: string, type: string): Rewrite | undefined {
  const isPage = type.startsWith('text/html');
  return (
    parametersFor(action.parameters, file) ??
    (action.base && prefix !== '' && isPage ? { kind: 'base', prefix } : undefined)
  );
}

function parametersFor(parameters: Parameters | undefined, file: string): Rewrite | undefined {
  if (parameters === undefined || !Object.hasOwn(PARAMETER_FILES, file)) return undefined;
  return { kind: PARAMETER_FILES[file]!, file, parameters };
}

/** A file of parameters is a page of text, and a page that is larger is none. */
export const MAX_REWRITTEN = 1024 * 1024;
/** What is said of such files; each continues the file's name. */
export const TOO_LARGE = `is not served: it is larger than ${MAX_REWRITTEN} bytes, and parameters are to be written into it`;
export const LARGE_PAGE = `is served as it is: it is larger than ${MAX_REWRITTEN} bytes, and no base is looked for in it`;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Rewrites a whole file. What cannot be understood stays as it is. */
export function rewriteWhole(bytes: Uint8Array, rewrite: Rewrite): Rewritten {
  if (rewrite.kind === 'base') {
    const page = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
    return { bytes: Buffer.from(rewriteBase(page, rewrite.prefix, true)!, 'latin1'), remarks: [] };
  }
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return { bytes, remarks: ['is served as it is: it is no UTF-8 (save it as UTF-8)'] };
  }
  const written = writeParameters(rewrite.kind, text, rewrite.parameters);
  return { bytes: Buffer.from(written.text), remarks: written.remarks };
}

/** Of bytes that were made here: strong. */
export function etagOfBytes(bytes: Uint8Array): string {
  return `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 27)}"`;
}
