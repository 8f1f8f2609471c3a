// The format of the configuration file: the one source of what its keys are, what they mean, and of the JSON Schema for editors.

import { FRAMING, fieldFlags, HOP_BY_HOP, IDENTITY } from '../http/headers.ts';
import { readAuthority } from '../http/target.ts';
import type { Endpoint, Json, Limits } from '../model/snapshot.ts';
import { CHALLENGE_TYPES } from './configuration.ts';
import { readResolver, readServer } from './dns-proof.ts';
import { LOG_FORMATS, LOG_LEVELS, MOST_WORKERS } from './environment.ts';
import { readParameter } from './frontend-root.ts';
import { readDirectory, readEmail, readHmac } from './issuers.ts';
import { LIMIT_SETTINGS, type LimitSetting, readLimit } from './limits.ts';
import {
  anything,
  choice,
  type Field,
  flag,
  given,
  list,
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
} from './values.ts';

const STRING = { type: 'string' } as const;

const port = numeric('a port', (value) => readWhole(value, 1, 65_535));
const address = parsed('an IP address', STRING, readAddress);
const label = text('a name of letters, digits and . _ -', /^[\w.-]+$/, 64);
const file = text('the path of a file');

const network = parsed('an address or network', STRING, (value) =>
  isNetwork(value)
    ? value
    : new Wrong(`is "${value}", which is no address or network`, 'like 10.0.0.7 or 172.16.0.0/12'),
);

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

const CERTIFICATE = object({
  cert: required(placed(file), 'The certificate file: PEM, DER or PKCS#12 (.pfx)'),
  key: optional(placed(file), 'The file of its private key: PEM or DER; without it the key is in the certificate file'),
  passwordFile: optional(placed(file), 'The file with the passphrase of the .pfx, or of the encrypted key'),
});

const ISSUER = object({
  directory: optional(
    parsed('a URL', STRING, readDirectory),
    'The URL of its ACME directory, letsencrypt or letsencrypt-staging; letsencrypt without it',
  ),
  email: optional(parsed('a mail address', STRING, readEmail), 'Where it may write to about your certificates'),
  ca: optional(
    placed(file),
    'The file of the authority that vouches for the issuer itself, PEM; the system without it',
  ),
  eab: optional(
    object({
      kid: required(text('a key id'), 'The id of the account that your issuer gave you'),
      hmac: required(parsed('a key', STRING, readHmac), 'Its HMAC key, base64url; best as a variable from a file'),
    }),
    'External account binding, where the issuer demands it',
  ),
  profile: optional(text('the name of a profile', /^[\w.-]+$/, 64), "One of the issuer's profiles"),
  preferredChain: optional(
    text('a common name', undefined, 200),
    'Of several chains the one whose root has this common name',
  ),
});

const DNS = object({
  hook: optional(
    placed(file),
    'A program that changes DNS, called as lego calls its own: present or cleanup, the name of the record, its value',
  ),
  update: optional(
    object({
      server: required(
        parsed('a server', STRING, readServer),
        'The name server that takes updates (RFC 2136), and its port if not 53',
      ),
      keyFile: required(placed(file), 'The file of its TSIG key, as tsig-keygen writes it'),
    }),
    'In its place: updates by nsupdate',
  ),
  resolvers: optional(
    list(parsed('an address', STRING, readResolver), 1, 8),
    "Name servers that are asked whether the record is there; the system's and those of the zone itself without it",
  ),
});

/** In lower case. */
const hostPattern = parsed('a host name', STRING, (value) => {
  const wildcard = value.startsWith('*.');
  const read = readHostName(wildcard ? value.slice(2) : value);
  if (read instanceof Wrong) {
    const hint = 'give a name, or *.example.com for one label before .example.com';
    return new Wrong(`is "${value}", which is no host name`, value === '*' ? `${hint}; unknown names get a 404` : hint);
  }
  return wildcard ? `*.${read}` : read;
});

const ACME = object({
  names: optional(
    placed(list(placed(hostPattern), 1)),
    'The names, each for a certificate of its own; those of all hosts without it',
  ),
  issuers: optional(list(ISSUER, 1, 5), "Who is asked, the next one when one fails; Let's Encrypt without it"),
  challenges: optional(
    placed(list(choice(CHALLENGE_TYPES), 1, CHALLENGE_TYPES.length)),
    'How an issuer may look whether a name is ours, the preferred one first; without it http-01, tls-alpn-01, or dns-01 where dns is given',
  ),
  dns: optional(placed(DNS), 'How DNS is changed for dns-01, which wildcards need'),
});

