// `portico doctor`: looks for what people suffer from most, in the configuration and in what runs, and says what to do.

import { X509Certificate } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { CertificateStore } from './certificate-store.ts';
import { namesOf } from './compile.ts';
import type { Configuration, Environment } from './configuration.ts';
import { callInstance, type Instance, socketPlaces } from './control-socket.ts';
import { type Diagnosis, fail, line, ok, warn } from './diagnosis.ts';
import { examineIssued } from './doctor-issued.ts';
import { examineOcsp } from './doctor-ocsp.ts';
import { askCertificate, type Page, type World } from './doctor-probe.ts';
import { examineUpstreams } from './doctor-upstreams.ts';
import { type LoadedFiles, loadFiles } from './materials.ts';
import { tryPort } from './ports.ts';
import { ConfigError } from './problem.ts';
import { Secrets } from './secrets.ts';
import { type Source, sourceOf } from './source.ts';

const DAY = 86_400_000;
/** Of clocks, in ms: tokens and SAML answers are refused when they differ by more. */
const MAX_SKEW = 60_000;
/** For each question, in ms. */
const PATIENCE = 5_000;

export async function doctor(file: string | undefined, environment: Environment): Promise<number> {
  const diagnoses = await examine(sourceOf(file, environment), environment, SYSTEM);
  process.stdout.write(diagnoses.map(line).join(''));
  const count = (level: Diagnosis['level']) => diagnoses.filter((each) => each.level === level).length;
  process.stdout.write(`${count('ok')} ok, ${count('warn')} warnings, ${count('fail')} failures\n`);
  return count('fail') === 0 ? 0 : 1;
}

const SYSTEM: World = {
  addressesOf: async (name) => (await within(lookup(name, { all: true }))).map(({ address }) => address),
  ownAddresses: () => Object.values(networkInterfaces()).flatMap((each) => (each ?? []).map(({ address }) => address)),
  now: () => new Date(),
  patience: PATIENCE,
};

/** getaddrinfo cannot be broken off; nobody has to wait for it. */
function within<T>(asked: Promise<T>): Promise<T> {
  const late = new Promise<never>((_, failed) => {
    setTimeout(() => failed(new Error(`no answer within ${PATIENCE / 1_000} s`)), PATIENCE).unref();
  });
  return Promise.race([asked, late]);
}

/** Everything that was looked at, in an order to read. Never rejects for what is wrong: that is what it is to find. */
export async function examine(source: Source, environment: Environment, world: World): Promise<Diagnosis[]> {
  let configuration: Configuration;
  let files: LoadedFiles;
  try {
    configuration = source.load();
    files = configuration.demo ? NO_FILES : loadFiles(configuration, world.now());
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    // The rest would only repeat it.
    return error.problems.map(({ place, message, hint }) =>
      fail('configuration', `${place} ${message}`, hint ?? 'correct it'),
    );
  }
  const instance = await findInstance(configuration, environment);
  const upstreams = await examineUpstreams(configuration, files, world);
  const issued = await examineIssued(configuration, world.now());
  const certificates = [...files.certificates.current(), ...issued.certificates];
  const own = certificates.map(({ certificate }) => new X509Certificate(certificate.chain).fingerprint256);
  const diagnoses = [
    ...examineConfiguration(source, configuration),
    ...examineCertificates(files, world.now()),
    ...examineClients(configuration),
    ...issued.diagnoses,
    ...(await examineOcsp(configuration, certificates, world)),
    ...examineInstance(instance),
    ...(await examinePorts(configuration, instance)),
    ...upstreams.diagnoses,
    ...(await examineNames(configuration, own, instance, world)),
    ...examineTrust(configuration),
    ...examineClock(upstreams.pages, world.now()),
  ];
  const secrets = new Secrets(configuration);
  return diagnoses.map((each) => ({ ...each, says: plain(each.says, secrets) }));
}

const NO_FILES: LoadedFiles = { certificates: new CertificateStore([], []), authorities: new Map() };

/** In one line, without what a terminal would obey, and without secrets: some of it comes from the other side. */
function plain(text: string, secrets: Secrets): string {
  return secrets.hide(text).replace(/[\p{Cc}\s]+/gu, ' ');
}

function examineConfiguration({ file }: Source, { demo, hosts, warnings }: Configuration): Diagnosis[] {
  const routes = hosts.reduce((sum, host) => sum + host.routes.length, 0);
  const what = demo ? 'no variable is set, the demo would be served' : `${hosts.length} hosts, ${routes} routes`;
  return [
    ok('configuration', `${file ?? 'variables'}: ${what}`),
    ...warnings.map((each) => warn('configuration', each, 'correct it, if that is not what you mean')),
  ];
}

function examineCertificates({ certificates }: LoadedFiles, now: Date): Diagnosis[] {
  return [
    ...certificates.current().map(({ certificate, notAfter, issuer }) => {
      const days = Math.floor((notAfter.getTime() - now.getTime()) / DAY);
      return ok('certificate', `${certificate.names.join(', ')}, from ${issuer}, ${days} days left`);
    }),
    ...certificates.findings().map(({ severity, place, message, hint }) => {
      const says = `${place} ${message}`;
      if (severity === 'note') return ok('certificate', says);
      return (severity === 'error' ? fail : warn)('certificate', says, hint ?? 'get a certificate without that flaw');
    }),
  ];
}

