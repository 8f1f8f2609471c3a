// The two proxies of the parity test, in front of the same recording upstreams, and one way to ask either.

import type { Test } from 'tap';
import { type Caddy, startCaddy } from '../support/caddy.ts';
import { type ClientAnswer, type ClientRequest, type Door, PATIENCE } from '../support/exchange.ts';
import { clientFacts, type Facts, upstreamFacts } from '../support/facts.ts';
import { makeFolder } from '../support/folder.ts';
import { sendHttp1 } from '../support/http1-client.ts';
import { sendHttp2 } from '../support/http2-client.ts';
import { type Portico, startPortico } from '../support/portico.ts';
import { waitFor } from '../support/ports.ts';
import { type Recorder, startRecorder } from '../support/recorder.ts';
import { FIXED_DATE } from '../support/recorder-answers.ts';
import { makeTestCertificate } from '../support/tls.ts';
import { visitWebSocket, type WebSocketVisit } from '../support/websocket-client.ts';
import { BACKEND, type Case, FRONTEND, type Mode, PREFIX, type Protocol } from './parity-cases.ts';

/** Asks one of the proxies, and tells what client and upstreams saw. */
export interface Side {
  ask(one: Case, mode: Mode, protocol: Protocol): Promise<Facts>;
  visit(visit: WebSocketVisit): Promise<Facts>;
}

export interface Sides {
  readonly caddy: Side;
  readonly portico: Side;
}

export async function startSides(t: Test, mode: Mode): Promise<Sides> {
  const frontend = await startRecorder(t);
  const backend = await startRecorder(t);
  const certificate = await makeTestCertificate(makeFolder(t, 'tls'), [FRONTEND, BACKEND]);
  const backendDns = mode === 'two domains' ? { backendDns: BACKEND } : {};
  const caddy = await startCaddy(t, {
    frontendDns: FRONTEND,
    frontendService: frontend.service,
    backendService: backend.service,
    certificate,
    ...backendDns,
  });
  const portico = await startPortico(t, {
    FRONTEND_DNS: FRONTEND,
    FRONTEND_SERVICE: frontend.service,
    BACKEND_SERVICE: backend.service,
    SSL_CRT: certificate.certificateFile,
    SSL_KEY: certificate.keyFile,
    ...(mode === 'two domains' ? { BACKEND_DNS: BACKEND } : { API_PREFIX: PREFIX }),
  });
  const upstreams = { frontend, backend };
  return { caddy: makeSide(caddy, certificate.ca, upstreams), portico: makeSide(portico, certificate.ca, upstreams) };
}

type Upstreams = Readonly<Record<'frontend' | 'backend', Recorder>>;

function makeSide(proxy: Pick<Caddy | Portico, 'httpPort' | 'httpsPort'>, ca: string, upstreams: Upstreams): Side {
  return {
    ask: async (one, mode, protocol) => {
      const raw = one.request(mode);
      const request = { ...raw, target: raw.target.replace('{backend}', upstreams.backend.service) };
      const door = doorOf(proxy, one.listener, request.authority, ca);
      forget(upstreams);
      const answer = await settled(protocol === 'HTTP/2' ? sendHttp2(door, request) : sendHttp1(door, request));
      return hideChance(await factsOf(answer, request, upstreams, protocol === 'HTTP/1.1'), proxy, upstreams);
    },
    visit: async (visit) => {
      forget(upstreams);
      const seen = await visitWebSocket(doorOf(proxy, 'https', visit.authority, ca), visit);
      const isClosed = () => recordsOf(upstreams).every((record) => record.closeCode !== undefined);
      if (seen.status === 101) await waitFor(isClosed, PATIENCE, 'the upstream to see the end of the websocket');
      const body = Buffer.from(seen.messages.join(' | '));
      const answer: ClientAnswer = { ...seen, body, trailers: [], informs: [], end: 'complete' };
      const request = { method: 'GET', target: visit.target, authority: visit.authority, headers: [] };
      const facts = await factsOf(answer, request, upstreams, true);
      const more = new Map(facts)
        .set('client close code', String(seen.closeCode))
        .set('client protocol', seen.protocol);
      return hideChance(more, proxy, upstreams);
    },
  };
}

function doorOf(
  proxy: Pick<Caddy | Portico, 'httpPort' | 'httpsPort'>,
  listener: Case['listener'],
  authority: string,
  ca: string,
): Door {
  const host = authority.replace(/:\d+$/, '').toLowerCase();
  // The certificate has no other name; which name the TLS handshake asks for is not what is compared here.
  const serverName = host === BACKEND ? BACKEND : FRONTEND;
  if (listener === 'http') return { port: proxy.httpPort, ca: undefined, serverName };
  return { port: proxy.httpsPort, ca, serverName };
}

async function factsOf(
  answer: ClientAnswer | Error,
  request: ClientRequest,
  upstreams: Upstreams,
  isHttp1: boolean,
): Promise<Facts> {
  const records = recordsOf(upstreams);
  await Promise.all(records.map((record) => record.ended));
  const seen = new Map(Object.entries(upstreams).map(([name, recorder]) => [name, recorder.records]));
  return new Map([...clientFacts(answer, records[0], isHttp1), ...upstreamFacts(seen, request, isHttp1)]);
}

function recordsOf(upstreams: Upstreams) {
  return [...upstreams.frontend.records, ...upstreams.backend.records];
}

function forget(upstreams: Upstreams): void {
  upstreams.frontend.clear();
  upstreams.backend.clear();
}

async function settled(answer: Promise<ClientAnswer>): Promise<ClientAnswer | Error> {
  try {
    return await answer;
  } catch (error) {
    return error as Error;
  }
}

/** What is different in each run: ports, request ids, the time, and the keys of a websocket. */
function hideChance(facts: Facts, proxy: Pick<Caddy | Portico, 'httpPort' | 'httpsPort'>, upstreams: Upstreams): Facts {
  const hidden: [RegExp, string][] = [
    [new RegExp(`:${proxy.httpsPort}\\b`, 'g'), ':{https}'],
    [new RegExp(`:${proxy.httpPort}\\b`, 'g'), ':{http}'],
    [new RegExp(`:${upstreams.frontend.port}\\b`, 'g'), ':{frontend}'],
    [new RegExp(`:${upstreams.backend.port}\\b`, 'g'), ':{backend}'],
    [/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, '{id}'],
    [new RegExp(`^(?!${FIXED_DATE}$)\\w{3}, \\d\\d \\w{3} \\d{4} [\\d:]{8} GMT$`), '{now}'],
  ];
  const hide = (text: string) => hidden.reduce((seen, [pattern, name]) => seen.replace(pattern, name), text);
  const isKey = (place: string) => / sec-websocket-(?:key|accept)$/.test(place);
  return new Map([...facts].map(([place, text]) => [place, isKey(place) ? '{key}' : hide(text)]));
}
