// The snapshot: what the configuration became. Plain, frozen, structured-cloneable; the one value that crosses from supervisor to worker.

/** Everything that a worker needs to serve. It holds keys: nothing prints it but through the log's redaction. */
export interface Snapshot {
  /** Grows by one with each reload; names the snapshot in messages and logs. */
  readonly generation: number;
  readonly listeners: readonly Listener[];
  readonly hosts: readonly Host[];
  readonly pools: readonly Pool[];
  /** The first is served when no name fits or none was asked for. Empty without a TLS listener. */
  readonly certificates: readonly Certificate[];
  /** Of the hosts that ask clients for a certificate. */
  readonly clientTrusts?: readonly ClientTrust[];
  /** undefined: no issuer is looking for anything. */
  readonly acme?: AcmeAnswers;
  /** 48 random bytes that all workers share, so that a session is resumed whichever worker answers. */
  readonly ticketKeys: Uint8Array;
  /** Those before, while tickets of them may come. */
  readonly previousTicketKeys?: Uint8Array;
  /** Peers whose X-Forwarded-* are believed: addresses and CIDRs. */
  readonly trustedProxies: readonly string[];
  /** The port that redirects and X-Forwarded-Port name: where the public reaches the TLS listener. */
  readonly publicPort: number;
  readonly limits: Limits;
  readonly logLevel: LogLevel;
  /** Of the access lines; what else is logged is JSON in both. */
  readonly logFormat: LogFormat;
}

export type LogFormat = 'json' | 'combined';
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** A bound address. `tls` serves the routes over HTTP/1.1 and HTTP/2, `plain` without TLS, `redirect` sends to HTTPS. */
export interface Listener {
  readonly name: string;
  readonly kind: 'tls' | 'plain' | 'redirect';
  /** undefined: all addresses, IPv6 and IPv4. */
  readonly address: string | undefined;
  readonly port: number;
  /** Of a `tls` listener. */
  readonly tlsPolicy: TlsPolicy;
  /** Handshakes for names that no certificate is for, or for none, fail; else they get the first one. */
  readonly strictSni: boolean;
  /** Peers whose connections begin with a PROXY header: addresses and CIDRs. All others are clients that speak for themselves. */
  readonly proxyProtocol?: readonly string[];
}

/** `intermediate`: TLS 1.2 and 1.3; `modern`: 1.3 only. Nothing older. */
export type TlsPolicy = 'intermediate' | 'modern';

export interface Host {
  /** In lower case, without port; `*.example.com` stands for one label before `.example.com`. */
  readonly name: string;
  /** undefined: clients are not asked for a certificate. */
  readonly clientAuth?: ClientAuth;
  /** Longest path first. */
  readonly routes: readonly Route[];
  /** What is done over TLS to answers for paths that no route is for: with `hsts`. */
  readonly secureResponseRules?: HeaderRules;
}

/** Clients prove who they are by a certificate (mutual TLS). */
export interface ClientAuth {
  /** The id of a ClientTrust. */
  readonly trust: string;
  /** Without a certificate nobody comes in. One that does not stand the test lets nobody in, either way. */
  readonly required: boolean;
  readonly forward: ClientForward;
}

/** What upstreams are told of a client's certificate (RFC 9440). */
export type ClientForward = 'none' | 'certificate' | 'chain';

/** Who vouches for clients. */
export interface ClientTrust {
  /** Of its content: with other authorities or other lists it is another trust. */
  readonly id: string;
  /** PEM. */
  readonly authorities: string;
  /** PEM, one revocation list each; none: certificates are not looked up. */
  readonly revocations: readonly string[];
  /** When each of them is out of date, where it says so; of the wall clock, in ms. */
  readonly revocationEnds: readonly number[];
}

export interface Route {
  /** What logs and metrics call it. */
  readonly name: string;
  /** '' for all paths, else like `/_api`: fits on segment boundaries only. */
  readonly path: string;
  /** What is taken off the path before the action sees it: the route's path, or ''. */
  readonly prefix: string;
  readonly action: Action;
  /** Whom our own answers are for: a program (`json`), or a person (`page`). */
  readonly answers: 'json' | 'page';
  /** Text that an upstream sends as it is goes down compressed, for clients that accept it. Files are compressed in any case. */
  readonly compress: boolean;
  readonly limits: RouteLimits;
  /** What is done to the fields that the upstream gets, beyond what every route does. */
  readonly requestRules?: HeaderRules;
  /** What is done to the fields of every answer on this route, our own ones too. */
  readonly responseRules?: HeaderRules;
  /** The same over TLS, where that differs: with the host's `hsts`. */
  readonly secureResponseRules?: HeaderRules;
}

/** Applied in this order. Never fields of framing or of one hop. */
export interface HeaderRules {
  /** Names in lower case. */
  readonly remove: readonly string[];
  /** Flat, as headers are: in place of all fields of that name. */
  readonly set: readonly string[];
  /** Flat, as headers are: beside what is there. */
  readonly add: readonly string[];
}

/** What is done with a request. */
export type Action = ProxyAction | FilesAction | RedirectAction | ReplyAction;

export interface ProxyAction {
  readonly kind: 'proxy';
  /** The pool's name. */
  readonly pool: string;
  /** Written into the two files that hold parameters, as they pass; undefined: these are answers like others. */
  readonly parameters?: Parameters;
  /** Where a prefix is taken off: `<base href="/">` of its pages is made to name the prefix. */
  readonly base: boolean;
}

