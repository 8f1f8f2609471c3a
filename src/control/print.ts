// The effective configuration as a file that --config reads back: everything said, secrets masked.

import type { Action, HeaderRules, Json, Parameters } from '../model/snapshot.ts';
import type {
  Configuration,
  ConfiguredClientAuth,
  ConfiguredListener,
  ConfiguredPool,
  ConfiguredRoute,
  DnsProof,
  Issuance,
} from './configuration.ts';
import { groupLimits } from './limits.ts';
import { Secrets } from './secrets.ts';
import { MASKED } from './shape.ts';
import { writeEndpoint } from './values.ts';
import { writeYaml } from './yaml.ts';

export interface Printed {
  readonly text: string;
  /** How many values are not shown. */
  readonly masked: number;
}

export function printConfiguration(configuration: Configuration): Printed {
  const printer = new Printer(new Secrets(configuration));
  const text = writeYaml(printer.all(configuration));
  return { text, masked: printer.masked };
}

class Printer {
  masked = 0;
  readonly #secrets: Secrets;

  constructor(secrets: Secrets) {
    this.#secrets = secrets;
  }

  all(configuration: Configuration): unknown {
    const { admin, controlSocket } = configuration;
    return this.#shown({
      listeners: named(configuration.listeners, printListener),
      publicPort: configuration.publicPort,
      admin: { address: admin.address, port: admin.port },
      controlSocket,
      workers: configuration.workers,
      log: { level: configuration.logLevel, format: configuration.logFormat },
      trustedProxies: configuration.trustedProxies,
      certificates: someOf(
        configuration.certificates.map(({ certFile, keyFile, passwordFile }) => ({
          ...{ cert: certFile, key: keyFile, passwordFile },
        })),
      ),
      acme: someOf(configuration.issuance.map((each) => this.#issuance(each))),
      certsDirectory: configuration.certsDirectory,
      ocspStapling: configuration.ocspStapling,
      limits: groupLimits(configuration.limits),
      pools: named(configuration.pools, printPool),
      hosts: named(configuration.hosts, ({ clientAuth, hsts, routes }) => ({
        clientAuth: clientAuth === undefined ? undefined : printClientAuth(clientAuth),
        ...{ hsts, routes: routes.map((route) => this.#route(route)) },
      })),
    });
  }

  #issuance({ names, issuers, challenges, dns }: Issuance): unknown {
    return {
      names,
      issuers: issuers.map(({ directory, email, ca, eab, profile, preferredChain }) => ({
        ...{ directory, email, profile, preferredChain, ca: ca?.file },
        eab: eab === undefined ? undefined : { kid: eab.kid, hmac: this.#mask() },
      })),
      challenges,
      dns: dns === undefined ? undefined : printDnsProof(dns),
    };
  }

  #route(route: ConfiguredRoute): unknown {
    const { parameters, base } = route.action as { parameters?: Parameters; base?: boolean };
    const limits = groupLimits(route.limits);
    return {
      path: route.path === '' ? '/' : route.path,
      stripPrefix: route.prefix === '' ? undefined : true,
      name: route.name,
      answers: route.answers,
      compress: route.compress,
      base: route.prefix === '' ? undefined : base,
      ...this.#action(route.action),
      parameters:
        parameters === undefined
          ? undefined
          : { script: this.#parameters(parameters.script), embed: this.#parameters(parameters.embed) },
      limits: Object.keys(limits).length === 0 ? undefined : limits,
      request: this.#rules(route.requestRules),
      response: this.#rules(route.responseRules),
    };
  }

  #action(action: Action): object {
    switch (action.kind) {
      case 'proxy':
        return { proxy: action.pool };
      case 'files':
        return { files: { root: action.root, fallback: action.fallback } };
      case 'redirect':
        return {
          redirect: { to: this.#secrets.isInTarget(action.to) ? this.#mask() : action.to, status: action.status },
        };
      case 'reply':
        return {
          reply: { status: action.status, body: action.body === '' ? undefined : action.body, type: action.type },
        };
    }
  }

  #parameters(values: { readonly [key: string]: Json }): Record<string, Json> {
    return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, this.#parameter(key, value)]));
  }

  #parameter(key: string, value: Json): Json {
    if (this.#secrets.isInParameter(key, value)) return this.#mask();
    if (Array.isArray(value)) return value.map((each: Json) => this.#parameter(key, each));
    if (typeof value === 'object' && value !== null) return this.#parameters(value as { readonly [key: string]: Json });
    return value;
  }

  #rules(rules: HeaderRules | undefined): unknown {
    if (rules === undefined) return undefined;
    return {
      remove: rules.remove.length === 0 ? undefined : rules.remove,
      set: this.#fields(rules.set),
      add: this.#fields(rules.add),
    };
  }

  #fields(flat: readonly string[]): unknown {
    if (flat.length === 0) return undefined;
    const fields: [string, string][] = [];
    for (let i = 0; i < flat.length; i += 2) {
      const [name, value] = [flat[i]!, flat[i + 1]!];
      fields.push([name, this.#secrets.isInField(name, value) ? this.#mask() : value]);
    }
    return Object.fromEntries(fields);
  }

  #mask(): string {
    this.masked++;
    return MASKED;
  }

  /** Without what is not said, with a dollar as the file writes it, and without secrets, wherever they stand. */
  #shown(value: unknown): unknown {
    if (typeof value === 'string') {
      return this.#secrets.isIn(value) ? this.#mask() : value.replaceAll('$', '$$$$');
    }
    if (Array.isArray(value)) return value.map((each) => this.#shown(each));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, each]) => each !== undefined)
        .map(([key, each]) => [key.replaceAll('$', '$$$$'), this.#shown(each)]),
    );
  }
}

/** The file knows no empty lists. */
function someOf<T>(list: readonly T[]): readonly T[] | undefined {
  return list.length === 0 ? undefined : list;
}

function named<T extends { readonly name: string }>(values: readonly T[], print: (value: T) => unknown): object {
  return Object.fromEntries(values.map((value) => [value.name, print(value)]));
}

function printListener({ kind, address, port, tlsPolicy, strictSni, proxyProtocol }: ConfiguredListener): unknown {
  return {
    ...{ kind, port, address },
    tls: kind === 'tls' ? { policy: tlsPolicy, strictSni } : undefined,
    proxyProtocol: proxyProtocol === undefined ? undefined : { from: proxyProtocol },
  };
}

function printDnsProof(proof: DnsProof): unknown {
  const resolvers = someOf(proof.resolvers);
  if (proof.kind === 'hook') return { hook: proof.file, resolvers };
  const host = proof.host.includes(':') ? `[${proof.host}]` : proof.host;
  return { update: { server: `${host}:${proof.port}`, keyFile: proof.keyFile }, resolvers };
}

function printPool({ endpoints, host, ca, serverName }: ConfiguredPool): unknown {
  return { endpoints: endpoints.map(writeEndpoint), host, ca: ca?.file, serverName };
}

function printClientAuth({ files: { ca, crl }, required, forward }: ConfiguredClientAuth): unknown {
  return { ca: ca.file, crl: crl?.file, mode: required ? 'required' : 'optional', forward };
}
