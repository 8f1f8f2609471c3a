// Certificates as users meet them: commands, a .pfx alone, HSTS, and sessions resumed whichever worker answers.

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { connect } from 'node:tls';
import t from 'tap';
import { DirectoryStorage } from '../../src/control/acme/directory-storage.ts';
import { storeCertificate } from '../../src/control/acme/records.ts';
import { makeAuthority, makeCertificate } from '../support/certificates.ts';
import { makeFolder } from '../support/folder.ts';
import { httpsGet } from '../support/https-get.ts';
import { needPart, partPath } from '../support/parts.ts';
import { LAUNCHER } from '../support/portico.ts';
import { type FilePortico, fileHead, type Ground, startByFile } from '../support/portico-file.ts';
import { freePort } from '../support/ports.ts';
import { startProcess } from '../support/process.ts';

const NAME = 'door.test';
const SITE = `hosts:
  ${NAME}:
    hsts: { days: 365, includeSubdomains: true }
    routes:
      - path: /here
        reply: { status: 200, body: here }
      - path: /own
        reply: { status: 200, body: here }
        response: { set: { Strict-Transport-Security: max-age=1 } }
`;

/** A handshake with a session, or for one; true when it was resumed. */
async function shake(door: FilePortico, version: 'TLSv1.2' | 'TLSv1.3', session?: Buffer) {
  const socket = connect({
    ...{ host: '127.0.0.1', port: door.httpsPort, servername: NAME, ca: door.certificate.ca, maxVersion: version },
    ...(session === undefined ? {} : { session }),
  });
  const given = session ?? ((await once(socket, 'session')) as [Buffer])[0];
  // The server has said who it is only when this has come.
  socket.write(`GET /here HTTP/1.1\r\nHost: ${NAME}\r\nConnection: close\r\n\r\n`);
  await once(socket, 'data');
  const resumed = socket.isSessionReused();
  socket.destroy();
  return { session: given, resumed };
}

t.test('sessions are resumed whichever worker answers, by TLS 1.2 and 1.3', async (t) => {
  const door = await startByFile(t, [NAME], (ground) => fileHead(ground) + SITE);
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const { session } = await shake(door, version);
    // Each connection goes to one of two workers by chance: sixteen in a row miss neither.
    for (let i = 0; i < 16; i++) t.ok((await shake(door, version, session)).resumed, `${version}, ${i}`);
  }
});

t.test('HSTS over TLS only, in place of what the route says only where that says nothing', async (t) => {
  const plain = await freePort();
  const door = await startByFile(t, [NAME, 'other.test'], (ground) => {
    return (
      fileHead(ground).replace('admin:', `  plain: { kind: plain, address: 127.0.0.1, port: ${plain} }\nadmin:`) + SITE
    );
  });
  const sent = async (path: string) =>
    (await httpsGet(door.httpsPort, NAME, path, door.certificate.ca)).headers['strict-transport-security'];
  t.equal(await sent('/here'), 'max-age=31536000; includeSubDomains');
  t.equal(await sent('/own'), 'max-age=1');
  t.equal(await sent('/nowhere'), 'max-age=31536000; includeSubDomains', 'on our own 404, too');
  t.equal(
    (await httpsGet(door.httpsPort, 'other.test', '/here', door.certificate.ca)).headers['strict-transport-security'],
    undefined,
  );
  // Over fetch no Host of our own is sent.
  const [answer] = (await once(get({ port: plain, path: '/here', headers: { Host: NAME } }), 'response')) as [
    IncomingMessage,
  ];
  t.equal((await answer.toArray()).join(''), 'here');
  t.equal(answer.headers['strict-transport-security'], undefined);
});

