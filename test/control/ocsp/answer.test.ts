// Answers are believed only when they are signed by the issuer or whom it appointed, about our certificate, for now.

import t from 'tap';
import { OcspError, readAnswer } from '../../../src/control/ocsp/answer.ts';
import { makeAuthority, makeCertificate, makeRsaKeys } from '../../support/certificates.ts';
import { dice } from '../../support/dice.ts';
import { askAbout, type MadeAnswer, makeAnswer, makeRefusal, wholeSeconds } from '../../support/ocsp-answer.ts';

const HOUR = 3_600_000;
const SIGNING = '1.3.6.1.5.5.7.3.9';
const now = wholeSeconds(Date.now());
const issuer = await makeAuthority();
const leaf = await makeCertificate({ names: ['a.example'], issuer });
const other = await makeCertificate({ names: ['a.example'], issuer });
const question = askAbout(leaf, issuer);
const fresh = { leaf, issuer, thisUpdate: now - HOUR, nextUpdate: now + HOUR };
const read = (made: Partial<MadeAnswer>) => readAnswer(makeAnswer({ ...fresh, ...made }), question, now);
const signer = (more: object) => makeCertificate({ subject: 'CN=Responder', issuer, purposes: [SIGNING], ...more });

t.test('a good one, by SHA-1 or SHA-256 names', async (t) => {
  for (const hash of ['sha1', 'sha256'] as const) {
    const { status, thisUpdate, nextUpdate, bytes } = read({ hash });
    t.same([status, thisUpdate, nextUpdate], [{ kind: 'good' }, fresh.thisUpdate, fresh.nextUpdate]);
    t.type(bytes, Buffer);
  }
});

t.test('a revoked one says when and why', async (t) => {
  t.same(read({ status: 'revoked' }).status, { kind: 'revoked', at: fresh.thisUpdate, why: 'keyCompromise' });
});

t.test('signed by whom the issuer appointed', async (t) => {
  t.equal(read({ signer: await signer({}) }).status.kind, 'good');
  const rsa = await makeAuthority({ subject: 'CN=RSA', keys: await makeRsaKeys(2048) });
  const rsaLeaf = await makeCertificate({ names: ['a.example'], issuer: rsa });
  const bytes = makeAnswer({ ...fresh, leaf: rsaLeaf, issuer: rsa, algorithm: '2a864886f70d01010b' });
  t.equal(readAnswer(bytes, askAbout(rsaLeaf, rsa), now).status.kind, 'good', 'RSA');
});

t.test('signed by anybody else', async (t) => {
  const stranger = await makeAuthority({ subject: 'CN=Test root' });
  const not = { message: /not signed by the issuer, nor by whom it appointed/ };
  const cases: Record<string, Partial<MadeAnswer>> = {
    'another certificate of the issuer': { signer: await makeCertificate({ names: ['b.example'], issuer }) },
    'for another purpose': { signer: await signer({ purposes: ['1.3.6.1.5.5.7.3.1'] }) },
    'appointed by somebody else': { signer: await signer({ issuer: stranger }) },
    'an appointment that has ended': { signer: await signer({ validFrom: -3, validTo: -1 }) },
    'an appointment that has not begun': { signer: await signer({ validFrom: 1, validTo: 3 }) },
  };
  for (const [name, made] of Object.entries(cases)) t.throws(() => read(made), not, name);
  const posing = makeAnswer({ ...fresh, issuer: { ...issuer, key: stranger.key } });
  t.throws(() => readAnswer(posing, question, now), not, 'an authority of the same name');
  t.throws(() => read({ algorithm: '2a864886f70d010105' }), { message: /in a way that is not trusted/ }, 'SHA-1');
  t.throws(() => read({ algorithm: '2a864886f70d01010b' }), not, 'another algorithm than the key');
});

t.test('about another certificate, or about nothing', async (t) => {
  t.throws(() => read({ leaf: other }), { message: 'gave an answer for another certificate' });
  t.throws(() => read({ status: 'unknown' }), { message: 'does not know this certificate' });
  t.throws(() => readAnswer(makeRefusal(6), question, now), { message: 'does not know this issuer or certificate' });
  t.throws(() => readAnswer(makeRefusal(3), question, now), { message: 'is busy' });
  t.throws(() => readAnswer(Buffer.from('<html>'), question, now), { message: /is no OCSP answer/ });
});

t.test('for another time', async (t) => {
  t.throws(() => read({ nextUpdate: now - 1_000 }), { message: /was valid until 20/ });
  t.throws(() => read({ thisUpdate: now + HOUR / 2 }), { message: /is valid from 20.* is the clock here right/ });
  t.equal(read({ thisUpdate: now + 60_000 }).status.kind, 'good', 'a clock that is a minute behind');
  t.throws(() => read({ nextUpdate: undefined }), { message: /does not say how long/ });
});

t.test('whatever is changed in it, nothing else is read out of it', async (t) => {
  const whole = makeAnswer({ ...fresh, signer: await signer({}) });
  const random = dice(Number(process.env.FUZZ_SEED ?? 7));
  let refused = 0;
  for (let i = 0; i < 2_000; i++) {
    const bytes = Buffer.from(whole);
    const at = random(bytes.length);
    bytes[at]! ^= 1 + random(255);
    const cut = random(4) === 0 ? bytes.subarray(0, random(bytes.length)) : bytes;
    try {
      const { status, thisUpdate, nextUpdate } = readAnswer(cut, question, now);
      t.same([status, thisUpdate, nextUpdate], [{ kind: 'good' }, fresh.thisUpdate, fresh.nextUpdate], `byte ${at}`);
    } catch (error) {
      if (!(error instanceof OcspError)) throw error;
      refused++;
    }
  }
  t.ok(refused > 1_500, `${refused} refused`);
});
