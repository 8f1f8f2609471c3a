// The doctor: what it finds in a healthy stack, and in those that are ill in the ways that are met most.

import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import t, { type Test } from 'tap';
import { type Instance, openControlSocket } from '../../src/control/control-socket.ts';
import { examine } from '../../src/control/doctor.ts';
import type { World } from '../../src/control/doctor-probe.ts';
import { sourceOf } from '../../src/control/source.ts';
import { makeAuthority, makeCertificate } from '../support/certificates.ts';
import { makeFolder } from '../support/folder.ts';
import { freePort } from '../support/ports.ts';
import { makeTestCertificate } from '../support/tls.ts';

const NAME = 'door.test';
const folder = makeFolder(t, 'doctor');
const certificate = await makeTestCertificate(folder, [NAME]);

async function serve(t: Test, answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const asFrontend: RequestListener = (_request, response) => {
  response.setHeader('Content-Type', 'text/html; charset=utf-8').end('<title>x</title>');
};
const asBackend: RequestListener = (request, response) => {
  response.statusCode = request.url === '/' ? 200 : 404;
  const status = { version: 'v89.1.0', database: 'mongodb://root:hunter2@db' };
  response.setHeader('Content-Type', 'application/json').end(JSON.stringify(status));
};

interface Given {
  readonly env?: Record<string, string>;
  readonly world?: Partial<World>;
}

/** All diagnoses, each as `[level] about: says -> todo`. */
async function diagnosesOf(frontend: string, backend: string, { env = {}, world = {} }: Given = {}): Promise<string[]> {
  const environment: Record<string, string> = {
    ...{ FRONTEND_DNS: NAME, FRONTEND_SERVICE: frontend, BACKEND_SERVICE: backend, LISTEN_HOST: '127.0.0.1' },
    ...{ SSL_CRT: certificate.certificateFile, SSL_KEY: certificate.keyFile },
    ...{ HTTP_PORT: String(await freePort()), HTTPS_PORT: String(await freePort()) },
    ...{ ADMIN_PORT: String(await freePort()), PORTICO_SOCKET: join(folder, 'none') },
    ...env,
  };
  const around: World = {
    addressesOf: async (name) => (name === NAME ? ['127.0.0.1'] : Promise.reject(new Error('ENOTFOUND'))),
    ownAddresses: () => ['127.0.0.1'],
    now: () => new Date(),
    patience: 5_000,
    ...world,
  };
  const diagnoses = await examine(sourceOf(undefined, environment), environment, around);
  return diagnoses.map(({ level, about, says, todo }) => `[${level}] ${about}: ${says}${todo ? ` -> ${todo}` : ''}`);
}

const find = (diagnoses: readonly string[], text: string) => diagnoses.filter((each) => each.includes(text));

t.test('a healthy stack, not yet started', async (t) => {
  const [frontend, backend] = [await serve(t, asFrontend), await serve(t, asBackend)];
  const diagnoses = await diagnosesOf(frontend, backend);
  t.match(diagnoses, [
    /^\[ok\] configuration: variables: 1 hosts, \d routes$/,
    /^\[ok\] certificate: door\.test, from CN=Test \w+, \d+ days left$/,
    /^\[ok\] certificate: .*holds the root/,
    /^\[ok\] instance: none runs here/,
    /^\[ok\] port \d+ \(\w+\): free$/,
    /^\[ok\] port \d+ \(\w+\): free$/,
    /^\[ok\] port \d+ \(admin\): free$/,
    /^\[ok\] upstream frontend .*: 200 text\/html at \/, its page for every path: a frontend$/,
    /^\[ok\] upstream backend .*: 200 application\/json at \/, version v89\.1\.0$/,
    /^\[ok\] public name door\.test: leads to 127\.0\.0\.1, this machine$/,
    /^\[ok\] trusted proxies: none/,
    /^\[ok\] clock: the same/,
  ]);
  t.equal(diagnoses.length, 12);
  t.notMatch(diagnoses.join('\n'), 'hunter2', 'nothing else that an upstream tells is printed');
});

t.test('upstreams that are exchanged, gone, silent, broken or no HTTP', async (t) => {
  const [frontend, backend] = [await serve(t, asFrontend), await serve(t, asBackend)];
  const exchanged = await diagnosesOf(backend, frontend);
  t.match(find(exchanged, 'upstream backend'), [
    /^\[fail\].*its page for every path, as a frontend does, where the API should be -> are frontend and backend ex/,
  ]);
  t.match(find(exchanged, 'upstream frontend'), [/^\[warn\].*where pages should be/]);

  const gone = await diagnosesOf('nowhere.test', `127.0.0.1:${await freePort()}`);
  t.match(find(gone, 'upstream frontend'), [
    /^\[fail\].*its name does not resolve from here \(ENOTFOUND\) -> start that/,
  ]);
  t.match(find(gone, 'upstream backend'), [/^\[fail\].*refuses connections -> start it, or wait/]);

  const silent = await serve(t, () => {});
  const broken = await serve(t, (_request, response) => {
    response.statusCode = 503;
    response.end();
  });
  const ill = await diagnosesOf(broken, silent, { world: { patience: 100 } });
  t.match(find(ill, 'upstream frontend'), [/^\[warn\].*503 at \/: it is in trouble/]);
  t.match(find(ill, 'upstream backend'), [/^\[warn\].*does not answer within 0\.1 s/]);

  const other = createTcpServer((socket) => socket.end('220 mail.test\r\n')).listen(0, '127.0.0.1');
  await once(other, 'listening');
  t.teardown(() => other.close());
  const mail = `127.0.0.1:${(other.address() as AddressInfo).port}`;
  const wrong = await diagnosesOf(mail, `https://${backend}`);
  t.match(find(wrong, 'upstream frontend'), [/^\[fail\].*cannot be asked .* is it really plain HTTP/]);
  t.match(find(wrong, 'upstream backend'), [/^\[fail\].*cannot be asked .* is it really TLS/]);
});

t.test('an upstream that switches protocols is none', async (t) => {
  const switching = 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n';
  const odd = await serve(t, ({ socket }) => socket.write(switching));
  const said = await diagnosesOf(odd, odd);
  t.match(find(said, 'upstream backend'), [/^\[fail\].*cannot be asked \(it answers with status 101\)/]);
});

t.test('a body without an end is not read for ever', async (t) => {
  const endless = await serve(t, (_request, response) => {
    response.setHeader('Content-Type', 'application/json').write('{"version":"');
    const more = setInterval(() => response.write('x'.repeat(64 * 1024)), 1);
    response.on('close', () => clearInterval(more));
  });
  t.match(find(await diagnosesOf(endless, endless), 'upstream backend'), [
    /^\[ok\].*200 application\/json at \/, which/,
  ]);
});

t.test('a configuration that is wrong is all there is to say', async (t) => {
  t.match(await diagnosesOf('a', 'b', { env: { SSL_KEY: '/nowhere/key', SSL_CRT: '/nowhere/crt' } }), [
    /^\[fail\] configuration: SSL_CRT \/nowhere\/crt does not exist/,
    /^\[fail\] configuration: SSL_KEY \/nowhere\/key does not exist/,
  ]);
});

t.test('a port that is taken, trust in everybody, a clock that is wrong', async (t) => {
  const [frontend, backend, other] = [await serve(t, asFrontend), await serve(t, asBackend), await serve(t, asBackend)];
  const env = { HTTPS_PORT: other.split(':')[1]!, TRUSTED_PROXIES: '10.0.0.7, 0.0.0.0/0, ::/0' };
  const now = () => new Date(Date.now() + 300_000);
  const diagnoses = await diagnosesOf(frontend, backend, { env, world: { now } });
  t.match(find(diagnoses, `port ${env.HTTPS_PORT} `), [/^\[fail\].*is taken by another process -> stop that one/]);
  t.match(find(diagnoses, 'trusted proxies'), [/^\[fail\] trusted proxies: 0\.0\.0\.0\/0, ::\/0 believes strangers/]);
  t.match(find(diagnoses, 'clock'), [/^\[warn\] clock: [23]\d\d s from that of an upstream/]);
  const narrow = await diagnosesOf(frontend, backend, { env: { TRUSTED_PROXIES: '10.0.0.0/8, 172.16.0.1' } });
  t.match(find(narrow, 'trusted proxies'), [/^\[ok\] trusted proxies: 10\.0\.0\.0\/8, 172\.16\.0\.1$/]);
});

t.test('what a screenshot container would find under the public name', async (t) => {
  const backend = await serve(t, asBackend);
  const about = async (given: Given) => find(await diagnosesOf(backend, backend, given), 'public name')[0];
  const elsewhere = async () => ['127.0.0.9'];
  t.match(await about({ world: { addressesOf: () => Promise.reject(new Error('ENOTFOUND')) } }), /^\[warn\].*does not/);
  t.match(await about({ world: { addressesOf: elsewhere } }), /^\[warn\].*leads to 127\.0\.0\.9, no address of this/);

  const path = join(makeFolder(t, 'instance'), 'c');
  const held = await freePort();
  const told = {
    ok: true,
    message: 'ready',
    warnings: [],
    problems: [],
    pid: 7,
    ports: [held],
    watchdog: 0,
    reloads: 0,
  };
  let instance: Instance = told;
  const control = await openControlSocket(path, { status: async () => instance });
  t.teardown(() => control.close());
  const show = async (cert: { certificateFile: string; keyFile: string }) => {
    const server = createTlsServer({ cert: readFileSync(cert.certificateFile), key: readFileSync(cert.keyFile) });
    server.on('tlsClientError', () => {});
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => server.close());
    return String((server.address() as AddressInfo).port);
  };
  const running = { PORTICO_SOCKET: path, HTTPS_PORT: String(held) };
  const ours = { ...running, PUBLIC_HTTPS_PORT: await show(certificate) };
  t.match(await about({ env: ours }), /^\[ok\].*which shows our certificate$/);
  const other = await makeTestCertificate(makeFolder(t, 'other'), [NAME]);
  const theirs = { ...running, PUBLIC_HTTPS_PORT: await show(other) };
  t.match(await about({ env: theirs }), /^\[warn\].*which shows another certificate .* portico reload/);
  const nobody = { ...running, PUBLIC_HTTPS_PORT: String(await freePort()) };
  t.match(await about({ env: nobody }), /^\[warn\].*cannot be reached from here \(.*ECONNREFUSED/);

  const diagnoses = await diagnosesOf(backend, backend, { env: ours });
  t.match(find(diagnoses, '] instance'), ['[ok] instance: process 7 runs and is ready']);
  t.match(find(diagnoses, `port ${held} `), [/^\[ok\].*held by the running instance$/]);
  instance = {
    ...told,
    ok: false,
    problems: ['listeners: 0 of 2 workers serve'],
    warnings: ['the last reload failed'],
  };
  t.match(find(await diagnosesOf(backend, backend, { env: ours }), '] instance'), [
    /^\[fail\] instance: process 7 runs and is not ready: listeners: 0 of 2 workers serve/,
    /^\[warn\] instance: the last reload failed/,
  ]);
});

t.test('what issuers say of certificates by OCSP is asked, too', async (t) => {
  const [frontend, backend] = [await serve(t, asFrontend), await serve(t, asBackend)];
  const responder = await serve(t, (_request, response) => response.writeHead(503).end());
  const issuer = await makeAuthority();
  const leaf = await makeCertificate({ names: [NAME], issuer, responderUrl: `http://${responder}/` });
  const certs = makeFolder(t, 'ocsp');
  const files = { SSL_CRT: join(certs, 'tls.crt'), SSL_KEY: join(certs, 'tls.key') };
  writeFileSync(files.SSL_CRT, leaf.certificate + issuer.certificate);
  writeFileSync(files.SSL_KEY, leaf.key, { mode: 0o600 });
  t.match(find(await diagnosesOf(frontend, backend, { env: files }), 'OCSP'), [
    `[warn] OCSP of ${NAME}: http://${responder} answered with status 503 -> `,
  ]);
});
