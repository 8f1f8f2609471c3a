// Redaction: what may not reach a log by way of a query or a path, however it is encoded or nested.

/** Names that carry secrets or sessions: logins, OIDC and SAML answers, embed tokens, presigned URLs. */
const SECRET_WORD =
  /^(?:passphrase|pass|pwd|otp|ticket|code|code_verifier|state|nonce|sig|auth|authorization|jwt|saml.*|relaystate|assertion|username|email|key)$/i;
const SECRET_PART = /token|secret|passw(?:or)?d|signature|credential|(?:api|access|private)[_-]?key|session/i;

const MASK = '***';
/** A value that is encoded more often than this is no value that anybody has to read in a log. */
const MAX_DECODINGS = 5;

/** A query without its `?`: the values of secret parameters are masked, and what looks like a token by itself. */
export function redactQuery(query: string): string {
  if (query === '') return '';
  return query.split('&').map(redactParameter).join('&');
}

function redactParameter(parameter: string): string {
  const equals = parameter.indexOf('=');
  if (equals === -1) return carriesSecret(parameter) ? MASK : parameter;
  const name = parameter.slice(0, equals);
  if (carriesSecret(name)) return `${MASK}=${MASK}`;
  if (isSecretName(decodedWholly(name)) || carriesSecret(parameter.slice(equals + 1))) return `${name}=${MASK}`;
  return parameter;
}

/**
 * The path of a target: user information of an absolute-form, or of a URL within, parameters behind a `;`, a fragment or an encoded query are
 * masked when they carry a secret, and JWTs are.
 */
export function redactPath(path: string): string {
  // Most paths, and hosts: nothing in them can be what is looked for.
  if (/^[a-z0-9.:-]*$/.test(path)) return path;
  if (path.startsWith('/') && !/[;#%@]|eyJ/.test(path)) return path;
  let out = path.startsWith('/') ? path : path.replace(/^([a-z][a-z0-9+.-]*:\/\/)?[^/]*@/i, `$1${MASK}@`);
  out = out.replace(/\/\/([^/]*)@/g, (whole, user: string) => (user.includes(':') ? `//${MASK}@` : whole));
  const more = out.search(/[;#]|%(?:3b|3f|23)/i);
  if (more !== -1 && carriesSecret(out.slice(more))) out = out.slice(0, more) + MASK;
  return out.replace(/eyJ[\w.-]{8,}/g, MASK);
}

/** Any text of a client, like a User-Agent: as it is, or not at all. */
export function redactText(text: string): string {
  return carriesSecret(text) ? MASK : text;
}

/** A Referer: as the target of a request is shown, behind the name of its site. What is no such URL is not shown. */
export function redactReferer(referer: string): string {
  const site = /^https?:\/\/(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?(?=[/?]|$)/i.exec(referer)?.[0];
  if (site === undefined) return MASK;
  const rest = referer.slice(site.length);
  const question = rest.indexOf('?');
  if (question === -1) return site + redactPath(rest);
  return `${site}${redactPath(rest.slice(0, question))}?${redactQuery(rest.slice(question + 1))}`;
}

/** True when a text holds a token, or names a secret in what may be a query, JSON or a form of its own, by any decoding. */
function carriesSecret(text: string): boolean {
  let current = text;
  for (let i = 0; i < MAX_DECODINGS; i++) {
    if (looksLikeToken(current) || assignsSecret(current)) return true;
    const next = decoded(current);
    if (next === current) return false;
    current = next;
  }
  return true;
}

/** A JWT begins with `{"` in base64url, and a long random-looking value is more likely a secret than of use in a log. */
function looksLikeToken(text: string): boolean {
  return text.includes('eyJ') || /[A-Za-z0-9_\-+/=.]{64,}/.test(text) || /\b(?:bearer|basic)\b/i.test(text);
}

/** `...?token=x`, `a;code=x`, `{"password": "x"}`. Split, not matched: linear for whatever a client sends. */
function assignsSecret(text: string): boolean {
  if (!/[=:]/.test(text)) return false;
  const pieces = text.split(/[=:]/);
  pieces.pop();
  return pieces.some((piece) => {
    const last = piece.split(/[&;?#,{}/+\s]/).findLast((part) => part !== '');
    return last !== undefined && isSecretName(last);
  });
}

/** True for a name that carries a secret, in any word of it: `token`, `user[password]`, ` code`. */
export function isSecretName(name: string): boolean {
  return name.split(/[^\w-]/).some((word) => SECRET_PART.test(word) || SECRET_WORD.test(word));
}

/** True for a variable that holds a secret by its name: `TOKEN`, `SMTP_PASS`, `SECRET_KEY_BASE`. */
export function isSecretVariable(name: string): boolean {
  return SECRET_PART.test(name) || /(?:^|_)(?:key|pass|passphrase|pwd|otp|auth|jwt|hmac)$/i.test(name);
}

function decodedWholly(text: string): string {
  let current = text;
  for (let i = 0; i < MAX_DECODINGS && current.includes('%'); i++) current = decoded(current);
  return current;
}

/** Byte for byte, so that one bad escape does not hide the others. */
function decoded(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/%([0-9a-f]{2})/gi, (_whole, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
