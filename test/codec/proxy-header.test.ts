// Headers of the PROXY protocol: byte for byte what is read, what is refused, and that cutting them anywhere changes nothing.

import t from 'tap';
import { looksLikeProxyHeader, readProxyHeader } from '../../src/codec/proxy-header.ts';
import { dice } from '../support/dice.ts';
import { binaryHeader, extension, ipv4, SIGNATURE, textHeader } from '../support/proxy-header.ts';

const IPV6 = Buffer.from('20010db800000000000000000000000120010db8000000000000000000000002dc0401bb', 'hex');
const MAPPED = Buffer.from('00000000000000000000ffffc000020720010db8000000000000000000000002dc0401bb', 'hex');
/** Of 192.0.2.1:56324 to 198.51.100.1:443, computed with another implementation of CRC32c. */
const CHECKED = Buffer.from('0d0a0d0a000d0a515549540a21110013c0000201c6336401dc0401bb030004737ee919', 'hex');

const named = (address: string, port = 56_324) => ({ address, port });
const NOBODY = undefined;

const GOOD: readonly (readonly [string, Buffer | string, { address: string; port: number } | undefined])[] = [
  ['version 1, IPv4', textHeader(), named('192.0.2.1')],
  ['version 1, IPv6', textHeader('2001:db8::1', 1), named('2001:db8::1', 1)],
  ['version 1, IPv6 spelled in full', textHeader('2001:0DB8:0:0:0:0:0:1'), named('2001:db8::1')],
  ['version 1, IPv4 in IPv6', textHeader('::ffff:192.0.2.7'), named('192.0.2.7')],
  ['version 1, ports at their bounds', 'PROXY TCP4 1.2.3.4 1.2.3.4 0 65535\r\n', named('1.2.3.4', 0)],
  ['version 1, UNKNOWN alone', 'PROXY UNKNOWN\r\n', NOBODY],
  ['version 1, UNKNOWN with addresses', 'PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n', NOBODY],
  ['version 1, UNKNOWN with anything', 'PROXY UNKNOWN x \0 y\r\n', NOBODY],
  ['version 1, the longest', `PROXY UNKNOWN ${'f'.repeat(107 - 16)}\r\n`, NOBODY],
  ['version 2, IPv4', binaryHeader(), named('192.0.2.1')],
  ['version 2, IPv6', binaryHeader({ family: 0x21, addresses: IPV6 }), named('2001:db8::1')],
  ['version 2, IPv4 in IPv6', binaryHeader({ family: 0x21, addresses: MAPPED }), named('192.0.2.7')],
  ['version 2, extensions', binaryHeader({ extensions: extension(4, Buffer.alloc(300)) }), named('192.0.2.1')],
  ['version 2, an empty extension', binaryHeader({ extensions: extension(0xea, Buffer.alloc(0)) }), named('192.0.2.1')],
  [
    'version 2, the largest',
    binaryHeader({ extensions: extension(4, Buffer.alloc(4_096 - 28 - 3)) }),
    named('192.0.2.1'),
  ],
  ['version 2, LOCAL', binaryHeader({ command: 0x20, family: 0, addresses: Buffer.alloc(0) }), NOBODY],
  ['version 2, LOCAL with addresses', binaryHeader({ command: 0x20 }), NOBODY],
  ['version 2, LOCAL with what is no family', binaryHeader({ command: 0x20, family: 0xff }), NOBODY],
  ['version 2, UNSPEC', binaryHeader({ family: 0, addresses: Buffer.alloc(5) }), NOBODY],
  ['version 2, UDP', binaryHeader({ family: 0x12 }), NOBODY],
  ['version 2, a unix socket', binaryHeader({ family: 0x31, addresses: Buffer.alloc(216) }), NOBODY],
];

const BAD: readonly (readonly [string, Buffer | string, RegExp])[] = [
  ['HTTP', 'GET / HTTP/1.1\r\n', /signature/],
  ['TLS', Buffer.of(22, 3, 1), /signature/],
  ['small letters', 'proxy TCP4', /signature/],
  ['a signature of version 2 with one byte changed', Buffer.from('0d0a0d0a000d0a515549540b', 'hex'), /signature/],
  ['no end within 107 bytes', `PROXY UNKNOWN ${'f'.repeat(93)}`, /no end/],
  ['a bare LF', 'PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n', /CR LF/],
  ['two spaces', 'PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n', /two addresses/],
  ['a space at the end', 'PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n', /two addresses/],
  ['too few parts', 'PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n', /two addresses/],
  ['nothing at all', 'PROXY \r\n', /family/],
  ['another family', 'PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n', /family/],
  ['a family in small letters', 'PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n', /family/],
  ['IPv6 in TCP4', 'PROXY TCP4 ::1 1.2.3.4 1 2\r\n', /address/],
  ['IPv4 in TCP6', 'PROXY TCP6 1.2.3.4 ::1 1 2\r\n', /address/],
  ['a wrong second address', 'PROXY TCP4 1.2.3.4 1.2.3 1 2\r\n', /address/],
  ['a leading zero in an address', 'PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n', /address/],
  ['a zone in an address', 'PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n', /address/],
  ['a port with a leading zero', 'PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n', /port/],
  ['a port that is too large', 'PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n', /port/],
  ['a negative port', 'PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n', /port/],
  ['CR in the line', 'PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\r\n', /port/],
  ['version 3', binaryHeader({ command: 0x31 }), /version/],
  ['another command', binaryHeader({ command: 0x22 }), /command/],
  ['another family', binaryHeader({ family: 0x41 }), /family/],
  ['another protocol', binaryHeader({ family: 0x13 }), /protocol/],
  ['too short for IPv4', binaryHeader({ addresses: Buffer.alloc(11) }), /too short/],
  ['too short for IPv6', binaryHeader({ family: 0x21 }), /too short/],
  ['too short for unix', binaryHeader({ family: 0x31, addresses: Buffer.alloc(215) }), /too short/],
  ['longer than we read, at once', binaryHeader({ length: 4_096 - 15 }), /4097 bytes/],
  ['half an extension', binaryHeader({ extensions: Buffer.of(4, 0) }), /cut off/],
  ['an extension longer than the header', binaryHeader({ extensions: Buffer.of(4, 0, 9, 1) }), /cut off/],
  ['a checksum of two bytes', binaryHeader({ extensions: extension(3, Buffer.alloc(2)) }), /checksum/],
  ['a wrong checksum', binaryHeader({ extensions: extension(3, Buffer.alloc(4)) }), /checksum/],
];

