// Mutual TLS as operators and clients see it: curl and openssl with certificates, and lists that change while the door is open.

import { execFile, execFileSync } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { allValues } from '../../src/http/headers.ts';
import { makeAuthority, makeCertificate, makeRevocationList, type TestPair } from '../support/certificates.ts';
import { makeCurl, PROTOCOLS } from '../support/curl.ts';
import { makeFolder } from '../support/folder.ts';
import { needParts } from '../support/parts.ts';
import { fileHead, startByFile } from '../support/portico-file.ts';
import { waitFor } from '../support/ports.ts';
import { startRecorder } from '../support/recorder.ts';

const OPEN = 'open.test';
const GUARDED = 'guarded.test';
/** The promise is 5 s on a machine that has time. */
const WITHIN = 20_000;

t.test('clients with certificates', async (t) => {
  if (!needParts(t, ['curl', 'openssl'])) return;
  const backend = await startRecorder(t);
  const folder = makeFolder(t, 'clients');
  const root = await makeAuthority({ subject: 'CN=Devices' });
  const keep = (name: string, pair: TestPair) => {
    const file = join(folder, `${name}.pem`);
    writeFileSync(file, pair.certificate + pair.key, { mode: 0o600 });
    return file;
  };
  const issue = (name: string) =>
    makeCertificate({ subject: `CN=${name}`, issuer: root, purposes: ['1.3.6.1.5.5.7.3.2'] });
  const joe = await issue('joe');
  const ann = await issue('ann');
  const [joeFile, annFile] = [keep('joe', joe), keep('ann', ann)];
  const stranger = keep('stranger', await makeCertificate({ subject: 'CN=joe' }));
  const crl = join(folder, 'devices.crl');
  writeFileSync(crl, await makeRevocationList(root));
  writeFileSync(join(folder, 'ca.pem'), root.certificate);
  const host = (name: string, more: string) => `  ${name}:\n${more}    routes:\n      - proxy: site\n`;
  const portico = await startByFile(
    t,
    [OPEN, GUARDED],
    (ground) =>
      `${fileHead(ground)}pools:\n  site:\n    endpoints: [http://${backend.service}]\nhosts:\n${host(OPEN, '')}${host(
        GUARDED,
        `    clientAuth: { ca: ${folder}/ca.pem, crl: ${crl} }\n`,
      )}`,
  );
  const curl = makeCurl(t, {
    httpPort: portico.httpsPort,
    httpsPort: portico.httpsPort,
    caFile: portico.certificate.caFile,
  });
  const ask = (name: string, ...args: string[]) => curl(`https://${name}/`, ...args);

  for (const [protocol, version] of PROTOCOLS) {
    for (const tls of ['1.2', '1.3']) {
      const only = [version, `--tlsv${tls}`, '--tls-max', tls];
      t.equal((await ask(GUARDED, ...only, '--cert', joeFile)).status, 200, `${protocol} over TLS ${tls}`);
      const without = await ask(GUARDED, ...only, '-H', 'Accept: text/html');
      t.equal(without.status, 403);
      t.match(without.text, /<h1>403 Forbidden<\/h1>.*guarded\.test needs a client certificate, and none was sent/s);
      t.match(await ask(GUARDED, ...only, '--cert', stranger), {
        status: 403,
        text: /no authority of this site vouches/,
      });
      t.equal((await ask(OPEN, ...only)).status, 200);
    }
  }
  const cert = `:${Buffer.from(joe.certificate.replace(/-----[^-]+-----|\s/g, ''), 'base64').toString('base64')}:`;
  t.strictSame(
    backend.records.map(({ headers }) => allValues(headers, 'client-cert')),
    [[cert], [], [cert], [], [cert], [], [cert], []],
  );

  const fingerprintOf = (file: string) =>
    execFileSync('openssl', ['x509', '-in', file, '-noout', '-fingerprint', '-sha256'], { encoding: 'utf8' })
      .trim()
      .replace(/^.*=/, '')
      .replaceAll(':', '')
      .toLowerCase();
  const access = () => portico.logs().filter(({ msg }) => msg === 'access');
  await waitFor(() => access().length === 16, WITHIN, 'the access lines');
  const each = [fingerprintOf(joeFile), undefined, fingerprintOf(stranger), undefined];
  t.strictSame(
    // Of two workers, whose lines come when they come.
    access()
      .sort((one, other) => String(one.time).localeCompare(String(other.time)))
      .map(({ client_cert_sha256 }) => client_cert_sha256),
    [...each, ...each, ...each, ...each],
  );

  const wanted = async (name: string) => {
    const args = ['s_client', '-connect', `127.0.0.1:${portico.httpsPort}`, '-servername', name, '-tls1_2'];
    const done = promisify(execFile)('openssl', args);
    done.child.stdin?.end();
    return (await done).stdout;
  };
  t.match(await wanted(GUARDED), /Acceptable client certificate CA names\nCN = Devices/);
  t.match(await wanted(OPEN), /No client certificate CA names sent/);

  // Renewed as a cron job does it.
  writeFileSync(`${crl}.new`, await makeRevocationList(root, { revoked: [joe.certificate] }));
  renameSync(`${crl}.new`, crl);
  await waitFor(async () => (await ask(GUARDED, '--cert', joeFile)).status === 403, WITHIN, 'the new list');
  t.match((await ask(GUARDED, '--cert', joeFile)).text, /it was revoked/);
  t.equal((await ask(GUARDED, '--cert', annFile)).status, 200);
  const isLogged = () => portico.logs().some(({ msg }) => /changed authorities or revocation lists/.test(String(msg)));
  await waitFor(isLogged, WITHIN, 'the log to tell of it');

  writeFileSync(crl, await makeRevocationList(root, { from: -9, until: -1 }));

  const told = await portico.command('validate');
  t.match(told.stderr + told.stdout, /devices\.crl is out of date since .*clients are refused/);
  t.match(
    (await portico.command('explain', `https://${GUARDED}/`)).stdout,
    /^client {5}certificate required: vouched for by/m,
  );
  t.match(
    (await portico.command('doctor')).stdout,
    /client certificates of guarded\.test: needed, vouched for by .*ca\.pem, revoked by/,
  );
});
