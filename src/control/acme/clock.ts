// Time and chance for what waits: given from outside, so that tests live through weeks in a moment.

export interface Clock {
  /** Of the wall clock, in ms: certificates end by it. */
  now(): number;
  /** From 0 to just below 1. */
  random(): number;
  /** Resolves after so many ms, or at once when the signal is raised; never rejects. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

/** What setTimeout can hold. */
const LONGEST_WAIT = 2 ** 31 - 1;

export const SYSTEM_CLOCK: Clock = Object.freeze({
  now: () => Date.now(),
  random: () => Math.random(),
  wait: (ms: number, signal: AbortSignal) =>
    new Promise<void>((over) => {
      if (signal.aborted) return over();
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        over();
      };
      const timer = setTimeout(end, Math.min(LONGEST_WAIT, ms));
      signal.addEventListener('abort', end);
    }),
});
