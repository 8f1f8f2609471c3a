// The format of the configuration file: the one source of what its keys are, what they mean, and of the JSON Schema for editors.

import type { Endpoint, Json } from '../model/snapshot.ts';
import { LOG_FORMATS, LOG_LEVELS, MOST_WORKERS } from './environment.ts';
import { ACME, CERTIFICATE, CLIENT_AUTH } from './format-certificates.ts';
import { limits } from './format-limits.ts';
import { ROUTE } from './format-routes.ts';
import { address, file, hostPattern, label, network, port, STRING } from './format-values.ts';
import { choice, flag, list, named, numeric, object, optional, parsed, placed, required, type Shape } from './shape.ts';
import { MAX_ENDPOINTS, readEndpoint, readHost, readHostName, readWhole, Wrong, withoutUser } from './values.ts';

const LISTENER = object({
  kind: required(
    choice(['tls', 'plain', 'redirect']),
    'tls serves HTTP/1.1 and HTTP/2 over TLS, plain serves without TLS, redirect sends to HTTPS',
  ),
  port: required(placed(port), 'The port to bind'),
  address: optional(placed(address), 'The address to bind; all addresses without it'),
  tls: optional(
    placed(
      object({
        policy: optional(
          choice(['intermediate', 'modern']),
          'intermediate: TLS 1.2 and 1.3 (without it); modern: TLS 1.3 only',
        ),
        strictSni: optional(
          flag,
          'Refuse the handshake where no certificate is for the name asked for, or none was asked for; false without it',
        ),
      }),
    ),
    'How a tls listener shakes hands',
  ),
  proxyProtocol: optional(
    object({
      from: required(
        placed(list(network, 1)),
        'Addresses and networks of load balancers: their connections must begin with a PROXY header (version 1 or 2), those of all others have none',
      ),
    }),
    'Who tells the address of its clients by the PROXY protocol; nobody without it',
  ),
});

const ADMIN = object({
  address: optional(placed(address), 'The address of health and metrics; 127.0.0.1 without it'),
  port: optional(placed(port), 'Their port; 9180 without it'),
});

const LOG = object({
  level: optional(choice(LOG_LEVELS), 'The least serious lines that are written; info without it'),
  format: optional(choice(LOG_FORMATS), 'How access lines are written; json without it'),
});

const endpoint: Shape<Endpoint> = parsed('a URL', STRING, (value) => {
  const read = readEndpoint(value);
  if (typeof read === 'string')
    return new Wrong(`is "${withoutUser(value)}": ${read}`, 'give a URL like http://backend:80');
  return /^https?:\/\//i.test(value) ? read : new Wrong(`is "${value}"`, `write it as a URL: http://${value}`);
});

const POOL = object({
  endpoints: required(
    list(placed(endpoint), 1, MAX_ENDPOINTS),
    'Where it listens: URLs like http://backend:80; several share the load',
  ),
  host: optional(
    parsed('a host name', STRING, readHost),
    "The Host that the endpoints get in place of the client's, like that of a bucket",
  ),
  ca: optional(placed(file), 'For https: the file of the authority that vouches for them, PEM'),
  serverName: optional(
    placed(parsed('a host name', STRING, readHostName)),
    'For https: the name that their certificate has, when it is not that of the URL',
  ),
});

const HSTS = object({
  days: required(
    placed(numeric('a number of days', (value) => readWhole(value, 0, 3_650))),
    'For how many days browsers come over HTTPS only; 0 takes it back',
  ),
  includeSubdomains: optional(flag, 'For all names below this one, too; false without it'),
  preload: optional(placed(flag), 'Ask browser makers to build it in, which is hard to take back; false without it'),
});

const HOST = object({
  clientAuth: optional(
    placed(CLIENT_AUTH),
    'Clients prove who they are by a certificate (mutual TLS); they are not asked without it',
  ),
  hsts: optional(HSTS, 'Strict-Transport-Security over TLS (RFC 6797); none without it'),
  routes: required(placed(list(ROUTE, 1)), 'What is done with which path; the longest path wins'),
});

/** The whole file. */
export const FORMAT = object({
  listeners: required(
    placed(named(label, placed(LISTENER), 1, 64)),
    'Addresses and ports to bind, by a name for logs and metrics',
  ),
  publicPort: optional(port, 'The port under which the public reaches the tls listener; 443 without it'),
  admin: optional(ADMIN, 'The listener for health and metrics'),
  controlSocket: optional(file, 'The socket for portico reload; a private folder without it'),
  workers: optional(
    numeric('a number', (value) => readWhole(value, 1, MOST_WORKERS)),
    'Worker processes; one a core without it',
  ),
  log: optional(LOG, 'What is logged'),
  trustedProxies: optional(placed(list(network, 0)), 'Addresses and networks whose X-Forwarded-* are believed'),
  certificates: optional(list(CERTIFICATE, 1), 'Certificates, chosen by the name asked for; the first when none fits'),
  acme: optional(
    list(placed(ACME), 1),
    'Certificates that are issued to us and renewed, which agrees to the terms of service of the issuers',
  ),
  certsDirectory: optional(file, 'Where issued certificates and account keys are kept; certs without it'),
  ocspStapling: optional(
    flag,
    'Ask issuers by OCSP about certificates that name a responder, and give clients the answer; true without it',
  ),
  limits: optional(limits(false), 'Limits and deadlines of all routes'),
  pools: optional(named(label, placed(POOL), 0, 1_000), 'Upstreams by their name'),
  hosts: required(named(hostPattern, placed(HOST), 1), 'Sites by host name, or *.example.com'),
});

/** What is asked of a file only to reach the instance that runs by it: whatever else is wrong with it. */
export const REACH = { admin: ADMIN, controlSocket: file } as const;

/** For editors. */
export function jsonSchema(): Json {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Portico configuration',
    ...FORMAT.schema,
  };
}

/** `portico schema`. */
export function printSchema(): number {
  process.stdout.write(`${JSON.stringify(jsonSchema(), undefined, 2)}\n`);
  return 0;
}
