// The answers to challenges that issuers may find at our ports now, for the snapshot: added, in force on every worker, and taken away again.

import type { AcmeAnswers } from '../../model/snapshot.ts';
import type { Answer, Answering } from './issue.ts';
import { makeAlpnCertificate } from './x509.ts';

type Add = (to: AcmeAnswers) => AcmeAnswers;

export class PendingAnswers implements Answering {
  readonly #now: () => number;
  readonly #publish: () => Promise<void>;
  readonly #pending = new Map<string, Add>();
  #current: AcmeAnswers | undefined;

  /** `publish` resolves when what `current` tells is in force. */
  constructor(now: () => number, publish: () => Promise<void>) {
    this.#now = now;
    this.#publish = publish;
  }

  /** undefined: none are pending. The same object as long as they stay. */
  current(): AcmeAnswers | undefined {
    return this.#current;
  }

  async present(answer: Answer): Promise<void> {
    this.#pending.set(answer.token, await this.#answer(answer));
    this.#gather();
    await this.#publish();
  }

  async withdraw({ token }: Answer): Promise<void> {
    // What is left over is found by nobody who does not know its token, and goes with the next snapshot.
    this.#pending.delete(token);
    this.#gather();
  }

  #gather(): void {
    let answers: AcmeAnswers = { http: [], tls: [] };
    for (const add of this.#pending.values()) answers = add(answers);
    this.#current = this.#pending.size === 0 ? undefined : answers;
  }

  async #answer({ type, name, token, keyAuthorization }: Answer): Promise<Add> {
    switch (type) {
      case 'http-01': {
        const answer = { host: name, token, text: keyAuthorization };
        return ({ http, tls }) => ({ http: [...http, answer], tls });
      }
      case 'tls-alpn-01': {
        const certificate = await makeAlpnCertificate(name, keyAuthorization, this.#now());
        return ({ http, tls }) => ({ http, tls: [...tls, certificate] });
      }
      case 'dns-01':
        throw new Error('DNS answers dns-01, not a port of ours');
    }
  }
}
