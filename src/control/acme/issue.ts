// One certificate from one issuer: an order, the proof that the name is ours, and the chain that comes of it.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { coversName } from '../certificate-names.ts';
import type { ChallengeType } from '../configuration.ts';
import { generateKeyPem } from './account-key.ts';
import type { AcmeClient, Authorization, Order } from './client.ts';
import { IssuerError } from './transport.ts';
import { makeRequest } from './x509.ts';

export interface Wish {
  readonly name: string;
  /** Those that are allowed, the most promising first. */
  readonly challenges: readonly ChallengeType[];
  /** ARI's id of the certificate that this one takes the place of. */
  readonly replaces: string | undefined;
}

/** An order that was placed: kept, so that a restart goes on with it. */
export interface PlacedOrder {
  readonly url: string;
  /** PEM of the key that the certificate will be for. */
  readonly key: string;
}

export interface Issued {
  /** PEM, leaf first. */
  readonly chain: string;
  readonly key: string;
  /** undefined: the issuer knew already that the name is ours. */
  readonly challenge: ChallengeType | undefined;
}

/** To a challenge. */
export interface Answer {
  readonly type: ChallengeType;
  readonly name: string;
  readonly token: string;
  readonly keyAuthorization: string;
}

/** Lets an issuer find the answer to its challenge. */
export interface Answering {
  /** Resolves when it is found; rejects with an AnswerError when that lies with us. */
  present(answer: Answer): Promise<void>;
  /** Whatever became of it. Does not reject. */
  withdraw(answer: Answer): Promise<void>;
}

/** An answer could not be given, so that its issuer was not asked to look. The message is for people. */
export class AnswerError extends Error {
  override readonly name = 'AnswerError';
}

export interface Attempt {
  readonly client: AcmeClient;
  readonly wish: Wish;
  readonly answering: Answering;
  /** Of an earlier attempt that did not come to its end. */
  readonly placed: PlacedOrder | undefined;
  /** Called with each order before anything is done for it. */
  keep(order: PlacedOrder): Promise<void>;
  readonly now: () => number;
}

/** Rejects with an IssuerError that says what stood against it. */
export async function issue(attempt: Attempt): Promise<Issued> {
  const { client, wish } = attempt;
  const failed: Failed = [];
  let open = await resume(attempt);
  for (;;) {
    open ??= await place(attempt);
    const proof = await prove(attempt, open.order, failed);
    if (proof === 'failed') {
      open = undefined;
      continue;
    }
    const order = await finish(client, await client.order(open.order.url), wish.name, open.key);
    const chain = await fetchChain(attempt, order, open.key);
    return { chain, key: open.key, challenge: proof };
  }
}

/** All but the certificate: shows that the name can be proven, at the cost of no certificate. */
export async function rehearse(attempt: Attempt): Promise<void> {
  const failed: Failed = [];
  while ((await prove(attempt, (await place(attempt)).order, failed)) === 'failed');
}

interface Open {
  readonly order: Order;
  readonly key: string;
}

async function place({ client, wish, keep }: Attempt): Promise<Open> {
  const key = generateKeyPem();
  const order = await client.newOrder(wish.name, wish.replaces);
  await keep({ url: order.url, key });
  return { order, key };
}

/** undefined: there is none that can still become a certificate. */
async function resume({ client, placed }: Attempt): Promise<Open | undefined> {
  if (placed === undefined) return undefined;
  try {
    const order = await client.order(placed.url);
    return order.status === 'invalid' ? undefined : { order, key: placed.key };
  } catch (error) {
    // An issuer forgets orders; one that cannot be reached is another matter.
    if (error instanceof IssuerError && [403, 404].includes(error.status)) return undefined;
    throw error;
  }
}

/** Ways that were tried; `isOurs`: without the issuer. */
type Failed = { readonly type: ChallengeType; readonly why: string; readonly isOurs: boolean }[];

/** One that the issuer has seen fail ends its order, so that the next one needs a new order. */
async function prove(attempt: Attempt, order: Order, failed: Failed): Promise<ChallengeType | undefined | 'failed'> {
  const { client, wish, answering } = attempt;
  if (order.status !== 'pending') return undefined;
  const [url] = order.authorizations;
  if (url === undefined || order.authorizations.length > 1) {
    throw new IssuerError('rubbish', `the order for ${wish.name} has ${order.authorizations.length} authorizations`);
  }
  const authorization = await client.authorization(url);
  if (authorization.status === 'valid') return undefined;
  if (authorization.status !== 'pending') {
    // Left behind by an attempt that was cut off.
    if (failed.length === 0 && attempt.placed?.url === order.url) return 'failed';
    throw new IssuerError('unauthorized', `the authorization for ${wish.name} is ${authorization.status}`);
  }
  for (;;) {
    const challenge = choose(authorization, wish, failed);
    const type = challenge.type as ChallengeType;
    const keyAuthorization = await client.keyAuthorization(challenge.token);
    const answer = { type, name: wish.name, token: challenge.token, keyAuthorization };
    let checked: Authorization;
    try {
      await answering.present(answer);
      checked = await client.check(url, challenge);
    } catch (error) {
      if (!(error instanceof AnswerError)) throw error;
      failed.push({ type, why: error.message, isOurs: true });
      continue;
    } finally {
      await answering.withdraw(answer);
    }
    if (checked.status === 'valid') return type;
    // The issuer was told to look before a restart, and may have looked while nobody answered: that says nothing of the way.
    if (failed.length === 0 && attempt.placed?.url === order.url) return 'failed';
    const reason = checked.challenges.find((each) => each.type === type)?.error;
    failed.push({ type, why: reason ?? `it is ${checked.status}`, isOurs: false });
    return 'failed';
  }
}

