// The configuration when none is given: the embedded demo, opened, with a certificate of our own making.

import { type Demo, startDemo } from '../demo/demo.ts';
import { namesOf } from './compile.ts';
import type { Configuration } from './configuration.ts';
import { apiBaseRoute } from './frontend-root.ts';
import { ensureLocalCertificate, type LocalCertificate } from './local-authority.ts';

export interface OpenDemo {
  readonly local: LocalCertificate;
  /** With the demo's own certificate and ports, which no configuration names. */
  complete(configuration: Configuration): Configuration;
  close(): Promise<void>;
}

export async function openDemo(configuration: Configuration): Promise<OpenDemo> {
  const local = await ensureLocalCertificate(configuration.certsDirectory, namesOf(configuration), new Date());
  const { hosts, publicPort } = configuration;
  const demo: Demo = await startDemo({ apiBaseRoute: apiBaseRoute(hosts[0]!.name, hosts, publicPort)! });
  const ports: Readonly<Record<string, number>> = { frontend: demo.frontendPort, backend: demo.backendPort };
  const pair = {
    ...{ certFile: local.certFile, keyFile: local.keyFile },
    ...{ certSetting: variable('SSL_CRT'), keySetting: variable('SSL_KEY') },
    ...{ passwordFile: undefined, passwordSetting: variable('SSL_KEY_PASSWORD_FILE') },
  };
  return {
    local,
    complete: (given) => ({
      ...given,
      certificates: [pair],
      pools: given.pools.map((pool) => ({
        ...pool,
        endpoints: [{ host: '127.0.0.1', port: ports[pool.name]!, tls: false }],
      })),
    }),
    close: () => demo.close(),
  };
}

const variable = (name: string) => ({ place: name, name });
