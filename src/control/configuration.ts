// The configuration: what the operator asked for, checked; whichever way it was read, the supervisor compiles it to a snapshot.

import type {
  ClientAuth,
  Endpoint,
  Limits,
  Listener,
  LogFormat,
  LogLevel,
  Route,
  RouteLimits,
} from '../model/snapshot.ts';
import type { ConfigError } from './problem.ts';

export interface Configuration extends Reach {
  /** The embedded demo is served, with a certificate of our own making. */
  readonly demo: boolean;
  readonly listeners: readonly ConfiguredListener[];
  /** The port under which the public reaches the TLS listener. */
  readonly publicPort: number;
  readonly workers: number;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  readonly trustedProxies: readonly string[];
  /** The first is served when no name fits. Empty in the demo until it has made its own. */
  readonly certificates: readonly CertificatePair[];
  /** Certificates that are issued to us. */
  readonly issuance: readonly Issuance[];
  /** Where certificates are kept that we have made or were issued to us. An absolute path. */
  readonly certsDirectory: string;
  /** What issuers say of our certificates by OCSP is asked for, and given to clients. */
  readonly ocspStapling: boolean;
  readonly limits: Limits;
  readonly pools: readonly ConfiguredPool[];
  readonly hosts: readonly ConfiguredHost[];
  /** What is allowed but worth a word, each a sentence. */
  readonly warnings: readonly string[];
  /** Texts from files for secrets, and from variables that are called so: nothing that holds one is ever printed. */
  readonly secrets: readonly string[];
}

/** How a running instance is reached by those who run it. */
export interface Reach {
  readonly admin: AdminAddress;
  /** Where `portico reload` reaches us; undefined: a place of our own choice. */
  readonly controlSocket: string | undefined;
}

/** Where an instance is to be sought. */
export interface Sought extends Reach {
  /** Why it may be elsewhere: what is set cannot be read. */
  readonly doubt: ConfigError | undefined;
}

/** Where a setting was made (`HTTPS_PORT`, `portico.yaml:3:11 listeners.https.port:`) and what it is called. */
export interface Setting {
  readonly place: string;
  readonly name: string;
}

export interface ConfiguredListener extends Listener {
  /** Of the port. */
  readonly setting: Setting;
  readonly addressSetting: Setting;
}

export interface AdminAddress {
  readonly address: string;
  readonly port: number;
  /** Of the port. */
  readonly setting: Setting;
  readonly addressSetting: Setting;
}

export interface CertificatePair {
  readonly certFile: string;
  /** undefined: the key is in certFile, too. */
  readonly keyFile: string | undefined;
  /** Holds the passphrase of what is encrypted in the two. */
  readonly passwordFile: string | undefined;
  readonly certSetting: Setting;
  readonly keySetting: Setting;
  readonly passwordSetting: Setting;
}

/** A name gets a certificate of its own: one that cannot be issued holds up no other. */
export interface Issuance {
  /** In lower case; `*.example.com` too. */
  readonly names: readonly string[];
  /** The second is asked when the first fails, and so on. */
  readonly issuers: readonly Issuer[];
  readonly challenges: readonly ChallengeType[];
  /** undefined: dns-01 is not among them. */
  readonly dns: DnsProof | undefined;
  readonly setting: Setting;
}

export const CHALLENGE_TYPES = ['http-01', 'tls-alpn-01', 'dns-01'] as const;
export type ChallengeType = (typeof CHALLENGE_TYPES)[number];

/** Who sets the records of dns-01: a program of the operator's, or the zone's server by updates (RFC 2136). */
export type DnsProof = (DnsHook | DnsUpdate) & {
  /** Asked for the records in place of the zone's own servers: addresses with ports. */
  readonly resolvers: readonly string[];
  readonly setting: Setting;
};

export interface DnsHook {
  readonly kind: 'hook';
  readonly file: string;
}

export interface DnsUpdate {
  readonly kind: 'update';
  readonly host: string;
  readonly port: number;
  /** Of the TSIG key, as `tsig-keygen` writes it. */
  readonly keyFile: string;
}

/** Who issues certificates, and how it knows us. */
export interface Issuer {
  /** The URL of its directory. */
  readonly directory: string;
  readonly email: string | undefined;
  /** PEM of who vouches for the issuer's own server; undefined: those that the system trusts. */
  readonly ca: { readonly file: string; readonly setting: Setting } | undefined;
  /** External account binding; the key in base64url. */
  readonly eab: { readonly kid: string; readonly hmac: string } | undefined;
  readonly profile: string | undefined;
  /** The directory where an issue is tried out first, at no cost: that of an issuer who counts failures. */
  readonly rehearsal: string | undefined;
  /** The common name of the root (or the last intermediate) that the chain should lead to. */
  readonly preferredChain: string | undefined;
}

export interface ConfiguredPool {
  readonly name: string;
  readonly endpoints: readonly Endpoint[];
  readonly host: string | undefined;
  /** For endpoints with TLS: the file of who vouches for them, and the name that their certificate has. */
  readonly ca: { readonly file: string; readonly setting: Setting } | undefined;
  readonly serverName: string | undefined;
}

export interface ConfiguredHost {
  readonly name: string;
  readonly clientAuth?: ConfiguredClientAuth;
  readonly hsts?: Hsts;
  /** Longest path first. */
  readonly routes: readonly ConfiguredRoute[];
}

/** Clients of a host prove who they are by a certificate. */
export interface ConfiguredClientAuth extends Omit<ClientAuth, 'trust'> {
  readonly files: ClientTrustFiles;
}

/** Who vouches for clients. */
export interface ClientTrustFiles {
  readonly ca: { readonly file: string; readonly setting: Setting };
  /** undefined: nobody's certificate is looked up as revoked. */
  readonly crl: { readonly file: string; readonly setting: Setting } | undefined;
}

/** By which a host finds who vouches for its clients. */
export function trustKey({ ca, crl }: ClientTrustFiles): string {
  return `${ca.file}\n${crl?.file ?? ''}`;
}

/** For how long browsers are to come over HTTPS only (RFC 6797). */
export interface Hsts {
  readonly days: number;
  readonly includeSubdomains: boolean;
  readonly preload: boolean;
}

export interface ConfiguredRoute extends Omit<Route, 'limits'> {
  /** Those that differ from the limits of all. */
  readonly limits: Partial<RouteLimits>;
}

/** Variables of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;
