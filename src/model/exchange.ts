// The nouns of one exchange: its head, its two sides, and the interfaces over flat headers and byte chunks that join them.

import type { Headers } from '../http/headers.ts';
import type { Failure } from './failure.ts';
import type { Endpoint, HeaderRules, Route } from './snapshot.ts';

/** `bodyLength` of a message that has no body at all (no Content-Length, no Transfer-Encoding). */
export const NO_BODY = -1;
/** `bodyLength` of a body whose length is told by its end only: chunked, an open HTTP/2 stream, or until close. */
export const UNTIL_END = -2;

export interface RequestHead {
  readonly method: string;
  /** The request target as sent, byte for byte (latin1): origin-form, absolute-form, or `*`. */
  readonly target: string;
  /** Host or :authority as sent; undefined when there was none. */
  readonly authority: string | undefined;
  readonly protocol: 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2.0';
  readonly headers: Headers;
  /** NO_BODY, UNTIL_END, or the number of bytes announced. */
  readonly bodyLength: number;
  /** Asks to become a websocket (RFC 6455 §4.1). */
  readonly upgrade: boolean;
  /** What the downstream side found wrong with the framing or the authority: answered by a 400. */
  readonly problem: string | undefined;
}

/** The connection that an exchange came on. */
export interface Origin {
  /** The listener's name. */
  readonly listener: string;
  /** How it stands with that very listener: its name may be another one's after a reload. */
  readonly bound: Bound;
  /** Requests are not served but sent to HTTPS. */
  readonly redirects: boolean;
  readonly scheme: 'http' | 'https';
  /** Who holds the socket. */
  readonly peerAddress: string;
  /** Who opened the connection: the peer, or whom the peer named by a PROXY header. */
  readonly callerAddress: string;
  /** `TLSv1.3`; undefined on a plain connection. */
  readonly tlsVersion: string | undefined;
  /** The name asked for in the TLS handshake, in lower case. */
  readonly serverName: string | undefined;
  /** undefined: the handshake asked for no certificate. */
  readonly client: ClientProof | undefined;
}

/** A listener, to all of its connections. */
export interface Bound {
  /** It accepts nothing more, and what it holds may end. */
  draining: boolean;
}

/** What a handshake found out about the client's certificate. */
export interface ClientProof {
  /** The id of the ClientTrust that it was judged by. */
  readonly trust: string;
  /** As Client-Cert says it (RFC 9440 §2.2); '' when the client showed none. */
  readonly certificate: string;
  /** SHA-256 of the certificate, in hex; '' when the client showed none. */
  readonly fingerprint: string;
  /** As Client-Cert-Chain says it: who vouches for it, up to whom we trust, roots left out; '' when there is nobody between. */
  readonly chain: string;
  /** Why it does not stand the test, as a code of the TLS library; '' when it does. */
  readonly problem: string;
  /** When the certificate ends, of the wall clock, in ms. */
  readonly validUntil: number;
  /** When the first of the revocation lists that it was judged by is out of date, of the wall clock, in ms. */
  readonly judgedUntil: number;
}

/** The side that called us. All calls are safe after the client has gone: they do nothing. */
export interface Downstream {
  /** An interim answer, 1xx but 101. */
  inform(status: number, headers: Headers): void;
  /** The final head. `headers` holds a Content-Length when the length is known; other framing is this side's business. */
  respond(status: number, headers: Headers): void;
  /** Takes a chunk, which is lent. True: it is sent or copied. False: it is still held, and nothing more comes until onDownstreamDrain. */
  write(chunk: Uint8Array): boolean;
  end(trailers: Headers): void;
  /** Takes the answer back as long as nothing of it has left: true, and `respond` begins another one. */
  retract(): boolean;
  /** The answer will not be completed: said in the protocol's own way, so that it cannot be taken for whole. */
  abort(): void;
  /** Stops and resumes the reading of the request's body. */
  pause(): void;
  resume(): void;
  /** Sends the 101 with these fields and hands over the connection; undefined when the client has gone. */
  tunnel(headers: Headers): ByteStream | undefined;
}

/** What node:net and node:tls sockets have in common, as far as a tunnel needs it. */
export interface ByteStream {
  /** False once it was ended, by either side in effect: what is written then is an error. */
  readonly writable: boolean;
  write(chunk: Uint8Array): boolean;
  end(): unknown;
  pause(): unknown;
  resume(): unknown;
  destroy(): unknown;
  on(event: 'data', listener: (chunk: Uint8Array) => void): unknown;
  on(event: 'close', listener: (hadError: boolean) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'drain' | 'end' | 'timeout', listener: () => void): unknown;
  setTimeout(ms: number): unknown;
  setKeepAlive(on: boolean, ms: number): unknown;
}

