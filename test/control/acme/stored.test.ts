// What the store has of a name is served as it was judged: the certificates alone.

import { createSecureContext } from 'node:tls';
import t from 'tap';
import { problemOfChain } from '../../../src/control/acme/issue.ts';
import { toLoaded } from '../../../src/control/acme/stored.ts';
import { makeAuthority, makeCertificate, makeRsaKeys } from '../../support/certificates.ts';

const block = (body: string, label = 'CERTIFICATE') => `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`;

t.test('whatever an issuer has put around its chain, a worker can load what is served', async (t) => {
  const issuer = await makeAuthority();
  const { certificate, key } = await makeCertificate({ names: ['a.example'], issuer });
  const chain = certificate + issuer.certificate;
  const odd = [
    ['as it should be', chain],
    ['a block that is no base64', chain + block('AA-A')],
    ['one before the leaf', block('A-') + chain],
    ['a block of another kind', block('AAAA', 'X509 CERTIFICATE') + chain],
    ['one that does not end', `${chain}-----BEGIN CERTIFICATE-----\nAAAA`],
    ['spaces', chain.replaceAll('-----BEGIN', '  -----BEGIN')],
    ['words', `subject=CN = a.example\n${chain}\0`],
  ] as const;
  for (const [what, text] of odd) {
    const served = toLoaded('a.example', { directory: 'https://ca.example/dir', chain: text, key })?.certificate;
    t.equal(served?.chain, chain, what);
    t.doesNotThrow(() => createSecureContext({ cert: served!.chain, key: served!.key }), what);
  }
});

t.test('a chain that the TLS library does not take is none', async (t) => {
  const issuer = await makeAuthority({ keys: await makeRsaKeys(1_024) });
  const { certificate, key } = await makeCertificate({ names: ['a.example'], issuer });
  const chain = certificate + issuer.certificate;
  t.equal(problemOfChain(chain, 'a.example', key, Date.now()), 'cannot be used for TLS: ca key too small');
  t.equal(toLoaded('a.example', { directory: 'https://ca.example/dir', chain, key }), undefined);
});
