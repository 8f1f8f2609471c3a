// Mutual TLS: who comes in by which certificate, what upstreams are told, and each way around it that others have left open.

import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { allValues } from '../../src/http/headers.ts';
import type { ClientAuth, ClientTrust } from '../../src/model/snapshot.ts';
import { makeAuthority, makeCertificate, makeRevocationList, type TestPair } from '../support/certificates.ts';
import { type DoorOptions, HOST, local, openDoor } from '../support/door.ts';
import { waitFor } from '../support/ports.ts';
import { AnswerReader, RawClient } from '../support/raw-client.ts';
import { OK, RawUpstream } from '../support/raw-upstream.ts';

/** Asks for a certificate; HOST does not. */
const GUARDED = 'guarded.test';
const OPTIONAL = 'optional.test';
const WILD = '*.wild.test';
const FOR_CLIENTS = ['1.3.6.1.5.5.7.3.2'];

const siteAuthority = await makeAuthority({ subject: 'CN=Site root' });
const site = await makeCertificate({ names: [HOST, GUARDED, OPTIONAL, WILD], issuer: siteAuthority });
const root = await makeAuthority({ subject: 'CN=Client root' });
const intermediate = await makeAuthority({ subject: 'CN=Client intermediate', issuer: root });
const client = (issuer: TestPair | undefined, more = {}) =>
  makeCertificate({ subject: 'CN=joe', purposes: FOR_CLIENTS, ...(issuer === undefined ? {} : { issuer }), ...more });
const joe = await client(root);
const ann = await client(intermediate);
const revoked = await client(root);

const trustOf = (id: string, authorities: string, ...revocations: string[]): ClientTrust => ({
  ...{ id, authorities, revocations, revocationEnds: [] },
});
const TRUST = trustOf('a', root.certificate);
const auth = (more: Partial<ClientAuth> = {}): ClientAuth => ({
  ...{ trust: 'a', required: true, forward: 'certificate' },
  ...more,
});

async function start(t: Test, options: Partial<DoorOptions> = {}) {
  const upstream = await RawUpstream.open();
  upstream.answer(OK);
  const endpoints = [local(upstream.port)];
  const door = await openDoor({
    ...{ frontend: endpoints, backend: endpoints },
    certificates: [{ names: [HOST, GUARDED, OPTIONAL, WILD], chain: site.certificate, key: site.key }],
    otherHosts: [
      { name: GUARDED, clientAuth: auth() },
      { name: OPTIONAL, clientAuth: auth({ required: false }) },
      { name: WILD, clientAuth: auth() },
    ],
    clientTrusts: [TRUST],
    ...options,
  });
  const open: TLSSocket[] = [];
  t.teardown(() => {
    for (const socket of open) socket.destroy();
    door.close();
    upstream.close();
  });
  const dial = async (servername: string, who?: TestPair, more: ConnectionOptions = {}) => {
    const identity = who === undefined ? {} : { cert: who.certificate, key: who.key };
    const options = { port: door.tlsPort, host: '127.0.0.1', ca: siteAuthority.certificate, ...identity, ...more };
    const socket = connectTls({ ...options, servername, checkServerIdentity: () => undefined });
    open.push(socket);
    socket.on('error', () => {});
    await once(socket, 'secureConnect');
    return socket;
  };
  /** Status and text of the answer on a new connection. */
  const ask = async (host: string, who?: TestPair, more: ConnectionOptions = {}) =>
    askOn(await dial(host, who, more), host);
  return { door, upstream, dial, ask };
}

const READERS = new WeakMap<TLSSocket, { reader: AnswerReader }>();