/** What is sent to an endpoint. */
export interface UpstreamRequest {
  readonly method: string;
  readonly target: string;
  /** End-to-end fields; framing and connection fields are the transport's business. */
  readonly headers: Headers;
  readonly bodyLength: number;
  readonly upgrade: boolean;
}

/** Carries an exchange to an endpoint. */
export interface Transport {
  /**
   * Starts an attempt; everything that comes of it is told to `receiver`, never before this call returns.
   * `fresh`: on a new connection, because a kept one was just found dead.
   */
  open(request: UpstreamRequest, endpoint: Endpoint, receiver: Receiver, fresh: boolean): Attempt;
  /** Tells whether a connection can be opened, which is closed at once. */
  probe(endpoint: Endpoint, told: (opens: boolean) => void): void;
}

/** One try of a request at one endpoint. All calls are safe after its end: they do nothing. */
export interface Attempt {
  /** A connection is there: the body may flow. Otherwise onConnected tells. */
  readonly connected: boolean;
  /** True when it runs on a connection that carried requests before. */
  readonly reused: boolean;
  /** The address that was reached, once it is known. */
  readonly address: string;
  /** Milliseconds from the start of the attempt to a usable connection. */
  readonly connectTime: number;
  /** Copies the chunk. False: no more is wanted until onDrain. */
  write(chunk: Uint8Array): boolean;
  end(trailers: Headers): void;
  pause(): void;
  resume(): void;
  abort(): void;
}

/** What an attempt tells. After onEnd, onTunnel or onFailure nothing more comes. */
export interface Receiver {
  /** A connection is there: the body may flow. */
  onConnected(): void;
  onInform(status: number, headers: Headers): void;
  onHead(status: number, headers: Headers): void;
  /** The bytes are lent: they hold until this returns, or until `resume` when the attempt was paused meanwhile. */
  onChunk(chunk: Uint8Array): void;
  onEnd(trailers: Headers): void;
  onDrain(): void;
  /** 101: `first` holds what came in the same packet as the head. */
  onTunnel(headers: Headers, stream: ByteStream, first: Uint8Array): void;
  /** `detail` is for people, and goes on after the endpoint's name: `refused the connection`. */
  onFailure(failure: Failure, detail: string): void;
}

/** The part of the spine that acts on an exchange: told what comes from the client after the head. */
export interface Acting {
  /** When `onDeadline` is called, of the steady clock, in ms; Infinity for never. */
  readonly deadline: number;
  onDeadline(): void;
  /** The bytes are lent until it returns. */
  onRequestChunk(chunk: Uint8Array): void;
  onRequestEnd(trailers: Headers): void;
  onDownstreamDrain(): void;
  /** The exchange was settled by the other side of the spine; let go of everything. */
  release(): void;
}

/** One request and its response: what is known of it, for the spine and for the line in the access log. Times in ms. */
export class Exchange {
  readonly origin: Origin;
  readonly downstream: Downstream;
  readonly head: RequestHead;
  /** Of the wall clock. */
  readonly startedAt: number;
  /** Of the steady clock. */
  readonly startTime: number;
  id = '';
  clientAddress = '';
  /** The X-Forwarded-For to send on. */
  chain = '';
  trusted = false;
  /** 32 hex digits. */
  traceId = '';
  /** The trace begins here: the client sent none, or none that is valid. */
  beginsTrace = false;
  route: Route | undefined;
  /** What is done to the fields of the answer. */
  responseRules: HeaderRules | undefined;
  /** What upstreams are told of the client's certificate; undefined: the host asks for none. */
  clientFields: Headers | undefined;
  acting: Acting | undefined;
  /** Its connection takes no request behind it. */
  isLast = false;
  /** Among those of the door. */
  place = -1;

  requestEnded = false;
  /** The final head was sent. */
  responded = false;
  /** All of the answer was handed to the downstream side. */
  answered = false;
  /** When the sweep first saw it answered and not yet taken by the client, of the steady clock; 0 before. */
  answeredAt = 0;
  settled = false;
  failure: Failure | undefined;
  /** Who closed a tunnel in order; '' for all else. */
  endedBy = '';
  /** The failure in words, for people. */
  detail = '';

  status = 0;
  bytesIn = 0;
  bytesOut = 0;
  /** `host:port` of the endpoint that was asked last, and the address that was reached. */
  upstream = '';
  upstreamAddress = '';
  upstreamStatus = 0;
  connectTime = -1;
  firstByteTime = -1;
  retries = 0;

  constructor(origin: Origin, downstream: Downstream, head: RequestHead, startedAt: number, startTime: number) {
    this.origin = origin;
    this.downstream = downstream;
    this.head = head;
    this.startedAt = startedAt;
    this.startTime = startTime;
    this.requestEnded = head.bodyLength === NO_BODY || head.bodyLength === 0;
  }
}
