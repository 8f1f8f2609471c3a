// Redaction: what may not reach a log by way of a query.

/** Parameters that carry secrets or sessions: logins, OIDC and SAML answers, embed tokens, presigned URLs. */
const SECRET_PARAMETER =
  /^(?:.*token.*|.*secret.*|.*password.*|passwd|pwd|code|state|nonce|sig|.*signature.*|.*credential.*|.*api_?key.*|auth|authorization|jwt|session.*|saml.*|relaystate|assertion|username|email|key)$/i;

const MASK = '***';

/** A query without its `?`, with the values of secret parameters masked, and anything that looks like a JWT. */
export function redactQuery(query: string): string {
  if (query === '') return '';
  return query
    .split('&')
    .map((parameter) => {
      const equals = parameter.indexOf('=');
      if (equals === -1) return looksLikeToken(parameter) ? MASK : parameter;
      const name = parameter.slice(0, equals);
      const value = parameter.slice(equals + 1);
      if (SECRET_PARAMETER.test(decoded(name)) || looksLikeToken(value)) return `${name}=${MASK}`;
      return parameter;
    })
    .join('&');
}

/** A JWT begins with `{"` in base64url, and a long random-looking value is more likely a secret than of use in a log. */
function looksLikeToken(value: string): boolean {
  const text = decoded(value);
  return text.includes('eyJ') || /[A-Za-z0-9_\-+/=.]{64,}/.test(text) || /\b(?:bearer|basic)\b/i.test(text);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}