/** One request after another on a connection. */
async function askOn(socket: TLSSocket, host: string, fields = ''): Promise<string> {
  const place = READERS.get(socket) ?? { reader: new AnswerReader('GET') };
  if (!READERS.has(socket)) {
    READERS.set(socket, place);
    socket.on('data', (chunk: Buffer) => place.reader.feed(chunk));
    socket.on('close', () => place.reader.onConnectionGone(false));
  }
  const reader = new AnswerReader('GET');
  place.reader = reader;
  socket.write(`GET /x HTTP/1.1\r\nHost: ${host}\r\n${fields}\r\n`);
  await waitFor(() => reader.isDone, 10_000, 'an answer');
  return `${reader.status} ${reader.body}`;
}

const fieldOf = ({ raw }: { raw: Buffer }) => `:${raw.toString('base64')}:`;
const pemField = (pair: TestPair) =>
  fieldOf({ raw: Buffer.from(pair.certificate.replace(/-----[^-]+-----|\s/g, ''), 'base64') });

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  t.test(`over ${version}: with a certificate in, without one or with a wrong one told why`, async (t) => {
    const { door, upstream, ask } = await start(t);
    const more = { maxVersion: version, minVersion: version } as const;
    t.equal(await ask(GUARDED, joe, more), '200 ok');
    t.equal(await ask('any.wild.test', joe, { ...more, ALPNProtocols: ['http/1.0'] }), '200 ok');
    t.match(await ask(GUARDED, undefined, more), /^403 .*guarded\.test needs a client certificate, and none was sent/s);
    const cases: [TestPair, RegExp][] = [
      [await client(undefined), /no authority of this site vouches/],
      [await client(siteAuthority), /no authority of this site vouches/],
      [await client(await makeAuthority({ subject: 'CN=Client root' })), /vouches|CERT_SIGNATURE_FAILURE/],
      [await client(root, { validFrom: -9, validTo: -1 }), /it has expired/],
      [await client(root, { validFrom: 1 }), /it is not valid yet/],
      [await client(root, { purposes: ['1.3.6.1.5.5.7.3.1'] }), /it is not for clients/],
      [ann, /no authority of this site vouches/],
    ];
    for (const [who, why] of cases) {
      for (const host of [GUARDED, OPTIONAL]) {
        const answer = await ask(host, who, more);
        t.match(answer, /^403 /);
        t.match(answer, why);
      }
    }
    t.equal(await ask(OPTIONAL, undefined, more), '200 ok', 'where it is optional none is enough');
    t.equal(await ask(OPTIONAL, joe, more), '200 ok');
    t.strictSame(
      upstream.requests.map(({ fields }) => allValues(fields, 'client-cert')),
      [[pemField(joe)], [pemField(joe)], [], [pemField(joe)]],
    );
    const failures = door.lines.map(({ failure }) => failure);
    t.ok(failures.includes('client_certificate_missing') && failures.includes('client_certificate_refused'));
  });
}

t.test('a connection for another name, or for none, does not lead to a host that asks for a certificate', async (t) => {
  const { upstream, dial } = await start(t);
  for (const name of [HOST, '', 'nobody.test', 'a.b.wild.test']) {
    const socket = await dial(name, joe);
    for (const host of [GUARDED, OPTIONAL, 'x.wild.test', `${GUARDED}:443`, GUARDED.toUpperCase()]) {
      t.match(await askOn(socket, host), /^421 .*asks for a client certificate, and this connection was opened/s);
    }
  }
  t.equal(upstream.requests.length, 0);
  const socket = await dial(GUARDED, joe);
  t.equal(await askOn(socket, HOST), '200 ok', 'the other way round nothing is lost');
  t.equal(await askOn(socket, OPTIONAL), '200 ok', 'the same authorities vouch for both');
});

