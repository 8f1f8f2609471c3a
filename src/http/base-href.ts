// The base of a page: `<base href="/">` of a frontend that is mounted under a sub-path is made to name that path.

/** Behind so many bytes no base is looked for. */
const WITHIN = 64 * 1024;

/** What cannot hold a base: comments, and elements whose content is text. Unclosed they go on to the end. */
const OPAQUE = '<!--[\\s\\S]*?(?:-->|$)|<(script|style|title|textarea|noscript|template)\\b[\\s\\S]*?(?:</\\1|$)';
/** Where the head ends, and with it what is looked for. */
const END = '<body(?=[\\s/>])|</head(?=[\\s/>])';
const PIECES = new RegExp(`${OPAQUE}|(${END})|<base(?=[\\s/])([^<>]*)>`, 'gi');
/** One attribute, or a character that belongs to none. */
const ATTRIBUTES = /([^\s=>/"']+)(?:(\s*=\s*)("[^"]*"|'[^']*'|[^\s"'>]+))?|[\s\S]/g;

/**
 * The page (as latin1: the tag is ASCII in whatever encoding) with its base made `prefix`, when that was `/`. Only the first base counts, as
 * in browsers. Undefined: what is there of the page does not tell yet. `isWhole`: no more comes.
 */
export function rewriteBase(page: string, prefix: string, isWhole: boolean): string | undefined {
  for (const piece of page.slice(0, WITHIN).matchAll(PIECES)) {
    if (piece[2] !== undefined) return page;
    const attributes = piece[3];
    if (attributes === undefined) continue;
    const href = [...attributes.matchAll(ATTRIBUTES)].find((each) => each[1]?.toLowerCase() === 'href');
    // One that only sets a target.
    if (href === undefined) continue;
    const [, name = '', equals = '', value = ''] = href;
    const quote = /^["']/.exec(value)?.[0] ?? '';
    if (value !== `${quote}/${quote}`) return page;
    const at = piece.index + '<base'.length + href.index + name.length + equals.length;
    return page.slice(0, at) + quoted(`${prefix}/`, quote) + page.slice(at + value.length);
  }
  return isWhole || page.length >= WITHIN ? page : undefined;
}

/** A prefix may hold `&` and `'`. */
function quoted(path: string, quote: string): string {
  const sign = quote === '' ? '"' : quote;
  return sign + path.replace(/[&"'<>]/g, (char) => `&#${char.charCodeAt(0)};`) + sign;
}
