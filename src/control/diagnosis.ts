// A diagnosis of the doctor: how bad it is, what was looked at, and what to do about it.

export interface Diagnosis {
  readonly level: 'ok' | 'warn' | 'fail';
  /** What was looked at. */
  readonly about: string;
  readonly says: string;
  /** What to do about it. */
  readonly todo?: string;
}

/** As it is printed, with what to do below. */
export function line({ level, about, says, todo }: Diagnosis): string {
  return `${`[${level}]`.padEnd(7)}${about}: ${says}\n${todo === undefined ? '' : `       -> ${todo}\n`}`;
}

export const ok = (about: string, says: string): Diagnosis => ({ level: 'ok', about, says });
export const warn = (about: string, says: string, todo: string): Diagnosis => ({ level: 'warn', about, says, todo });
export const fail = (about: string, says: string, todo: string): Diagnosis => ({ level: 'fail', about, says, todo });
