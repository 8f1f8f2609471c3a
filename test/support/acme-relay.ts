// Stands before an ACME server and passes on what it does not answer itself: so that a test sees what is asked, adds ARI and profiles, and lets an issuer fail.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import { makeFolder } from './folder.ts';
import type { Pebble } from './pebble.ts';
import { makeTestCertificate } from './tls.ts';

export interface Answer {
  readonly status?: number;
  readonly headers?: OutgoingHttpHeaders;
  readonly body: string;
}

/** `hang`: nothing is passed on and nothing answered. `lose`: it is passed on, and its answer is lost. undefined: it is passed on. */
export type Intercept = (
  path: string,
  payload: Record<string, unknown> | undefined,
) => Answer | 'hang' | 'lose' | undefined;

export interface AcmeRelay {
  readonly directory: string;
  readonly caFile: string;
  readonly ca: string;
  /** What is done with requests from now on. */
  intercept: Intercept;
  /** What ARI answers; undefined: the issuer has no ARI. */
  ari: ((id: string) => Answer) | undefined;
  /** What each profile is for, by its name; undefined: the issuer has none. An order for another one is refused. */
  profiles: Readonly<Record<string, string>> | undefined;
  /** Paths asked for, with the payload of those that were signed. */
  readonly asked: { readonly path: string; readonly payload: Record<string, unknown> | undefined }[];
  /** How many requests were for a path that begins so. */
  count(path: string): number;
}

export async function startAcmeRelay(t: Test, pebble: Pebble): Promise<AcmeRelay> {
  const own = await makeTestCertificate(makeFolder(t, 'relay'), ['localhost']);
  const behind = new URL(pebble.directory);
  const server = createServer({ cert: readFileSync(own.certificateFile), key: readFileSync(own.keyFile) });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const base = `https://localhost:${(server.address() as AddressInfo).port}`;
  const relay: AcmeRelay = {
    ...{ directory: `${base}/dir`, caFile: own.caFile, ca: own.ca, asked: [], ari: undefined, profiles: undefined },
    intercept: () => undefined,
    count: (path) => relay.asked.filter((each) => each.path.startsWith(path)).length,
  };
  const known = new Set<string>();
  server.on('request', async (incoming, outgoing) => {
    const body = await read(incoming);
    const path = incoming.url ?? '/';
    const payload = readPayload(body);
    const entry = { path, payload };
    relay.asked.push(entry);
    const own = path.startsWith('/ari/')
      ? relay.ari?.(path.slice(5))
      : (relay.intercept(path, payload) ?? refuseProfile(relay, path, payload));
    if (own === 'hang') return;
    if (own !== undefined && own !== 'lose') {
      outgoing.writeHead(own.status ?? 200, own.headers).end(own.body);
      return;
    }
    // Pebble makes its URLs of the Host that it is asked by.
    const options = { host: '127.0.0.1', servername: 'localhost', port: behind.port, ca: pebble.ca, agent: false };
    const asked = request({ ...options, path, method: incoming.method!, headers: incoming.headers }, async (answer) => {
      let text = await read(answer);
      // A good nonce refused by chance: the same is asked again.
      const isRefused = text.includes(':badNonce');
      if (isRefused) relay.asked.splice(relay.asked.indexOf(entry), 1);
      if (path === '/order-plz' && answer.statusCode === 201 && pebble.wantsProof) {
        const { authorizations } = JSON.parse(text) as { readonly authorizations: readonly string[] };
        // Told to reuse none of what was proven, Pebble does so in one of a hundred orders all the same (it compares by `>`).
        if (authorizations.some((url) => known.has(url))) {
          relay.asked.splice(relay.asked.indexOf(entry), 1);
          const body = JSON.stringify({
            type: 'urn:ietf:params:acme:error:badNonce',
            detail: 'ask again',
            status: 400,
          });
          const nonce = answer.headers['replay-nonce'];
          outgoing.writeHead(400, { 'Content-Type': 'application/problem+json', 'Replay-Nonce': nonce }).end(body);
          return;
        }
        for (const url of authorizations) known.add(url);
      }
      if (own === 'lose' && !isRefused) return;
      if (path === '/dir' && relay.ari !== undefined) {
        text = JSON.stringify({ ...JSON.parse(text), renewalInfo: `${base}/ari` });
      }
      if (path === '/dir' && relay.profiles !== undefined) {
        const found = JSON.parse(text) as { readonly meta?: object };
        text = JSON.stringify({ ...found, meta: { ...found.meta, profiles: relay.profiles } });
      }
      const { 'content-length': _length, ...headers } = answer.headers;
      outgoing.writeHead(answer.statusCode!, headers).end(text);
    });
    asked.on('error', () => outgoing.destroy());
    asked.end(body);
  });
  return relay;
}

/** As an issuer with profiles does (draft-aaron-acme-profiles §4). */
function refuseProfile({ profiles }: AcmeRelay, path: string, payload: Record<string, unknown> | undefined) {
  const profile = payload?.profile;
  if (path !== '/order-plz' || profile === undefined) return undefined;
  if (profiles !== undefined && Object.hasOwn(profiles, String(profile))) return undefined;
  const body = { type: 'urn:ietf:params:acme:error:invalidProfile', detail: `no profile ${profile}`, status: 400 };
  return { status: 400, headers: { 'Content-Type': 'application/problem+json' }, body: JSON.stringify(body) };
}

async function read(message: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of message.setEncoding('utf8')) text += chunk;
  return text;
}

function readPayload(body: string): Record<string, unknown> | undefined {
  if (body === '') return undefined;
  const { payload } = JSON.parse(body) as { payload: string };
  return payload === '' ? {} : JSON.parse(Buffer.from(payload, 'base64url').toString());
}