/** What is wrong with their files is said with the certificates. */
function examineClients({ hosts }: Configuration): Diagnosis[] {
  return hosts.flatMap(({ name, clientAuth }) => {
    if (clientAuth === undefined) return [];
    const { files, required } = clientAuth;
    const says = `${required ? 'needed' : 'asked for'}, vouched for by ${files.ca.file}`;
    if (files.crl !== undefined) return ok(`client certificates of ${name}`, `${says}, revoked by ${files.crl.file}`);
    const todo = 'set clientAuth.crl, unless the certificates are short-lived';
    return warn(
      `client certificates of ${name}`,
      `${says}; one that was lost or stolen stays good until it expires`,
      todo,
    );
  });
}

async function findInstance(
  configuration: Configuration,
  environment: Environment,
): Promise<Instance | Error | undefined> {
  const conversation = await callInstance(socketPlaces(configuration, environment)).catch((error: Error) => error);
  if (conversation instanceof Error) return /^no instance runs/.test(conversation.message) ? undefined : conversation;
  return conversation
    .ask('status', PATIENCE)
    .catch((error: Error) => error)
    .finally(() => conversation.close()) as Promise<Instance | Error>;
}

function examineInstance(instance: Instance | Error | undefined): Diagnosis[] {
  if (instance === undefined) return [ok('instance', 'none runs here that this user could reach')];
  if (instance instanceof Error) {
    return [fail('instance', instance.message, 'look at its log; run this as the user that Portico runs as')];
  }
  const { pid, problems, warnings } = instance;
  return [
    instance.ok
      ? ok('instance', `process ${pid} runs and is ready`)
      : fail('instance', `process ${pid} runs and is not ready: ${problems.join('; ')}`, 'look at its log'),
    ...warnings.map((each) => warn('instance', each, 'its log, portico reload, or what is said below tells why')),
  ];
}

function examinePorts(
  { listeners, admin }: Configuration,
  instance: Instance | Error | undefined,
): Promise<readonly Diagnosis[]> {
  const held = instance === undefined || instance instanceof Error ? [] : instance.ports;
  const all = [...listeners, { ...admin, name: 'admin' }].map(async (wanted) => {
    const about = `port ${wanted.port} (${wanted.name})`;
    if (held.includes(wanted.port)) return ok(about, 'held by the running instance');
    const problem = await tryPort(wanted);
    if (problem === undefined) return ok(about, 'free');
    const todo = `${problem.hint ?? 'choose another port'}; if Portico itself holds it, run this as its user`;
    return fail(about, problem.message, todo);
  });
  return Promise.all(all);
}

/** What a screenshot container, which asks for the public names, would find. */
async function examineNames(
  configuration: Configuration,
  ours: readonly string[],
  instance: Instance | Error | undefined,
  world: World,
): Promise<readonly Diagnosis[]> {
  if (configuration.demo || !configuration.listeners.some(({ kind }) => kind === 'tls')) return [];
  const own = world.ownAddresses();
  const runs = instance !== undefined && !(instance instanceof Error);
  return Promise.all(
    namesOf(configuration)
      .filter((name) => !name.startsWith('*'))
      .map(examineName),
  );

  async function examineName(name: string): Promise<Diagnosis> {
    const about = `public name ${name}`;
    const addresses = await world.addressesOf(name).catch((error: Error) => error);
    if (addresses instanceof Error) {
      const todo = 'a screenshot container cannot reach it either: set it in the DNS, or by extra_hosts there';
      return warn(about, `does not resolve from here (${addresses.message})`, todo);
    }
    const [address] = addresses as [string];
    const where = `leads to ${address}`;
    if (!runs) {
      if (own.includes(address)) return ok(about, `${where}, this machine`);
      return warn(
        about,
        `${where}, no address of this machine`,
        'right when something there passes its 443 on to here',
      );
    }
    const shown = await askCertificate(address, configuration.publicPort, name, world.patience);
    const at = `${where}, port ${configuration.publicPort}`;
    if (shown instanceof Error) {
      const todo = 'a screenshot container has to reach it: open the way, or set extra_hosts (config/compose has it)';
      return warn(about, `${at}, which cannot be reached from here (${shown.message})`, todo);
    }
    if (ours.includes(shown.fingerprint256)) return ok(about, `${at}, which shows our certificate`);
    const todo = 'after a renewal: portico reload. Where a proxy ends TLS before us: name it in TRUSTED_PROXIES';
    return warn(about, `${at}, which shows another certificate (until ${shown.validTo})`, todo);
  }
}

function examineTrust({ trustedProxies }: Configuration): Diagnosis[] {
  const about = 'trusted proxies';
  if (trustedProxies.length === 0) return [ok(about, 'none: the client is who connects')];
  const wide = trustedProxies.filter((network) => {
    const [address, bits] = network.split('/') as [string, string | undefined];
    return bits !== undefined && Number(bits) < (isIP(address) === 4 ? 8 : 16);
  });
  if (wide.length === 0) return [ok(about, trustedProxies.join(', '))];
  const todo = 'name the addresses of your own proxies only';
  return [
    fail(about, `${wide.join(', ')} believes strangers, who then choose the address they are throttled by`, todo),
  ];
}

function examineClock(pages: readonly Page[], now: Date): Diagnosis[] {
  const skews = pages.flatMap(({ date }) => (date === undefined ? [] : [Math.abs(date - now.getTime())]));
  if (skews.length === 0) return [];
  const worst = Math.round(Math.max(...skews) / 1_000);
  if (worst * 1_000 <= MAX_SKEW) return [ok('clock', 'the same as that of the upstreams')];
  return [warn('clock', `${worst} s from that of an upstream`, 'set both by NTP: else logins and certificates fail')];
}
