// The configuration: what the operator asked for, checked; the supervisor compiles it to a snapshot.

import type { Endpoint, Limits, LogFormat, LogLevel, Parameters } from '../model/snapshot.ts';

export interface Configuration {
  /** The embedded demo is served, with a certificate of our own making. */
  readonly demo: boolean;
  readonly listenHost: string | undefined;
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly publicHttpsPort: number;
  readonly adminHost: string;
  readonly adminPort: number;
  readonly sites: Sites;
  /** undefined in the demo until it has made its own. */
  readonly certificate: CertificatePair | undefined;
  readonly trustedProxies: readonly string[];
  readonly workers: number;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** Whose answers are compressed on their way. */
  readonly compress: { readonly frontend: boolean; readonly backend: boolean };
  readonly limits: Limits;
  /** What is allowed but worth a word, each a sentence. */
  readonly warnings: readonly string[];
}

/** The frontend and its backend: on two names, or on one with the backend under a prefix. */
export interface Sites {
  readonly frontendName: string;
  /** undefined: one domain. */
  readonly backendName: string | undefined;
  readonly apiPrefix: string;
  /** Empty when the frontend is served from disk. */
  readonly frontend: readonly Endpoint[];
  readonly backend: readonly Endpoint[];
  /** undefined: the frontend has a server of its own. */
  readonly files: FrontendFiles | undefined;
  /** The Host that the frontend is asked for; undefined: the client's own. */
  readonly frontendHost: string | undefined;
  /** Written into the answers of the frontend's own server; undefined: they pass as they are. */
  readonly rewrites: Parameters | undefined;
}

export interface FrontendFiles {
  /** An absolute path. */
  readonly root: string;
  /** What was set; API_BASEROUTE is added when it is compiled. */
  readonly parameters: Parameters;
}

export interface CertificatePair {
  readonly certFile: string;
  readonly keyFile: string;
}
