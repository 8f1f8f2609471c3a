// Format of certificates: how the configuration file names them, has them issued, and asks clients for theirs.

import { CHALLENGE_TYPES } from './configuration.ts';
import { readResolver, readServer } from './dns-proof.ts';
import { file, hostPattern, STRING } from './format-values.ts';
import { readDirectory, readEmail, readHmac } from './issuers.ts';
import { choice, list, object, optional, parsed, placed, required, text } from './shape.ts';

export const CERTIFICATE = object({
  cert: required(placed(file), 'The certificate file: PEM, DER or PKCS#12 (.pfx)'),
  key: optional(placed(file), 'The file of its private key: PEM or DER; without it the key is in the certificate file'),
  passwordFile: optional(placed(file), 'The file with the passphrase of the .pfx, or of the encrypted key'),
});

const ISSUER = object({
  directory: optional(
    parsed('a URL', STRING, readDirectory),
    'The URL of its ACME directory, letsencrypt or letsencrypt-staging; letsencrypt without it',
  ),
  email: optional(parsed('a mail address', STRING, readEmail), 'Where it may write to about your certificates'),
  ca: optional(
    placed(file),
    'The file of the authority that vouches for the issuer itself, PEM; the system without it',
  ),
  eab: optional(
    object({
      kid: required(text('a key id'), 'The id of the account that your issuer gave you'),
      hmac: required(parsed('a key', STRING, readHmac), 'Its HMAC key, base64url; best as a variable from a file'),
    }),
    'External account binding, where the issuer demands it',
  ),
  profile: optional(text('the name of a profile', /^[\w.-]+$/, 64), "One of the issuer's profiles"),
  preferredChain: optional(
    text('a common name', undefined, 200),
    'Of several chains the one whose root has this common name',
  ),
});

const DNS = object({
  hook: optional(
    placed(file),
    'A program that changes DNS, called as lego calls its own: present or cleanup, the name of the record, its value',
  ),
  update: optional(
    object({
      server: required(
        parsed('a server', STRING, readServer),
        'The name server that takes updates (RFC 2136), and its port if not 53',
      ),
      keyFile: required(placed(file), 'The file of its TSIG key, as tsig-keygen writes it'),
    }),
    'In its place: updates by nsupdate',
  ),
  resolvers: optional(
    list(parsed('an address', STRING, readResolver), 1, 8),
    "Name servers that are asked whether the record is there; the system's and those of the zone itself without it",
  ),
});

export const ACME = object({
  names: optional(
    placed(list(placed(hostPattern), 1)),
    'The names, each for a certificate of its own; those of all hosts without it',
  ),
  issuers: optional(list(ISSUER, 1, 5), "Who is asked, the next one when one fails; Let's Encrypt without it"),
  challenges: optional(
    placed(list(choice(CHALLENGE_TYPES), 1, CHALLENGE_TYPES.length)),
    'How an issuer may look whether a name is ours, the preferred one first; without it http-01, tls-alpn-01, or dns-01 where dns is given',
  ),
  dns: optional(placed(DNS), 'How DNS is changed for dns-01, which wildcards need'),
});

export const CLIENT_AUTH = object({
  ca: required(placed(file), 'The file with the certificates of the authorities that vouch for clients'),
  crl: optional(
    placed(file),
    'The file with the revocation lists of these authorities, PEM or DER; none is looked up without it',
  ),
  mode: optional(
    choice(['required', 'optional']),
    'required: nobody comes in without a certificate (without it); optional: without one, but not with one that is not accepted',
  ),
  forward: optional(
    choice(['none', 'certificate', 'chain']),
    'What pools are told: Client-Cert (certificate, without it), Client-Cert-Chain as well (chain), or none',
  ),
});
