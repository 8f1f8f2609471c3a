// What is wrong with a configuration: every problem at once, each with its place and what to do about it.

export interface Problem {
  /** Where to look: `SSL_CRT`, or `portico.yaml:12:5`. */
  readonly place: string;
  /** Continues the place: `/certs/a.crt is empty`. */
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string;
}

/** Thrown on the supervisor's side only; its message is meant for people and lists one problem a line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join('\n'));
    this.problems = problems;
  }
}

/** In one line. */
export function formatProblem({ place, message, hint }: Problem): string {
  return hint === undefined ? `${place} ${message}` : `${place} ${message} (${hint})`;
}

/** By line and column; what has no place in the file comes last. */
export function inOrder(problems: readonly Problem[]): Problem[] {
  const key = ({ place }: Problem) => {
    const [, line, column] = /:(\d+):(\d+)(?: |$)/.exec(place) ?? [];
    return line === undefined ? Number.POSITIVE_INFINITY : Number(line) * 1e6 + Number(column);
  };
  return problems.toSorted((a, b) => key(a) - key(b) || 0);
}
