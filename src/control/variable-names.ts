// The names of the variables that configure us, and those that only look like one.

import type { Environment } from './configuration.ts';
import { isParameterVariable } from './frontend-root.ts';
import { ACME_SWITCHES, ACME_VARIABLES } from './issuers.ts';
import { LIMIT_SETTINGS } from './limits.ts';
import { nearest } from './shape.ts';

/** Any of these set means drop-in; otherwise the demo is served. */
export const DROP_IN: readonly string[] = [
  'FRONTEND_DNS',
  'FRONTEND_SERVICE',
  'FRONTEND_ROOT',
  'FRONTEND_HOST',
  'BACKEND_DNS',
  'BACKEND_SERVICE',
  'SSL_CRT',
  'SSL_KEY',
  'SSL_KEY_PASSWORD_FILE',
  ...ACME_SWITCHES,
];
const OTHERS: readonly string[] = [
  ...['API_PREFIX', 'HTTP_PORT', 'HTTPS_PORT', 'LISTEN_HOST', 'PUBLIC_HTTPS_PORT', 'ADMIN_HOST', 'ADMIN_PORT'],
  ...['TRUSTED_PROXIES', 'PROXY_PROTOCOL_FROM', 'WORKERS', 'LOG_LEVEL', 'LOG_FORMAT', 'CERTS_DIR', 'OCSP_STAPLING'],
  ...['FRONTEND_COMPRESS', 'BACKEND_COMPRESS', 'REWRITE_PARAMS'],
  ...ACME_VARIABLES,
  ...LIMIT_SETTINGS.flatMap(({ variable }) => variable ?? []),
];

/** The variables that are set and that would configure us, were there no file. */
export function variablesThatConfigure(environment: Environment): string[] {
  return Object.keys(environment)
    .filter((name) => DROP_IN.includes(name) || OTHERS.includes(name) || isParameterVariable(name))
    .filter((name) => environment[name]!.trim() !== '')
    .sort();
}

/** Those that are one letter, or capitals, away from ours. The environment is shared: what is further away is somebody else's. */
export function misspeltVariables(environment: Environment): { readonly name: string; readonly hint: string }[] {
  const known = [...DROP_IN, ...OTHERS, 'PORTICO_CONFIG', 'PORTICO_SOCKET'];
  return Object.keys(environment)
    .filter((name) => !known.includes(name) && environment[name]!.trim() !== '')
    .sort()
    .flatMap((name) => {
      const hint = nearest(name, known, 1);
      return hint === undefined ? [] : [{ name, hint }];
    });
}
