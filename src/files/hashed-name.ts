// Hashed name: one that a build gives to a single content, so that what it names may be kept for good.

/**
 * True for `main.<hash>.js`, `chunk.<name>.<hash>.js` and the like. A name that is wrongly taken for hashed is never asked for
 * again, so that words with numbers (`dashboard2`, `base64url2hex`) and dates do not count. Pages are shells, whatever their name.
 */
export function hasHashedName(name: string): boolean {
  const parts = name.split('.');
  if (parts.length < 3 || /^html?$/i.test(parts.at(-1)!)) return false;
  return parts.slice(1, -1).some(isHash);
}

function isHash(part: string): boolean {
  if (!/^[0-9A-Za-z]{8,64}$/.test(part) || !/\d/.test(part) || !/[A-Za-z]/.test(part)) return false;
  if (/^(?:19|20)\d{6}/.test(part)) return false;
  if (/^(?:[0-9a-f]+|[0-9A-F]+)$/.test(part)) return true;
  if (!/\d[A-Za-z]/.test(part)) return false;
  // That of esbuild is of eight letters in base 32.
  return /^(?=.*\d.*\d)[A-Z2-7]{8}$/.test(part) || isRandom(part);
}

/** Letters large and small in no order: words and numbers are longer. */
function isRandom(part: string): boolean {
  if (!/[a-z]/.test(part) || !/[A-Z]/.test(part) || /\d{3}/.test(part)) return false;
  return part.match(/[A-Z]?[a-z]+|[A-Z]+|\d+/g)!.length * 2 >= part.length;
}
