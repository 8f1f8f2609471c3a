// Certificates issued by a real ACME server to a door that is configured by variables alone, or by a file.

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { connect } from 'node:tls';
import t, { type Test } from 'tap';
import { makeFolder } from '../support/folder.ts';
import { httpsGet } from '../support/https-get.ts';
import { needParts } from '../support/parts.ts';
import { type Pebble, type PebbleOptions, startPebble } from '../support/pebble.ts';
import { LAUNCHER, type Portico, startPortico } from '../support/portico.ts';
import { freePort, waitFor } from '../support/ports.ts';
import { answersOnUrl, startProcess } from '../support/process.ts';

const FRONTEND = 'toucan.example.test';
const BACKEND = 'api-toucan.example.test';
const KID = 'kid-1';
const HMAC = 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W';

t.test('ACME', async (t) => {
  if (!needParts(t, ['pebble', 'pebble-challtestsrv', 'openssl'])) return;

  t.test(
    'http-01: open at once, issued by the answers of every worker, and everything else is redirected',
    async (t) => {
      const { pebble, door } = await start(t, { WORKERS: '3', ACME_CHALLENGES: 'http-01' });
      t.match(await readyz(door), /\[\+\]certificate ok: .*toucan\.example\.test is being issued a certificate/);
      await untilIssued(door, pebble);
      for (const name of [FRONTEND, BACKEND]) {
        t.equal((await httpsGet(door.httpsPort, name, '/', await pebble.root())).status, 502, 'nothing is behind it');
      }
      t.notMatch(await readyz(door), /being issued/);
      const path = '/.well-known/acme-challenge/unknown';
      t.strictSame(await locationOf(door.httpPort, FRONTEND, path), [301, `https://${FRONTEND}${path}`]);
      const metrics = await (await fetch(`http://127.0.0.1:${door.adminPort}/metrics`)).text();
      t.match(
        metrics,
        /portico_tls_certificate_not_after_timestamp_seconds\{name="toucan\.example\.test",source="acme"\} \d+/,
      );
      t.match(metrics, /portico_acme_orders_total\{issuer="localhost:\d+",result="issued"\} 2/);
      t.equal(pebble.orders(), 2, 'one a name');
      t.match(pebble.process.stdout(), /Attempting to validate w\/ HTTP/);
      t.notMatch(door.process.stdout() + door.process.stderr(), /PRIVATE KEY/);
      for (const file of readdirSync(join(door.cwd, 'certs/acme'), { recursive: true }) as string[]) {
        t.equal(statSync(join(door.cwd, 'certs/acme', file)).mode & 0o077, 0, `${file} is ours alone`);
      }
    },
  );

  t.test('tls-alpn-01 with an account that is bound by the issuer, its key in a file', async (t) => {
    const file = join(makeFolder(t), 'hmac');
    writeFileSync(file, `${HMAC}\n`);
    const eab = { ACME_EAB_KID: KID, ACME_EAB_HMAC_FILE: file };
    const { pebble, door } = await start(
      t,
      { ...eab, WORKERS: '2', ACME_CHALLENGES: 'tls-alpn-01', ACME_EMAIL: 'it@example.com' },
      { accounts: { [KID]: HMAC } },
    );
    await untilIssued(door, pebble);
    t.notMatch(pebble.process.stdout(), /Attempting to validate w\/ HTTP/);
    const said = execFileSync(
      'openssl',
      ['s_client', '-connect', `127.0.0.1:${door.httpsPort}`, '-servername', FRONTEND],
      {
        ...{ input: '', encoding: 'utf8', stdio: ['pipe', 'pipe', 'ignore'] },
      },
    );
    t.match(said, /issuer=CN = Pebble Intermediate CA/);
    t.notMatch(door.process.stdout() + door.process.stderr(), new RegExp(HMAC));
    // What was only for the issuer is gone: nobody gets anything by its protocol.
    await t.rejects(handshake(door.httpsPort, FRONTEND, ['acme-tls/1']));
  });

  t.test('killed in the middle of an order: the next start brings it to its end', async (t) => {
    const certs = makeFolder(t, 'certs');
    const ports = { HTTP_PORT: String(await freePort()), HTTPS_PORT: String(await freePort()) };
    const pebble = await startPebble(t, {
      ...{ httpPort: Number(ports.HTTP_PORT), tlsPort: Number(ports.HTTPS_PORT) },
      // Time to be killed in: each look takes some seconds.
      ...{ env: { PEBBLE_VA_NOSLEEP: '0', PEBBLE_VA_SLEEPTIME: '2' }, reuse: 0 },
    });
    const env = { ...ports, CERTS_DIR: certs, BACKEND_DNS: '', ACME_CHALLENGES: 'http-01' };
    const first = await startDoor(t, pebble, env);
    await waitFor(() => pebble.orders() === 1 && /chalZ/.test(pebble.process.stdout()), 10_000, 'the order');
    first.process.signal('SIGKILL');
    await first.process.exited;
    const second = await startDoor(t, pebble, env);
    await untilIssued(second, pebble, [FRONTEND]);
    t.ok(pebble.orders() <= 2, `${pebble.orders()} orders`);
    t.notMatch(await readyz(second), /has no certificate/);
  });

  t.test('an issuer that is down, or a store that cannot be written: the door is open, and says why', async (t) => {
    const file = join(makeFolder(t), 'certs');
    writeFileSync(file, 'no folder');
    const directory = `https://localhost:${await freePort()}/dir`;
    const { pebble, door: unkept } = await start(t, { CERTS_DIR: file });
    const unanswered = await startDoor(t, pebble, { ACME_DIRECTORY: directory, LOG_LEVEL: 'info' });
    const says = (door: Portico, what: RegExp) =>
      waitFor(async () => what.test(await readyz(door)), 10_000, String(what));
    await says(
      unkept,
      /\[\+\]certificate ok: .*has no certificate that clients accept: cannot (?:write|lock|read) .*certs/,
    );
    await says(
      unanswered,
      /has no certificate that clients accept: localhost:\d+ cannot be reached: .*; the next attempt is at 20/,
    );
    t.equal((await handshake(unkept.httpsPort, FRONTEND)).issuer, 'Portico placeholder');
    t.equal((await handshake(unanswered.httpsPort, FRONTEND)).issuer, 'Portico placeholder');
    t.equal(pebble.orders(), 0);
    const errors = () => unanswered.logs().filter(({ level }) => level === 'error');
    await waitFor(() => errors().length >= 2, 10_000, 'both names to be told of');
    t.strictSame(
      errors()
        .map(({ msg }) => String(msg).split(' ')[0])
        .sort(),
      [BACKEND, FRONTEND].sort(),
      'told once each',
    );
  });

  t.test(
    'a configuration file: the second issuer when the first is down; a reload keeps what was issued',
    async (t) => {
      const [httpPort, httpsPort, adminPort] = [await freePort(), await freePort(), await freePort()];
      const folder = makeFolder(t, 'door');
      const pebble = await startPebble(t, { httpPort, tlsPort: httpsPort });
      const config = join(folder, 'portico.yaml');
      writeFileSync(
        config,
        `listeners:
  https: { kind: tls, address: 127.0.0.1, port: ${httpsPort} }
  http: { kind: redirect, address: 127.0.0.1, port: ${httpPort} }
admin: { port: ${adminPort} }
controlSocket: control.sock
workers: 1
acme:
  - names: [${FRONTEND}]
    issuers:
      - { directory: "https://localhost:${await freePort()}/dir" }
      - { directory: "${pebble.directory}", ca: ${pebble.caFile} }
hosts:
  ${FRONTEND}: { routes: [{ reply: { status: 200, body: hello } }] }
`,
      );
      await startProcess(t, {
        ...{ command: process.execPath, args: [LAUNCHER, 'run', '--config', config], cwd: folder },
        isReady: () => answersOnUrl(`http://127.0.0.1:${adminPort}/readyz`),
      });
      const issued = async () => (await handshake(httpsPort, FRONTEND)).issuer.startsWith('Pebble');
      await waitFor(issued, 15_000, 'the certificate');
      const { serial } = await handshake(httpsPort, FRONTEND);
      execFileSync(process.execPath, [LAUNCHER, 'reload', '--config', config], { cwd: folder, stdio: 'ignore' });
      t.equal((await handshake(httpsPort, FRONTEND)).serial, serial);
      t.equal((await httpsGet(httpsPort, FRONTEND, '/', await pebble.root())).text, 'hello');
      t.equal(pebble.orders(), 1);
    },
  );
});