t.test('over HTTP/2 the same, stream by stream', async (t) => {
  const { upstream, dial } = await start(t);
  const statusOf = async (session: ClientHttp2Session, authority: string) => {
    const stream = session.request({ ':path': '/', ':authority': authority });
    const [fields] = (await once(stream, 'response')) as [Record<string, unknown>];
    stream.resume();
    return fields[':status'];
  };
  const open = async (name: string, who?: TestPair) => {
    const socket = await dial(name, who, { ALPNProtocols: ['h2'] });
    const session = connectHttp2(`https://${name}`, { createConnection: () => socket });
    t.teardown(() => session.destroy());
    return session;
  };
  const other = await open(HOST, joe);
  t.equal(await statusOf(other, HOST), 200);
  t.equal(await statusOf(other, GUARDED), 421);
  t.equal(await statusOf(await open(GUARDED, joe), GUARDED), 200);
  t.equal(await statusOf(await open(GUARDED), GUARDED), 403);
  t.equal(upstream.requests.length, 2);
});

t.test('hosts of other authorities are other hosts: one certificate does not open the next door', async (t) => {
  const { dial, upstream } = await start(t, {
    otherHosts: [
      { name: GUARDED, clientAuth: auth() },
      { name: OPTIONAL, clientAuth: auth({ trust: 'b' }) },
    ],
    clientTrusts: [TRUST, trustOf('b', intermediate.certificate)],
  });
  const socket = await dial(GUARDED, joe);
  t.equal(await askOn(socket, GUARDED), '200 ok');
  t.match(await askOn(socket, OPTIONAL), /^421 /);
  t.match(await askOn(await dial(OPTIONAL, joe), OPTIONAL), /^403 /);
  t.equal(await askOn(await dial(OPTIONAL, ann), OPTIONAL), '200 ok', 'an intermediate is enough to vouch');
  t.equal(upstream.requests.length, 2);
});

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  t.test(`over ${version}: no session is resumed by a host that asks (CVE-2025-23419)`, async (t) => {
    const { dial, upstream } = await start(t);
    const more = { maxVersion: version, minVersion: version } as const;
    /** The session that a connection ends with, as far as there is one. */
    const sessionOf = async (host: string, who?: TestPair) => {
      const socket = await dial(host, who, more);
      let session: Buffer | undefined = version === 'TLSv1.2' ? socket.getSession() : undefined;
      socket.on('session', (given: Buffer) => {
        session = given;
      });
      await askOn(socket, HOST);
      socket.destroy();
      return session;
    };
    const foreign = await sessionOf(HOST);
    t.ok(foreign);
    const again = await dial(HOST, undefined, { ...more, session: foreign! });
    t.ok(again.isSessionReused(), 'where it is from it is resumed');
    const around = await dial(GUARDED, undefined, { ...more, session: foreign! });
    t.notOk(around.isSessionReused());
    t.match(await askOn(around, GUARDED), /^403 /);
    for (const who of [undefined, joe]) {
      const own = await sessionOf(GUARDED, who);
      for (const host of [GUARDED, OPTIONAL, HOST]) {
        const socket = await dial(host, undefined, { ...more, ...(own === undefined ? {} : { session: own }) });
        t.notOk(socket.isSessionReused(), `${host} ${who?.subject}`);
        if (host === GUARDED) t.match(await askOn(socket, host), /^403 /);
      }
    }
    t.equal(upstream.requests.filter(({ fields }) => allValues(fields, 'host')[0] !== HOST).length, 0);
  });
}

