// ACME where the ports are the public ones and file systems are real: Caddy as a second issuer, the zone's own servers at port 53, disks that are full or read-only.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { AcmeSource } from '../../src/control/acme/source.ts';
import { startAcmeRelay } from '../support/acme-relay.ts';
import { prepareSources } from '../support/acme-source.ts';
import { makeFolder } from '../support/folder.ts';
import { httpsGet } from '../support/https-get.ts';
import { DNS_PARTS, type Named, startNamed } from '../support/named.ts';
import { type Disk, mountDisk, runInside, useLocalNames } from '../support/namespace.ts';
import { partPath } from '../support/parts.ts';
import { startPebble } from '../support/pebble.ts';
import { LAUNCHER } from '../support/portico.ts';
import { freePort, waitFor } from '../support/ports.ts';
import { answersOnPort, answersOnUrl, type Running, startProcess } from '../support/process.ts';
import { makeTestCertificate } from '../support/tls.ts';

const SITE = 'toucan.example.test';
const MINUTE = 60_000;

t.test('on ports and disks of its own', async (t) => {
  if (!(await runInside(t, import.meta.url, ['pebble', 'caddy', ...DNS_PARTS]))) return;
  useLocalNames(t);
  const named = await startNamed(t, ['example.test'], 53);

  for (const challenge of ['http-01', 'tls-alpn-01', 'dns-01']) {
    t.test(`Caddy issues by ${challenge}, after an issuer that is down`, async (t) => {
      const caddy = await startCaddyIssuer(t);
      const door = await startByFile(t, named, challenge, [
        `{ directory: "https://localhost:${await freePort()}/dir", ca: ${caddy.caFile} }`,
        `{ directory: "${caddy.directory}", ca: ${caddy.caFile} }`,
      ]);
      const get = () => httpsGet(443, SITE, '/', readFileSync(caddy.caFile, 'latin1')).catch(() => undefined);
      const { text } = await waitFor(get, 30_000, 'the certificate').catch(async (error) => {
        throw new Error(`${error}; ${await door.readyz()}; ${caddy.process.stderr().slice(-2_000)}`);
      });
      t.equal(text, 'hello');
      t.match(await door.metrics(), /portico_acme_orders_total\{issuer="localhost:\d+",result="issued"\} 1/);
      t.strictSame(await named.texts(`_acme-challenge.${SITE}`), []);
    });
  }

  t.test('a store on a disk that is read-only: the door is open, and says what to mount', async (t) => {
    const disk = mountDisk(t);
    disk.setReadOnly(true);
    const door = await startByFile(t, named, 'http-01', ['{}'], disk.folder);
    const words =
      /cannot (?:write|lock) \S+: its file system is read-only: mount a volume that can be written at CERTS_DIR/;
    await waitFor(async () => words.test(await door.readyz()), 20_000, 'the reason');
    t.match(await door.readyz(), /\[\+\]certificate ok/);
  });

  t.test('disks, on a clock of the test', async (t) => {
    const httpPort = await freePort();
    const pebble = await startPebble(t, { httpPort, tlsPort: await freePort(), dns: named.address });
    const prepare = async (t: Test) => {
      const ground = await prepareSources(t, httpPort);
      const [relay, disk] = [await startAcmeRelay(t, pebble), mountDisk(t)];
      const open = () => ground.open({ names: [SITE], issuers: [relay], folder: join(disk.folder, 'acme') });
      /** Whatever waits is awake after that. */
      const pass = async (ms: number) => {
        await waitFor(() => ground.clock.waiting() > 0, 15_000, 'all to wait');
        ground.clock.advance(ms);
      };
      return { open, pass, relay, disk };
    };
    const messageOf = (source: AcmeSource) => source.findings()[0]?.message ?? '';
    const isIssued = (source: AcmeSource) => source.current().every(({ origin }) => origin === 'acme');

    for (const [what, words, make] of [
      ['read-only', /its file system is read-only: mount a volume/, (disk: Disk) => disk.setReadOnly(true)],
      ['full', /the disk is full: free some space$/, (disk: Disk) => disk.fill()],
    ] as const) {
      t.test(`${what} from the start: nothing is ordered until it can be written`, async (t) => {
        const { open, pass, relay, disk } = await prepare(t);
        make(disk);
        const source = await open();
        source.start(async () => {});
        await waitFor(() => words.test(messageOf(source)), 10_000, 'the reason');
        for (let minutes = 0; minutes < 5; minutes++) await pass(MINUTE);
        t.equal(relay.count('/order-plz'), 0);
        disk.setReadOnly(false);
        disk.empty();
        await pass(2 * MINUTE);
        await waitFor(() => isIssued(source), 15_000, 'the certificate');
        t.strictSame(source.findings(), []);
        t.equal(relay.count('/order-plz'), 1);
      });

      t.test(`${what} when the certificate comes: it is served, and kept as soon as it can be`, async (t) => {
        const { open, pass, relay, disk } = await prepare(t);
        relay.intercept = (path) => {
          if (path.startsWith('/certZ/')) make(disk);
          return undefined;
        };
        const source = await open();
        source.start(async () => {});
        const words = /the new certificate is served, but could not be kept: cannot write /;
        await waitFor(() => words.test(messageOf(source)), 15_000, 'the reason');
        t.ok(isIssued(source));
        disk.setReadOnly(false);
        disk.empty();
        await pass(2 * MINUTE);
        await waitFor(() => source.findings().length === 0, 10_000, 'the store to take it');
        disk.setReadOnly(true);
        const again = await open();
        t.strictSame(again.current(), source.current(), 'read from a disk that is read-only');
        t.equal(relay.count('/order-plz'), 1);
      });
    }
  });
});