const bytesOf = (bytes: Buffer | string) => (typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);

t.test('what is read', async (t) => {
  for (const [name, given, source] of GOOD) {
    const bytes = bytesOf(given);
    t.strictSame(readProxyHeader(bytes), { length: bytes.length, source }, name);
    const followed = Buffer.concat([bytes, Buffer.from('PROXY \x16\x03\x01\r\n')]);
    t.strictSame(readProxyHeader(followed), { length: bytes.length, source }, `${name}, with bytes behind it`);
    for (let cut = 0; cut < bytes.length; cut++) {
      const part = readProxyHeader(bytes.subarray(0, cut));
      if (part !== 'more') t.fail(`${name}, cut at ${cut}: ${JSON.stringify(part)}`);
    }
  }
});

t.test('what is refused, and once refused stays so', async (t) => {
  for (const [name, given, why] of BAD) {
    const bytes = bytesOf(given);
    t.match(readProxyHeader(bytes), { broken: why }, name);
    let refused = false;
    for (let cut = 0; cut <= bytes.length; cut++) {
      const part = readProxyHeader(bytes.subarray(0, cut));
      if (typeof part === 'object' && 'length' in part) t.fail(`${name}, cut at ${cut}, is taken`);
      if (refused && part === 'more') t.fail(`${name}, cut at ${cut}, is hoped for again`);
      refused = part !== 'more';
    }
  }
});

t.test('the checksum, where there is one, is over all of the header', async (t) => {
  t.strictSame(readProxyHeader(CHECKED), { length: CHECKED.length, source: named('192.0.2.1') });
  for (let i = 16; i < CHECKED.length; i++) {
    const damaged = Buffer.from(CHECKED);
    damaged[i]! ^= 1;
    const read = readProxyHeader(damaged);
    // A changed type makes it an extension that nobody looks into.
    const isOtherType = i === 28 && typeof read === 'object' && 'length' in read;
    if (!isOtherType) t.match(read, { broken: /checksum|cut off/ }, `byte ${i}`);
  }
});

t.test('what looks like a header to those who expect none', async (t) => {
  t.ok(looksLikeProxyHeader(Buffer.from(textHeader())) && looksLikeProxyHeader(binaryHeader()));
  t.notOk(looksLikeProxyHeader(Buffer.from('PROX')) || looksLikeProxyHeader(Buffer.from('GET / HTTP/1.1')));
});

t.test('random ones are read back, and damaged ones are read to something bounded or nothing', async (t) => {
  const roll = dice(20_261_122);
  for (let i = 0; i < 20_000; i++) {
    const address = Array.from({ length: 4 }, () => roll(256)).join('.');
    const port = roll(65_536);
    const extensions = Buffer.concat(
      Array.from({ length: roll(4) }, () => extension(4 + roll(252), Buffer.alloc(roll(60), roll(256)))),
    );
    const bytes =
      roll(2) === 0
        ? Buffer.from(textHeader(address, port))
        : binaryHeader({ addresses: ipv4(address, port), extensions });
    const rest = Buffer.alloc(roll(200), roll(256));
    const whole = Buffer.concat([bytes, rest]);
    const read = readProxyHeader(whole);
    if (JSON.stringify(read) !== JSON.stringify({ length: bytes.length, source: { address, port } })) {
      t.fail(`${bytes.toString('hex')} is read as ${JSON.stringify(read)}`);
    }
    for (let n = 1 + roll(4); n > 0; n--) whole[roll(whole.length)] = roll(256);
    const damaged = readProxyHeader(whole.subarray(0, roll(whole.length + 1)));
    if (typeof damaged === 'object' && 'length' in damaged && damaged.length > whole.length)
      t.fail(whole.toString('hex'));
  }
  for (let i = 0; i < 20_000; i++) {
    const tail = Buffer.from(Array.from({ length: roll(80) }, () => roll(256)));
    const bytes = Buffer.concat([roll(2) === 0 ? SIGNATURE : Buffer.from('PROXY TCP4 '), tail]);
    const read = readProxyHeader(bytes);
    if (typeof read === 'object' && 'length' in read && read.length > bytes.length) t.fail(bytes.toString('hex'));
  }
  t.pass('no case threw');
});
