// Wildcards and names issued by dns-01: the real BIND takes updates and shows records, the real Pebble looks at them, and a door serves what comes of it.

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import t, { type Test } from 'tap';
import { makeFolder } from '../support/folder.ts';
import { httpsGet } from '../support/https-get.ts';
import { DNS_PARTS, makeHook, type Named, replacingHook, startNamed } from '../support/named.ts';
import { needParts, partPath } from '../support/parts.ts';
import { type Pebble, type PebbleOptions, startPebble } from '../support/pebble.ts';
import { LAUNCHER, startPortico } from '../support/portico.ts';
import { freePort, waitFor } from '../support/ports.ts';
import { answersOnUrl, startProcess } from '../support/process.ts';

const SITE = 'example.test';

t.test('dns-01', async (t) => {
  if (!needParts(t, [...DNS_PARTS, 'pebble', 'curl'])) return;

  t.test('a wildcard and its own name by updates: curl trusts every name below', async (t) => {
    const { named, pebble } = await start(t);
    const door = await startDoor(t, pebble, {
      names: [`*.${SITE}`, SITE],
      dns: `update: { server: "${named.address}", keyFile: ${named.keyFile} }, resolvers: ["${named.address}"]`,
    });
    await waitFor(async () => !/being issued|has no certificate/.test(await door.readyz()), 30_000, 'both');
    t.equal(await door.curl(`a-customer.${SITE}`), 'wild');
    t.equal(await door.curl(SITE), 'own');
    t.equal(pebble.orders(), 2);
    t.strictSame(await named.texts(`_acme-challenge.${SITE}`), []);
    t.notOk((door.process.stdout() + door.process.stderr()).includes(named.secret));
    // Both are kept, each in a file of its own.
    const table = execFileSync(process.execPath, [LAUNCHER, 'doctor', '--config', door.config], {
      ...{ encoding: 'utf8', cwd: door.folder, env: { ...process.env, PATH: withSbin() } },
    });
    t.match(table, /\*\.example\.test, issued by localhost:\d+/);
  });

  t.test('two processes on one store: one order a name, and both serve what came of it', async (t) => {
    const { named, pebble } = await start(t);
    const dns = `update: { server: "${named.address}", keyFile: ${named.keyFile} }, resolvers: ["${named.address}"]`;
    const options = { names: [`*.${SITE}`, SITE], dns, certs: makeFolder(t, 'certs') };
    const doors = await Promise.all([startDoor(t, pebble, options), startDoor(t, pebble, options)]);
    for (const door of doors) {
      await waitFor(async () => !/being issued|has no certificate/.test(await door.readyz()), 30_000, 'both');
    }
    for (const name of [`a.${SITE}`, SITE]) {
      const [one, other] = await Promise.all(doors.map((door) => door.serial(name)));
      t.equal(one, other);
    }
    t.equal(pebble.orders(), 2);
  });

  t.test('variables and a hook', async (t) => {
    const { named, pebble } = await start(t);
    const hook = makeHook(t, replacingHook(named));
    const door = await startPortico(t, {
      ...{ FRONTEND_DNS: SITE, BACKEND_DNS: `api.${SITE}` },
      ...{ FRONTEND_SERVICE: '127.0.0.1:9', BACKEND_SERVICE: '127.0.0.1:9', SSL_CRT: '' },
      ...{ ACME_DIRECTORY: pebble.directory, ACME_CA_FILE: pebble.caFile },
      ...{ ACME_DNS_HOOK: hook.file, ACME_DNS_RESOLVERS: named.address },
    });
    for (const name of [SITE, `api.${SITE}`]) {
      const isTrusted = async () => {
        const ca = await pebble.root();
        return httpsGet(door.httpsPort, name, '/', ca).then(
          ({ status }) => status === 502,
          () => false,
        );
      };
      await waitFor(isTrusted, 30_000, `the certificate of ${name}`);
    }
    const tasks = hook.calls().map((line) => line.split(' ')[0]);
    t.strictSame(tasks.toSorted(), ['cleanup', 'cleanup', 'present', 'present']);
    t.notMatch(pebble.process.stdout(), /Attempting to validate w\/ HTTP/);
  });

  t.test('a hook that fails: the door is open, and says why', async (t) => {
    const { named, pebble } = await start(t);
    const hook = makeHook(t, 'echo "the zone is locked" >&2\nexit 5');
    const dns = `hook: ${hook.file}, resolvers: ["${named.address}"]`;
    const door = await startDoor(t, pebble, { names: [`*.${SITE}`], dns });
    const why =
      /\*\.example\.test has no certificate that clients accept: it could not be shown that \*\.example\.test is ours: dns-01: \S+dns-hook present ended with status 5: the zone is locked; the next attempt is at 20/;
    await waitFor(async () => why.test(await door.readyz()), 20_000, 'the reason');
    t.strictSame(
      hook.calls().map((line) => line.split(' ')[0]),
      ['present', 'cleanup'],
    );
    await waitFor(() => door.process.stdout().includes('a TXT record is left over'), 10_000, 'the warning in the log');
  });

  t.test('killed while its record stands: the next start removes it, and comes to an end', async (t) => {
    // Time to be killed in: each look takes some seconds.
    const slow = { env: { PEBBLE_VA_NOSLEEP: '0', PEBBLE_VA_SLEEPTIME: '2' }, reuse: 0 };
    const { named, pebble } = await start(t, slow);
    const hook = makeHook(t, replacingHook(named));
    const dns = `hook: ${hook.file}, resolvers: ["${named.address}"]`;
    const certs = makeFolder(t, 'certs');
    const first = await startDoor(t, pebble, { names: [`*.${SITE}`], dns, certs });
    const name = `_acme-challenge.${SITE}`;
    await waitFor(async () => (await named.texts(name)).length > 0, 20_000, 'the record');
    await waitFor(() => /chalZ/.test(pebble.process.stdout()), 20_000, 'the issuer to be told');
    first.process.signal('SIGKILL');
    await first.process.exited;
    t.equal((await named.texts(name)).length, 1);
    const second = await startDoor(t, pebble, { names: [`*.${SITE}`], dns, certs });
    await waitFor(async () => !/being issued/.test(await second.readyz()), 40_000, 'the certificate');
    await waitFor(async () => (await named.texts(name)).length === 0, 10_000, 'nothing to be left');
    t.match(hook.calls().slice(0, 2), [/^present /, /^cleanup /]);
    t.equal(hook.calls()[0]!.split(' ')[2], hook.calls()[1]!.split(' ')[2]);
    t.notMatch(await second.readyz(), /has no certificate/);
  });
});

