// The whole stack of real parts: nginx as the frontend, gunicorn as the backend, Portico before them, and curl as the client.

import type { Test } from 'tap';
import { type Curl, makeCurl } from './curl.ts';
import { type BackendShape, type GunicornBackend, startGunicornBackend } from './gunicorn-backend.ts';
import { type NginxFrontend, startNginxFrontend } from './nginx-frontend.ts';
import { needParts } from './parts.ts';
import { type Portico, startPortico } from './portico.ts';

export type Mode = 'two domains' | 'one domain';

export const MODES: readonly Mode[] = ['two domains', 'one domain'];
export const FRONTEND_NAME = 'toucan.test';
export const BACKEND_NAME = 'api-toucan.test';

export interface StackOptions {
  readonly mode: Mode;
  readonly shape?: BackendShape;
  readonly keepAlive?: number;
  /** More variables for Portico. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Stack {
  readonly frontend: NginxFrontend;
  readonly backend: GunicornBackend;
  readonly portico: Portico;
  readonly curl: Curl;
  /** `https://toucan.test` */
  readonly site: string;
  /** Where the backend is, without a slash at its end: `https://api-toucan.test` or `https://toucan.test/_api`. */
  readonly api: string;
  /** What is stripped: '' or `/_api`. */
  readonly prefix: string;
}

/** False when a part is missing, and the test has said so. */
export function needStack(t: Test): boolean {
  return needParts(t, ['curl', 'nginx', 'gunicorn', 'flask']);
}

/** Starts everything; it ends with the test. */
export async function startStack(t: Test, options: StackOptions): Promise<Stack> {
  const frontend = await startNginxFrontend(t);
  const backend = await startGunicornBackend(t, options.shape ?? 'gunicorn alone', options.keepAlive);
  const isOneDomain = options.mode === 'one domain';
  const portico = await startPortico(t, {
    FRONTEND_DNS: FRONTEND_NAME,
    FRONTEND_SERVICE: frontend.service,
    BACKEND_SERVICE: backend.service,
    ...(isOneDomain ? {} : { BACKEND_DNS: BACKEND_NAME }),
    ...options.env,
  });
  return {
    frontend,
    backend,
    portico,
    curl: makeCurl(t, portico),
    site: `https://${FRONTEND_NAME}`,
    api: isOneDomain ? `https://${FRONTEND_NAME}/_api` : `https://${BACKEND_NAME}`,
    prefix: isOneDomain ? '/_api' : '',
  };
}