function choose(authorization: Authorization, wish: Wish, failed: Failed) {
  const isFailed = (type: string) => failed.some((each) => each.type === type);
  // `processing`: the issuer was told to look before a restart, and still does.
  const offered = authorization.challenges.filter(({ status }) => ['pending', 'processing'].includes(status));
  for (const type of wish.challenges) {
    const found = offered.find((each) => each.type === type);
    if (found !== undefined && !isFailed(type)) return found;
  }
  if (failed.length > 0) {
    const reasons = failed.map(({ type, why }) => `${type}: ${why}`).join('; ');
    const type = failed.every(({ isOurs }) => isOurs) ? 'unanswered' : 'unauthorized';
    throw new IssuerError(type, `it could not be shown that ${wish.name} is ours: ${reasons}`);
  }
  const types = offered.map(({ type }) => type).join(', ') || 'none';
  const allowed = wish.challenges.join(', ');
  throw new IssuerError(
    'challenge',
    `for ${wish.name} the issuer offers the challenges ${types}, and ACME_CHALLENGES (challenges) allows ${allowed}`,
  );
}

/** RFC 8555 §7.4: from `ready` on. */
async function finish(client: AcmeClient, given: Order, name: string, key: string): Promise<Order> {
  let order = given;
  // An authorization that is valid may reach its order a moment later.
  if (order.status === 'ready' || order.status === 'pending') {
    order = await client.finalize(order, await makeRequest(name, key));
  } else if (order.status === 'processing') {
    order = await client.settled(order);
  }
  if (order.status === 'valid') return order;
  throw new IssuerError('order', `the order for ${name} is ${order.status}: ${order.error ?? 'no reason given'}`);
}

async function fetchChain({ client, wish, now }: Attempt, order: Order, key: string): Promise<string> {
  if (order.certificate === undefined) throw new IssuerError('rubbish', 'the order is valid and has no certificate');
  const chains = await client.chains(order.certificate);
  const { preferredChain } = client.issuer;
  const wanted = chains.find((chain) => preferredChain !== undefined && leadsTo(chain, preferredChain)) ?? chains[0]!;
  const problem = problemOfChain(wanted, wish.name, key, now());
  if (problem !== undefined) throw new IssuerError('rubbish', `what the issuer sent for ${wish.name} ${problem}`);
  return wanted;
}

/** The certificates of a chain, leaf first. Throws when one cannot be read. */
export function splitChain(chain: string): X509Certificate[] {
  const blocks = chain.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.slice(0, 10).map((block) => new X509Certificate(block));
}

function leadsTo(chain: string, commonName: string): boolean {
  try {
    const last = splitChain(chain).at(-1);
    return last?.issuer.split('\n').includes(`CN=${commonName}`) === true;
  } catch {
    return false;
  }
}

/** undefined: it can be served. */
export function problemOfChain(chain: string, name: string, key: string, now: number): string | undefined {
  let certificates: X509Certificate[];
  try {
    certificates = splitChain(chain);
  } catch {
    return 'has a certificate that cannot be read';
  }
  const [leaf] = certificates;
  if (leaf === undefined) return 'is no certificate';
  if (!isKeyOf(leaf, key)) return 'is not for the key that was asked for';
  if (!coversName(leaf, name) && !(leaf.subjectAltName ?? '').split(', ').includes(`DNS:${name}`)) {
    return `is not for this name, but for ${leaf.subjectAltName?.slice(0, 200)}`;
  }
  for (let i = 1; i < certificates.length; i++) {
    if (!certificates[i - 1]!.checkIssued(certificates[i]!)) return 'is a chain whose parts do not belong together';
  }
  if (leaf.validToDate.getTime() <= now) return 'is over already';
  return problemOfServing(certificates.join(''), key);
}

/** No worker takes a snapshot, and no door starts, with one that the TLS library refuses. */
function problemOfServing(cert: string, key: string): string | undefined {
  try {
    createSecureContext({ cert, key });
    return undefined;
  } catch (error) {
    return `cannot be used for TLS: ${(error as Error).message.split('::').at(-1)}`;
  }
}

function isKeyOf(leaf: X509Certificate, pem: string): boolean {
  try {
    return leaf.checkPrivateKey(createPrivateKey(pem));
  } catch {
    return false;
  }
}
