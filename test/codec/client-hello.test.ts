// The ClientHello, as real clients send it, cut anywhere, in several records, and damaged.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer as createTlsServer } from 'node:tls';
import t from 'tap';
import { readClientHello } from '../../src/codec/client-hello.ts';
import { makeCertificate } from '../support/certificates.ts';
import { helloOf } from '../support/client-hello.ts';
import { dice } from '../support/dice.ts';

const modern = await helloOf({});
const old = await helloOf({
  maxVersion: 'TLSv1.2',
  ciphers: 'ECDHE-RSA-AES128-GCM-SHA256',
  sigalgs: 'rsa_pkcs1_sha256',
  ALPNProtocols: ['acme-tls/1', 'h2'],
});

/** The same message in records of so many bytes. */
function inRecords(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size);
    records.push(Buffer.of(22, 3, 1, part.length >> 8, part.length & 0xff), part);
  }
  return Buffer.concat(records);
}

t.test('what clients offer', async (t) => {
  t.match(readClientHello(modern), { tls13: true, signatureSchemes: [], cipherSuites: [] });
  const offer = readClientHello(modern);
  if (typeof offer !== 'object') throw new Error('it is read');
  t.ok(offer.signatureSchemes.includes(0x0403) && offer.cipherSuites.includes(0x1301));
  t.strictSame(readClientHello(old), {
    serverName: 'a.test',
    ...{ tls13: false, signatureSchemes: [0x0401], cipherSuites: [0xc02f] },
    protocols: ['acme-tls/1', 'h2'],
    ticketKey: '',
  });
});

t.test('the name that is asked for', async (t) => {
  const nameIn = (hello: Buffer) => {
    const read = readClientHello(hello);
    return typeof read === 'object' ? read.serverName : read;
  };
  t.equal(nameIn(await helloOf({ servername: 'B.Test' })), 'b.test');
  t.equal(nameIn(await helloOf({ servername: '' })), undefined);
  // The extension: 0, its length, that of its list, the kind of the name, the name.
  const at = modern.indexOf(Buffer.from('\0\0\0\x0b\0\x09\0\0\x06a.test', 'latin1'));
  t.ok(at > 0);
  for (const [place, value] of [
    [6, 1],
    [8, 0],
    [8, 5],
    [8, 7],
  ] as const) {
    const odd = Buffer.from(modern);
    odd[at + place] = value;
    t.equal(readClientHello(odd), undefined, 'what two may read differently is read by the library alone');
  }
});

t.test('the key of the ticket that a client comes with', async (t) => {
  const made = await makeCertificate({ names: ['a.test'] });
  const ticketKeys = Buffer.concat([Buffer.from('the key is named'), randomBytes(32)]);
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const server = createTlsServer({ cert: made.certificate, key: made.key, ticketKeys }, (socket) => socket.end('x'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const only = { minVersion: version, maxVersion: version } as const;
    const client = connect({ host: '127.0.0.1', port, servername: 'a.test', rejectUnauthorized: false, ...only });
    const [session] = (await once(client, 'session')) as [Buffer];
    client.destroy();
    server.close();
    t.match(readClientHello(await helloOf({ ...only, session })), { ticketKey: 'the key is named' });
    t.match(readClientHello(await helloOf(only)), { ticketKey: '' });
  }
});

t.test('any beginning asks for more, and what stands behind it does not matter', async (t) => {
  for (let length = 0; length < old.length; length++) t.equal(readClientHello(old.subarray(0, length)), 'more');
  t.strictSame(readClientHello(Buffer.concat([old, Buffer.of(1, 2, 3)])), readClientHello(old));
});

t.test('in several records it is the same', async (t) => {
  for (const size of [1, 2, 50, 100].map((each) => Math.max(each, Math.ceil((old.length - 5) / 8)))) {
    const parts = inRecords(old, size);
    t.strictSame(readClientHello(parts), readClientHello(old));
    t.equal(readClientHello(parts.subarray(0, parts.length - 1)), 'more');
  }
  t.equal(readClientHello(inRecords(old, 1)), undefined, 'so many are no honest client');
});

t.test('what is no ClientHello is left to the library', async (t) => {
  for (const bytes of [
    Buffer.from('GET / HTTP/1.1'),
    Buffer.of(22, 3, 1, 0, 0),
    Buffer.of(22, 3, 1, 0xff, 0xff),
    Buffer.of(22, 3, 1, 0, 4, 2, 0, 0, 0),
    Buffer.of(22, 3, 1, 0, 4, 1, 0xff, 0, 0),
    Buffer.of(22, 3, 1, 0, 4, 1, 0, 0, 0),
  ]) {
    t.equal(readClientHello(bytes), undefined);
  }
});

t.test('damaged ones are read to something or nothing, and never further than they go', async (t) => {
  const roll = dice(20_261_122);
  for (let i = 0; i < 5_000; i++) {
    const bytes = Buffer.from(i % 2 === 0 ? old : modern);
    for (let n = 1 + roll(4); n > 0; n--) bytes[roll(bytes.length)] = roll(256);
    const read = readClientHello(bytes);
    if (typeof read === 'object')
      for (const each of read.cipherSuites) if (!(each >= 0 && each < 65_536)) t.fail(`${each}`);
  }
  t.pass('no case threw');
});