async function start(t: Test, options: Partial<PebbleOptions> = {}): Promise<{ named: Named; pebble: Pebble }> {
  const named = await startNamed(t, [SITE]);
  const ports = { httpPort: await freePort(), tlsPort: await freePort() };
  return { named, pebble: await startPebble(t, { ...ports, dns: named.address, ...options }) };
}

interface DoorOptions {
  readonly names: readonly string[];
  readonly dns: string;
  readonly certs?: string;
}

async function startDoor(t: Test, pebble: Pebble, { names, dns, certs = 'certs' }: DoorOptions) {
  const [httpsPort, adminPort] = [await freePort(), await freePort()];
  const folder = makeFolder(t, 'door');
  const config = join(folder, 'portico.yaml');
  writeFileSync(
    config,
    `listeners:
  https: { kind: tls, address: 127.0.0.1, port: ${httpsPort} }
admin: { port: ${adminPort} }
controlSocket: control.sock
workers: ${process.platform === 'linux' ? 2 : 1}
certsDirectory: ${certs}
acme:
  - names: [${names.map((name) => JSON.stringify(name)).join(', ')}]
    issuers: [{ directory: "${pebble.directory}", ca: ${pebble.caFile} }]
    dns: { ${dns} }
hosts:
  "*.${SITE}": { routes: [{ reply: { status: 200, body: wild } }] }
  ${SITE}: { routes: [{ reply: { status: 200, body: own } }] }
`,
  );
  const running = await startProcess(t, {
    ...{ command: process.execPath, args: [LAUNCHER, 'run', '--config', config], cwd: folder },
    env: { PATH: withSbin() },
    isReady: () => answersOnUrl(`http://127.0.0.1:${adminPort}/readyz`),
  });
  const root = join(folder, 'root.pem');
  return {
    ...{ folder, config, process: running },
    /** Of what the issuer vouches for. Health knows of it a moment before the workers have it. */
    serial: (servername: string) => {
      const ask = async () => {
        const socket = connect({ host: '127.0.0.1', port: httpsPort, servername, ca: await pebble.root() });
        try {
          await once(socket, 'secureConnect');
          return socket.getPeerCertificate().serialNumber;
        } catch {
          return undefined;
        } finally {
          socket.destroy();
        }
      };
      return waitFor(ask, 5_000, `the certificate of ${servername}`);
    },
    readyz: async () => (await fetch(`http://127.0.0.1:${adminPort}/readyz?verbose`)).text(),
    /** The answer, to who trusts the issuer only. */
    curl: async (name: string) => {
      writeFileSync(root, await pebble.root());
      const to = ['--connect-to', `${name}:443:127.0.0.1:${httpsPort}`];
      return execFileSync(partPath('curl'), ['-sS', '--max-time', '10', '--cacert', root, ...to, `https://${name}/`], {
        encoding: 'utf8',
      });
    },
  };
}

/** Where nsupdate may be. */
function withSbin(): string {
  return `${process.env.PATH}:/usr/bin:/usr/sbin`;
}