t.test('revocation lists: who stands on one, one that is out of date, and one that is not there', async (t) => {
  const list = await makeRevocationList(root, { revoked: [revoked.certificate] });
  const { door, ask, dial } = await start(t, { clientTrusts: [trustOf('a', root.certificate, list)] });
  t.equal(await ask(GUARDED, joe), '200 ok');
  t.match(await ask(GUARDED, revoked), /^403 .*it was revoked/s);
  t.match(await ask(OPTIONAL, revoked), /^403 .*it was revoked/s);

  const open = await dial(GUARDED, joe);
  t.equal(await askOn(open, GUARDED), '200 ok');
  const change = (trust: ClientTrust) => {
    const clientAuth = auth({ trust: trust.id });
    const hosts = door.door.active.snapshot.hosts.map((host) =>
      host.name === GUARDED ? { ...host, clientAuth } : host,
    );
    door.reload({ hosts, clientTrusts: [trust] });
  };
  const old = await makeRevocationList(root, { from: -9, until: -1 });
  change(trustOf('c', root.certificate, old));
  t.match(await askOn(open, GUARDED), /^421 .*open a new one/s, 'what was judged by other rules is judged anew');
  t.match(await ask(GUARDED, joe), /^403 .*revocation list of this site is out of date/s);

  const other = await makeAuthority({ subject: 'CN=Another root' });
  change(trustOf('d', root.certificate + other.certificate, await makeRevocationList(other)));
  t.match(await ask(GUARDED, joe), /^403 .*no revocation list of that authority/s);

  const authorities = root.certificate + intermediate.certificate;
  change(trustOf('e', authorities, list, await makeRevocationList(intermediate, { revoked: [ann.certificate] })));
  t.match(await ask(GUARDED, ann), /^403 .*it was revoked/s, 'by the list of an intermediate');
  t.equal(await ask(GUARDED, await client(intermediate)), '200 ok');
});

t.test('nobody else says who a client is', async (t) => {
  const FORGED = [
    ...['Client-Cert', 'Client-Cert-Chain', 'client_cert', 'Client.Cert', 'X-SSL-Client-Cert', 'X-SSL-Client-Verify'],
    ...['X-SSL-Client-S-DN', 'SSL_CLIENT_CERT', 'SSL-Client-Verify', 'ssl-client-subject-dn', 'X-Client-Cert'],
    ...[
      'X-Forwarded-Client-Cert',
      'X-Forwarded-Tls-Client-Cert',
      'X-ARR-ClientCert',
      'X-Client-Certificate',
      'X-SSL-Cert',
    ],
  ];
  const fields = FORGED.map((name) => `${name}: SUCCESS\r\n`).join('');
  for (const trustedProxies of [[], ['127.0.0.1']]) {
    const { dial, upstream, door } = await start(t, { trustedProxies });
    await askOn(await dial(GUARDED, joe), GUARDED, fields);
    await askOn(await dial(OPTIONAL), OPTIONAL, fields);
    for (const request of upstream.requests) t.notMatch(request.head, 'SUCCESS');
    t.strictSame(
      upstream.requests.map((request) => allValues(request.fields, 'client-cert').length),
      [1, 0],
    );
    await askOn(await dial(HOST), HOST, fields);
    const passed = upstream.requests.at(-1)!.head.match(/SUCCESS/g)?.length ?? 0;
    // Of a trusted hop that ends TLS itself, and only in the spelling that means this field.
    t.equal(passed, trustedProxies.length === 0 ? 0 : FORGED.filter((name) => !/[_.]/.test(name)).length);
    t.notMatch(JSON.stringify(door.lines), 'SUCCESS');
  }
});

t.test('what upstreams are told: nothing, the certificate, or also who vouches for it', async (t) => {
  for (const [forward, expected] of [
    ['none', [[], []]],
    ['certificate', [[pemField(ann)], []]],
    ['chain', [[pemField(ann)], [pemField(intermediate)]]],
  ] as const) {
    const { upstream, ask } = await start(t, { otherHosts: [{ name: GUARDED, clientAuth: auth({ forward }) }] });
    // What is sent beside it and vouches for nothing is not passed on.
    const unrelated = await makeAuthority({ subject: 'CN=Unrelated' });
    const sent = { ...ann, certificate: ann.certificate + intermediate.certificate + unrelated.certificate };
    t.equal(await ask(GUARDED, sent), '200 ok');
    const { fields } = upstream.requests[0]!;
    t.strictSame([allValues(fields, 'client-cert'), allValues(fields, 'client-cert-chain')], expected);
    if (forward === 'chain') {
      await ask(GUARDED, joe);
      t.strictSame(allValues(upstream.requests[1]!.fields, 'client-cert-chain'), [], 'roots are left out');
    }
  }
});

