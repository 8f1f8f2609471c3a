// What is found in certificates that are really broken in each of the ways.

import { X509Certificate } from 'node:crypto';
import t from 'tap';
import { arrangeChain, lintChain, lintDates, reasonToRefuse } from '../../src/control/certificate-lint.ts';
import { makeAuthority, makeCertificate, makeRsaKeys, type TestCertificateOptions } from '../support/certificates.ts';

const now = new Date();
const names = ['toucan.example'];
const root = await makeAuthority();

async function lint(options: TestCertificateOptions, ...others: readonly { readonly certificate: string }[]) {
  const made = await makeCertificate({ names, ...options });
  const [leaf, ...rest] = [made, ...others].map(({ certificate }) => new X509Certificate(certificate));
  const chain = arrangeChain(leaf!, [leaf!, ...rest], now);
  return { refusal: reasonToRefuse(chain), remarks: [...lintDates(chain, now), ...lintChain(chain)] };
}

const curve = (namedCurve: string) =>
  crypto.subtle.generateKey({ name: 'ECDSA', namedCurve }, true, ['sign', 'verify']);

t.test('nothing is wrong with a good one', async (t) => {
  t.same(await lint({ issuer: root }, root), {
    refusal: undefined,
    remarks: [
      {
        ...{ code: 'root', severity: 'note' },
        what: 'holds the root CN=Test root, which is left out of what is sent',
        hint: 'nothing has to be done: clients use their own copy',
      },
    ],
  });
  t.same(await lint({}), { refusal: undefined, remarks: [] });
});

t.test('short RSA keys are refused, also that of an intermediate', async (t) => {
  const what = /cannot be used for TLS \(CN=toucan\.example\): its RSA key of 1024 bits is too short/;
  t.match((await lint({ keys: await makeRsaKeys(1024) })).refusal, { what, hint: /2048/ });
  const weak = await makeAuthority({ subject: 'CN=Weak', keys: await makeRsaKeys(1024), issuer: root });
  t.match((await lint({ issuer: weak }, weak)).refusal, { what: /\(CN=Weak\): its RSA key of 1024 bits/ });
});

t.test('curves', async (t) => {
  t.same((await lint({ keys: await curve('P-384') })).remarks, []);
  const { refusal, remarks } = await lint({ keys: await curve('P-521') });
  t.equal(refusal, undefined);
  t.match(remarks, [{ code: 'curve', severity: 'warning', what: /on the curve secp521r1 .*: browsers refuse it/ }]);
});

t.test('a certificate for another purpose', async (t) => {
  const client = await lint({ purposes: ['1.3.6.1.5.5.7.3.2'] });
  t.match(client.remarks, [{ code: 'purpose', severity: 'error', what: /not meant for servers/ }]);
  t.same((await lint({ purposes: ['1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.1'] })).remarks, []);
});

t.test('an intermediate that is missing is named, and where to get it', async (t) => {
  const middle = await makeAuthority({ subject: 'CN=Middle', issuer: root });
  const url = 'http://issuer.example/middle.crt';
  const what = 'holds no certificate of the issuer of CN=toucan.example, CN=Middle';
  t.match((await lint({ issuer: middle, issuerUrl: url })).remarks, [
    { code: 'incomplete', severity: 'warning', what, hint: `append its certificate, which is at ${url}, to the file` },
  ]);
  const stamped = await lint({ issuer: middle, issuerUrl: url, logStamps: true });
  t.match(stamped.remarks, [{ hint: /^clients that do not have it refuse the site: append that intermediate/ }]);
  t.same((await lint({ issuer: middle }, middle)).remarks, [], 'a private root need not be there');
  const upper = await lint({ issuer: middle, logStamps: true }, middle);
  t.match(
    upper.remarks,
    [{ code: 'incomplete', what: /issuer of CN=Middle, CN=Test root$/ }],
    'a public one must lead on',
  );
});
