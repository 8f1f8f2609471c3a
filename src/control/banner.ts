// What a first run prints: what runs where, and what to try.

import type { Configuration } from './configuration.ts';
import type { LocalCertificate } from './local-authority.ts';

export function banner(configuration: Configuration, local: LocalCertificate): string {
  const { sites, publicHttpsPort: https, httpPort, adminHost, adminPort } = configuration;
  const admin = adminHost.includes(':') ? `[${adminHost}]` : adminHost;
  return `
Portico is open, with its demo behind it (no FRONTEND_* or BACKEND_* variable is set).

  frontend   https://${sites.frontendName}:${https}/
  backend    https://${sites.backendName}:${https}/
  redirect   http://${sites.frontendName}:${httpPort}/  -> https
  health     http://${admin}:${adminPort}/readyz?verbose

${local.created ? 'Made' : 'Found'} a local certificate authority: ${local.authorityFile}
Import it into your browser to be rid of the warning, or try:

  curl --cacert ${local.authorityFile} https://${sites.backendName}:${https}/

Stop with Ctrl-C. Below is the log, one JSON line for each request.

`;
}