async function start(t: Test, env: Readonly<Record<string, string>>, options: Partial<PebbleOptions> = {}) {
  const [httpPort, tlsPort] = [await freePort(), await freePort()];
  const pebble = await startPebble(t, { httpPort, tlsPort, ...options });
  const ports = { HTTP_PORT: String(httpPort), HTTPS_PORT: String(tlsPort) };
  return { pebble, door: await startDoor(t, pebble, { ...ports, ...env }) };
}

function startDoor(t: Test, pebble: Pebble, env: Readonly<Record<string, string>>): Promise<Portico> {
  return startPortico(t, {
    ...{
      FRONTEND_DNS: FRONTEND,
      BACKEND_DNS: BACKEND,
      FRONTEND_SERVICE: '127.0.0.1:9',
      BACKEND_SERVICE: '127.0.0.1:9',
    },
    // Empty is not set, and keeps the support from making a certificate.
    ...{ SSL_CRT: '', ACME_DIRECTORY: pebble.directory, ACME_CA_FILE: pebble.caFile },
    ...env,
  });
}

async function untilIssued({ httpsPort }: Portico, pebble: Pebble, names = [FRONTEND, BACKEND]): Promise<void> {
  const ca = await pebble.root();
  for (const name of names) {
    await waitFor(
      async () => (await handshake(httpsPort, name, undefined, ca)).trusted,
      25_000,
      `the certificate of ${name}`,
    );
  }
}

/** Status and Location of a plain GET: fetch would not send this Host. */
async function locationOf(port: number, host: string, path: string): Promise<unknown[]> {
  const asked = request({ host: '127.0.0.1', port, path, headers: { Host: host }, agent: false }).end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  answer.resume();
  return [answer.statusCode, answer.headers.location];
}

async function readyz({ adminPort }: Portico): Promise<string> {
  return (await fetch(`http://127.0.0.1:${adminPort}/readyz?verbose`)).text();
}

interface Seen {
  readonly issuer: string;
  readonly serial: string;
  readonly trusted: boolean;
}

function handshake(port: number, servername: string, protocols?: readonly string[], ca?: string): Promise<Seen> {
  return new Promise((seen, failed) => {
    const options = {
      ...{ host: '127.0.0.1', port, servername, rejectUnauthorized: false },
      ...(ca === undefined ? {} : { ca }),
      ...(protocols === undefined ? {} : { ALPNProtocols: [...protocols] }),
    };
    const socket = connect(options, () => {
      const { issuer, serialNumber } = socket.getPeerCertificate();
      seen({ issuer: String(issuer.CN), serial: serialNumber, trusted: socket.authorized });
      socket.destroy();
    });
    socket.on('error', failed);
  });
}
