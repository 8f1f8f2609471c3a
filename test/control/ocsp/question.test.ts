// What is asked about a certificate, and where: as openssl asks it.

import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { demandsStaple, responderOf, writeRequest } from '../../../src/control/ocsp/question.ts';
import { makeAuthority, makeCertificate } from '../../support/certificates.ts';
import { makeFolder } from '../../support/folder.ts';
import { askAbout } from '../../support/ocsp-answer.ts';
import { needPart } from '../../support/parts.ts';

const issuer = await makeAuthority();
const make = async (responderUrl?: string, mustStaple = false) =>
  makeCertificate({
    ...{ names: ['a.example'], issuer, mustStaple, issuerUrl: 'http://ca.example/ca.crt' },
    ...(responderUrl === undefined ? {} : { responderUrl }),
  });
const read = ({ certificate }: { certificate: string }) => new X509Certificate(certificate);

t.test('the responder is named by the certificate, and asked over plain HTTP only', async (t) => {
  t.equal(responderOf(read(await make())), undefined);
  t.equal(responderOf(read(await make('http://ocsp.example:8080/x')))?.href, 'http://ocsp.example:8080/x');
  for (const other of [
    'https://ocsp.example/',
    'ldap://ocsp.example/',
    'file:///etc/passwd',
    'http://me:too@ocsp.example/',
  ]) {
    t.equal(responderOf(read(await make(other))), undefined, other);
  }
});

t.test('must-staple', async (t) => {
  t.equal(demandsStaple(read(await make('http://ocsp.example'))), false);
  t.equal(demandsStaple(read(await make('http://ocsp.example', true))), true);
  t.equal(demandsStaple(read(await make(undefined, true))), true);
});

t.test('the request is that of openssl, byte for byte', async (t) => {
  const openssl = needPart(t, 'openssl');
  if (openssl === undefined) return;
  const folder = makeFolder(t);
  const leaf = await make('http://ocsp.example');
  writeFileSync(join(folder, 'ca.pem'), issuer.certificate);
  writeFileSync(join(folder, 'leaf.pem'), leaf.certificate);
  const args = ['ocsp', '-issuer', 'ca.pem', '-cert', 'leaf.pem', '-no_nonce', '-reqout', 'request.der'];
  execFileSync(openssl, args, { cwd: folder, stdio: 'ignore' });
  t.equal(
    writeRequest(askAbout(leaf, issuer)).toString('hex'),
    readFileSync(join(folder, 'request.der')).toString('hex'),
  );
});
