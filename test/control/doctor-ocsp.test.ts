// What the doctor hears of responders: good, revoked, nothing; and of whom it asks nothing.

import { X509Certificate } from 'node:crypto';
import t from 'tap';
import type { LoadedCertificate } from '../../src/control/certificate-source.ts';
import type { Configuration } from '../../src/control/configuration.ts';
import { examineOcsp } from '../../src/control/doctor-ocsp.ts';
import { makeAuthority, makeCertificate, type TestPair } from '../support/certificates.ts';
import { type MadeAnswer, makeAnswer, startResponder, wholeSeconds } from '../support/ocsp-answer.ts';

const NOW = wholeSeconds(Date.now());
const world = {
  addressesOf: async () => [],
  ownAddresses: () => [],
  now: () => new Date(NOW),
  patience: 5_000,
};
const issuer = await makeAuthority();

function loaded(leaf: TestPair, more: Partial<LoadedCertificate> = {}): LoadedCertificate {
  return {
    ...{ origin: 'file', place: 'a.crt', issuer: 'x', issuedBy: new X509Certificate(issuer.certificate) },
    certificate: { names: ['a.example', 'b.example'], chain: leaf.certificate, key: leaf.key },
    ...{ notBefore: new Date(), notAfter: new Date(), ...more },
  };
}

const examine = (certificates: readonly LoadedCertificate[], ocspStapling = true) =>
  examineOcsp({ ocspStapling } as Configuration, certificates, world);

t.test('what a responder says', async (t) => {
  let asked = 0;
  let made: Partial<MadeAnswer> | undefined = {};
  const responderUrl = await startResponder(t, (_request, response) => {
    asked++;
    if (made === undefined) response.writeHead(503).end();
    else response.end(makeAnswer({ leaf, issuer, thisUpdate: NOW, nextUpdate: NOW + 3_600_000, ...made }));
  });
  const leaf = await makeCertificate({ names: ['a.example'], issuer, responderUrl });
  const { host } = new URL(responderUrl);
  const about = 'OCSP of a.example, b.example';
  const until = new Date(NOW + 3_600_000).toISOString();
  t.strictSame(await examine([loaded(leaf)]), [
    { level: 'ok', about, says: `good, says http://${host}, until ${until}` },
  ]);
  made = { status: 'revoked' };
  t.match(await examine([loaded(leaf)]), [
    { level: 'fail', about, says: /^revoked, says .* \(keyCompromise\)$/, todo: /new key/ },
  ]);
  made = { status: 'unknown' };
  t.match(await examine([loaded(leaf)]), [{ level: 'warn', says: `http://${host} does not know this certificate` }]);
  made = undefined;
  t.match(await examine([loaded(leaf)]), [
    { level: 'warn', says: `http://${host} answered with status 503`, todo: /OCSP_STAPLING=off/ },
  ]);
  const demanding = await makeCertificate({ names: ['a.example'], issuer, responderUrl, mustStaple: true });
  t.match(await examine([loaded(demanding)]), [{ level: 'fail', says: /status 503$/ }]);
  t.equal(asked, 5);
  const { issuedBy: _, ...alone } = loaded(leaf);
  t.match(await examine([alone]), [{ level: 'warn', says: /cannot be asked, because the file does not hold/ }]);
  t.strictSame(await examine([loaded(leaf)], false), [], 'switched off');
  t.equal(asked, 5);
});

t.test('a certificate that names no responder is not spoken of', async (t) => {
  t.strictSame(await examine([loaded(await makeCertificate({ names: ['a.example'], issuer }))]), []);
});