/** The limits as nested keys, as they are named: `downstream.headBytes` is `downstream: { headBytes }`. */
function limits(perRoute: boolean): Shape<ReadonlyMap<keyof Limits, number>> {
  const groups = new Map<string, LimitSetting[]>();
  for (const setting of LIMIT_SETTINGS) {
    const group = setting.key.includes('.') ? setting.key.split('.')[0]! : '';
    groups.set(group, [...(groups.get(group) ?? []), setting]);
  }
  const fields = (settings: readonly LimitSetting[]) =>
    Object.fromEntries(
      settings
        .filter((setting) => setting.perRoute || !perRoute)
        .map((setting): [string, Field<number, false>] => [keyOf(setting), optional(limit(setting), setting.about)]),
    );
  const elsewhere = (settings: readonly LimitSetting[]) =>
    Object.fromEntries(
      settings
        .filter((setting) => perRoute && !setting.perRoute)
        .map((setting) => [keyOf(setting), `it is no limit of single routes: set limits.${setting.key} at the top`]),
    );
  const shape = object(
    {
      ...fields(groups.get('') ?? []),
      ...Object.fromEntries(
        ['downstream', 'upstream', 'tunnel'].map((group) => [
          group,
          optional(object(fields(groups.get(group)!), elsewhere(groups.get(group)!)), ABOUT_GROUPS[group]!),
        ]),
      ),
    },
    elsewhere(groups.get('') ?? []),
  );
  return {
    schema: shape.schema,
    read: (node, at) => {
      const read = shape.read(node, at) as Record<string, unknown> | undefined;
      if (read === undefined) return undefined;
      return new Map(
        LIMIT_SETTINGS.flatMap((setting) => {
          const [group, key] = setting.key.split('.') as [string, string | undefined];
          const value = key === undefined ? read[group] : (read[group] as Record<string, unknown> | undefined)?.[key];
          return typeof value === 'number' ? [[setting.field, value] as const] : [];
        }),
      );
    },
  };
}

const ABOUT_GROUPS: Readonly<Record<string, string>> = {
  downstream: 'Towards clients',
  upstream: 'Towards pools',
  tunnel: 'Of open websockets',
};

const keyOf = ({ key }: LimitSetting) => key.split('.').at(-1)!;

function limit(setting: LimitSetting): Shape<number> {
  const pattern = { bytes: '^[0-9]+ ?([kKmMgG]i?)?[bB]?$', duration: '^[0-9]+ ?[smh]?$', count: undefined }[
    setting.kind
  ];
  return numeric(
    `a ${setting.kind === 'bytes' ? 'size' : setting.kind}`,
    (value) => readLimit(setting, value),
    pattern,
  );
}

const endpoint: Shape<Endpoint> = parsed('a URL', STRING, (value) => {
  const read = readEndpoint(value);
  if (typeof read === 'string') return new Wrong(`is "${value}": ${read}`, 'give a URL like http://backend:80');
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

/** RFC 9110 §5.1. */
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const OURS: readonly string[] = ['host', 'content-encoding', 'content-range', 'trailer', 'expect', 'date'];

function fieldName(side: 'request' | 'response'): Shape<string> {
  return parsed('the name of a header field', STRING, (value) => {
    if (!FIELD_NAME.test(value)) return new Wrong(`is "${value}", which is no name of a field`, 'like X-Frame-Options');
    const flags = fieldFlags(value);
    const lower = value.toLowerCase();
    if ((flags & (FRAMING | HOP_BY_HOP)) !== 0 || OURS.includes(lower)) {
      const hint = lower === 'host' ? 'set the host of the pool instead' : 'leave it out: it is set as it must be';
      return new Wrong('belongs to one connection or to the framing, which no rule may change', hint);
    }
    if (side === 'request' && (flags & IDENTITY) !== 0) {
      return new Wrong('says who the client is, which no rule may change', 'see trustedProxies');
    }
    if (lower === 'x-request-id' || lower === 'proxy-status') {
      return new Wrong('is how an answer is found in the log', 'leave it out');
    }
    return value;
  });
}

function rules(side: 'request' | 'response') {
  const value = text('the value of a header field', /^[\x20-\x7e]+$/, 8_192);
  const name = fieldName(side);
  return object({
    set: optional(named(name, value, 0, 100), 'Fields in place of all of their names'),
    add: optional(named(name, value, 0, 100), 'Fields beside those that are there'),
    remove: optional(list(name, 0, 100), 'Names of fields to leave out'),
  });
}

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
  return new Wrong(`is "${value}"`, 'give a URL like https://www.example.com{uri}, or a path like /login');
}

const REPLY = object({
  status: required(
    numeric('a status', (value) => readWhole(value, 200, 599)),
    'The status, 200 to 599',
  ),
  body: optional(text('a text', /^[^\x00]*$/, 65_536), 'The text; none without it'),
  type: optional(text('a media type', /^[\x20-\x7e]+$/, 200), 'The Content-Type; text/plain; charset=utf-8 without it'),
});

const ROUTE = object({
  path: optional(
    placed(
      parsed('a path', STRING, (value) => {
        const read = readPath(value, true);
        return read instanceof Wrong
          ? new Wrong(read.message, 'start it with a slash, like /_api; / is all paths')
          : read;
      }),
    ),
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

const HSTS = object({
  days: required(
    placed(numeric('a number of days', (value) => readWhole(value, 0, 3_650))),
    'For how many days browsers come over HTTPS only; 0 takes it back',
  ),
  includeSubdomains: optional(flag, 'For all names below this one, too; false without it'),
  preload: optional(placed(flag), 'Ask browser makers to build it in, which is hard to take back; false without it'),
});

const CLIENT_AUTH = object({
  ca: required(placed(file), 'The file with the certificates of the authorities that vouch for clients'),
  crl: optional(
    placed(file),
    'The file with the revocation lists of these authorities, PEM or DER; none is looked up without it',
  ),
  mode: optional(
    choice(['required', 'optional']),
    'required: nobody comes in without a certificate (without it); optional: without one, but not with one that is not accepted',
  ),
  forward: optional(
    choice(['none', 'certificate', 'chain']),
    'What pools are told: Client-Cert (certificate, without it), Client-Cert-Chain as well (chain), or none',
  ),
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
  trustedProxies: optional(list(network, 0), 'Addresses and networks whose X-Forwarded-* are believed'),
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
