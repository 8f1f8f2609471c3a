// The configuration file: what of it can be read, its variables, and all problems at once, in their order.

import { chmodSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { readConfigurationFile, readReach } from '../../src/control/file.ts';
import { changed, problemsIn, readText, SMALL } from '../support/configuration-file.ts';
import { makeFolder } from '../support/folder.ts';

t.test('all that is wrong comes at once, in the order of the file', async (t) => {
  const text = SMALL.replace('tls', 'tsl')
    .replace('8000', 'x')
    .replace('cert:', 'crt:')
    .replace('proxy: backend', 'proxy: no');
  const lines = problemsIn(text, { HTTP_PORT: '80' }).map((each) => /^portico\.yaml:(\d+)|^\w+/.exec(each)![1] ?? each);
  t.match(lines, ['3', '4', '6', '6', '15', /^HTTP_PORT is set, but portico\.yaml is the configuration/]);
});

t.test('variables that would have configured us are refused, unless the file asks for them', async (t) => {
  t.match(problemsIn(SMALL, { FRONTEND_DNS: 'a', LOG_LEVEL: 'info', TC_PARAMS_X: '1', EMPTY: '', BODY_LIMIT: ' ' }), [
    /^FRONTEND_DNS is set/,
    /^LOG_LEVEL is set/,
    /^TC_PARAMS_X is set.*unset it, or write \$\{TC_PARAMS_X\} in the file/,
  ]);
  const asks = changed('port:', '    port: ${HTTPS_PORT}');
  t.equal(readText(asks, { HTTPS_PORT: '8443', PORTICO_CONFIG: 'x', PATH: '/bin' }).listeners[0]!.port, 8443);
  t.equal(readText(SMALL, { PORTICO_SOCKET: '/run/x.sock' }).controlSocket, '/run/x.sock');
});

t.test('what a variable without a value should have said is not blamed as well', async (t) => {
  const text = SMALL.replace('a.example', '${SITE}')
    .replace('8000', '${PORT}')
    .replace('http://backend', '${A:?the API}');
  t.match(problemsIn(text), [/^\S+ \$\{PORT\} is not set/, /^\S+ \$\{A\}: the API/, /^\S+ \$\{SITE\} is not set/]);
  t.equal(problemsIn(text).length, 3);
});

t.test('paths are relative to the file', async (t) => {
  const folder = makeFolder(t, 'config');
  const file = join(folder, 'portico.yaml');
  writeFileSync(file, `${SMALL}controlSocket: control.sock\n`);
  const read = readConfigurationFile(file, {});
  t.equal(read.certificates[0]!.certFile, join(folder, 'a.crt'));
  t.equal(read.controlSocket, join(folder, 'control.sock'));
});

t.test('files that cannot be read are told of, with a place', async (t) => {
  const folder = makeFolder(t, 'config');
  const big = join(folder, 'big.yaml');
  writeFileSync(big, `${SMALL}# ${'x'.repeat(1024 * 1024)}`);
  symlinkSync('loop.yaml', join(folder, 'loop.yaml'));
  for (const [file, message] of [
    [join(folder, 'none.yaml'), /:1:1 the file is not there/],
    [folder, /:1:1 is not a regular file/],
    ['/dev/zero', /\/dev\/zero:1:1 is not a regular file/],
    [join(folder, 'loop.yaml'), /:1:1 the file cannot be opened \(ELOOP\)/],
    [big, /:1:1 the file has 10\d+ bytes, more than the 1048576/],
  ] as const) {
    t.throws(() => readConfigurationFile(file, {}), { message }, file);
    const { admin, controlSocket, doubt } = readReach(file, {});
    t.match([admin.port, controlSocket, doubt], [9180, undefined, { problems: [{}] }]);
  }
});

t.test('a file that is closed to us is told of by its owner', async (t) => {
  const file = join(makeFolder(t, 'config'), 'closed.yaml');
  writeFileSync(file, SMALL);
  chmodSync(file, 0);
  const asAnother = process.geteuid?.() === 0;
  // Root reads everything.
  if (asAnother) process.seteuid!(65_534);
  try {
    const message = /:1:1 may not be read by this process, .*mode 0 \(permit it: chown \d+/;
    t.throws(() => readConfigurationFile(file, {}), { message });
  } finally {
    if (asAnother) process.seteuid!(0);
  }
});

t.test('where an instance is reached is found in a file whatever else is wrong with it', async (t) => {
  const folder = makeFolder(t, 'config');
  const file = join(folder, 'portico.yaml');
  const reach = (text: string) => {
    writeFileSync(file, text);
    const { admin, controlSocket } = readReach(file, { P: '1' });
    return [admin.address, admin.port, controlSocket];
  };
  t.strictSame(reach('x: y'), ['127.0.0.1', 9180, undefined]);
  t.strictSame(reach('listeners: 3\nadmin:\n  port: ${P}\n  address: ::1\ncontrolSocket: s'), [
    '::1',
    1,
    join(folder, 's'),
  ]);
  t.strictSame(reach('admin: 7'), ['127.0.0.1', 9180, undefined]);
  t.equal(readReach(file, {}).doubt, undefined);
  t.strictSame(reach('admin: { port: 7 }\ncontrolSocket: s\nhosts: ['), ['127.0.0.1', 7, join(folder, 's')]);
  t.match(readReach(file, {}).doubt, { message: /portico\.yaml:3:8 this \[ is not closed/ });
});

t.test('what a variable holds is not told, whatever is wrong with it', async (t) => {
  const variables = { TOKEN: 'hunter2', PORT: '70000', P: 'x' };
  t.match(problemsIn(changed('kind:', '    kind: ${TOKEN}'), variables), [/kind: is "\$\{TOKEN\}" \(choose/]);
  t.match(problemsIn(changed('- proxy:', '      - proxy: a-${TOKEN}'), variables), [
    /no pool is named "a-\$\{TOKEN\}"/,
  ]);
  t.match(problemsIn(changed('a.example:', '  ${TOKEN}/:'), variables), [/hosts\["\$\{TOKEN\}\/"\]: is/]);
  t.match(problemsIn(changed('port:', '    port: ${PORT}'), variables), [/is "70000"/], 'a port is no secret');
  t.match(problemsIn(changed('kind:', '    kind: ${P}'), variables), [/kind: is "x" \(choose/]);
});
