// Location, Content-Location and Set-Cookie of an upstream, as the client must see them.

import { hasPrefix, readAuthority } from './target.ts';

/** How an upstream's own view of its place maps to the public one. */
export interface Mapping {
  /** '' or like `/_api`. */
  readonly prefix: string;
  /** The authority that the client used, port included when it sent one. */
  readonly publicAuthority: string;
  /** Its host alone, in lower case. */
  readonly publicHost: string;
  /** The port on which the public reaches us. */
  readonly publicPort: number;
  /** `host:port` of the endpoints behind, in lower case. */
  readonly innerAuthorities: readonly string[];
  /** True for a host that has routes here: its `http://` URLs are upgraded. */
  readonly isKnownHost: (host: string) => boolean;
}

/** Maps a Location or Content-Location. What is not ours, or cannot be read, stays as it is. */
export function mapLocation(value: string, mapping: Mapping): string {
  // Browsers read `\` as a slash and pass over tabs, so that `/\other.example` names a host as well.
  if (/^\/(?![/\\\t])/.test(value)) return withPrefix(value, mapping.prefix);
  const absolute = /^(?:(https?):)?\/\/([^/?#]*)(.*)$/i.exec(value);
  if (absolute === null) return value;
  const scheme = absolute[1]?.toLowerCase();
  const authority = readAuthority(absolute[2]!);
  if (authority === undefined) return value;
  const rest = absolute[3]!;
  const path = rest.startsWith('/') ? rest : `/${rest}`;
  const port = authority.port ?? (scheme === 'https' ? 443 : 80);
  if (mapping.innerAuthorities.includes(`${authority.host}:${port}`)) {
    return `https://${mapping.publicAuthority}${withPrefix(path, mapping.prefix)}`;
  }
  if (!isPublicPort(authority.port, mapping)) return value;
  if (authority.host === mapping.publicHost) {
    return `https://${mapping.publicAuthority}${withPrefix(path, mapping.prefix)}`;
  }
  if (scheme === 'http' && mapping.isKnownHost(authority.host)) {
    const suffix = mapping.publicPort === 443 ? '' : `:${mapping.publicPort}`;
    return `https://${authority.host}${suffix}${rest}`;
  }
  return value;
}

/** A URL with another port is another service's, even on our name. */
function isPublicPort(port: number | undefined, mapping: Mapping): boolean {
  return port === undefined || port === 80 || port === 443 || port === mapping.publicPort;
}

function withPrefix(path: string, prefix: string): string {
  if (prefix === '' || hasPrefix(path.split('#', 1)[0]!, prefix)) return path;
  return path === '/' ? `${prefix}/` : prefix + path;
}

/** Maps the Path of a Set-Cookie; all else stays byte for byte. `__Host-` cookies keep `/`, which browsers demand (in any letter case). */
export function mapCookiePath(value: string, prefix: string): string {
  if (prefix === '' || /^[ \t]*__host-/i.test(value)) return value;
  const attributes = value.indexOf(';');
  if (attributes === -1) return value;
  return (
    value.slice(0, attributes) +
    value.slice(attributes).replace(/(;[ \t]*path[ \t]*=[ \t]*)(\/[^;]*)/gi, (_whole, name: string, path: string) => {
      const trimmed = path.trimEnd();
      if (trimmed === '/') return name + prefix + path.slice(1);
      return name + (hasPrefix(trimmed, prefix) ? path : prefix + path);
    })
  );
}