t.test('a connection that is older than what holds now ends with the answer that says so', async (t) => {
  const { door, dial, ask } = await start(t);
  const open = await dial(GUARDED, joe);
  t.equal(await askOn(open, GUARDED), '200 ok');
  const socket = await dial(GUARDED, joe, { ALPNProtocols: ['h2'] });
  const session = connectHttp2(`https://${GUARDED}`, { createConnection: () => socket });
  const statusOf = async () => {
    const [fields] = (await once(session.request({ ':path': '/' }), 'response')) as [Record<string, unknown>];
    return fields[':status'];
  };
  t.equal(await statusOf(), 200);
  const away = once(session, 'goaway');
  const hosts = door.door.active.snapshot.hosts.map((host) =>
    host.name === GUARDED ? { ...host, clientAuth: auth({ trust: 'b' }) } : host,
  );
  door.reload({ hosts, clientTrusts: [trustOf('b', root.certificate)] });
  const ended = once(open, 'end');
  t.match(await askOn(open, GUARDED), /^421 .*open a new one/s);
  await ended;
  t.equal(await statusOf(), 421);
  await away;
  t.equal(await ask(GUARDED, joe), '200 ok');
});

t.test('once the list that a connection was judged by is out of date, it is judged anew', async (t) => {
  const list = await makeRevocationList(root);
  const ends = Date.now() + 1_000;
  const trust = { ...trustOf('a', root.certificate, list), revocationEnds: [ends - 3_600_000, ends] };
  const { dial } = await start(t, { clientTrusts: [trust] });
  const early = await dial(GUARDED, joe);
  t.equal(await askOn(early, GUARDED), '200 ok');
  await waitFor(() => Date.now() > ends, 5_000, 'the end of the list');
  t.match(await askOn(early, GUARDED), /^421 .*open a new one/s);
  const late = await dial(GUARDED, joe);
  t.equal(await askOn(late, GUARDED), '200 ok', 'a list that ended before is for the TLS library to judge by');
});

t.test('without TLS there is no way in', async (t) => {
  const { door, upstream } = await start(t);
  const plain = await RawClient.connect({ port: door.plainPort });
  t.teardown(() => plain.close());
  const answer = plain.reader('GET');
  plain.write(`GET / HTTP/1.1\r\nHost: ${GUARDED}\r\nClient-Cert: ${pemField(joe)}\r\n\r\n`);
  await waitFor(() => answer.isDone, 10_000, 'an answer');
  t.equal(answer.status, 421);
  t.match(String(answer.body), /this connection has no TLS/);
  t.equal(upstream.requests.length, 0);
});

t.test('by an address there is no name, and so no way in', async (t) => {
  const { door, dial, upstream } = await start(t, { otherHosts: [{ name: '127.0.0.1', clientAuth: auth() }] });
  const socket = await dial('', joe);
  t.match(await askOn(socket, '127.0.0.1'), /^421 .*without a name/s);
  t.equal(upstream.requests.length, 0);
  t.equal(door.lines.at(-1)!.failure, 'misdirected');
});

t.test('a certificate that expires while its connection lives is refused from then on', async (t) => {
  const { dial } = await start(t);
  const short = await client(root, { validTo: 2 / 86_400 });
  const socket = await dial(GUARDED, short);
  t.equal(await askOn(socket, GUARDED), '200 ok');
  await waitFor(async () => /^403 .*it has expired/s.test(await askOn(socket, GUARDED)), 10_000, 'a refusal');
});

t.test('a ClientHello in single bytes comes to the same', async (t) => {
  const { ask } = await start(t, { limits: { headTimeout: 5_000 } });
  t.equal(
    await ask(GUARDED, joe, {
      ALPNProtocols: ['http/1.1', ...Array.from({ length: 60 }, (_, i) => `x-${'y'.repeat(60)}${i}`)],
    }),
    '200 ok',
  );
});
