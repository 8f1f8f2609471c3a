// Handshakes that ask for a certificate of the client (mutual TLS), for the hosts that want one; apart from all others, so that none of these can be taken for it.

import { constants, X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { createSecureContext, createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls';
import { type ClientOffer, readClientHello } from '../codec/client-hello.ts';
import type { ClientProof } from '../model/exchange.ts';
import type { Certificate, ClientTrust, Listener } from '../model/snapshot.ts';
import type { Door } from '../proxy/door.ts';
import { type CertificateTable, kindFor, PROTOCOLS, stapleFrom, TLS_POLICIES } from './tls.ts';

/** Of a path from a client up to whom we trust. */
const MAX_CHAIN = 10;

/**
 * Whether to ask is a setting of Node's whole server: the name in the ClientHello chooses it. Each shows one certificate and has one
 * context: the authorities of the context count, and one without any would trust all public ones.
 */
export class ClientAuthAcceptor {
  readonly #door: Door;
  readonly #onSecure: (socket: TLSSocket, client: ClientProof) => void;
  #listener: Listener;
  #table: CertificateTable;
  /** By the certificate that they show and the id of the trust; opened by the first client. */
  #servers = new Map<Certificate, Map<string, Server>>();

  constructor(
    door: Door,
    listener: Listener,
    table: CertificateTable,
    onSecure: (socket: TLSSocket, client: ClientProof) => void,
  ) {
    this.#door = door;
    this.#listener = listener;
    this.#table = table;
    this.#onSecure = onSecure;
  }

  /** True when it is known whether a connection that began with these bytes is one of ours. */
  isEnough(first: Uint8Array): boolean {
    return this.#door.active.clientTrustOf === undefined || readClientHello(first) !== 'more';
  }

  /** Starts the handshake; false: the connection is for another server. */
  accept(socket: Socket, first: Uint8Array): boolean {
    const { clientTrustOf } = this.#door.active;
    if (clientTrustOf === undefined) return false;
    const offer = readClientHello(first);
    if (typeof offer !== 'object' || offer.serverName === undefined) return false;
    const trust = clientTrustOf(offer.serverName);
    if (trust === undefined) return false;
    const server = this.#serverFor(trust, offer.serverName, offer);
    if (server === undefined) return false;
    server.emit('connection', socket);
    return true;
  }

  /** Handshakes that begin from now on are by these. */
  renew(listener: Listener, table: CertificateTable): void {
    this.#listener = listener;
    this.#table = table;
    // They do not listen: those under way keep theirs.
    this.#servers = new Map();
  }

  #serverFor(trust: ClientTrust, name: string, offer: ClientOffer): Server | undefined {
    const kind = kindFor(offer);
    const certificate =
      this.#table.certificateFor(name, kind) ?? (this.#listener.strictSni ? undefined : this.#table.fallback(kind));
    if (certificate === undefined) return undefined;
    const servers = this.#servers.get(certificate) ?? new Map<string, Server>();
    this.#servers.set(certificate, servers);
    const server = servers.get(trust.id) ?? this.#open(trust, certificate);
    servers.set(trust.id, server);
    return server;
  }

  #open(trust: ClientTrust, certificate: Certificate): Server {
    const policy = TLS_POLICIES[this.#listener.tlsPolicy];
    const settings: SecureContextOptions = {
      ...policy,
      cert: certificate.chain,
      key: certificate.key,
      ca: trust.authorities,
      // Who is listed is trusted, be it a root or not; but what was revoked can be looked up only along the whole way to a root.
      ...(trust.revocations.length === 0 ? { allowPartialTrustChain: true } : { crl: [...trust.revocations] }),
      // Nothing is resumed: each connection shows its certificate anew, to the rules of now. A ticket of another server is worth
      // nothing here (CVE-2025-23419), and for Node a resumed session without a certificate would count as verified.
      secureOptions: (policy.secureOptions ?? 0) | constants.SSL_OP_NO_TICKET,
      sessionIdContext: trust.id.slice(0, 32),
    };
    const context = createSecureContext(settings);
    const server = createServer({
      ...settings,
      // A server by itself knows nothing of allowPartialTrustChain.
      SNICallback: (_name, answer) => answer(null, context),
      requestCert: true,
      // Who is refused gets an answer that says why, in place of a broken handshake.
      rejectUnauthorized: false,
      handshakeTimeout: this.#door.active.limits.headTimeout,
      ALPNProtocols: PROTOCOLS,
    });
    stapleFrom(server, this.#table);
    const anchors = readAuthorities(trust.authorities);
    server.on('secureConnection', (socket: TLSSocket) => this.#onSecure(socket, proofOf(socket, trust, anchors)));
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    return server;
  }
}

function proofOf(socket: TLSSocket, trust: ClientTrust, anchors: readonly X509Certificate[]): ClientProof {
  const { id } = trust;
  const leaf = socket.getPeerX509Certificate();
  const now = Date.now();
  // One that is out of date already has refused its clients, and holds for nobody else.
  const judgedUntil = Math.min(...trust.revocationEnds.filter((end) => end > now));
  if (leaf === undefined) {
    const nothing = { certificate: '', fingerprint: '', chain: '', problem: '' };
    return { trust: id, ...nothing, validUntil: Number.POSITIVE_INFINITY, judgedUntil };
  }
  const isProven = socket.authorized && !socket.isSessionReused();
  return {
    trust: id,
    certificate: binaryItem(leaf),
    fingerprint: leaf.fingerprint256.replaceAll(':', '').toLowerCase(),
    chain: isProven ? issuersOf(leaf, anchors).map(binaryItem).join(', ') : '',
    problem: isProven ? '' : String(socket.authorizationError ?? 'not verified'),
    validUntil: leaf.validToDate.getTime(),
    judgedUntil,
  };
}

/** What clients send beside their certificate was looked at by nobody: only what leads on to somebody trusted is passed on. */
function issuersOf(leaf: X509Certificate, anchors: readonly X509Certificate[]): X509Certificate[] {
  const sent: X509Certificate[] = [];
  for (
    let each = leaf.issuerCertificate;
    each !== undefined && sent.length < MAX_CHAIN;
    each = each.issuerCertificate
  ) {
    sent.push(each);
  }
  const path: X509Certificate[] = [];
  for (let last = leaf; path.length < MAX_CHAIN; ) {
    const issuer = anchors.find((each) => isIssuedBy(last, each)) ?? sent.find((each) => isIssuedBy(last, each));
    // Whoever got this has the roots.
    if (issuer === undefined || isIssuedBy(issuer, issuer)) break;
    path.push(issuer);
    last = issuer;
  }
  return path;
}

const isIssuedBy = (certificate: X509Certificate, issuer: X509Certificate) =>
  certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);

/** A byte sequence of structured fields (RFC 8941 §3.3.5). */
const binaryItem = ({ raw }: X509Certificate) => `:${raw.toString('base64')}:`;

function readAuthorities(pem: string): X509Certificate[] {
  return (pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map(
    (each) => new X509Certificate(each),
  );
}
