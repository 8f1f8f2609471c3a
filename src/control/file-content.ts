// From the keys of a configuration file to the configuration, and what is wrong between them.

import { dirname, resolve } from 'node:path';
import { LIMITS } from '../model/snapshot.ts';
import type { CertificatePair, Configuration, Environment, Reach } from './configuration.ts';
import { readHosts } from './content-hosts.ts';
import { readIssuance } from './content-issuance.ts';
import { readListeners } from './content-listeners.ts';
import { writeBaseRoutes } from './content-parameters.ts';
import { readPools } from './content-pools.ts';
import { type Certificate, type Content, Reading, settingIn, settingOf } from './content-reading.ts';
import { DEFAULT_CERTS_DIRECTORY, DEFAULT_WORKERS, EVERYBODY_TRUSTED } from './environment.ts';
import { DEFAULT_ADMIN_PORT } from './reach.ts';
import { isEverybody } from './values.ts';
import type { Variables } from './variables.ts';

/** Problems go to the places of the keys, warnings into the configuration. */
export function readContent(
  file: string,
  content: Content,
  environment: Environment,
  variables: Variables,
): Configuration {
  const reading = new Reading(file, content);
  const publicPort = content.publicPort ?? 443;
  const hosts = readHosts(reading);
  const listeners = readListeners(reading);
  const { trustedProxies } = content;
  if (trustedProxies?.value.some(isEverybody)) reading.warn(trustedProxies.at, EVERYBODY_TRUSTED);
  const { admin } = adminOf(file, content.admin);
  const pools = readPools(reading, [...listeners, admin]);
  const certificates = (content.certificates ?? []).map((certificate) => readCertificate(reading, certificate));
  const issuance = readIssuance(reading);
  const files = [
    ...certificates.flatMap(({ certFile, keyFile, passwordFile }) => [certFile, keyFile, passwordFile]),
    ...issuance.map(({ dns }) => (dns?.kind === 'update' ? dns.keyFile : undefined)),
  ];
  const withBase = writeBaseRoutes(reading, hosts, publicPort);
  return {
    demo: false,
    listeners,
    admin,
    controlSocket: environment.PORTICO_SOCKET
      ? resolve(environment.PORTICO_SOCKET)
      : reading.path(content.controlSocket),
    publicPort,
    workers: content.workers ?? DEFAULT_WORKERS,
    logLevel: content.log?.level ?? 'info',
    logFormat: content.log?.format ?? 'json',
    trustedProxies: trustedProxies?.value ?? [],
    certificates,
    issuance,
    certsDirectory: reading.path(content.certsDirectory) ?? resolve(DEFAULT_CERTS_DIRECTORY),
    ocspStapling: content.ocspStapling ?? true,
    limits: { ...LIMITS, ...Object.fromEntries(content.limits ?? []) },
    pools,
    hosts: withBase,
    warnings: reading.warnings,
    // A variable that is called SSL_KEY holds the name of a file, which is no secret.
    secrets: [...variables.secrets].filter((secret) => !files.includes(resolve(dirname(file), secret))),
  };
}

function readCertificate(reading: Reading, { cert, key, passwordFile }: Certificate): CertificatePair {
  // What is not there is told at the certificate, by the name that it would have.
  const beside = (name: string) => ({ place: cert.at.text, name: cert.at.path.replace(/cert$/, name) });
  return {
    certFile: reading.path(cert.value),
    keyFile: reading.path(key?.value),
    passwordFile: reading.path(passwordFile?.value),
    certSetting: settingOf(cert.at),
    keySetting: key === undefined ? beside('key') : settingOf(key.at),
    passwordSetting: passwordFile === undefined ? beside('passwordFile') : settingOf(passwordFile.at),
  };
}

export function adminOf(file: string, admin: Content['admin']): Pick<Reach, 'admin'> {
  return {
    admin: {
      address: admin?.address?.value ?? '127.0.0.1',
      addressSetting: settingIn(file, admin?.address?.at, 'admin.address'),
      port: admin?.port?.value ?? DEFAULT_ADMIN_PORT,
      setting: settingIn(file, admin?.port?.at, 'admin.port'),
    },
  };
}
