// What scanners find in both TLS policies: nothing, but what SECURITY.md names and explains.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { TlsPolicy } from '../../src/model/snapshot.ts';
import { makeAuthority, makeCertificate, makeRsaKeys } from '../support/certificates.ts';
import { needParts, partPath } from '../support/parts.ts';
import { type FilePortico, fileHead, startByFile } from '../support/portico-file.ts';
import { freePort } from '../support/ports.ts';
import { startProcess } from '../support/process.ts';

// They have their own limits; one takes half a minute on a machine that has time.
t.setTimeout(400_000);
const WITHIN = 300_000;

/** Those that a run of testssl.sh has to come to, so that one which stops early is no good one. */
const LOOKED_AT = `
  SSLv2 SSLv3 TLS1 TLS1_1 TLS1_2 TLS1_3 ALPN_HTTP2 cipherlist_NULL cipherlist_aNULL cipherlist_EXPORT cipherlist_LOW cipherlist_3DES_IDEA
  cipher_order cert_chain_of_trust cert_trust HSTS heartbleed CCS ticketbleed secure_renego secure_client_renego CRIME_TLS BREACH
  POODLE_SSL FREAK DROWN LOGJAM BEAST LUCKY13 RC4`
  .trim()
  .split(/\s+/);
/** Protocols, kinds of ciphers, forward secrecy, preferences, defaults, fields of an answer, all known holes. */
const CHECKS = ['-p', '-s', '-f', '-P', '-S', '-h', '-U'];
/** It looks up no name, and calls nobody. */
const OFFLINE = ['--nodns', 'none', '--ip', '127.0.0.1'];
const BOUNDED = [
  '--quiet',
  '--color',
  '0',
  '--warnings',
  'batch',
  '--connect-timeout',
  '10',
  '--openssl-timeout',
  '10',
];

const PORTS: Record<TlsPolicy, number> = { intermediate: 0, modern: await freePort() };

/** Certificates of both kinds, good for 90 days, that name no list of revoked ones. */
async function open(t: Test): Promise<FilePortico> {
  const door = await startByFile(t, ['localhost'], (ground) => {
    PORTS.intermediate = ground.httpsPort;
    const modern = `  modern: { kind: tls, address: 127.0.0.1, port: ${PORTS.modern}, tls: { policy: modern } }\n`;
    const site = 'hosts: { localhost: { routes: [{ reply: { status: 200, body: here } }] } }\n';
    return fileHead(ground).replace('admin:', `${modern}admin:`) + site;
  });
  const authority = await makeAuthority({ validTo: 365 });
  const make = async (name: string, more: object) => {
    const { certificate, key } = await makeCertificate({
      names: ['localhost'],
      issuer: authority,
      validTo: 90,
      ...more,
    });
    writeFileSync(join(door.cwd, `${name}.pem`), certificate + key, { mode: 0o600 });
  };
  await make('ecdsa', {});
  await make('rsa', { keys: await makeRsaKeys(2048) });
  writeFileSync(door.certificate.caFile, authority.certificate);
  const text = readFileSync(door.file, 'utf8');
  door.write(text.replace(/ {2}- cert: certificate.pem\n +key: key.pem\n/, '  - cert: ecdsa.pem\n  - cert: rsa.pem\n'));
  t.match(await door.command('reload'), { code: 0 });
  return door;
}

/** The ids in the first column of the table. */
function explained(): string[] {
  const text = readFileSync(new URL('../../SECURITY.md', import.meta.url), 'utf8');
  const section = text.split('\n## ').find((each) => each.startsWith('What scanners find\n')) ?? '';
  return [...section.matchAll(/^\| `([^`]+)` \|/gm)].map(([, id]) => id!);
}

interface Found {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

async function runTestssl(t: Test, door: FilePortico, policy: TlsPolicy): Promise<Found[]> {
  const file = join(door.cwd, `${policy}.json`);
  const where = ['--add-ca', door.certificate.caFile, '--jsonfile', file, `localhost:${PORTS[policy]}`];
  const args = [...BOUNDED, ...OFFLINE, ...CHECKS, ...where];
  const { exited } = await startProcess(t, { command: partPath('testssl'), args, cwd: door.cwd });
  await exited;
  return JSON.parse(readFileSync(file, 'utf8')) as Found[];
}

async function runSslscan(t: Test, door: FilePortico, policy: TlsPolicy): Promise<string> {
  const file = join(door.cwd, `${policy}.xml`);
  const args = ['--no-colour', '--sni-name=localhost', `--xml=${file}`, `127.0.0.1:${PORTS[policy]}`];
  const { exited } = await startProcess(t, { command: partPath('sslscan'), args, cwd: door.cwd });
  t.equal((await exited).code, 0);
  return readFileSync(file, 'utf8');
}

t.test('scanners', { timeout: WITHIN }, async (t) => {
  if (!needParts(t, ['testssl', 'sslscan', 'openssl'])) return;
  const door = await open(t);
  t.jobs = 2;
  for (const policy of ['intermediate', 'modern'] as const) {
    t.test(`testssl.sh finds nothing in ${policy} that is not explained`, { timeout: WITHIN }, async (t) => {
      const found = await runTestssl(t, door, policy);
      const ids = found.map(({ id }) => id.split(' ')[0]);
      t.same(
        LOOKED_AT.filter((id) => !ids.includes(id)),
        [],
        'it came to all checks',
      );
      const names = explained();
      const more = found.filter(
        ({ id, severity }) => !['OK', 'INFO'].includes(severity) && !names.includes(id.split(' ')[0]!),
      );
      t.same(more, [], 'each finding above "info" is named in SECURITY.md');
    });
  }
  for (const policy of ['intermediate', 'modern'] as const) {
    t.test(`sslscan finds nothing old or weak in ${policy}`, async (t) => {
      const found = await runSslscan(t, door, policy);
      const all = (pattern: RegExp) => [...found.matchAll(pattern)].map(([, ...groups]) => groups.join(' '));
      const enabled = all(/<protocol type="(\w+)" version="([\d.]+)" enabled="1"/g);
      t.same(enabled, policy === 'modern' ? ['tls 1.3'] : ['tls 1.2', 'tls 1.3']);
      t.match(found, '<renegotiation supported="0"');
      t.notMatch(found, /vulnerable="1"|<compression supported="1"/);
      const ciphers = all(/<cipher status="(?:preferred|accepted)" [^>]*cipher="([^"]+)"[^>]*strength="([^"]+)"/g);
      t.ok(ciphers.length >= 3, `${ciphers.length} ciphers`);
      t.same(
        ciphers.filter((each) => !/^(TLS_|ECDHE-\w+-(AES\d+-GCM|CHACHA20)).* (strong|acceptable)$/.test(each)),
        [],
        'all are strong, with forward secrecy',
      );
      t.notMatch(found, /<pk error="true"|<self-signed>true|<expired>true/);
    });
  }
});
