// OCSP as issuers and clients know it: asked of openssl's responder, looked at by openssl and curl.

import { execFile } from 'node:child_process';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { makeAuthority, makeCertificate } from '../support/certificates.ts';
import { makeCurl } from '../support/curl.ts';
import { makeFolder } from '../support/folder.ts';
import { type OcspResponder, startOcspResponder } from '../support/ocsp-responder.ts';
import { needParts, partPath } from '../support/parts.ts';
import { type Portico, startPortico } from '../support/portico.ts';
import { freePort, waitFor } from '../support/ports.ts';

const NAME = 'toucan.example';
const WITHIN = 20_000;

/** An authority with an intermediate, as curl wants it: it looks for the issuer in what was sent. */
async function prepare(t: Test, mustStaple = false) {
  const root = await makeAuthority();
  const issuer = await makeAuthority({ subject: 'CN=Test intermediate', issuer: root });
  const port = await freePort();
  const leaf = await makeCertificate({ names: [NAME], issuer, responderUrl: `http://127.0.0.1:${port}/`, mustStaple });
  const folder = makeFolder(t, 'ocsp');
  const caFile = join(folder, 'ca.pem');
  writeFileSync(caFile, root.certificate);
  writeFileSync(join(folder, 'tls.crt'), leaf.certificate + issuer.certificate);
  writeFileSync(join(folder, 'tls.key'), leaf.key, { mode: 0o600 });
  const respond = (t: Test, revoked = false) =>
    startOcspResponder(t, { port, issuer, valid: revoked ? [] : [leaf], revoked: revoked ? [leaf] : [] });
  const open = (t: Test, more: Record<string, string> = {}) =>
    startPortico(t, {
      ...{ FRONTEND_DNS: NAME, FRONTEND_SERVICE: '127.0.0.1:9', BACKEND_SERVICE: '127.0.0.1:9' },
      ...{ SSL_CRT: join(folder, 'tls.crt'), SSL_KEY: join(folder, 'tls.key'), CERTS_DIR: join(folder, 'certs') },
      ...{ WORKERS: process.platform === 'linux' ? '2' : '1', ...more },
    });
  return { folder, caFile, respond, open };
}

const run = promisify(execFile);

/** What `openssl s_client -status` says of the answer: `good`, `revoked`, or `none`. */
async function statusBy(door: Portico, caFile: string, ...options: string[]): Promise<string> {
  const where = ['-connect', `127.0.0.1:${door.httpsPort}`, '-CAfile', caFile, '-verify_return_error', '-status'];
  const asking = run(partPath('openssl'), ['s_client', ...where, ...options], { timeout: WITHIN });
  asking.child.stdin?.end();
  const { stdout } = await asking;
  if (/^OCSP response: no response sent$/m.test(stdout)) return 'none';
  return /Cert Status: (\w+)/.exec(stdout)?.[1] ?? `neither: ${stdout}`;
}

const admin = async (door: Portico, path: string) => (await fetch(`http://127.0.0.1:${door.adminPort}${path}`)).text();
const untilAnswered = (door: Portico) =>
  waitFor(() => door.logs().some(({ msg }) => msg === 'the issuer answered by OCSP'), WITHIN, 'an answer');
/** Health is of the moment, the log comes with the next look of who tells. */
const untilLogged = (door: Portico, why: RegExp) => {
  const isTold = () => door.logs().some(({ level, msg }) => level === 'error' && why.test(String(msg)));
  return waitFor(isTold, WITHIN, 'the log to say so');
};
/** It is known here a moment before it is in force there. */
const untilStatus = (door: Portico, caFile: string, status: string) =>
  waitFor(async () => (await statusBy(door, caFile)) === status, WITHIN, `"${status}" to be stapled`);

