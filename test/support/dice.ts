// Seeded chance for fuzzing: a die, damage done to text, and work in bounded lanes.

/** A number below the given one. */
export type Roll = (below: number) => number;

/** mulberry32: small, seeded, and good enough to choose places and bytes. */
export function dice(seed: number): Roll {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return Math.floor((((x ^ (x >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

export function pick<T>(roll: Roll, from: readonly T[]): T {
  return from[roll(from.length)]!;
}

/** Bytes that parsers trip over. */
const NASTY = [
  '\r',
  '\n',
  '\0',
  ' ',
  '\t',
  ':',
  ',',
  ';',
  '%',
  '\x7f',
  '\x80',
  '\xff',
  '0',
  'g',
  '-1',
  'chunked',
  '\r\n\r\n',
  '\r\n ',
];

/** One or two flips, insertions, deletions, doublings or cuts. */
export function damage(text: string, roll: Roll): string {
  let out = text;
  for (let times = 1 + roll(2); times > 0; times--) {
    const at = roll(out.length + 1);
    const nasty = NASTY[roll(NASTY.length)]!;
    switch (roll(6)) {
      case 0:
        out = out.slice(0, at) + String.fromCharCode(roll(256)) + out.slice(at + 1);
        break;
      case 1:
        out = out.slice(0, at) + nasty + out.slice(at);
        break;
      case 2:
        out = out.slice(0, at) + out.slice(at + 1 + roll(8));
        break;
      case 3:
        out = out.slice(0, at) + out.slice(Math.max(0, at - roll(40)), at) + out.slice(at);
        break;
      case 4:
        out = out.slice(0, at);
        break;
      default:
        out = out.slice(0, at) + nasty + out.slice(at + nasty.length);
    }
  }
  return out;
}

/** Runs `one` for each number below `count`, at most `width` at a time. */
export async function inParallel(count: number, width: number, one: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) await one(next++);
  };
  await Promise.all(Array.from({ length: width }, lane));
}
