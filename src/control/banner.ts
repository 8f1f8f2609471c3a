// What a first run prints: what runs where, and what to try.

import { namesOf } from './compile.ts';
import type { Configuration } from './configuration.ts';
import type { LocalCertificate } from './local-authority.ts';

/** Without its last newline. */
export function banner(configuration: Configuration, local: LocalCertificate): string {
  const [frontend, backend] = namesOf(configuration);
  const { publicPort: https, admin } = configuration;
  const http = configuration.listeners.find(({ kind }) => kind === 'redirect')!.port;
  const status = admin.address.includes(':') ? `[${admin.address}]` : admin.address;
  return `
Portico is open, with its demo behind it (no FRONTEND_* or BACKEND_* variable is set).

  frontend   https://${frontend}:${https}/
  backend    https://${backend}:${https}/
  redirect   http://${frontend}:${http}/  -> https
  status     http://${status}:${admin.port}/

${local.created ? 'Made' : 'Found'} a local certificate authority: ${local.authorityFile}
Import it into your browser to be rid of the warning, or try:

  curl --cacert ${local.authorityFile} https://${backend}:${https}/

Stop with Ctrl-C. Below is the log, one JSON line for each request.
`;
}