t.test('cert list, of the running instance and without one; cert lint', async (t) => {
  let ground!: Ground;
  const door = await startByFile(t, [NAME, 'other.test'], (given) => {
    ground = given;
    return fileHead(given) + SITE;
  });
  const listed = await door.command('cert', 'list');
  t.match(listed, { code: 0, stderr: '' });
  t.match(listed.stdout, /^names +issuer +days left +source +state\n/);
  t.match(listed.stdout, /\ndoor\.test other\.test +CN=Test root +(59|60) +file +root\n/);
  t.match(listed.stdout, /\nnote: .*certificates\[0\]\.cert: .* holds the root CN=Test root, which is left out/);
  await door.process.stop();
  const alone = await door.command('cert', 'list');
  t.match(alone, { code: 0, stderr: /no instance runs here .*; this is what the configuration names/ });
  t.equal(alone.stdout, listed.stdout);
  door.write(fileHead(ground).replace('key.pem', 'none.pem') + SITE);
  t.match(await door.command('cert', 'list'), { code: 1, stderr: /none\.pem does not exist/ });

  const stranger = await makeCertificate({ names: ['stranger.test'], validFrom: -90, validTo: -1 });
  writeFileSync(join(door.cwd, 'stranger.pem'), stranger.certificate);
  const lint = async (...files: string[]) => {
    const args = [LAUNCHER, 'cert', 'lint', ...files];
    const running = await startProcess(t, { command: process.execPath, args, cwd: door.cwd });
    return { ...(await running.exited), stdout: running.stdout() };
  };
  const good = await lint('certificate.pem', 'key.pem');
  t.match(good, {
    code: 0,
    stdout: /certificate\.pem: CN=door\.test, for door\.test other\.test, by CN=Test root, until /,
  });
  const bad = await lint('stranger.pem', 'key.pem', 'none.pem');
  t.equal(bad.code, 1);
  t.match(bad.stdout, /error: .*none\.pem does not exist/);
  t.match(bad.stdout, / {2}error: .*stranger\.pem has no private key among these files/);
  t.match(bad.stdout, / {2}error: .*stranger\.pem expired at .* \(renew it\)/);
  for (const words of [['cert'], ['cert', 'lint'], ['cert', 'other'], ['cert', 'list', 'x']]) {
    t.equal((await door.command(...words)).code, 2, words.join(' '));
  }
});

t.test('a .pfx alone, with its passphrase in a file', async (t) => {
  if (needPart(t, 'openssl') === undefined) return;
  const door = await startByFile(t, [NAME], (ground) => fileHead(ground) + SITE);
  execFileSync(
    partPath('openssl'),
    [
      ...['pkcs12', '-export', '-legacy', '-in', 'certificate.pem', '-inkey', 'key.pem', '-out', 'site.pfx'],
      ...['-passout', 'pass:secret'],
    ],
    { cwd: door.cwd },
  );
  writeFileSync(join(door.cwd, 'passphrase'), 'secret\n', { mode: 0o600 });
  const text = readFileSync(door.file, 'utf8');
  door.write(text.replace(/cert: certificate\.pem\n +key: key\.pem/, 'cert: site.pfx\n    passwordFile: passphrase'));
  t.match(await door.command('reload'), { code: 0 });
  t.equal((await httpsGet(door.httpsPort, NAME, '/here', door.certificate.ca)).text, 'here');
  t.match(await door.command('validate', '-T'), { stdout: /cert: .*site\.pfx\n +passwordFile: .*passphrase\n/ });
  door.write(text.replace(/cert: certificate\.pem\n +key: key\.pem/, 'cert: site.pfx'));
  const stderr =
    /site\.pfx is a PKCS#12 store, and no passphrase is given \(set certificates\[0\]\.passwordFile to a file/;
  t.match(await door.command('reload'), { code: 1, stderr });
});

t.test('cert list without an instance shows what was issued, too, and what was not yet', async (t) => {
  const folder = makeFolder(t, 'list');
  const issuer = await makeAuthority();
  const issued = await makeCertificate({ names: [NAME], issuer, validTo: 40.5 });
  const chain = issued.certificate + issuer.certificate;
  const storage = new DirectoryStorage(join(folder, 'acme'));
  const directory = 'https://acme.example/directory';
  await storeCertificate(storage, NAME, { directory, chain, key: issued.key });
  const { exited, stdout, stderr } = await startProcess(t, {
    ...{ command: process.execPath, args: [LAUNCHER, 'cert', 'list'], cwd: folder },
    env: {
      ...{ FRONTEND_DNS: NAME, FRONTEND_SERVICE: 'frontend', BACKEND_DNS: `api.${NAME}`, BACKEND_SERVICE: 'backend' },
      ...{ ACME_DIRECTORY: directory, CERTS_DIR: folder, PORTICO_SOCKET: join(folder, 'none.sock') },
    },
  });
  t.match(await exited, { code: 0 }, stderr());
  t.match(stdout(), /^names +issuer +days left +source +state\ndoor\.test +CN=Test root +40 +acme +ok\n/);
  t.match(stdout(), /\nnote: api\.door\.test has no certificate yet: one is issued when Portico runs\n$/);
  t.notMatch(stdout(), 'PRIVATE KEY');
});