export interface RedirectAction {
  readonly kind: 'redirect';
  /** The Location; `{host}` and `{uri}` in it stand for the name asked for, and for path and query (without the prefix). */
  readonly to: string;
  /** undefined: 301 where a browser may follow by GET, 308 where method and body must stay. */
  readonly status: number | undefined;
}

export interface ReplyAction {
  readonly kind: 'reply';
  readonly status: number;
  readonly body: string;
  /** The Content-Type. */
  readonly type: string;
}

export interface FilesAction {
  readonly kind: 'files';
  /** The folder, as an absolute path. */
  readonly root: string;
  /** Written into the files that hold parameters; undefined: these are files like others. */
  readonly parameters: Parameters | undefined;
  /** Navigations to paths that are no file get index.html. */
  readonly fallback: boolean;
  /** Where a prefix is taken off: `<base href="/">` of its pages is made to name the prefix. */
  readonly base: boolean;
}

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** The frontend's run-time parameters, by key. */
export interface Parameters {
  /** Keys of tc-params.js, and those keys that embed-params.json already has. */
  readonly script: Readonly<Record<string, Json>>;
  /** Keys of embed-params.json. */
  readonly embed: Readonly<Record<string, Json>>;
}

/** Endpoints that serve the same thing. */
export interface Pool {
  readonly name: string;
  readonly endpoints: readonly Endpoint[];
  /** The Host field that they get in place of the client's, like that of a bucket. */
  readonly host?: string;
}

export interface Endpoint {
  /** A host name or address, without brackets. */
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  /** With TLS: who may vouch for it, as PEM; without it the system's authorities. */
  readonly ca?: string;
  /** With TLS: the name that its certificate must have, and that the handshake asks for; without it `host`. */
  readonly serverName?: string;
}

export interface Certificate {
  /** DNS names of the leaf, in lower case; wildcards as `*.example.com`. */
  readonly names: readonly string[];
  /** PEM, leaf first, each followed by its issuer. */
  readonly chain: string;
  /** PEM. */
  readonly key: string;
  /** What the issuer says of the leaf by OCSP, in DER: clients get it with the handshake when they ask for it. */
  readonly staple?: Uint8Array;
}

/** What issuers of certificates find here while they look whether a name is ours. */
export interface AcmeAnswers {
  /** http-01: the text for `host` below /.well-known/acme-challenge/. */
  readonly http: readonly { readonly host: string; readonly token: string; readonly text: string }[];
  /** tls-alpn-01: the certificates for those who ask by the protocol acme-tls/1. */
  readonly tls: readonly Certificate[];
}

/** Sizes in bytes, times in milliseconds. */
export interface Limits {
  readonly requestLineBytes: number;
  readonly headBytes: number;
  readonly headFields: number;
  /** Of a request body; 0: no limit. */
  readonly bodyBytes: number;
  /** From the connection's first byte (or its TLS handshake) to the end of the request head. */
  readonly headTimeout: number;
  /** How long a connection may stay open between requests. */
  readonly keepAliveTimeout: number;
  /** How long a request body may stand still while we are ready to read it. */
  readonly bodyTimeout: number;
  /** Bytes a second that a request body must bring on average once it has come for `bodyRateGrace`, while we are ready to read it; 0: any. */
  readonly bodyRate: number;
  readonly bodyRateGrace: number;
  readonly connectTimeout: number;
  /** From the end of the request to the first byte of the answer; also while an upload stands still. */
  readonly responseTimeout: number;
  /** How long an answer may stand still while we are ready to read it. */
  readonly upstreamIdleTimeout: number;
  readonly tunnelIdleTimeout: number;
  readonly streamsPerConnection: number;
  /** Connections in total, for each worker; more wait in the kernel's queue or are closed. */
  readonly connections: number;
  /** Connections of one client's address, for each worker; trusted hops are not counted. 0: no limit. */
  readonly connectionsPerClient: number;
  /** After so many requests a connection ends with its answer; 0: no limit. */
  readonly requestsPerConnection: number;
  /** Connections to one endpoint, for each worker; more requests wait, up to `waiting` of them. */
  readonly upstreamConnections: number;
  readonly waiting: number;
  readonly drainTimeout: number;
}

/** Those that are known only when the route is: they may differ from route to route. */
export type RouteLimits = Pick<
  Limits,
  | 'bodyBytes'
  | 'bodyTimeout'
  | 'bodyRate'
  | 'bodyRateGrace'
  | 'responseTimeout'
  | 'upstreamIdleTimeout'
  | 'tunnelIdleTimeout'
>;

/** The defaults, measured in ms and bytes. */
export const LIMITS: Limits = Object.freeze({
  requestLineBytes: 16 * 1024,
  headBytes: 64 * 1024,
  headFields: 200,
  bodyBytes: 0,
  headTimeout: 10_000,
  keepAliveTimeout: 75_000,
  bodyTimeout: 60_000,
  bodyRate: 500,
  bodyRateGrace: 30_000,
  connectTimeout: 5_000,
  responseTimeout: 600_000,
  upstreamIdleTimeout: 600_000,
  tunnelIdleTimeout: 24 * 3_600_000,
  streamsPerConnection: 128,
  connections: 20_000,
  connectionsPerClient: 1_000,
  requestsPerConnection: 0,
  upstreamConnections: 1_024,
  waiting: 4_096,
  drainTimeout: 30_000,
});

/** Makes a snapshot unchangeable, all the way down (typed arrays cannot be frozen and are left). */
export function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  for (const inner of Object.values(value)) freeze(inner);
  return Object.freeze(value);
}
