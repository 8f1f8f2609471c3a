// When the certificate of a name is to be renewed: its issuer is asked for advice (ARI, RFC 9773), as often as it wants to be.

import { createHash } from 'node:crypto';
import type { LoadedCertificate } from '../certificate-source.ts';
import type { AcmeClient, Means } from './client.ts';
import { ariPause, type RenewalWindow, readWindow, renewalByAge } from './renewal.ts';
import { renewalIdOf } from './x509.ts';

export class Advice {
  readonly #name: string;
  readonly #means: Means;
  /** The issuer's word on the certificate with this id. */
  #heard: { readonly id: string; readonly window: RenewalWindow | undefined; readonly askAgain: number } | undefined;

  constructor(name: string, means: Means) {
    this.#name = name;
    this.#means = means;
  }

  /** What ARI calls the certificate that was asked about last. */
  get id(): string | undefined {
    return this.#heard?.id;
  }

  /** In ms of the wall clock. */
  async renewalOf(loaded: LoadedCertificate, client: AcmeClient): Promise<number> {
    const [notBefore, notAfter] = [loaded.notBefore.getTime(), loaded.notAfter.getTime()];
    const window = await this.#window(loaded, client);
    if (window !== undefined && window.at < notAfter) return window.at;
    return renewalByAge({ notBefore, notAfter }, chanceOf(loaded));
  }

  async #window(loaded: LoadedCertificate, client: AcmeClient): Promise<RenewalWindow | undefined> {
    const { clock, log } = this.#means;
    const id = await renewalIdOf(loaded.certificate.chain);
    if (id === undefined) return undefined;
    const before = this.#heard?.id === id ? this.#heard : undefined;
    if (before !== undefined && before.askAgain > clock.now()) return before.window;
    let window = before?.window;
    let retryAfter: number | undefined;
    try {
      const answer = await client.renewalInfo(id);
      retryAfter = answer?.retryAfter;
      window = answer === undefined ? undefined : readWindow(answer.json(), before?.window, chanceOf(loaded));
      if (window !== undefined && window !== before?.window) {
        const [from, to] = [window.start, window.end].map((each) => new Date(each).toISOString());
        log.info('the issuer suggests when to renew', { name: this.#name, from, to });
      }
    } catch (error) {
      // RFC 9773 §4.3: renewal goes on without it.
      log.debug('the issuer did not say when to renew', { name: this.#name, error: (error as Error).message });
    }
    this.#heard = { id, window, askAgain: clock.now() + ariPause(retryAfter) };
    return window;
  }
}

/** From 0 to 1, the same each time for one certificate: restarts draw no new lots. */
function chanceOf({ certificate }: LoadedCertificate): number {
  return createHash('sha256').update(certificate.chain).digest().readUInt32BE(0) / 2 ** 32;
}
