// Client certificates: every way that a connection can stand to a host that asks for one, and what upstreams are told.

import t from 'tap';
import type { ClientProof, Origin } from '../../src/model/exchange.ts';
import type { ClientAuth } from '../../src/model/snapshot.ts';
import { clientFields, identifyClient } from '../../src/policy/client-auth.ts';

const NOW = 1_000;
const proof = (more: Partial<ClientProof> = {}): ClientProof => ({
  ...{
    trust: 'a',
    certificate: ':AA==:',
    fingerprint: '00',
    chain: '',
    problem: '',
    validUntil: NOW,
    judgedUntil: NOW + 1,
  },
  ...more,
});
const origin = (client: ClientProof | undefined, more: Partial<Origin> = {}): Origin => ({
  ...{
    listener: 'https',
    bound: { draining: false },
    redirects: false,
    scheme: 'https',
    peerAddress: '::1',
    callerAddress: '::1',
  },
  ...{ tlsVersion: 'TLSv1.3', serverName: 'a.test', client },
  ...more,
});
const REQUIRED: ClientAuth = { trust: 'a', required: true, forward: 'chain' };
const OPTIONAL: ClientAuth = { ...REQUIRED, required: false };

const told = (auth: ClientAuth, from: Origin, now = NOW) => {
  const refused = identifyClient('a.test', auth, from, now);
  const said = refused === undefined ? 'in' : `${refused.failure.status} ${refused.detail}`;
  return refused?.isStale === true ? `${said}, and it ends` : said;
};

t.test('who comes in', async (t) => {
  for (const auth of [REQUIRED, OPTIONAL]) {
    t.equal(told(auth, origin(proof())), 'in');
    t.match(told(auth, origin(undefined)), /^421 .*older than what holds for it now: open a new one, and it ends$/);
    t.match(told(auth, origin(proof({ trust: 'b' }))), /^421 .*older.*, and it ends$/);
    t.match(told(auth, origin(proof({ trust: 'b' }), { serverName: 'b.test' })), /^421 .*opened for b\.test$/);
    t.match(told(auth, origin(undefined, { serverName: undefined })), /^421 .*without a name \(SNI\)$/);
    t.match(told(auth, origin(undefined, { scheme: 'http' })), /^421 .*no TLS$/);
    t.match(told(auth, origin(proof()), NOW + 1), /^403 .*it has expired$/);
    t.match(told(auth, origin(proof()), NOW + 2), /^421 .*older.*, and it ends$/, 'a list is out of date meanwhile');
    t.match(told(auth, origin(proof({ problem: 'CERT_REVOKED' }))), /^403 .*it was revoked$/);
    t.match(told(auth, origin(proof({ problem: 'CERT_SOMETHING_NEW' }))), /^403 .*CERT_SOMETHING_NEW$/);
    t.match(told(auth, origin(proof({ problem: 'toString' }))), /^403 .*: toString$/);
  }
  const without = origin(proof({ certificate: '' }));
  t.match(told(REQUIRED, without), /^403 a\.test needs a client certificate, and none was sent$/);
  t.equal(told(OPTIONAL, without), 'in');
});

t.test('what upstreams are told', async (t) => {
  const chained = proof({ chain: ':BB==:, :CC==:' });
  t.strictSame(clientFields(chained, 'none'), []);
  t.strictSame(clientFields(chained, 'certificate'), ['Client-Cert', ':AA==:']);
  t.strictSame(clientFields(chained, 'chain'), ['Client-Cert', ':AA==:', 'Client-Cert-Chain', ':BB==:, :CC==:']);
  t.strictSame(clientFields(proof(), 'chain'), ['Client-Cert', ':AA==:']);
  t.strictSame(clientFields(proof({ certificate: '' }), 'chain'), []);
});
