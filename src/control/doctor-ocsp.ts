// The doctor's look at OCSP: asks the responders that certificates name, as Portico does for what it staples.

import { X509Certificate } from 'node:crypto';
import type { LoadedCertificate } from './certificate-source.ts';
import type { Configuration } from './configuration.ts';
import { type Diagnosis, fail, ok, warn } from './diagnosis.ts';
import type { World } from './doctor-probe.ts';
import { OcspError, readAnswer } from './ocsp/answer.ts';
import { demandsStaple, questionOf, responderOf, writeRequest } from './ocsp/question.ts';
import { askResponder } from './ocsp/transport.ts';

/** Nothing of certificates without a responder, as those of Let's Encrypt are, nor where nobody is to be asked. */
export async function examineOcsp(
  { ocspStapling }: Configuration,
  certificates: readonly LoadedCertificate[],
  world: World,
): Promise<Diagnosis[]> {
  if (!ocspStapling) return [];
  return (await Promise.all(certificates.map((each) => examineOne(each, world)))).flat();
}

async function examineOne({ certificate, issuedBy }: LoadedCertificate, world: World): Promise<Diagnosis[]> {
  const leaf = new X509Certificate(certificate.chain);
  const responder = responderOf(leaf);
  if (responder === undefined) return [];
  const about = `OCSP of ${certificate.names.join(', ')}`;
  const { origin } = responder;
  // Clients refuse it then only when it demands an answer (must-staple).
  const judge = demandsStaple(leaf) ? fail : warn;
  if (issuedBy === undefined) {
    const says = `${origin} cannot be asked, because the file does not hold the certificate of the issuer`;
    return [judge(about, says, 'append the certificate of the issuer to the file')];
  }
  try {
    const question = questionOf(leaf, issuedBy);
    const bytes = await askResponder(responder, writeRequest(question), world.patience, new AbortController().signal);
    const { status, nextUpdate } = readAnswer(bytes, question, world.now().getTime());
    if (status.kind === 'good') return [ok(about, `good, says ${origin}, until ${isoTime(nextUpdate)}`)];
    const says = `revoked, says ${origin}, at ${isoTime(status.at)} (${status.why})`;
    return [fail(about, says, 'have a new one issued with a new key, and ask the issuer why')];
  } catch (error) {
    const says = `${origin} ${error instanceof OcspError ? error.message : 'cannot be asked about it'}`;
    return [
      judge(about, says, 'let this machine reach the responder; OCSP_STAPLING=off (ocspStapling: false) asks nobody'),
    ];
  }
}

const isoTime = (ms: number) => new Date(ms).toISOString();