interface CaddyIssuer {
  readonly directory: string;
  /** PEM of roots: of what it issues, and of its own server. */
  readonly caFile: string;
  readonly process: Running;
}

/** Caddy as an ACME server: it looks at the ports 80 and 443 only. */
async function startCaddyIssuer(t: Test): Promise<CaddyIssuer> {
  const folder = makeFolder(t, 'caddy');
  const [port, httpPort] = [await freePort(), await freePort()];
  // One of its own making would be removed now and then, by what cleans its storage at the start (2.6.2).
  const own = await makeTestCertificate(folder, ['localhost']);
  const caddyfile = join(folder, 'Caddyfile');
  writeFileSync(
    caddyfile,
    `{
  admin off
  skip_install_trust
  auto_https disable_redirects
  http_port ${httpPort}
  https_port ${port}
  storage file_system ${folder}/storage
}
https://localhost:${port} {
  tls ${own.certificateFile} ${own.keyFile}
  acme_server
}
`,
  );
  const root = join(folder, 'storage/pki/authorities/local/root.crt');
  const process = await startProcess(t, {
    command: partPath('caddy'),
    args: ['run', '--config', caddyfile, '--adapter', 'caddyfile'],
    cwd: folder,
    env: { HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder },
    isReady: async () => existsSync(root) && (await answersOnPort(port)),
  });
  const caFile = join(folder, 'roots.pem');
  writeFileSync(caFile, readFileSync(root, 'latin1') + readFileSync(own.caFile, 'latin1'));
  return { directory: `https://localhost:${port}/acme/local/directory`, caFile, process };
}

/** On the public ports. DNS is changed by updates, where that is the challenge, and looked at as in the world outside. */
async function startByFile(t: Test, named: Named, challenge: string, issuers: readonly string[], certs = 'certs') {
  const adminPort = await freePort();
  const folder = makeFolder(t, 'door');
  const config = join(folder, 'portico.yaml');
  const dns = challenge === 'dns-01' ? `dns: { update: { server: 127.0.0.1, keyFile: ${named.keyFile} } }` : '';
  writeFileSync(
    config,
    `listeners:
  https: { kind: tls, address: 127.0.0.1, port: 443 }
  http: { kind: redirect, address: 127.0.0.1, port: 80 }
admin: { port: ${adminPort} }
controlSocket: control.sock
workers: 1
certsDirectory: ${certs}
acme:
  - challenges: [${challenge}]
    issuers: [${issuers.join(', ')}]
    ${dns}
hosts:
  ${SITE}: { routes: [{ reply: { status: 200, body: hello } }] }
`,
  );
  await startProcess(t, {
    ...{ command: process.execPath, args: [LAUNCHER, 'run', '--config', config], cwd: folder },
    isReady: () => answersOnUrl(`http://127.0.0.1:${adminPort}/readyz`),
  });
  const admin = async (path: string) => (await fetch(`http://127.0.0.1:${adminPort}${path}`)).text();
  return { readyz: () => admin('/readyz?verbose'), metrics: () => admin('/metrics') };
}