t.test('stapled, believed by openssl and curl, and kept while the responder is away', async (t) => {
  if (!needParts(t, ['openssl', 'curl'])) return;
  const { folder, caFile, respond, open } = await prepare(t);
  const responder: OcspResponder = await respond(t);
  const door = await open(t);
  await untilStatus(door, caFile, 'good');
  for (const version of ['-tls1_2', '-tls1_3']) {
    for (const name of [['-servername', NAME], ['-noservername']]) {
      for (let i = 0; i < 4; i++) t.equal(await statusBy(door, caFile, version, ...name), 'good', `${version} ${name}`);
    }
  }
  const curl = makeCurl(t, { ...door, caFile });
  t.match(await curl(`https://${NAME}/`, '--cert-status'), { exit: 0 });
  t.equal(responder.asked(), 1, 'asked once, by one process');
  const metrics = await admin(door, '/metrics');
  t.match(metrics, /portico_ocsp_requests_total\{responder="127\.0\.0\.1:\d+",result="good"\} 1\n/);
  t.match(metrics, 'portico_tls_certificate_revoked{name="toucan.example",source="file"} 0');
  const end = /portico_ocsp_answer_next_update_timestamp_seconds\{name="toucan.example",source="file"\} (\d+)/.exec(
    metrics,
  );
  t.ok(Number(end?.[1]) * 1_000 > Date.now());
  t.notMatch(metrics, 'portico_tls_certificate_reload_total{result="success"} 1', 'no certificate has changed');

  await door.stop();
  await responder.process.stop();
  const again = await open(t);
  t.equal(await statusBy(again, caFile), 'good', 'from the first handshake on, with the responder away');
  await again.stop();
  rmSync(join(folder, 'certs', 'ocsp'), { recursive: true });
  const without = await open(t);
  t.equal(await statusBy(without, caFile), 'none', 'nobody waited for it');
  const why = /\[\+\]certificate ok: .*tls\.crt gets no OCSP answer.*cannot be reached \(ECONNREFUSED\)/;
  await waitFor(async () => why.test(await admin(without, '/readyz?verbose')), WITHIN, 'health to say why');
});

t.test('a revoked certificate is told in log, health, metrics and list', async (t) => {
  if (!needParts(t, ['openssl'])) return;
  const { caFile, respond, open } = await prepare(t);
  await respond(t, true);
  const door = await open(t);
  await untilAnswered(door);
  const why = /tls\.crt was revoked by its issuer at 20\S+ \(keyCompromise\): .*have a new one issued with a new key/;
  await waitFor(async () => why.test(await admin(door, '/readyz?verbose')), WITHIN, 'health to say so');
  await untilLogged(door, why);
  t.match(await admin(door, '/metrics'), 'portico_tls_certificate_revoked{name="toucan.example",source="file"} 1');
  t.equal(await statusBy(door, caFile), 'none', 'and not given to clients');
});

t.test('must-staple without an answer is never silent', async (t) => {
  if (!needParts(t, ['openssl'])) return;
  const { caFile, respond, open } = await prepare(t, true);
  const door = await open(t);
  const why = /tls\.crt demands a stapled OCSP answer \(must-staple\), and there is none/;
  await waitFor(async () => why.test(await admin(door, '/readyz?verbose')), WITHIN, 'health to say so');
  await untilLogged(door, why);
  await door.stop();
  const off = await open(t, { OCSP_STAPLING: 'off' });
  t.match(await admin(off, '/readyz?verbose'), /must-staple\), and OCSP_STAPLING=off .* leaves it without/);
  await off.stop();
  await respond(t);
  const served = await open(t);
  await untilStatus(served, caFile, 'good');
  await waitFor(
    async () => !/must-staple/.test(await admin(served, '/readyz?verbose')),
    WITHIN,
    'health to be content',
  );
});

t.test('without a responder in the certificate nothing is asked, and nothing is kept', async (t) => {
  const folder = makeFolder(t, 'ocsp');
  const door = await startPortico(t, {
    ...{ FRONTEND_DNS: NAME, FRONTEND_SERVICE: '127.0.0.1:9', BACKEND_SERVICE: '127.0.0.1:9', CERTS_DIR: folder },
  });
  t.same(readdirSync(folder), []);
  t.notMatch(await admin(door, '/metrics'), /^portico_ocsp_\w+[{ ]/m);
  t.notMatch(await admin(door, '/readyz?verbose'), /OCSP/);
});
