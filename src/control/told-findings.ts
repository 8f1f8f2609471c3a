// What a source's owner was told: it is called back when something else is in force, or when there is something else to say.

import type { Finding } from './certificate-source.ts';

export class ToldFindings {
  #changed: () => void = () => {};
  #told = '';

  /** These are known. */
  begin(changed: () => void, findings: readonly Finding[]): void {
    this.#changed = changed;
    this.#told = codesOf(findings);
  }

  /** `isNew`: something else is in force. */
  tell(findings: readonly Finding[], isNew: boolean): void {
    const codes = codesOf(findings);
    if (!isNew && codes === this.#told) return;
    this.#told = codes;
    this.#changed();
  }

  end(): void {
    this.#changed = () => {};
  }
}

/** Of a text that counts down only the kind. */
function codesOf(findings: readonly Finding[]): string {
  return findings
    .map(({ code, place, message }) => (code === 'not-used' ? `${code} ${place} ${message}` : `${code} ${place}`))
    .join('\n');
}
